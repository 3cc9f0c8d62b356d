#include "kernels/gemv_f32.h"

const md_gemv_f32_kernel md_gemv_f32_kernels[] = {
#define K(isa, need)                                                           \
    { "gemv_f32__" #isa, need, md_gemv_f32_dot__##isa, md_gemv_f32_sum__##isa },
#include "kernels/gemv_f32.def"
#undef K
    { NULL, 0, NULL, NULL },
};

const md_gemv_f32_kernel *md_gemv_f32_select(uint32_t cpu_flags)
{
    const md_gemv_f32_kernel *k = md_gemv_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
