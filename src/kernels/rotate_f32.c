#include "kernels/rotate_f32.h"

const md_rotate_f32_kernel md_rotate_f32_kernels[] = {
#define K(isa, need) { "rotate_f32__" #isa, need, md_rotate_f32__##isa },
#include "kernels/rotate_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_rotate_f32_kernel *md_rotate_f32_select(uint32_t cpu_flags)
{
    const md_rotate_f32_kernel *k = md_rotate_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
