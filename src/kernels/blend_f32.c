#include "kernels/blend_f32.h"

const md_blend_f32_kernel md_blend_f32_kernels[] = {
#define K(isa, need) { "blend_f32__" #isa, need, md_blend_f32__##isa },
#include "kernels/blend_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_blend_f32_kernel *md_blend_f32_select(uint32_t cpu_flags)
{
    const md_blend_f32_kernel *k = md_blend_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
