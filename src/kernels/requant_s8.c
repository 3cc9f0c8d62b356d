#include "kernels/requant_s8.h"

#include <stddef.h>

const md_requant_s8_kernel md_requant_s8_kernels[] = {
#define K(isa, need) { "requant_s8__" #isa, need, md_requant_s8__##isa },
#include "kernels/requant_s8.def"
#undef K
    { NULL, 0, NULL },
};

const md_requant_s8_kernel *md_requant_s8_select(uint32_t cpu_flags)
{
    const md_requant_s8_kernel *k = md_requant_s8_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
