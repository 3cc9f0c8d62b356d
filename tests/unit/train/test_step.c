/* Steps of whole nets: their gradients beside central differences of the loss,
 * which parameters are found, and what is refused. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "support/build.h"
#include "support/net.h"
#include "train/step.h"

enum {
    BATCH = 4,
    PROBES = 6 /* elements of each parameter that are moved */
};

typedef struct fixture {
    md_step_model step;
    md_session *session;
    md_run *run;
    float *value[32];
    md_model *m;
} fixture;

static void begin(fixture *f, const char *text, const md_step_opts *opts)
{
    const md_session_opts so = { .precision = MD_PRECISION_STRICT };
    md_error err = MD_ERROR_INIT;
    md_shape shapes[40];
    uint32_t n;

    memset(f, 0, sizeof(*f));
    f->m = net_parse(text);
    assert_md_ok(md_step_model_make(&f->step, f->m, opts, &err), &err);
    assert_md_ok(md_session_new(&f->session, f->step.model, &so, &err), &err);
    f->step.model = NULL;
    n = md_session_n_inputs(f->session);
    assert_true(n <= 40 && f->step.params.n <= 32);
    for (uint32_t i = 0; i < n; i++) {
        const md_type *t = &md_session_input(f->session, i)->type;

        shapes[i].rank = t->rank;
        for (int k = 0; k < t->rank; k++)
            shapes[i].dim[k] = t->dim[k].sym ? BATCH : t->dim[k].k;
    }
    assert_md_ok(md_run_acquire(&f->run, f->session, shapes, &err), &err);
    for (uint32_t i = 0; i < f->step.params.n; i++) {
        const md_param *p = &f->step.params.p[i];
        md_value_id id = md_graph_find(f->m->graph, p->name);

        f->value[i] =
            md_malloc_aligned(md_alloc_default(), (size_t)p->n * sizeof(float));
        assert_non_null(f->value[i]);
        memcpy(f->value[i], f->m->graph->values[id].cdata->data,
               (size_t)p->n * sizeof(float));
        md_run_bind_input(f->run, f->step.param_in + i, f->value[i]);
    }
}

static void end(fixture *f)
{
    md_run_release(f->run);
    md_session_free(f->session);
    for (uint32_t i = 0; i < f->step.params.n; i++)
        md_free(md_alloc_default(), f->value[i]);
    md_step_model_release(&f->step);
    md_model_free(f->m);
}

/* Inputs by a generator; targets are distributions or numbers. */
static void fill(fixture *f, md_loss loss)
{
    for (uint32_t i = 0; i < f->step.n_data; i++) {
        md_tensor *t = md_run_input(f->run, i);

        md_build_fill(t->data, md_tensor_n(t), 1.0f, i + 1);
    }
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t input = k ? f->step.teacher : f->step.target;
        float *y;

        if (input == UINT32_MAX)
            continue;
        y = md_run_input(f->run, input)->data;
        md_build_fill(y, BATCH * f->step.width, 1.0f, 50 + k);
        for (int64_t i = 0; i < BATCH && loss != MD_LOSS_MSE; i++) {
            float sum = 0.0f;

            for (int64_t c = 0; c < f->step.width; c++)
                sum += y[i * f->step.width + c] =
                    fabsf(y[i * f->step.width + c]) + 0.01f;
            for (int64_t c = 0; c < f->step.width; c++)
                y[i * f->step.width + c] /=
                    loss == MD_LOSS_BINARY ? sum * 1.5f : sum;
        }
    }
    if (f->step.seed != UINT32_MAX)
        *(int64_t *)md_run_input(f->run, f->step.seed)->data = 11;
}

static double loss_of(fixture *f)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_run_execute(f->run, 0, &err), &err);
    return md_tensor_get_f64(md_run_output(f->run, f->step.loss), 0);
}

/*
 * (loss(w + h) - loss(w - h)) / 2h beside the gradient.  Losses are floats of
 * about 1: at h = 0.01 rounding gives 6e-8 / 0.02 = 3e-6, the third derivative
 * h^2 / 6 = 2e-5 of its size; a maximum or a Relu that changes sides between
 * them more, so the error is relative to the largest gradient of the
 * parameter.
 */
static void check_net(const char *text, const md_step_opts *opts)
{
    const float h = 0.01f;
    fixture f;

    begin(&f, text, opts);
    fill(&f, opts->loss);
    (void)loss_of(&f);
    for (uint32_t i = 0; i < f.step.params.n; i++) {
        const md_param *p = &f.step.params.p[i];
        float got[PROBES], top = 0.0f;
        const float *g;

        if (!md_param_is_learned(p->kind))
            continue;
        (void)loss_of(&f);
        g = md_run_output(f.run, f.step.param_out[i])->data;
        for (int64_t k = 0; k < p->n; k++)
            top = fmaxf(top, fabsf(g[k]));
        for (int k = 0; k < PROBES; k++)
            got[k] = g[(int64_t)k * p->n / PROBES];
        for (int k = 0; k < PROBES; k++) {
            float *w = &f.value[i][(int64_t)k * p->n / PROBES], old = *w;
            double up, down;

            *w = old + h;
            up = loss_of(&f);
            *w = old - h;
            down = loss_of(&f);
            *w = old;
            if (fabs((up - down) / (2 * (double)h) - got[k]) >
                2e-5 + 0.02 * top)
                fail_msg("%s: '%s' [%d]: %g, %g by differences", text, p->name,
                         k, (double)got[k], (up - down) / (2 * (double)h));
        }
    }
    end(&f);
}

static void test_step__whole_nets(void **state)
{
    static const struct {
        const char *text;
        md_loss loss;
    } nets[] = {
        { "x f32[N,5]; w = f32[5,7]~0.5; b = f32[7]~0.1; a = MatMul(x, w); "
          "c = Add(a, b); d = Tanh(c); v = f32[7,3]~0.5; u = f32[3]~0.1; "
          "e = Gemm(d, v, u); y = Softmax(e); -> y",
          MD_LOSS_CROSS_ENTROPY },
        { "x f32[N,1,8,8]; w = f32[6,1,3,3]~0.5; a = Conv(x, w) "
          "pads=[1,1,1,1]; s = f32[6]~0.5; b = f32[6]~0.5; m = f32[6]{=0}; "
          "v = f32[6]{=1}; c = BatchNormalization(a, s, b, m, v); d = Tanh(c); "
          "w2 = f32[8,6,3,3]~0.3; e = Conv(d, w2) strides=[2,2] "
          "pads=[0,0,1,1]; f = Sigmoid(e); g = GlobalAveragePool(f); h = "
          "Flatten(g); w3 = f32[4,8]~0.6; b3 = f32[4]~0.1; i = Gemm(h, w3, b3) "
          "transB=1; y = Softmax(i); -> y",
          MD_LOSS_CROSS_ENTROPY },
        { "x f32[N,4,6,6]; w = f32[4,1,3,3]~0.5; wb = f32[4]~0.2; a = Conv(x, "
          "w, wb) group=4 dilations=[2,1] pads=[1,2,1,0]; b = Sigmoid(a); w2 = "
          "f32[4,3,2,2]~0.4; c = ConvTranspose(b, w2) strides=[2,2]; d = "
          "AveragePool(c) kernel_shape=[2,2] strides=[2,2]; e = Flatten(d); w3 "
          "= f32[72,1]~0.3; y = MatMul(e, w3); -> y",
          MD_LOSS_MSE },
        { "x f32[N,3,8]; s = f32[8]~0.5; b = f32[8]~0.5; a = "
          "LayerNormalization(x, s, b); w = f32[8,8]~0.4; q = MatMul(a, w); "
          "w2 = f32[8,8]~0.4; k = MatMul(a, w2); t = Transpose(k) "
          "perm=[0,2,1]; c = MatMul(q, t); p = Softmax(c); d = MatMul(p, a); "
          "e = Add(d, x); g = Gelu(e); h = Flatten(g); w3 = f32[24,1]~0.4; "
          "z = MatMul(h, w3); y = Sigmoid(z); -> y",
          MD_LOSS_BINARY },
        { "x f32[N,6]; w = f32[6,8]~0.5; a = MatMul(x, w); b = Tanh(a); c = "
          "Dropout(b); w2 = f32[8,2]~0.5; y = MatMul(c, w2); -> y",
          MD_LOSS_MSE },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        check_net(nets[i].text, &(md_step_opts){ .loss = nets[i].loss });
}

static void test_step__a_teacher_s_scores(void **state)
{
    static const char text[] = "x f32[N,5]; w = f32[5,4]~0.5; a = MatMul(x, w);"
                               " y = Softmax(a); -> y";

    (void)state;
    check_net(text, &(md_step_opts){ .loss = MD_LOSS_CROSS_ENTROPY,
                                     .temperature = 3.0f,
                                     .alpha = 0.3f });
}

/* log(3) where all scores are equal; the mean square of the numbers. */
static void test_step__losses_have_their_values(void **state)
{
    static const struct {
        md_loss loss;
        float target[3];
        double want;
    } cases[] = {
        { MD_LOSS_CROSS_ENTROPY, { 0, 1, 0 }, 1.09861228867 },
        { MD_LOSS_CROSS_ENTROPY, { 0.2f, 0.5f, 0.3f }, 1.09861228867 },
        { MD_LOSS_MSE, { 1, 2, 2 }, 9.0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        fixture f;
        float *y;

        begin(&f, "x f32[N,2]; w = f32[2,3]{=0}; y = MatMul(x, w); -> y",
              &(md_step_opts){ .loss = cases[i].loss });
        fill(&f, cases[i].loss);
        y = md_run_input(f.run, f.step.target)->data;
        for (int k = 0; k < BATCH; k++)
            memcpy(y + (ptrdiff_t)k * 3, cases[i].target,
                   sizeof(cases[i].target));
        assert_near(loss_of(&f), cases[i].want, 1e-6);
        end(&f);
    }
}

static void test_step__which_constants_are_parameters(void **state)
{
    static const char text[] =
        "x f32[N,4]; mean = f32[4]{1 2 3 4}; a = Sub(x, mean); half = "
        "f32[]{0.5}; b = Mul(a, half); off = f32[4]{=1}; c = Add(b, off); w = "
        "f32[3,4]~1; t = Transpose(w); d = MatMul(c, t); bias = f32[3]~1; e = "
        "Add(d, bias); one = f32[]{1}; y = Add(e, one); -> y";
    static const char *const want[] = { "w", "bias" };
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);
    md_params p = { .p = NULL };
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(md_params_find(&p, m, &ar, &err), &err);
    assert_int_equal(p.n, MD_COUNT(want));
    for (size_t i = 0; i < MD_COUNT(want); i++)
        assert_string_equal(p.p[i].name, want[i]);
    assert_int_equal(p.p[0].fan_in, 4);
    assert_int_equal(p.p[0].fan_out, 3);
    md_arena_release(&ar);
    md_model_free(m);
}

static void test_step__what_cannot_be_trained_is_named(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "x f32[N,4]; y = Relu(x); -> y", "no float32 weights to train" },
        { "x f32[N,4]; w = i8[4,2]{=1}; s = f32[]{0.5}; v = "
          "DequantizeLinear(w, s); y = MatMul(x, v); -> y",
          "the model is quantized: it has no float weights" },
        { "x f32[N,4]; w = f32[4,2]~1; a = MatMul(x, w); y = ArgMax(a); -> y",
          "no output of float32 to train" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(cases[i].text);
        md_step_model s;

        assert_md_fails(
            md_step_model_make(&s, m, &(md_step_opts){ .loss = MD_LOSS_MSE },
                               &err),
            MD_INVALID, &err, cases[i].message);
        md_model_free(m);
    }
}

/* Equal for equal seeds, bounded as told, different otherwise. */
static void test_step__drawn_weights(void **state)
{
    md_param conv = { .kind = MD_PARAM_KERNEL,
                      .shape = { 4, { 8, 3, 3, 3 } },
                      .n = 216,
                      .fan_in = 27,
                      .fan_out = 72 },
             scale = { .kind = MD_PARAM_SCALE, .shape = { 1, { 3 } }, .n = 3 };
    float a[216], b[216];
    double bound = sqrt(6.0 / 27.0), square = 0.0;

    (void)state;
    md_param_draw(a, &conv, 5, 2);
    md_param_draw(b, &conv, 5, 2);
    assert_memory_equal(a, b, sizeof(a));
    for (int i = 0; i < 216; i++) {
        assert_true(fabs(a[i]) <= bound);
        square += (double)a[i] * a[i] / 216.0;
    }
    /* bound^2 / 3 = 0.074, give or take 6 deviations of 216 draws: 0.45 of
     * it. */
    assert_near(square, 2.0 / 27.0, 0.033);
    md_param_draw(b, &conv, 6, 2);
    assert_memory_not_equal(a, b, sizeof(a));
    md_param_draw(b, &scale, 5, 0);
    assert_true(b[0] == 1.0f && b[2] == 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step__whole_nets),
        cmocka_unit_test(test_step__a_teacher_s_scores),
        cmocka_unit_test(test_step__losses_have_their_values),
        cmocka_unit_test(test_step__which_constants_are_parameters),
        cmocka_unit_test(test_step__what_cannot_be_trained_is_named),
        cmocka_unit_test(test_step__drawn_weights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
