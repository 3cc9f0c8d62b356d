#include "kernels/tree_f32.h"

/* From `root` on; the leaf counts from there. */
static uint32_t walk(const md_tree_f32 *t, uint32_t root, const float *x)
{
    const uint32_t below = (UINT32_C(1) << t->shift) - 1;
    uint32_t at = 0;

    for (uint32_t d = 0; d < t->depth; d++) {
        md_tree_f32_node node = t->nodes[root + at];
        float v = x[(node.word & ~MD_TREE_NAN_FIRST) >> t->shift];
        int first =
            v <= node.split || (v != v && (node.word & MD_TREE_NAN_FIRST));

        at = (node.word & below) + !first;
    }
    return at;
}

void md_tree_f32_rows__ref(uint32_t *leaf, const md_tree_f32 *tree,
                           const float *x, int64_t n, int64_t stride)
{
    for (int64_t r = 0; r < n; r++)
        leaf[r] = walk(tree, 0, x + r * stride);
}

void md_tree_f32_trees__ref(uint32_t *leaf, const md_tree_f32 *trees,
                            const uint32_t *root, int64_t n, const float *x)
{
    for (int64_t t = 0; t < n; t++)
        leaf[t] = walk(trees, root[t], x);
}
