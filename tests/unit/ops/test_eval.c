#include "support/test.h"

#include <string.h>

#include "ops/eval.h"

/* An allocator that fails its n-th allocation and counts what is alive. */
typedef struct failing {
    const md_alloc *real;
    int left; /* allocations until one fails; negative: never */
    int alive;
} failing;

static void *failing_alloc(void *ctx, size_t size, size_t align)
{
    failing *f = ctx;
    void *p;

    if (f->left == 0)
        return NULL;
    f->left--;
    p = f->real->alloc(f->real->ctx, size, align);
    f->alive += p != NULL;
    return p;
}

static void *failing_resize(void *ctx, void *p, size_t old, size_t size,
                            size_t align)
{
    failing *f = ctx;

    if (f->left == 0)
        return NULL;
    f->left--;
    return f->real->resize(f->real->ctx, p, old, size, align);
}

static void failing_free(void *ctx, void *p)
{
    failing *f = ctx;

    f->alive -= p != NULL;
    f->real->free(f->real->ctx, p);
}

/* x [2] -> Relu -> r; r + one -> y; outputs y, r, one. */
typedef struct fixture {
    md_model *model;
    md_graph *g;
    md_value_id x, one, r, y;
} fixture;

static float one_data[1] = { 1.0f };

static int set_up(void **state)
{
    static fixture f;
    md_tensor one = { .dtype = MD_DTYPE_F32,
                      .shape = { 1, { 1 } },
                      .data = one_data };
    md_shape shape = { 1, { 2 } };
    md_error err = MD_ERROR_INIT;
    md_node *n;

    assert_md_ok(md_model_new(&f.model, md_alloc_default(), 0, &err), &err);
    f.g = f.model->graph;
    assert_md_ok(md_model_set_opset(f.model, "", 17, &err), &err);
    assert_md_ok(md_graph_add_value(&f.x, f.g, "x", &err), &err);
    f.g->values[f.x].type = md_type_of_tensor(MD_DTYPE_F32, &shape);
    assert_md_ok(md_graph_add_input(f.g, f.x, &err), &err);
    assert_md_ok(md_graph_add_const(&f.one, f.g, "one", one, &err), &err);
    assert_md_ok(md_graph_add_value(&f.r, f.g, "r", &err), &err);
    assert_md_ok(md_graph_add_value(&f.y, f.g, "y", &err), &err);
    assert_md_ok(
        md_graph_add_node(&n, f.g,
                          &(md_node_spec){ "", "Add", "add",
                                           (md_value_id[]){ f.r, f.one }, 2,
                                           (md_value_id[]){ f.y }, 1 },
                          &err),
        &err);
    assert_md_ok(md_graph_add_node(&n, f.g,
                                   &(md_node_spec){ "", "Relu", "relu",
                                                    (md_value_id[]){ f.x }, 1,
                                                    (md_value_id[]){ f.r }, 1 },
                                   &err),
                 &err);
    assert_md_ok(md_graph_add_output(f.g, f.y, &err), &err);
    assert_md_ok(md_graph_add_output(f.g, f.r, &err), &err);
    assert_md_ok(md_graph_add_output(f.g, f.one, &err), &err);
    assert_md_ok(md_graph_verify(f.g, &err), &err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    md_model_free(((fixture *)*state)->model);
    return 0;
}

static float x_data[2] = { -3.0f, 4.0f };
static const md_tensor x_tensor = { .dtype = MD_DTYPE_F32,
                                    .shape = { 1, { 2 } },
                                    .data = x_data };

static void test_eval__runs_in_order(void **state)
{
    fixture *f = *state;
    const md_tensor *in[1] = { &x_tensor };
    md_error err = MD_ERROR_INIT;
    md_tensor out[3];

    assert_md_ok(md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
                 &err);
    assert_true(md_tensor_get_f64(&out[0], 0) == 1.0);
    assert_true(md_tensor_get_f64(&out[0], 1) == 5.0);
    assert_true(md_tensor_get_f64(&out[1], 1) == 4.0);
    assert_true(md_tensor_get_f64(&out[2], 0) == 1.0);
    assert_ptr_not_equal(out[2].data, one_data); /* a copy, the caller's */
    for (int i = 0; i < 3; i++)
        md_tensor_release(&out[i]);
}

static void test_eval__checks_inputs(void **state)
{
    fixture *f = *state;
    float three[3] = { 0 };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 1, { 3 } },
                    .data = three };
    const md_tensor *in[1] = { &t };
    md_error err = MD_ERROR_INIT;
    md_tensor out[3];

    assert_md_fails(
        md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
        MD_INVALID, &err, "input 'x': float32[3] given, float32[2] expected");
    t.shape = (md_shape){ 2, { 1, 2 } };
    assert_md_fails(
        md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
        MD_INVALID, &err, "float32[1,2] given");
    t = (md_tensor){ .dtype = MD_DTYPE_I32,
                     .shape = { 1, { 2 } },
                     .data = three };
    assert_md_fails(
        md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
        MD_INVALID, &err, "int32[2] given");
    in[0] = NULL;
    assert_md_fails(
        md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
        MD_INVALID, &err, "input 'x' is not given");
}

static void test_eval__names_the_node(void **state)
{
    fixture *f = *state;
    const md_tensor *in[1] = { &x_tensor };
    md_error err = MD_ERROR_INIT;
    md_tensor out[3];

    f->g->nodes[1]->op = "Frobnicate";
    assert_md_fails(
        md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
        MD_UNSUPPORTED, &err, "node 'add': no operator Frobnicate");
    f->g->nodes[1]->op = "Gemm";
    assert_md_fails(
        md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
        MD_INVALID, &err, "node 'add' (Gemm): input 0 has rank 1, 2 expected");
    assert_null(out[0].data);
}

static void test_eval__out_of_memory(void **state)
{
    fixture *f = *state;
    const md_tensor *in[1] = { &x_tensor };
    failing fail = { .real = md_alloc_default() };
    md_alloc alloc = { failing_alloc, failing_resize, failing_free, &fail };
    md_status s = MD_NOMEM;

    for (int n = 0; s != MD_OK; n++) {
        md_error err = MD_ERROR_INIT;
        md_tensor out[3];

        assert_true(n < 200);
        fail.left = n;
        s = md_graph_eval(out, f->g, in, &alloc, NULL, &err);
        fail.left = -1;
        if (s == MD_OK) {
            assert_true(n > 3);
            for (int i = 0; i < 3; i++)
                md_tensor_release(&out[i]);
        } else {
            assert_int_equal(s, MD_NOMEM);
        }
        assert_int_equal(fail.alive, 0);
    }
}

static void test_eval__default_of_an_input(void **state)
{
    fixture *f = *state;
    float data[2] = { 10.0f, 20.0f };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 1, { 2 } },
                    .data = data };
    const md_tensor *in[1] = { NULL };
    md_error err = MD_ERROR_INIT;
    md_tensor out[3];

    f->g->values[f->x].cdata = &t;
    assert_md_ok(md_graph_eval(out, f->g, in, md_alloc_default(), NULL, &err),
                 &err);
    assert_true(md_tensor_get_f64(&out[0], 1) == 21.0);
    for (int i = 0; i < 3; i++)
        md_tensor_release(&out[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_eval__runs_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_eval__checks_inputs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_eval__names_the_node, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_eval__out_of_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_eval__default_of_an_input, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
