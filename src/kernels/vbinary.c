#include "kernels/vbinary.h"

const md_vbinary_kernel md_vbinary_kernels[] = {
#define K(isa, need) { "vbinary__" #isa, need, md_vbinary__##isa },
#include "kernels/vbinary.def"
#undef K
    { NULL, 0, NULL },
};

const md_vbinary_kernel *md_vbinary_select(uint32_t cpu_flags)
{
    const md_vbinary_kernel *k = md_vbinary_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

md_dtype md_vbinary_result(md_vbinary op, md_dtype type)
{
    switch (op) {
    case MD_VBINARY_EQ:
    case MD_VBINARY_LT:
    case MD_VBINARY_LE:
    case MD_VBINARY_UNORDERED:
        return MD_DTYPE_BOOL;
    default:
        return type;
    }
}
