/*
 * Forests by the session's kernels as by the definition, whatever their trees
 * are like, for rows alone and in batches of any size, which do not change a
 * bit.
 */
#include "support/test.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "support/guard.h"
#include "support/net.h"

enum {
    TEXT = 1 << 20,
    FEATURES = 9,
    NODES = 4096, /* of all trees */
    BATCH = 300
};

/* What a forest is like. */
typedef struct kind {
    int n_trees, depth;
    int leaves;            /* one of so many nodes ends a tree early; 0: none */
    int n_targets;         /* above 1: a vote for each of them in a leaf, or: */
    bool by_tree;          /* one vote, for target tree % n_targets */
    const char *aggregate; /* of a regressor; NULL: a classifier */
} kind;

typedef struct nodes {
    int n;
    int tree[NODES], id[NODES], yes[NODES], no[NODES], feature[NODES];
    bool leaf[NODES];
    float split[NODES];
} nodes;

static int grow(nodes *f, const kind *k, int tree, int first, int depth,
                uint32_t *seed)
{
    const int at = f->n++;

    assert_true(f->n <= NODES);
    f->tree[at] = tree;
    f->id[at] = at - first;
    f->leaf[at] =
        depth == k->depth || (depth > 0 && k->leaves &&
                              md_guard_random(seed) % (uint32_t)k->leaves == 0);
    f->feature[at] = f->leaf[at] ? 0 : (int)(md_guard_random(seed) % FEATURES);
    f->split[at] = (float)(md_guard_random(seed) % 9) * 0.25f - 1;
    f->yes[at] = f->no[at] = 0;
    if (!f->leaf[at]) {
        f->yes[at] = grow(f, k, tree, first, depth + 1, seed) - first;
        f->no[at] = grow(f, k, tree, first, depth + 1, seed) - first;
    }
    return at;
}

static void put(char *text, const char *format, ...)
{
    const size_t at = strlen(text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(text + at, TEXT - at, format, ap);
    va_end(ap);
    assert_true(strlen(text) + 1 < TEXT);
}

static void put_ints(char *text, const char *name, const int *v, int n)
{
    put(text, " %s=[", name);
    for (int i = 0; i < n; i++)
        put(text, i ? ",%d" : "%d", v[i]);
    put(text, "]");
}

/* Votes of all leaves. */
static void put_votes(char *text, const nodes *f, const kind *k,
                      const char *prefix)
{
    static int tree[NODES], id[NODES], target[NODES];
    const int each = k->by_tree ? 1 : k->n_targets;
    char name[64];
    int n = 0;

    for (int i = 0; i < f->n; i++) {
        for (int t = 0; f->leaf[i] && t < each; t++, n++) {
            tree[n] = f->tree[i];
            id[n] = f->id[i];
            target[n] = k->by_tree ? f->tree[i] % k->n_targets : t;
        }
    }
    snprintf(name, sizeof(name), "%s_treeids", prefix);
    put_ints(text, name, tree, n);
    snprintf(name, sizeof(name), "%s_nodeids", prefix);
    put_ints(text, name, id, n);
    snprintf(name, sizeof(name), "%s_ids", prefix);
    put_ints(text, name, target, n);
    put(text, " %s_weights=[", prefix);
    for (int i = 0; i < n; i++)
        put(text, "%s%.6f", i ? "," : "", (i * 37 % 101 - 50) * 0.015625);
    put(text, "]");
}

static void make_text(char *text, const kind *k, uint32_t seed)
{
    static nodes f;

    f.n = 0;
    for (int t = 0; t < k->n_trees; t++)
        (void)grow(&f, k, t, f.n, 0, &seed);
    text[0] = 0;
    put(text, "x f32[N,%d]; %s = ai.onnx.ml.TreeEnsemble%s(x)", FEATURES,
        k->aggregate ? "y" : "y, z", k->aggregate ? "Regressor" : "Classifier");
    put_ints(text, "nodes_treeids", f.tree, f.n);
    put_ints(text, "nodes_nodeids", f.id, f.n);
    put_ints(text, "nodes_truenodeids", f.yes, f.n);
    put_ints(text, "nodes_falsenodeids", f.no, f.n);
    put_ints(text, "nodes_featureids", f.feature, f.n);
    put(text, " nodes_modes=[");
    for (int i = 0; i < f.n; i++)
        put(text, "%s\"%s\"", i ? "," : "", f.leaf[i] ? "LEAF" : "BRANCH_LEQ");
    put(text, "] nodes_values=[");
    for (int i = 0; i < f.n; i++)
        put(text, "%s%.2f", i ? "," : "", (double)f.split[i]);
    put(text, "]");
    put_votes(text, &f, k, k->aggregate ? "target" : "class");
    if (k->aggregate) {
        put(text, " n_targets=%d aggregate_function=\"%s\"; -> y", k->n_targets,
            k->aggregate);
    } else {
        put(text, " classlabels_int64s=[");
        for (int i = 0; i < k->n_targets; i++)
            put(text, "%s%d", i ? "," : "", i + 10);
        put(text, "] post_transform=\"SOFTMAX\"; -> y, z");
    }
}

static const kind kinds[] = {
    { 1, 1, 0, 1, false, "SUM" },     { 40, 3, 0, 1, false, "SUM" },
    { 7, 8, 0, 1, false, "AVERAGE" }, { 50, 4, 6, 1, false, "SUM" },
    { 33, 5, 5, 3, true, "SUM" },     { 20, 4, 5, 3, false, "SUM" },
    { 17, 6, 9, 1, false, "MIN" },    { 9, 5, 4, 2, false, "MAX" },
    { 40, 30, 2, 1, false, "SUM" }, /* too deep to be filled up */
    { 48, 4, 7, 4, true, NULL },      { 10, 5, 7, 3, false, NULL },
};

/* Numbers that meet splits; NaN in every fifth row. */
static void set_rows(float *x, int64_t rows)
{
    uint32_t seed = 4;

    for (int64_t i = 0; i < rows * FEATURES; i++)
        x[i] = (float)(md_guard_random(&seed) % 11) * 0.25f - 1.25f;
    for (int64_t r = 0; r < rows; r += 5)
        x[r * FEATURES + r / 5 % FEATURES] = NAN;
}

static void run(const md_session *s, const md_tensor *in, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(
        md_session_run((md_session *)s, in, out, md_alloc_default(), &err),
        &err);
}

/* Row r of the batch is what it is alone. */
static void check_alone(const md_session *s, const md_tensor *in,
                        const md_tensor *out, int64_t r)
{
    const uint32_t n_out = md_session_n_outputs(s);
    md_tensor one = *in, alone[NET_IO_MAX] = { 0 };

    one.shape.dim[0] = 1;
    one.data = (float *)in->data + r * FEATURES;
    run(s, &one, alone);
    for (uint32_t i = 0; i < n_out; i++) {
        const size_t size = md_tensor_size(&alone[i]);

        assert_memory_equal((char *)out[i].data + (size_t)r * size,
                            alone[i].data, size);
    }
    net_release(alone, n_out);
}

static void check_kind(const kind *k, char *text)
{
    md_tensor in[NET_IO_MAX], want[NET_IO_MAX] = { 0 };
    md_tensor out[NET_IO_MAX] = { 0 };
    md_session *s;
    uint32_t n_out;

    make_text(text, k, 7);
    s = net_open(text, NULL);
    n_out = md_session_n_outputs(s);
    net_inputs(in, md_session_model(s)->graph, BATCH, 1);
    set_rows(in[0].data, BATCH);
    net_expect(want, text, in);
    run(s, in, out);
    for (uint32_t i = 0; i < n_out; i++) {
        for (int64_t e = 0; e < md_tensor_n(&want[i]); e++) {
            const double w = md_tensor_get_f64(&want[i], e);
            const double g = md_tensor_get_f64(&out[i], e);

            /* sums in double, in another order, rounded to float32 */
            if (!(fabs(g - w) <= 1.2e-7 * fabs(w)))
                fail_msg("output %u, element %d: %.9g given, %.9g expected",
                         (unsigned)i, (int)e, g, w);
        }
    }
    for (int64_t r = 0; r < BATCH; r += 7)
        check_alone(s, in, out, r);
    net_release(in, 1);
    net_release(want, n_out);
    net_release(out, n_out);
    md_session_free(s);
}

static void test_forest__as_defined(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };
    char *text = md_malloc(md_alloc_default(), TEXT);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < MD_COUNT(masks) * MD_COUNT(kinds); i++) {
        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        check_kind(&kinds[i / MD_COUNT(masks)], text);
    }
    md_cpu_set_mask(MD_CPU_ALL);
    md_free(md_alloc_default(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forest__as_defined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
