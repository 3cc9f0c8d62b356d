/*
 * Shapes that follow from the sizes of the inputs: known when the model is
 * loaded, and not inferred again for new sizes.
 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "engine/run_impl.h"
#include "support/net.h"

/* What exporters write, with computed shapes; steps may be dynamic in none. */
static const struct {
    const char *text, *shape; /* of output 0 */
} rows[] = {
    { "x f32[N,S,24]; s = Shape(x); b = Gather(s, i64[]{0}) axis=0;"
      "t = Gather(s, i64[]{1}) axis=0; b1 = Unsqueeze(b, i64[1]{0});"
      "t1 = Unsqueeze(t, i64[1]{0});"
      "want = Concat(b1, t1, i64[2]{4 6}) axis=0; y = Reshape(x, want);"
      "z = Transpose(y) perm=[0,2,1,3]; -> z",
      "float32[N,4,S,6]" },
    { "x f32[N,S,24]; y = Reshape(x, i64[2]{-1 24}); s = Shape(x);"
      "z = Reshape(y, s); w = Add(z, x); -> w",
      "float32[N,S,24]" },
    { "x f32[N,3,H,H]; s = Shape(x); hw = Slice(s, i64[1]{2}, i64[1]{4});"
      "two = Mul(hw, i64[1]{2}); nc = Slice(s, i64[1]{0}, i64[1]{2});"
      "sizes = Concat(nc, two) axis=0; y = Resize(x, _, _, sizes); -> y",
      "float32[N,3,2*H,2*H]" },
    { "x f32[N,S]; s = Shape(x); n = Gather(s, i64[]{1}) axis=0;"
      "r = Range(i64[]{0}, n, i64[]{1}); f = Cast(r) to=1; y = Add(x, f); -> y",
      "float32[N,S]" },
    { "x f32[N,S]; p = Identity(f32[1,16]~1); s = Shape(x);"
      "n = Slice(s, i64[1]{1}, i64[1]{2});"
      "q = Slice(p, i64[1]{0}, n, i64[1]{1}); y = Add(x, q); -> y",
      "float32[N,S]" },
    { "x f32[N,S]; s = Shape(x); c = ConstantOfShape(s) value=f32[1]{2};"
      "y = Mul(x, c); t = Tile(y, i64[2]{1 2}); -> t",
      "float32[N,2*S]" },
    { "x f32[N,S]; w = f32[1,1]~1; s = Shape(x); m = Equal(s, i64[2]{=-1});"
      "o = ConstantOfShape(i64[1]{2}) value=i64[1]{1}; k = Where(m, o, s);"
      "e = Expand(w, k); y = Add(e, x); -> y",
      "float32[N,S]" },
    { "x f32[N,4,S,S]; w = f32[4,4,3,3]~0.3;"
      "y = Conv(x, w) strides=[2,2] pads=[1,1,1,1]; z = Relu(y); -> z",
      "float32[N,4,floor((S+1)/2),floor((S+1)/2)]" },
    { "x f32[N,S]; s = Shape(x); p = ReduceProd(s) keepdims=1;"
      "y = Reshape(x, p); n = Size(x); k = Div(n, i64[]{2});"
      "u = Unsqueeze(k, i64[1]{0}); v, i = TopK(y, u); -> v",
      "float32[floor(N*S/2)]" },
    { "x f32[N,S]; s = Shape(x); a, b = Split(s) axis=0;"
      "u = ScatterND(s, i64[1,1]{0}, b); v = ScatterND(u, i64[1,1]{1}, a);"
      "t = Reshape(x, v); -> t",
      "float32[S,N]" },
    /* a layer of an encoder, heads taken apart and put together again */
    { "x f32[N,S,24]; w = f32[24,24]~0.2; v = f32[24,24]~0.2;"
      "q = MatMul(x, w); k = MatMul(x, v); s = Shape(x);"
      "b = Slice(s, i64[1]{0}, i64[1]{2});"
      "h = Concat(b, i64[2]{4 6}) axis=0; c = Concat(b, i64[1]{24}) axis=0;"
      "qh = Reshape(q, h); qt = Transpose(qh) perm=[0,2,1,3];"
      "kh = Reshape(k, h); kt = Transpose(kh) perm=[0,2,3,1];"
      "vt = Transpose(kh) perm=[0,2,1,3]; m = MatMul(qt, kt);"
      "p = Softmax(m) axis=-1; o = MatMul(p, vt);"
      "ot = Transpose(o) perm=[0,2,1,3]; y = Reshape(ot, c);"
      "z = Add(y, x); r = Relu(z); -> r",
      "float32[N,S,24]" },
};

static md_run *plan(md_session *s, int64_t n, int64_t other)
{
    md_shape shapes[NET_IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_run *r = NULL;

    for (uint32_t i = 0; i < s->graph->n_inputs; i++) {
        const md_type *t = &s->inputs[i].type;

        shapes[i].rank = t->rank;
        for (int d = 0; d < t->rank; d++)
            shapes[i].dim[d] = t->dim[d].sym == 0 ? t->dim[d].k
                               : d == 0           ? n
                                                  : other;
    }
    assert_md_ok(md_run__new(&r, s, shapes, NULL, &err), &err);
    return r;
}

static void test_follow__known_at_load(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_session *s = net_open(rows[i].text, NULL);
        char text[160];

        md_type_format(text, sizeof(text), s->model,
                       &md_session_output(s, 0)->type);
        if (strcmp(text, rows[i].shape) != 0)
            fail_msg("%s: %s, %s expected", rows[i].text, text, rows[i].shape);
        for (int64_t n = 1; n < 8; n += 2) {
            md_run *r = plan(s, n, n + 3);

            if (r->n_inferred != 0)
                fail_msg("%s: %u nodes inferred again", rows[i].text,
                         (unsigned)r->n_inferred);
            for (uint32_t k = 0; k < r->n_steps; k++)
                assert_false(r->steps[k].dynamic);
            md_run__free(r);
        }
        md_session_free(s);
    }
}

static void test_follow__results(void **state)
{
    static const int64_t sizes[] = { 1, 2, 3, 8, 13 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        for (size_t k = 0; k < MD_COUNT(sizes); k++)
            net_check(rows[i].text, NULL, sizes[k], 1e-5, 0.0);
    }
    /* views of views in a shape that is computed for each plan */
    for (size_t k = 0; k < MD_COUNT(sizes); k++)
        net_check("x f32[2,N,2]; n = Size(x); u = Unsqueeze(n, i64[1]{0});"
                  "e = Equal(u, i64[1]{3}); w = Where(e, i64[1]{1}, u);"
                  "t = Transpose(x) perm=[0,2,1]; r = Reshape(t, w);"
                  "c = Concat(w, i64[1]{-1}) axis=0; y = Reshape(r, c);"
                  "s = Relu(x); q = Neg(s); -> y, q",
                  NULL, sizes[k], 0.0, 0.0);
    /* a view of what is computed for each plan */
    for (size_t k = 0; k < MD_COUNT(sizes); k++)
        net_check("x f32[N,3]; s = Shape(x); m = Equal(s, i64[1]{0});"
                  "o = Where(m, i64[1]{1}, s); c = ConstantOfShape(o);"
                  "y = Add(c, x); n = Size(y); u = Unsqueeze(n, i64[1]{0});"
                  "-> u",
                  NULL, sizes[k], 0.0, 0.0);
}

/* Sizes that do not go together are refused as inference refuses them, and
 * what is equal only by name is looked at again. */
static void test_follow__refuses(void **state)
{
    static const struct {
        const char *text;
        int64_t a, b;
        const char *message; /* NULL: it runs */
    } nets[] = {
        { "x f32[A]; y f32[B]; z = Add(x, y); -> z", 3, 3, NULL },
        { "x f32[A]; y f32[B]; z = Add(x, y); -> z", 3, 1, NULL },
        { "x f32[A]; y f32[B]; z = Add(x, y); -> z", 3, 2, "node 'z' (Add)" },
        { "x f32[A]; y f32[A]; z = Add(x, y); -> z", 3, 2, "node 'z' (Add)" },
        { "x f32[A]; y f32[A]; z = Add(x, y); -> z", 3, 1, NULL },
        { "x f32[A,4]; y f32[B]; s = Shape(y);"
          "t = Concat(s, i64[1]{-1}) axis=0; z = Reshape(x, t); -> z",
          6, 8, NULL },
        { "x f32[A,4]; y f32[B]; s = Shape(y);"
          "t = Concat(s, i64[1]{-1}) axis=0; z = Reshape(x, t); -> z",
          6, 7, "24 elements do not divide into rows of 7" },
        /* only the shape is read, of which one number is known at load */
        { "x f32[A,4]; y f32[B,4]; t = Add(x, y); s = Shape(t);"
          "z = Gather(s, i64[]{1}) axis=0; -> z",
          3, 3, NULL },
        { "x f32[A,4]; y f32[B,4]; t = Add(x, y); s = Shape(t);"
          "z = Gather(s, i64[]{1}) axis=0; -> z",
          3, 2, "node 't' (Add): sizes 3 and 2 do not fit" },
        { "x f32[A,4]; y f32[B]; s = Shape(y); t = Concat(s, i64[1]{4}) axis=0;"
          "u = Reshape(x, t); v = Shape(u);"
          "z = Gather(v, i64[]{1}) axis=0; -> z",
          3, 0, NULL }, /* keeps the 3 */
        { "x f32[A,4]; y f32[B]; s = Shape(y); t = Concat(s, i64[1]{4}) axis=0;"
          "u = Reshape(x, t); v = Shape(u);"
          "z = Gather(v, i64[]{1}) axis=0; -> z",
          3, 2, "node 'u' (Reshape): sizes" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_session *s = net_open(nets[i].text, NULL);
        md_shape shapes[2];
        md_error err = MD_ERROR_INIT;
        md_run *r = NULL;

        for (uint32_t k = 0; k < 2; k++) {
            const md_type *t = &s->inputs[k].type;

            shapes[k].rank = t->rank;
            for (int d = 0; d < t->rank; d++)
                shapes[k].dim[d] = t->dim[d].sym == 0 ? t->dim[d].k
                                   : k                ? nets[i].b
                                                      : nets[i].a;
        }
        if (nets[i].message) {
            assert_int_equal(md_run__new(&r, s, shapes, NULL, &err),
                             MD_INVALID);
            assert_non_null(strstr(err.msg, nets[i].message));
        } else {
            assert_md_ok(md_run__new(&r, s, shapes, NULL, &err), &err);
            md_run__free(r);
        }
        md_session_free(s);
    }
}

static void shape_of(md_shape *out, const md_session *s, int64_t n)
{
    const md_type *t = &md_session_input(s, 0)->type;

    out->rank = t->rank;
    for (int d = 0; d < t->rank; d++)
        out->dim[d] = t->dim[d].sym ? n : t->dim[d].k;
}

/* Sizes that are put into the session's form, in a run that held others, give
 * the plan that is made when shapes are looked at one by one. */
static void test_follow__same_plan(void **state)
{
    static const int64_t sizes[] = { 9, 1, 16, 2, 13, 3, 8 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_session *s = net_open(rows[i].text, NULL);
        const md_form *form = s->form;
        md_error err = MD_ERROR_INIT;
        md_run *r = NULL;

        if (!form)
            fail_msg("%s: no form", rows[i].text);
        for (size_t k = 0; k < MD_COUNT(sizes); k++) {
            md_run *other = NULL;
            md_shape shape;

            shape_of(&shape, s, sizes[k]);
            if (r)
                assert_md_ok(md_run__again(r, &shape, &err), &err);
            else
                assert_md_ok(md_run__new(&r, s, &shape, NULL, &err), &err);
            assert_ptr_equal(r->form, form);
            s->form = NULL;
            assert_md_ok(md_run__new(&other, s, &shape, NULL, &err), &err);
            s->form = form;
            assert_int_equal(other->n_steps, r->n_steps);
            if (other->memory_size != r->memory_size)
                fail_msg("%s at %d: %zu bytes, %zu without a form",
                         rows[i].text, (int)sizes[k], r->memory_size,
                         other->memory_size);
            assert_int_equal(md_run_macs(other), md_run_macs(r));
            for (uint32_t o = 0; o < s->graph->n_outputs; o++)
                assert_true(md_shape_equal(&md_run_output(r, o)->shape,
                                           &md_run_output(other, o)->shape));
            md_run__free(other);
        }
        md_run__free(r);
        md_session_free(s);
    }
}

/* One run for all sizes, grown and shrunk, computes what a fresh one does. */
static void test_follow__results_again(void **state)
{
    static const int64_t sizes[] = { 3, 16, 2, 2, 13, 1, 5 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_session_opts o = MD_SESSION_OPTS_INIT;
        md_session *s;

        o.runs_kept = 1;
        s = net_open(rows[i].text, &o);
        for (size_t k = 0; k < MD_COUNT(sizes); k++) {
            md_tensor in, got, want;
            md_error err = MD_ERROR_INIT;

            net_inputs(&in, s->graph, sizes[k], 5);
            net_expect(&want, rows[i].text, &in);
            assert_md_ok(md_session_run(s, &in, &got, md_alloc_default(), &err),
                         &err);
            assert_true(md_shape_equal(&got.shape, &want.shape));
            for (int64_t e = 0; e < md_tensor_n(&got); e++) {
                double x = md_tensor_get_f64(&got, e);
                double y = md_tensor_get_f64(&want, e);

                /* sums of up to 24 products in another order */
                if (!(fabs(x - y) <= 1e-5 * (1 + fabs(y))))
                    fail_msg("%s at %d: %g, %g expected", rows[i].text,
                             (int)sizes[k], x, y);
            }
            net_release(&in, 1);
            net_release(&got, 1);
            net_release(&want, 1);
        }
        md_session_free(s);
    }
}

/* What depends on contents is left to runs; what does not has its place, for
 * all sizes. */
static void test_follow__contents_decide(void **state)
{
    static const struct {
        const char *text;
        bool form;
        uint32_t n_dynamic; /* steps */
    } nets[] = {
        { "x f32[N,4]; i = NonZero(x); t = Transpose(i) perm=[1,0];"
          "y = Relu(x); z = Neg(t); -> y, z",
          true, 3 },
        { "x f32[N,4]; c bool[N]; y = Compress(x, c) axis=0; s = Shape(y);"
          "z = ReduceSum(x) keepdims=0; -> s, z",
          true, 2 },
        /* numbers tell more than expressions: floats that are no sizes */
        { "x f32[N,4]; s = Shape(x); f = Cast(s) to=1; r = Sqrt(f);"
          "g = Cast(r) to=7; y = Expand(f32[1]{1}, g); -> y",
          false, 0 },
        /* half of a picture, as interpolate is written; its plan is all that
         * has to be computed */
        { "x f32[N,3,4,5]; s = Shape(x); hw = Slice(s, i64[1]{2}, i64[1]{4});"
          "f = Cast(hw) to=1; h = Mul(f, f32[1]{0.5}); r = Floor(h);"
          "g = Cast(r) to=7; nc = Slice(s, i64[1]{0}, i64[1]{2});"
          "sizes = Concat(nc, g) axis=0; y = Resize(x, _, _, sizes); -> y",
          true, 0 },
        { "x f32[1,3,H,W]; s = Shape(x); hw = Slice(s, i64[1]{2}, i64[1]{4});"
          "f = Cast(hw) to=1; h = Mul(f, f32[1]{1.5}); r = Floor(h);"
          "g = Cast(r) to=7; nc = Slice(s, i64[1]{0}, i64[1]{2});"
          "sizes = Concat(nc, g) axis=0; y = Resize(x, _, _, sizes); -> y",
          false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_session *s = net_open(nets[i].text, NULL);

        if ((s->form != NULL) != nets[i].form)
            fail_msg("%s: %s form", nets[i].text, s->form ? "a" : "no");
        for (int64_t n = 1; n < 8; n += 3) {
            md_run *r = plan(s, n, 4);
            uint32_t n_dynamic = 0;

            for (uint32_t k = 0; k < r->n_steps; k++)
                n_dynamic += r->steps[k].dynamic;
            assert_int_equal(n_dynamic, nets[i].n_dynamic);
            assert_true(nets[i].form == (r->n_inferred == 0));
            md_run__free(r);
            net_check(nets[i].text, NULL, n, 1e-6, 0.0);
        }
        md_session_free(s);
    }
}

static uint64_t count_allocs(void)
{
    uint64_t n = 0;

    for (int t = 0; t < MD_MEM_N_TAGS; t++)
        n += md_mem_stat_get((md_mem_tag)t).n_allocs;
    return n;
}

/* Once as many runs are there as are kept, a plan for new sizes takes over the
 * memory of the least recently used one. */
static void test_follow__allocates_nothing(void **state)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;

    (void)state;
    o.runs_kept = 2;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_session *s = net_open(rows[i].text, &o);
        uint64_t before = 0;

        for (int64_t n = 12; n > 1; n--) {
            md_error err = MD_ERROR_INIT;
            md_run *r = NULL;
            md_shape shape;

            shape_of(&shape, s, n);
            if (n == 9)
                before = count_allocs();
            assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
            assert_int_equal(r->n_inferred, 0);
            md_run_release(r);
        }
        if (count_allocs() != before)
            fail_msg("%s: %d allocations", rows[i].text,
                     (int)(count_allocs() - before));
        md_session_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follow__known_at_load),
        cmocka_unit_test(test_follow__results),
        cmocka_unit_test(test_follow__refuses),
        cmocka_unit_test(test_follow__same_plan),
        cmocka_unit_test(test_follow__results_again),
        cmocka_unit_test(test_follow__contents_decide),
        cmocka_unit_test(test_follow__allocates_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
