#include "kernels/tree_f32.h"

const md_tree_f32_kernel md_tree_f32_kernels[] = {
#define K(isa, need)                                                           \
    { "tree_f32__" #isa, need, md_tree_f32_rows__##isa,                        \
      md_tree_f32_trees__##isa, md_tree_f32_full__##isa },
#include "kernels/tree_f32.def"
#undef K
    { NULL, 0, NULL, NULL, NULL },
};

const md_tree_f32_kernel *md_tree_f32_select(uint32_t cpu_flags)
{
    const md_tree_f32_kernel *k = md_tree_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}
