/*
 * Walks of one row through full trees, LANES of a group at once.  A step in a
 * block waits for its gathers, so GROUPS vectors walk beside each other.
 *
 * Beside what tree_f32_vec.h needs the including file gives the vector vf of
 * as many floats, mask, and
 *   vi_shift(v, n)         v << n
 *   vi_and, vi_load        of uint32_t, unaligned
 *   vf_load                unaligned
 *   above(x, split)        where not x <= split
 *   vi_choose(m, a, b), vf_choose: b where m
 *   vi_bit(m)              1 where m, else 0
 *   vi_pick(p, at)         p[at] of uint32_t
 *   node_at(block, at, feature) the splits there; sets the features
 *   features, features_of(x, n), feature_of(features, at)
 */
#include "base/attr.h"
#include "kernels/tree_f32.h"

enum {
    FULL_GROUPS = 4
};

/* Levels of the head; which of their nodes are met is chosen, not gathered, as
 * far as that is less work. */
static MD_ALWAYS_INLINE vi walk_head(const md_tree_f32_full *f, int64_t tree,
                                     const features *x)
{
    const int64_t at =
        tree / MD_TREE_GROUP * ((1 << f->head) - 1) * MD_TREE_GROUP +
        tree % MD_TREE_GROUP;
    const float *s = f->split + at;
    const uint32_t *w = f->feature + at;
    mask m = above(feature_of(x, vi_load(w)), vf_load(s));
    vi path = vi_bit(m);

    if (f->head == 1)
        return path;
    m = above(feature_of(x, vi_choose(m, vi_load(w + MD_TREE_GROUP),
                                      vi_load(w + 2 * MD_TREE_GROUP))),
              vf_choose(m, vf_load(s + MD_TREE_GROUP),
                        vf_load(s + 2 * MD_TREE_GROUP)));
    path = vi_add(vi_shift(path, 1), vi_bit(m));
    if (f->head == 2)
        return path;
    {
        const vi place = vi_add(
            vi_mul(vi_add(path, vi_set(3)), vi_set(MD_TREE_GROUP)), vi_lanes());

        m = above(feature_of(x, vi_pick(w, place)),
                  vi_as_f(vi_pick((const uint32_t *)s, place)));
    }
    return vi_add(vi_shift(path, 1), vi_bit(m));
}

/* Three levels: paths to blocks become paths to theirs; base: the places of
 * the trees' first blocks of this level. */
static MD_ALWAYS_INLINE void walk_block(const md_tree_f32_full *f, vi *path,
                                        const vi *base, const features *x)
{
    vi block[FULL_GROUPS], in[FULL_GROUPS];

    for (int g = 0; g < FULL_GROUPS; g++) {
        block[g] = vi_shift(vi_add(base[g], path[g]), 3);
        in[g] = vi_set(1);
    }
    for (int k = 0; k < 3; k++) {
        for (int g = 0; g < FULL_GROUPS; g++) {
            vi feature;
            const vf split =
                node_at(f->block, vi_add(block[g], in[g]), &feature);

            in[g] = vi_add(vi_shift(in[g], 1),
                           vi_bit(above(feature_of(x, feature), split)));
        }
    }
    for (int g = 0; g < FULL_GROUPS; g++)
        path[g] = vi_add(vi_shift(path[g], 3), vi_and(in[g], vi_set(7)));
}

static MD_ALWAYS_INLINE void walk_full(uint32_t *out, const md_tree_f32_full *f,
                                       const features *x)
{
    const int64_t n = (f->n_trees + MD_TREE_GROUP - 1) / MD_TREE_GROUP *
                      (int64_t)MD_TREE_GROUP;

    for (int64_t t = 0; t < n; t += FULL_GROUPS * LANES) {
        vi path[FULL_GROUPS], base[FULL_GROUPS], tree[FULL_GROUPS];

        for (int g = 0; g < FULL_GROUPS; g++) {
            /* behind the last group it is walked again, and not stored */
            const int64_t at = t + g * LANES < n ? t + g * LANES : n - LANES;

            tree[g] = vi_add(vi_lanes(), vi_set((int)at));
            base[g] = vi_mul(tree[g], vi_set((int)f->n_blocks));
            path[g] = walk_head(f, at, x);
        }
        for (uint32_t level = f->head; level < f->depth; level += 3) {
            walk_block(f, path, base, x);
            for (int g = 0; g < FULL_GROUPS; g++)
                base[g] = vi_add(base[g], vi_set(1 << level));
        }
        for (int g = 0; g < FULL_GROUPS && t + g * LANES < n; g++)
            vi_store(out + t + g * LANES,
                     vi_pick(f->leaf, vi_add(vi_shift(tree[g], (int)f->depth),
                                             path[g])));
    }
}
