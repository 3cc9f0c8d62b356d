#include "kernels/cast_bf16.h"

const md_cast_bf16_kernel md_cast_bf16_kernels[] = {
#define K(isa, need) { "cast_bf16__" #isa, need, md_cast_bf16__##isa },
#include "kernels/cast_bf16.def"
#undef K
    { 0 },
};

const md_cast_bf16_kernel *md_cast_bf16_select(uint32_t cpu_flags)
{
    const md_cast_bf16_kernel *k = md_cast_bf16_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
