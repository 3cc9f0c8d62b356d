#include "kernels/vcast.h"

const md_vcast_kernel md_vcast_kernels[] = {
#define K(isa, need) { "vcast__" #isa, need, md_vcast__##isa },
#include "kernels/vcast.def"
#undef K
    { NULL, 0, NULL },
};

const md_vcast_kernel *md_vcast_select(uint32_t cpu_flags)
{
    const md_vcast_kernel *k = md_vcast_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
