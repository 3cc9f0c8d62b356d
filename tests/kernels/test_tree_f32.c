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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
