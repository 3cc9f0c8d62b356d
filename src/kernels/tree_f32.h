/*
 * The leaves that rows of features come to in a decision tree.
 *
 * A tree is nodes from 0, the root, on.  A node asks x <= split of one
 * feature; bits of its word say which, and where its first child is; the
 * second one follows it:
 *
 *   bit 31           NaN goes to the first child
 *   bits shift..30   the feature
 *   bits 0..shift-1  the first child
 *
 * A leaf is its own first child, has split +Inf and bit 31.  depth: steps
 * after which every walk is at a leaf.  Results are integers: all rows equal
 * ref's.
 */
#ifndef MD_KERNELS_TREE_F32_H
#define MD_KERNELS_TREE_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    MD_TREE_ROWS_STRIDE = 1 << 24 /* features of a row, at most */
};

#define MD_TREE_NAN_FIRST UINT32_C(0x80000000)

typedef struct md_tree_f32_node {
    float split;
    uint32_t word;
} md_tree_f32_node;

typedef struct md_tree_f32 {
    const md_tree_f32_node *nodes;
    uint32_t depth;
    unsigned shift; /* 1 to 31 */
} md_tree_f32;

/* leaf[r], a node, of n rows x[r * stride ..] in one tree. */
typedef void md_tree_f32_rows_fn(uint32_t *leaf, const md_tree_f32 *tree,
                                 const float *x, int64_t n, int64_t stride);

/* leaf[t] of one row in n trees with one shift: tree t begins at node root[t],
 * from which its words and leaf[t] count; depth is the largest of theirs. */
typedef void md_tree_f32_trees_fn(uint32_t *leaf, const md_tree_f32 *trees,
                                  const uint32_t *root, int64_t n,
                                  const float *x);

/*
 * Full trees, all of one depth (1 .. MD_TREE_DEPTH_MAX), for rows without NaN:
 * a node's place says where its children are, and a walk is at a leaf after
 * `depth` steps, without asking.  A path is the number whose bits are the
 * branches taken, the first one highest; 1 is the second child.
 *
 * The first `head` levels (1 to 3, so that the others are a multiple of three)
 * of 16 trees lie side by side:
 *     head[tree / 16][2^level - 1 + path][tree % 16]
 * The others are blocks, a cache line each, of three levels:
 *     block[tree][blocks of the levels before + path][2^k + last k bits]
 * where path is the one to the block and k the step in it.  Place 0 of a block
 * is not used.
 */
enum {
    MD_TREE_DEPTH_MAX = 12,
    MD_TREE_GROUP = 16, /* trees come in groups, filled up with any */
    MD_TREE_BLOCK = 8   /* nodes */
};

typedef struct md_tree_f32_full_node {
    float split;
    uint32_t feature;
} md_tree_f32_full_node;

typedef struct md_tree_f32_full {
    uint32_t n_trees, depth, head;
    uint32_t n_blocks;       /* of a tree: md_tree_f32_full_blocks */
    uint32_t n_features;     /* of a row */
    const float *split;      /* of the head */
    const uint32_t *feature; /* of the head */
    const md_tree_f32_full_node *block;
    const uint32_t *leaf; /* [tree][path]: what the tree gives */
} md_tree_f32_full;

/* leaf[t] of one row in each tree; out has room for whole groups. */
typedef void md_tree_f32_full_fn(uint32_t *out, const md_tree_f32_full *f,
                                 const float *x);

static inline uint32_t md_tree_f32_full_head(uint32_t depth)
{
    return (depth - 1) % 3 + 1;
}

/* Blocks of a tree; those in front of level `head` + 3 * k for `depth` that. */
static inline uint32_t md_tree_f32_full_blocks(uint32_t head, uint32_t depth)
{
    uint32_t n = 0;

    for (uint32_t level = head; level < depth; level += 3)
        n += UINT32_C(1) << level;
    return n;
}

typedef struct md_tree_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_tree_f32_rows_fn *rows;
    md_tree_f32_trees_fn *trees;
    md_tree_f32_full_fn *full;
} md_tree_f32_kernel;

#define K(isa, need)                                                           \
    md_tree_f32_rows_fn md_tree_f32_rows__##isa;                               \
    md_tree_f32_trees_fn md_tree_f32_trees__##isa;                             \
    md_tree_f32_full_fn md_tree_f32_full__##isa;
#include "kernels/tree_f32.def"
#undef K

extern const md_tree_f32_kernel md_tree_f32_kernels[]; /* rows NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_tree_f32_kernel *md_tree_f32_select(uint32_t cpu_flags);

#endif
