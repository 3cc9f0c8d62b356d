/*
 * Walks of many lanes at once; a lane is a row in one tree, or a tree for one
 * row.  A step waits for three gathers one after another, so GROUPS vectors
 * walk beside each other.  Of fewer lanes than a block has, the last one is
 * walked again and again, and not stored.
 *
 * The including file gives LANES, the vector vi of as many int32, and
 *   vi_lanes()            0, 1, ..
 *   vi_set, vi_add, vi_mul, vi_min, vi_load, vi_store
 *   vi_differ(a, b)       a != b in some lane
 *   step(t, at, base, x, from)  the next nodes; base + at is where they are
 *                         among the nodes, x[from + feature] the values
 */
#include <string.h>

#include "kernels/tree_f32.h"

enum {
    GROUPS = 4,
    BLOCK = GROUPS * LANES
};

static inline void walk(const md_tree_f32 *t, int groups, vi *at,
                        const vi *base, const float *x, const vi *from)
{
    for (int g = 0; g < groups; g++)
        at[g] = vi_set(0);
    for (uint32_t d = 0; d < t->depth; d++) {
        int moved = 0;

        for (int g = 0; g < groups; g++) {
            vi next = step(t, at[g], base[g], x, from[g]);

            moved |= vi_differ(next, at[g]);
            at[g] = next;
        }
        if (!moved)
            break;
    }
}

/* The first n lanes of at. */
static inline void store_lanes(uint32_t *leaf, const vi *at, int64_t n)
{
    uint32_t all[BLOCK];

    for (int g = 0; g < GROUPS; g++)
        vi_store(all + g * LANES, at[g]);
    memcpy(leaf, all, (size_t)n * sizeof(*leaf));
}

/* min(first lane + lane, n - 1) of group g. */
static inline vi lanes_below(int g, int64_t n)
{
    return vi_min(vi_add(vi_lanes(), vi_set(g * LANES)), vi_set((int)n - 1));
}

void MD_TREE_ROWS(uint32_t *leaf, const md_tree_f32 *tree, const float *x,
                  int64_t n, int64_t stride)
{
    vi at[GROUPS], from[GROUPS], base[GROUPS];

    for (int g = 0; g < GROUPS; g++)
        base[g] = at[g] = vi_set(0);
    for (; n > 0; n -= BLOCK, leaf += BLOCK, x += BLOCK * stride) {
        int64_t m = n < BLOCK ? n : BLOCK;

        for (int g = 0; g < GROUPS; g++)
            from[g] = vi_mul(lanes_below(g, m), vi_set((int)stride));
        if (m <= LANES)
            walk(tree, 1, at, base, x, from);
        else
            walk(tree, GROUPS, at, base, x, from);
        store_lanes(leaf, at, m);
    }
}

void MD_TREE_TREES(uint32_t *leaf, const md_tree_f32 *trees,
                   const uint32_t *root, int64_t n, const float *x)
{
    vi at[GROUPS], from[GROUPS], base[GROUPS];

    for (int g = 0; g < GROUPS; g++)
        from[g] = at[g] = vi_set(0);
    for (; n > 0; n -= BLOCK, leaf += BLOCK, root += BLOCK) {
        int64_t m = n < BLOCK ? n : BLOCK;
        uint32_t all[BLOCK];

        for (int64_t i = 0; i < BLOCK; i++)
            all[i] = root[i < m ? i : m - 1];
        for (int g = 0; g < GROUPS; g++)
            base[g] = vi_load(all + g * LANES);
        walk(trees, GROUPS, at, base, x, from);
        store_lanes(leaf, at, m);
    }
}
