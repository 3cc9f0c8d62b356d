#include "kernels/cumsum_f32.h"

const md_cumsum_f32_kernel md_cumsum_f32_kernels[] = {
#define K(isa, need) { "cumsum_f32__" #isa, need, md_cumsum_f32__##isa },
#include "kernels/cumsum_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_cumsum_f32_kernel *md_cumsum_f32_select(uint32_t cpu_flags)
{
    const md_cumsum_f32_kernel *k = md_cumsum_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
