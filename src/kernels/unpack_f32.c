#include "kernels/unpack_f32.h"

const md_unpack_f32_kernel md_unpack_f32_kernels[] = {
#define K(isa, need)                                                           \
    { "unpack_f32__" #isa, need, md_unpack_f32__##isa,                         \
      md_unpack_f32_product__##isa },
#include "kernels/unpack_f32.def"
#undef K
    { 0 },
};

const md_unpack_f32_kernel *md_unpack_f32_select(uint32_t cpu_flags)
{
    const md_unpack_f32_kernel *k = md_unpack_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
