/* Trees of depth 8 over 50 features; a FLOP is a step of one row. */
#include "kernels/tree_f32.h"

#include <string.h>

#include "base/attr.h"
#include "kernels/bench.h"

enum {
    TREES = 500,
    DEPTH = 8,
    NODES = (2 << DEPTH) - 1,
    ROWS = 256,
    FEATURES = 50,
    SHIFT = 16
};

typedef struct job {
    const md_tree_f32_kernel *kernel;
    md_tree_f32 trees;
    md_tree_f32_full full;
    const float *x;
    uint32_t *root, *leaf;
} job;

static void run_rows(void *ctx)
{
    const job *j = ctx;

    for (int t = 0; t < TREES; t++) {
        md_tree_f32 tree = j->trees;

        tree.nodes += j->root[t];
        j->kernel->rows(j->leaf, &tree, j->x, ROWS, FEATURES);
    }
}

static void run_trees(void *ctx)
{
    const job *j = ctx;

    j->kernel->trees(j->leaf, &j->trees, j->root, TREES, j->x);
}

static void run_full(void *ctx)
{
    const job *j = ctx;

    j->kernel->full(j->leaf, &j->full, j->x);
}

/* The same number of full trees. */
static void make_full(job *j, md_arena *arena)
{
    const uint32_t head = md_tree_f32_full_head(DEPTH);
    const size_t n = (TREES / MD_TREE_GROUP + 1) * (size_t)MD_TREE_GROUP;
    const uint32_t n_blocks = md_tree_f32_full_blocks(head, DEPTH);
    const size_t n_nodes = n * n_blocks * MD_TREE_BLOCK;
    md_tree_f32_full_node *block =
        md_bench_alloc(arena, n_nodes * sizeof(*block));
    uint32_t *feature = md_bench_alloc(arena, (n << head) * sizeof(*feature));
    uint32_t *leaf = md_bench_alloc(arena, (n << DEPTH) * sizeof(*leaf));

    for (size_t i = 0; i < n_nodes; i++)
        block[i] = (md_tree_f32_full_node){ j->x[i % (ROWS * FEATURES)],
                                            (uint32_t)(i * 7 % FEATURES) };
    for (size_t i = 0; i < n << head; i++)
        feature[i] = (uint32_t)(i * 5 % FEATURES);
    memset(leaf, 0, (n << DEPTH) * sizeof(*leaf));
    j->full = (md_tree_f32_full){ .n_trees = TREES,
                                  .depth = DEPTH,
                                  .head = head,
                                  .n_blocks = n_blocks,
                                  .n_features = FEATURES,
                                  .split = md_bench_floats(arena, n << head),
                                  .feature = feature,
                                  .block = block,
                                  .leaf = leaf };
}

static void make_trees(job *j, md_tree_f32_node *nodes)
{
    uint32_t seed = 1;

    for (uint32_t t = 0; t < TREES; t++) {
        j->root[t] = t * NODES;
        for (uint32_t i = 0; i < NODES; i++, nodes++) {
            const int leaf = 2 * i + 1 >= NODES;

            seed = seed * 1664525u + 1013904223u;
            nodes->split = leaf ? 1e30f : (float)(seed >> 8) * 0x1p-25f - 0.25f;
            nodes->word = leaf ? MD_TREE_NAN_FIRST | i
                               : (seed >> 5) % FEATURES << SHIFT | (2 * i + 1);
        }
    }
}

void md_bench_tree_f32(md_arena *arena)
{
    md_tree_f32_node *nodes =
        md_bench_alloc(arena, sizeof(*nodes) * TREES * NODES);
    job j = { .trees = { nodes, DEPTH, SHIFT } };

    j.x = md_bench_floats(arena, ROWS * FEATURES);
    j.root = md_bench_alloc(arena, TREES * sizeof(*j.root));
    j.leaf = md_bench_alloc(arena, (TREES + ROWS) * sizeof(*j.leaf));
    make_trees(&j, nodes);
    make_full(&j, arena);
    for (j.kernel = md_tree_f32_kernels; j.kernel->rows; j.kernel++) {
        if (!md_bench_wanted(j.kernel->name, j.kernel->required))
            continue;
        md_bench_time(&(md_bench_case){ j.kernel->name, "256 rows, 500 trees",
                                        (double)ROWS * TREES * DEPTH, run_rows,
                                        &j });
        md_bench_time(&(md_bench_case){ j.kernel->name, "1 row, 500 trees",
                                        (double)TREES * DEPTH, run_trees, &j });
        md_bench_time(&(md_bench_case){ j.kernel->name, "1 row, 500 full trees",
                                        (double)TREES * DEPTH, run_full, &j });
    }
}
