#include "kernels/peak_f32.h"

#include <stddef.h>

const md_peak_f32_kernel md_peak_f32_kernels[] = {
#define K(isa, need) { "peak_f32__" #isa, need, md_peak_f32__##isa },
#include "kernels/peak_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_peak_f32_kernel *md_peak_f32_select(uint32_t cpu_flags)
{
    const md_peak_f32_kernel *k = md_peak_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
