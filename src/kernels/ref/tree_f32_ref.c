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

/* The node on a path of tree t. */
static md_tree_f32_full_node full_node(const md_tree_f32_full *f, uint32_t t,
                                       uint32_t level, uint32_t path)
{
    const uint32_t in = level < f->head ? level : (level - f->head) % 3;
    const uint32_t place = (UINT32_C(1) << in) + (path & ((1u << in) - 1));
    uint32_t at;

    if (level >= f->head) {
        at = md_tree_f32_full_blocks(f->head, level - in) + (path >> in);
        return f->block[((size_t)t * f->n_blocks + at) * MD_TREE_BLOCK + place];
    }
    at = (t / MD_TREE_GROUP * ((1u << f->head) - 1) + place - 1) *
             MD_TREE_GROUP +
         t % MD_TREE_GROUP;
    return (md_tree_f32_full_node){ f->split[at], f->feature[at] };
}

void md_tree_f32_full__ref(uint32_t *out, const md_tree_f32_full *f,
                           const float *x)
{
    for (uint32_t t = 0; t < f->n_trees; t++) {
        uint32_t path = 0;

        for (uint32_t level = 0; level < f->depth; level++) {
            const md_tree_f32_full_node n = full_node(f, t, level, path);

            path = 2 * path + !(x[n.feature] <= n.split);
        }
        out[t] = f->leaf[((size_t)t << f->depth) + path];
    }
}
