#include "support/test.h"

#include <math.h>
#include <stdio.h>

#include "kernels/tree_f32.h"
#include "support/guard.h"

enum {
    DEPTH = 6,
    NODES = (2 << DEPTH) - 1,
    SHIFT = 10,
    FEATURES = 7
};

/* A tree whose nodes end early now and then, in nodes[NODES]. */
static void make_tree(md_tree_f32_node *nodes, uint32_t *seed)
{
    for (uint32_t i = 0; i < NODES; i++) {
        const uint32_t first = 2 * i + 1;
        const uint32_t feature = md_guard_random(seed) % FEATURES;
        const uint32_t nan = md_guard_random(seed) << 31;

        if (first >= NODES || md_guard_random(seed) % 8 == 0) {
            nodes[i].split = INFINITY;
            nodes[i].word = MD_TREE_NAN_FIRST | i;
        } else {
            nodes[i].split = (float)(md_guard_random(seed) % 5) - 2;
            nodes[i].word = nan | feature << SHIFT | first;
        }
    }
}

/* Small whole numbers, to meet splits; NaN and infinities too. */
static void make_rows(float *x, size_t n, uint32_t *seed)
{
    static const float special[4] = { NAN, INFINITY, -INFINITY, -0.0f };

    for (size_t i = 0; i < n; i++) {
        const uint32_t r = md_guard_random(seed);

        x[i] = r % 9 == 0 ? special[r / 9 % 4] : (float)(r % 7) - 3;
    }
}

static void check_leaves(const md_tree_f32_kernel *k, const uint32_t *got,
                         const uint32_t *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (got[i] != want[i])
            fail_msg("%s: n %d [%d]: %u, want %u", k->name, (int)n, (int)i,
                     got[i], want[i]);
    }
}

static void rows_case(const md_tree_f32_kernel *k, int64_t n, int64_t stride)
{
    const size_t x_size = (size_t)((n - 1) * stride + FEATURES) * 4;
    const size_t leaf_size = (size_t)n * 4;
    uint32_t seed = (uint32_t)(n + stride);
    md_tree_f32_node *nodes = md_guard_alloc(NODES * sizeof(*nodes));
    float *x = md_guard_alloc(x_size);
    uint32_t *got = md_guard_alloc(leaf_size), want[256];
    const md_tree_f32 tree = { nodes, DEPTH, SHIFT };

    make_tree(nodes, &seed);
    make_rows(x, x_size / 4, &seed);
    md_tree_f32_select(0)->rows(want, &tree, x, n, stride);
    k->rows(got, &tree, x, n, stride);
    check_leaves(k, got, want, n);
    md_guard_free(nodes, NODES * sizeof(*nodes));
    md_guard_free(x, x_size);
    md_guard_free(got, leaf_size);
}

static void trees_case(const md_tree_f32_kernel *k, int64_t n)
{
    const size_t size = (size_t)n * NODES * sizeof(md_tree_f32_node);
    const size_t leaf_size = (size_t)n * 4;
    uint32_t seed = (uint32_t)n;
    md_tree_f32_node *nodes = md_guard_alloc(size);
    uint32_t *root = md_guard_alloc(leaf_size);
    uint32_t *got = md_guard_alloc(leaf_size), want[256];
    float *x = md_guard_alloc(FEATURES * 4);
    const md_tree_f32 trees = { nodes, DEPTH, SHIFT };

    for (uint32_t t = 0; t < n; t++) {
        root[t] = t * NODES;
        make_tree(nodes + root[t], &seed);
    }
    make_rows(x, FEATURES, &seed);
    md_tree_f32_select(0)->trees(want, &trees, root, n, x);
    k->trees(got, &trees, root, n, x);
    check_leaves(k, got, want, n);
    md_guard_free(nodes, size);
    md_guard_free(root, leaf_size);
    md_guard_free(got, leaf_size);
    md_guard_free(x, FEATURES * 4);
}

/* Full trees of one depth, in memory that ends where they do. */
typedef struct full_case {
    md_tree_f32_full f;
    float *split, *x;
    uint32_t *feature, *leaf;
    md_tree_f32_full_node *block;
    size_t n_head, n_block, n_leaf;
} full_case;

static void full_init(full_case *c, uint32_t n_trees, uint32_t depth,
                      uint32_t n_features)
{
    const size_t n =
        (n_trees + MD_TREE_GROUP - 1) / MD_TREE_GROUP * MD_TREE_GROUP;
    const uint32_t head = md_tree_f32_full_head(depth);
    uint32_t seed = n_trees * 13 + depth;

    c->f = (md_tree_f32_full){ .n_trees = n_trees,
                               .depth = depth,
                               .head = head,
                               .n_blocks = md_tree_f32_full_blocks(head, depth),
                               .n_features = n_features };
    c->n_head = n * ((1u << head) - 1);
    c->n_block = n * c->f.n_blocks * MD_TREE_BLOCK;
    c->n_leaf = n << depth;
    c->f.split = c->split = md_guard_alloc(c->n_head * 4);
    c->f.feature = c->feature = md_guard_alloc(c->n_head * 4);
    c->f.block = c->block = md_guard_alloc(c->n_block * sizeof(*c->block));
    c->f.leaf = c->leaf = md_guard_alloc(c->n_leaf * 4);
    c->x = md_guard_alloc((size_t)n_features * 4);
    for (size_t i = 0; i < c->n_head; i++) {
        c->split[i] = (float)(md_guard_random(&seed) % 5) - 2;
        c->feature[i] = md_guard_random(&seed) % n_features;
    }
    for (size_t i = 0; i < c->n_block; i++) {
        c->block[i].split = (float)(md_guard_random(&seed) % 5) - 2;
        c->block[i].feature = md_guard_random(&seed) % n_features;
    }
    for (size_t i = 0; i < c->n_leaf; i++)
        c->leaf[i] = (uint32_t)i;
    for (uint32_t i = 0; i < n_features; i++) {
        c->x[i] = (float)(md_guard_random(&seed) % 7) - 3;
        if (i % 11 == 3)
            c->x[i] = i % 2 ? INFINITY : -INFINITY;
    }
}

static void full_release(full_case *c)
{
    md_guard_free(c->split, c->n_head * 4);
    md_guard_free(c->feature, c->n_head * 4);
    md_guard_free(c->block, c->n_block * sizeof(*c->block));
    md_guard_free(c->leaf, c->n_leaf * 4);
    md_guard_free(c->x, (size_t)c->f.n_features * 4);
}

static void check_full(const md_tree_f32_kernel *k, uint32_t n_trees,
                       uint32_t depth, uint32_t n_features)
{
    const size_t size =
        (n_trees + MD_TREE_GROUP - 1) / MD_TREE_GROUP * MD_TREE_GROUP * 4;
    uint32_t want[256], *got = md_guard_alloc(size);
    full_case c;

    full_init(&c, n_trees, depth, n_features);
    md_tree_f32_select(0)->full(want, &c.f, c.x);
    k->full(got, &c.f, c.x);
    check_leaves(k, got, want, n_trees);
    full_release(&c);
    md_guard_free(got, size);
}

static void test_tree_f32__full_equal_ref(void **state)
{
    static const uint32_t n_features[] = { 1, 15, 16, 33, 63, 64, 65, 200 };

    (void)state;
    for (const md_tree_f32_kernel *k = md_tree_f32_kernels; k->rows; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (uint32_t depth = 1; depth <= 8; depth++) {
            for (uint32_t n = 1; n < 150; n += 1 + n / 2)
                check_full(k, n, depth, n_features[(n + depth) % 8]);
        }
    }
}

/* Two trees of depth 4: a node of the head, then three levels of a block. */
static void test_tree_f32__full_definition(void **state)
{
    static const uint32_t want[][2] = { { 0, 16 }, { 5, 21 }, { 15, 31 } };
    static const float x[][4] = { { 0, 0, 0, 0 },
                                  { 0, 9, 0.5f, 9 },
                                  { 9, 9, 9, 9 } };
    uint32_t out[MD_TREE_GROUP];
    full_case c;

    (void)state;
    full_init(&c, 2, 4, 4);
    assert_int_equal(c.f.head, 1);
    assert_int_equal(c.f.n_blocks, 2);
    for (int t = 0; t < 2; t++) { /* level i asks feature i */
        c.split[t] = 0.5f;
        c.feature[t] = 0;
        for (int i = 0; i < 2 * MD_TREE_BLOCK; i++) {
            const int place = i % MD_TREE_BLOCK;

            c.block[t * 2 * MD_TREE_BLOCK + i] =
                (md_tree_f32_full_node){ 0.5f, place < 2   ? 1
                                               : place < 4 ? 2
                                                           : 3 };
        }
    }
    for (int i = 0; i < 3; i++) {
        md_tree_f32_select(0)->full(out, &c.f, x[i]);
        assert_int_equal(out[0], want[i][0]);
        assert_int_equal(out[1], want[i][1]);
    }
    full_release(&c);
}

static void test_tree_f32__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_tree_f32_kernel *k = md_tree_f32_kernels; k->rows; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int64_t n = 1; n < 200; n += 1 + n / 16) {
            rows_case(k, n, FEATURES);
            rows_case(k, n, FEATURES + 30);
            trees_case(k, n);
        }
        k->rows(NULL, &(md_tree_f32){ NULL, 0, 1 }, NULL, 0, 1);
        k->trees(NULL, &(md_tree_f32){ NULL, 0, 1 }, NULL, 0, NULL);
    }
}

/* The definition itself: ties go to the first child, NaN by its bit. */
static void test_tree_f32__definition(void **state)
{
    static const md_tree_f32_node nodes[3] = {
        { 0.5f, 1 << SHIFT | 1 },
        { INFINITY, MD_TREE_NAN_FIRST | 1 },
        { INFINITY, MD_TREE_NAN_FIRST | 2 },
    };
    static const float x[4][2] = {
        { 9, 0.5f }, { 9, 0.6f }, { 9, NAN }, { NAN, -INFINITY }
    };
    const md_tree_f32 tree = { nodes, 1, SHIFT };
    uint32_t leaf[4];

    (void)state;
    md_tree_f32_select(0)->rows(leaf, &tree, x[0], 4, 2);
    assert_int_equal(leaf[0], 1);
    assert_int_equal(leaf[1], 2);
    assert_int_equal(leaf[2], 2);
    assert_int_equal(leaf[3], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_f32__rows_equal_ref),
        cmocka_unit_test(test_tree_f32__definition),
        cmocka_unit_test(test_tree_f32__full_equal_ref),
        cmocka_unit_test(test_tree_f32__full_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
