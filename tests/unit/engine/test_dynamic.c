/*
 * Shapes that depend on data: sessions against plain interpretation, for
 * shapes that change from one execution to the next.
 */
#include "support/test.h"

#include <string.h>

#include "engine/session.h"
#include "ops/eval.h"
#include "support/build.h"
#include "tensor/compare.h"

static uint64_t count_allocs(void)
{
    uint64_t n = 0;

    for (int t = 0; t < MD_MEM_N_TAGS; t++)
        n += md_mem_stat_get((md_mem_tag)t).n_allocs;
    return n;
}

static md_value_id ints_input(md_model *m, const char *name, int64_t n)
{
    return md_build_input(m, name, MD_DTYPE_I64, 1, &n);
}

/* The k largest of each row; elementwise, softmax and a product behind. */
static md_model *top_k_net(void)
{
    md_model *m = md_build_model(17);
    md_value_id x =
        md_build_input(m, "x", MD_DTYPE_F32, 2, (int64_t[]){ -1, 8 });
    md_value_id k = ints_input(m, "k", 1);
    md_value_id out[2], t, y;
    md_node *n;
    md_error err = MD_ERROR_INIT;

    for (int i = 0; i < 2; i++)
        assert_md_ok(md_graph_add_unique(&out[i], m->graph, "t", &err), &err);
    assert_md_ok(
        md_graph_add_node(&n, m->graph,
                          &(md_node_spec){ "", "TopK", "top",
                                           (md_value_id[]){ x, k }, 2, out, 2 },
                          &err),
        &err);
    t = md_build_node(m, "Relu", 1, &out[0]);
    y = md_build_node(m, "Add", 2, (md_value_id[]){ t, out[0] });
    y = md_build_node(m, "Softmax", 1, &y);
    t = md_build_node(m, "Transpose", 1, &y);
    md_build_output(m, md_build_node(m, "MatMul", 2, (md_value_id[]){ y, t }));
    md_build_output(m, y);
    md_build_output(m, out[1]);
    return m;
}

/* Rows [0, end) of a picture through two convolutions: dynamic values in the
 * blocked layout, and back to a planned one behind the pooling. */
static md_model *picture_net(void)
{
    md_model *m = md_build_model(17);
    md_value_id x =
        md_build_input(m, "x", MD_DTYPE_F32, 4, (int64_t[]){ 1, 16, 12, 9 });
    md_value_id end = ints_input(m, "k", 1), zero, axis, y;

    zero = md_build_ints(m, 1, (int64_t[]){ 0 });
    axis = md_build_ints(m, 1, (int64_t[]){ 2 });
    y = md_build_node(m, "Slice", 4, (md_value_id[]){ x, zero, end, axis });
    for (uint32_t i = 0; i < 2; i++) {
        const int64_t w[] = { 16, 16, 3, 3 }, pads[] = { 1, 1, 1, 1 };

        y = md_build_node(
            m, "Conv", 2,
            (md_value_id[]){ y, md_build_random(m, 4, w, 0.1f, 5 + i) });
        md_build_attr_ints(m, y, "pads", 4, pads);
        y = md_build_node(m, "Relu", 1, &y);
    }
    md_build_output(m, y);
    y = md_build_node(m, "GlobalAveragePool", 1, &y);
    y = md_build_node(m, "Flatten", 1, &y);
    md_build_output(m, md_build_node(m, "Softmax", 1, &y));
    return m;
}

/* A view of an input and of a computed value in a shape given at run time,
 * back to a shape that is known. */
static md_model *reshape_net(void)
{
    md_model *m = md_build_model(17);
    md_value_id x =
        md_build_input(m, "x", MD_DTYPE_F32, 2, (int64_t[]){ 4, 6 });
    md_value_id shape = ints_input(m, "k", 3), flat, y;

    flat = md_build_ints(m, 1, (int64_t[]){ 24 });
    y = md_build_node(m, "Reshape", 2, (md_value_id[]){ x, shape });
    md_build_output(m, y);
    y = md_build_node(m, "Sigmoid", 1, &y);
    y = md_build_node(m, "Reshape", 2, (md_value_id[]){ y, flat });
    md_build_output(m, md_build_node(m, "Neg", 1, &y));
    y = md_build_node(m, "Reshape", 2, (md_value_id[]){ x, shape });
    md_build_output(m, md_build_node(m, "Size", 1, &y));
    return m;
}

static md_session *open_session(md_model *m)
{
    md_error err = MD_ERROR_INIT;
    md_session *s = NULL;

    assert_md_ok(md_graph_verify(m->graph, &err), &err);
    assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
    return s;
}

static void make_inputs(md_tensor *in, const md_shape *x, int n,
                        const int64_t *k)
{
    md_shape ks = { 1, { n } };
    md_error err = MD_ERROR_INIT;

    assert_md_ok(
        md_tensor_alloc(&in[0], MD_DTYPE_F32, x, md_alloc_default(), &err),
        &err);
    md_build_fill(in[0].data, md_tensor_n(&in[0]), 1.0f, 3);
    assert_md_ok(
        md_tensor_alloc(&in[1], MD_DTYPE_I64, &ks, md_alloc_default(), &err),
        &err);
    memcpy(in[1].data, k, (size_t)n * sizeof(*k));
}

static void compare(md_session *s, const md_graph *g, const md_shape *x, int n,
                    const int64_t *k)
{
    const md_alloc *alloc = md_alloc_default();
    md_tensor in[2], got[3] = { 0 }, want[3] = { 0 };
    md_error err = MD_ERROR_INIT;

    make_inputs(in, x, n, k);
    assert_md_ok(md_graph_eval(want, g, (const md_tensor *[]){ &in[0], &in[1] },
                               alloc, NULL, &err),
                 &err);
    assert_md_ok(md_session_run(s, in, got, alloc, &err), &err);
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        /* Sums of up to 144 products in another order. */
        assert_md_ok(
            md_tensor_compare(NULL, &got[i], &want[i], 1e-5, 1e-5, &err), &err);
        md_tensor_release(&got[i]);
        md_tensor_release(&want[i]);
    }
    md_tensor_release(&in[0]);
    md_tensor_release(&in[1]);
}

static void test_dynamic__like_interpretation(void **state)
{
    static const struct {
        md_model *(*make)(void);
        md_shape x;
        int n;
        int64_t k[3];
    } cases[] = {
        { top_k_net, { 2, { 3, 8 } }, 1, { 2 } },
        { top_k_net, { 2, { 3, 8 } }, 1, { 8 } },
        { top_k_net, { 2, { 5, 8 } }, 1, { 1 } },
        { top_k_net, { 2, { 3, 8 } }, 1, { 0 } },
        { top_k_net, { 2, { 0, 8 } }, 1, { 3 } },
        { picture_net, { 4, { 1, 16, 12, 9 } }, 1, { 12 } },
        { picture_net, { 4, { 1, 16, 12, 9 } }, 1, { 5 } },
        { picture_net, { 4, { 1, 16, 12, 9 } }, 1, { -3 } },
        { reshape_net, { 2, { 4, 6 } }, 3, { 2, 3, 4 } },
        { reshape_net, { 2, { 4, 6 } }, 3, { 0, -1, 1 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        md_model *oracle = cases[i].make();
        md_session *s = open_session(cases[i].make());
        md_error err = MD_ERROR_INIT;

        assert_md_ok(md_graph_verify(oracle->graph, &err), &err);
        /* All contents of this kind on one session, so shapes change. */
        for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
            if (cases[k].make == cases[i].make)
                compare(s, oracle->graph, &cases[k].x, cases[k].n, cases[k].k);
        }
        md_session_free(s);
        md_model_free(oracle);
    }
}

static md_run *acquire(md_session *s, int64_t k)
{
    const md_shape shapes[] = { { 2, { 3, 8 } }, { 1, { 1 } } };
    md_error err = MD_ERROR_INIT;
    md_run *r;

    assert_md_ok(md_run_acquire(&r, s, shapes, &err), &err);
    md_build_fill(md_run_input(r, 0)->data, 24, 1.0f, 3);
    *(int64_t *)md_run_input(r, 1)->data = k;
    return r;
}

/* From the second run on nothing is allocated, whichever k comes. */
static void test_dynamic__allocates_once(void **state)
{
    md_session *s = open_session(top_k_net());
    md_run *r = acquire(s, 8);
    md_error err = MD_ERROR_INIT;
    uint64_t before;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_md_ok(md_run_execute(r, 0, &err), &err);
    before = count_allocs();
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(count_allocs(), before);
    assert_int_equal(md_run_output(r, 1)->shape.dim[1], 8);
    *(int64_t *)md_run_input(r, 1)->data = 5;
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(md_run_output(r, 1)->shape.dim[1], 5);
    md_run_release(r);
    md_session_free(s);
}

/* y and a view of it, both outputs, of what k elements there are. */
static md_model *tile_net(void)
{
    md_model *m = md_build_model(17);
    md_value_id x =
        md_build_input(m, "x", MD_DTYPE_F32, 2, (int64_t[]){ -1, 8 });
    md_value_id k = ints_input(m, "k", 2);
    md_value_id y = md_build_node(m, "Tile", 2, (md_value_id[]){ x, k });
    md_value_id flat = md_build_ints(m, 1, (int64_t[]){ -1 });

    md_build_output(m, y);
    md_build_output(m,
                    md_build_node(m, "Reshape", 2, (md_value_id[]){ y, flat }));
    md_build_output(m, md_build_node(m, "Tile", 2, (md_value_id[]){ y, k }));
    return m;
}

/* An output is made where the caller gets it: the run keeps no memory of its
 * size.  One that two outputs share is copied to both. */
static void test_dynamic__makes_outputs_where_they_go(void **state)
{
    const md_shape shapes[] = { { 2, { 2, 8 } }, { 1, { 2 } } };
    const int64_t k[] = { 1, 300 };
    md_session *s = open_session(tile_net());
    md_tensor in[2], out[3] = { 0 };
    md_error err = MD_ERROR_INIT;
    md_run *r;

    (void)state;
    make_inputs(in, &shapes[0], 2, k);
    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
    assert_int_equal(out[2].shape.dim[1], 8 * 300 * 300);
    assert_int_equal(out[1].shape.dim[0], 2 * 8 * 300);
    assert_ptr_not_equal(out[0].data, out[1].data);
    assert_memory_equal(out[0].data, out[1].data, md_tensor_size(&out[0]));
    assert_md_ok(md_run_acquire(&r, s, shapes, &err), &err);
    assert_true(md_run_memory(r) < md_tensor_size(&out[0]));
    md_run_release(r);
    md_session_free(s); /* outputs live on */
    for (int i = 0; i < 2 * 8 * 300 * 300; i++)
        assert_true(
            ((const float *)out[2].data)[i] ==
            ((const float *)in[0].data)[i / (8 * 300 * 300) * 8 + i % 8]);
    for (int i = 0; i < 3; i++)
        md_tensor_release(&out[i]);
    for (int i = 0; i < 2; i++)
        md_tensor_release(&in[i]);
}

/* What inference would refuse at load is refused while running; the run stays
 * usable. */
static void test_dynamic__refuses_while_running(void **state)
{
    md_session *s = open_session(top_k_net());
    md_run *r = acquire(s, 9);
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_int_equal(md_run_execute(r, 0, &err), MD_INVALID);
    assert_string_equal(err.msg, "node 'top' (TopK): k is 9 for an axis of 8");
    *(int64_t *)md_run_input(r, 1)->data = 3;
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(md_run_output(r, 2)->shape.dim[1], 3);
    md_run_release(r);
    md_session_free(s);
}

/* All axes, known while running: the result is a scalar in any case, but what
 * is squeezed has to be 1. */
static void test_dynamic__squeezes_ones_only(void **state)
{
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 1, (int64_t[]){ -1 });
    md_value_id axes = ints_input(m, "k", 1);
    float data[] = { 7, 8 };
    int64_t axis = 0;
    md_tensor in[] = {
        { .dtype = MD_DTYPE_F32, .shape = { 1, { 2 } }, .data = data },
        { .dtype = MD_DTYPE_I64, .shape = { 1, { 1 } }, .data = &axis }
    };
    md_tensor out = MD_TENSOR_INIT;
    md_error err = MD_ERROR_INIT;
    md_session *s;

    (void)state;
    md_build_output(m,
                    md_build_node(m, "Squeeze", 2, (md_value_id[]){ x, axes }));
    s = open_session(m);
    assert_md_fails(md_session_run(s, in, &out, md_alloc_default(), &err),
                    MD_INVALID, &err, "a squeezed dimension is 2, 1 expected");
    in[0].shape.dim[0] = 1;
    assert_md_ok(md_session_run(s, in, &out, md_alloc_default(), &err), &err);
    assert_int_equal(out.shape.rank, 0);
    assert_float_equal(*(float *)out.data, 7, 0);
    md_tensor_release(&out);
    md_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynamic__like_interpretation),
        cmocka_unit_test(test_dynamic__allocates_once),
        cmocka_unit_test(test_dynamic__makes_outputs_where_they_go),
        cmocka_unit_test(test_dynamic__refuses_while_running),
        cmocka_unit_test(test_dynamic__squeezes_ones_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
