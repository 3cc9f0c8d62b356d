/* Zeros by share and by pattern, and files that store them as such. */
#include "support/test.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/onnx.h"
#include "optimize/sparsify.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "support/temp.h"

static const char net_text[] =
    "x f32[N,3,6,6]; w = f32[8,3,3,3]~0.3; b = f32[8]~1; a = Conv(x, w, b); r "
    "= Relu(a); f = Flatten(r); w2 = f32[128,10]~2; y = MatMul(f, w2); -> y";

static const md_tensor *constant(const md_model *m, const char *name)
{
    return m->graph->values[md_graph_find(m->graph, name)].cdata;
}

static int64_t zeros(const md_tensor *t)
{
    int64_t n = 0;

    for (int64_t i = 0; i < md_tensor_n(t); i++)
        n += ((const float *)t->data)[i] == 0.0f;
    return n;
}

static void test_sparsify__share_of_the_whole(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *whole = net_parse(net_text), *m = net_parse(net_text);
    const md_sparsify_opts o = { .share = 0.75 };
    md_sparsify_report r;

    (void)state;
    assert_md_ok(md_sparsify(m, &o, &r, &err), &err);
    assert_int_equal(r.n_layers, 2);
    assert_int_equal(r.weights, 216 + 1280);
    assert_int_equal(r.zeros, 1122);
    assert_int_equal(zeros(constant(m, "w")) + zeros(constant(m, "w2")), 1122);
    assert_int_equal(zeros(constant(m, "b")), 0);
    /* The layer of small weights is not emptied, and what went is less than
     * what stays. */
    assert_true((double)zeros(constant(m, "w")) < 216 * 0.9);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "w2" : "w";
        const float *from = constant(whole, name)->data;
        const float *to = constant(m, name)->data;
        float gone = 0.0f, left = INFINITY;

        for (int64_t i = 0; i < md_tensor_n(constant(m, name)); i++) {
            assert_true(to[i] == 0.0f || to[i] == from[i]);
            if (to[i] == 0.0f)
                gone = fmaxf(gone, fabsf(from[i]));
            else
                left = fminf(left, fabsf(from[i]));
        }
        assert_true(gone <= left);
    }
    assert_string_equal(md_model_meta(m, "modeld.recipe"),
                        "prune sparsity=0.75");
    md_model_free(m);
    md_model_free(whole);
}

static void test_sparsify__patterns(void **state)
{
    static const char text[] =
        "x f32[N,6]; w = f32[6,2]{1 8 -2 -7 3 6 0 5 9 1 8 2}; y = MatMul(x, w);"
        " v = f32[3,6]{1 2 3 4 5 6 0 0 0 1 9 8 4 4 4 4 1 1}; b = f32[3]{1 1 1};"
        " z = Gemm(x, v, b) transB=1; -> y, z";
    static const float want[] = { 0, 8, -2, -7, 3, 0, 0, 0, 9, 1, 8, 2 };
    static const float turned[] = { 0, 0, 3, 4, 5, 6, 0, 0, 0,
                                    1, 9, 8, 0, 0, 4, 4, 1, 1 };
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);
    const md_sparsify_opts o = { .n = 2, .m = 4 };
    md_sparsify_report r;

    (void)state;
    assert_md_ok(md_sparsify(m, &o, &r, &err), &err);
    /* Rows of w are summed over, of v columns; what is left over stays, as do
     * the last ones of equal weights. */
    assert_memory_equal(constant(m, "w")->data, want, sizeof(want));
    assert_memory_equal(constant(m, "v")->data, turned, sizeof(turned));
    assert_int_equal(r.zeros, 4 + 7);
    md_model_free(m);
}

static long size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void test_sparsify__files_store_zeros(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(net_text), *again;
    const md_sparsify_opts o = { .share = 0.9 };
    md_onnx_save_opts save = MD_ONNX_SAVE_OPTS_INIT;
    char dense[MD_TEMP_SIZE * 2], sparse[MD_TEMP_SIZE * 2];
    md_sparsify_report r;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_path(dense, &dir, "dense.onnx");
    md_temp_path(sparse, &dir, "sparse.onnx");
    assert_md_ok(md_sparsify(m, &o, &r, &err), &err);
    assert_md_ok(md_onnx_save(m, dense, NULL, &err), &err);
    save.sparse = true;
    assert_md_ok(md_onnx_save(m, sparse, &save, &err), &err);
    assert_true(size_of(sparse) < size_of(dense) / 2);
    assert_md_ok(md_onnx_load(&again, sparse, md_alloc_default(), &err), &err);
    for (int k = 0; k < 3; k++) {
        const char *name = k == 0 ? "w" : k == 1 ? "w2" : "b";
        const md_tensor *a = constant(m, name), *b = constant(again, name);

        assert_true(md_shape_equal(&a->shape, &b->shape));
        assert_memory_equal(a->data, b->data, md_tensor_size(a));
    }
    md_model_free(again);
    md_model_free(m);
    md_temp_remove(&dir);
}

static void test_sparsify__what_cannot_be_is_said(void **state)
{
    static const struct {
        md_sparsify_opts o;
        const char *net, *text;
    } rows[] = {
        { { .share = 0.0 }, net_text, "a share of 0 given" },
        { { .share = 1.0 }, net_text, "a share of 1 given" },
        { { .n = 4, .m = 4 }, net_text, "pattern 4:4 given" },
        { { .n = 0, .m = 4 }, net_text, "pattern 0:4 given" },
        { { .share = 0.5 }, "x f32[N]; y = Relu(x); -> y", "no Conv, Gemm" },
        { { .share = 0.5 },
          "x f32[N,2]; a = f32[2,2]{1 -1 1 1}; w = Log(a); v = f32[2,2]{nan 1 "
          "1 1}; y = MatMul(x, v); -> y",
          "weights 'v' hold nan" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(rows[i].net);
        md_sparsify_report r;

        assert_md_fails(md_sparsify(m, &rows[i].o, &r, &err),
                        i == 4 ? MD_UNSUPPORTED : MD_INVALID, &err,
                        rows[i].text);
        md_model_free(m);
    }
}

static void test_sparsify__out_of_memory(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_status s = MD_NOMEM;

    (void)state;
    for (int64_t n = 0; s != MD_OK; n++) {
        const md_sparsify_opts o = { .share = 0.9 };
        md_sparsify_report r;
        fail_alloc f;
        md_model *m;

        fail_alloc_init(&f);
        m = net_load(net_text, &f.alloc);
        fail_alloc_arm(&f, n);
        s = md_sparsify(m, &o, &r, &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
        md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sparsify__share_of_the_whole),
        cmocka_unit_test(test_sparsify__patterns),
        cmocka_unit_test(test_sparsify__files_store_zeros),
        cmocka_unit_test(test_sparsify__what_cannot_be_is_said),
        cmocka_unit_test(test_sparsify__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
