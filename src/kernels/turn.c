#include "kernels/turn.h"

#include <stddef.h>

const md_turn_kernel md_turn_kernels[] = {
#define K(isa, need) { "turn__" #isa, need, md_turn__##isa },
#include "kernels/turn.def"
#undef K
    { NULL, 0, NULL },
};

const md_turn_kernel *md_turn_select(uint32_t cpu_flags)
{
    const md_turn_kernel *k = md_turn_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
