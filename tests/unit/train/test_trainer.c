/* Trainings from end to end on small sets: they learn, seeds and threads,
 * resuming, and what is refused. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "formats/onnx.h"
#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "support/temp.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/trainer.h"

enum {
    N = 240
};

static const char net_text[] =
    "x f32[N,1,6,6]; w = f32[8,1,3,3]~0.4; a = Conv(x, w) pads=[1,1,1,1]; s = "
    "f32[8]{=1}; b = f32[8]{=0}; m = f32[8]{=0}; v = f32[8]{=1}; c = "
    "BatchNormalization(a, s, b, m, v); r = Relu(c); d = Dropout(r); w2 = "
    "f32[12,8,3,3]~0.2; e = Conv(d, w2) strides=[2,2]; f = Relu(e); g = "
    "Flatten(f); w3 = f32[48,3]~0.2; b3 = f32[3]{=0}; h = Gemm(g, w3, b3); y = "
    "Softmax(h); -> y";

typedef struct fixture {
    md_temp dir;
    md_dataset d;
    float x[N * 36];
    int64_t y[N];
} fixture;

/* Three classes: bars across, bars down, a blot, in noise. */
static void begin(fixture *f)
{
    md_model *m = net_parse(net_text);
    md_rng r = md_rng_make(3, 0);
    md_tensor x = { .dtype = MD_DTYPE_F32,
                    .shape = { 4, { N, 1, 6, 6 } },
                    .data = f->x };
    md_tensor y = { .dtype = MD_DTYPE_I64,
                    .shape = { 1, { N } },
                    .data = f->y };

    for (int i = 0; i < N; i++) {
        int64_t at = (int64_t)md_rng_below(&r, 2);

        f->y[i] = i % 3;
        for (int k = 0; k < 36; k++) {
            bool on = i % 3 == 0   ? k / 6 % 2 == at
                      : i % 3 == 1 ? k % 6 % 2 == at
                                   : k / 6 / 2 == 1 && k % 6 / 2 == 1;

            f->x[i * 36 + k] = (float)(on + 0.8 * (md_rng_uniform(&r) - 0.5));
        }
    }
    md_temp_make(&f->dir);
    f->d = data_make(m, &x, &y);
    md_model_free(m);
}

static void end(fixture *f)
{
    md_dataset_release(&f->d);
    md_temp_remove(&f->dir);
}

static md_train_opts options(void)
{
    md_train_opts o = MD_TRAIN_OPTS_INIT;

    o.epochs = 4;
    o.batch = 16;
    o.from_random = true;
    o.optimizer.rate = 0.005;
    o.seed = 7;
    return o;
}

/* Train a fresh net; its bytes go to `out`. */
static md_status train(md_buf *out, const fixture *f, const md_train_opts *o,
                       md_train_report *r, md_error *err)
{
    md_model *m = net_parse(net_text);
    md_status s = md_train(m, &f->d, o, r, err);

    md_buf_init(out, md_alloc_default(), 1 << 20);
    if (s == MD_OK)
        s = md_onnx_write(m, out, err);
    md_model_free(m);
    return s;
}

static void test_trainer__learns(void **state)
{
    static const md_optimizer_kind kinds[] = { MD_OPTIMIZER_ADAMW,
                                               MD_OPTIMIZER_SGD };
    static fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        md_train_opts o = options();
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(net_text);
        md_train_report r;
        double accuracy;

        o.optimizer.kind = kinds[i];
        o.optimizer.rate = kinds[i] == MD_OPTIMIZER_SGD ? 0.05 : 0.005;
        o.optimizer.ema = i ? 0.9 : 0.0;
        o.smoothing = 0.05;
        o.epochs = 8;
        assert_md_ok(md_train(m, &f.d, &o, &r, &err), &err);
        assert_int_equal(r.steps, 8 * 15);
        assert_int_equal(r.n_params, 72 + 8 + 8 + 864 + 144 + 3);
        assert_true(r.last_loss < 0.6 * r.first_loss);
        /* At inference: running statistics, nothing dropped. */
        assert_md_ok(md_accuracy(&accuracy, m, &f.d, NULL, &err), &err);
        assert_true(accuracy > 0.95);
        assert_non_null(md_model_meta(m, "modeld.recipe"));
        assert_non_null(md_model_meta(m, "modeld.parent"));
        md_model_free(m);
    }
    end(&f);
}

static void test_trainer__seeds_name_results_and_threads_do_not(void **state)
{
    static fixture f;
    md_train_opts o = options();
    md_error err = MD_ERROR_INIT;
    md_train_report r;
    md_buf one, other;

    (void)state;
    begin(&f);
    assert_md_ok(train(&one, &f, &o, &r, &err), &err);
    for (int width = 2; width <= 5; width++) {
        assert_md_ok(md_pool_new(&o.pool, width, md_alloc_default(), &err),
                     &err);
        assert_md_ok(train(&other, &f, &o, &r, &err), &err);
        assert_int_equal(one.size, other.size);
        assert_memory_equal(one.data, other.data, one.size);
        md_buf_release(&other);
        md_pool_free(o.pool);
    }
    o.pool = NULL;
    o.seed++;
    assert_md_ok(train(&other, &f, &o, &r, &err), &err);
    assert_memory_not_equal(one.data, other.data, one.size);
    md_buf_release(&other);
    md_buf_release(&one);
    end(&f);
}

/* Stops at a step, as a signal would. */
static md_status stop_at(void *ctx, const md_train_state *s, md_error *err)
{
    const int64_t *at = ctx;

    return s->step == *at ? md_fail(err, MD_CANCELLED, "stopped") : MD_OK;
}

static void test_trainer__resumes_to_the_same_bits(void **state)
{
    static const struct {
        int64_t every, stop, resumed;
    } cases[] = {
        { 1, 1, 1 }, { 7, 23, 21 }, { 0, 31, 30 }, { 0, 15, 15 }, { 5, 4, 0 },
    };
    static fixture f;
    md_train_opts o = options();
    md_error err = MD_ERROR_INIT;
    md_train_report r;
    md_buf whole, parts;

    (void)state;
    begin(&f);
    assert_md_ok(train(&whole, &f, &o, &r, &err), &err);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char path[MD_TEMP_SIZE * 2];
        int64_t stop = cases[i].stop;

        o.checkpoint = md_temp_path(path, &f.dir, "state");
        (void)unlink(path);
        o.checkpoint_every = cases[i].every;
        o.watch = stop_at;
        o.ctx = &stop;
        assert_md_fails(train(&parts, &f, &o, &r, &err), MD_CANCELLED, &err,
                        "stopped");
        md_buf_release(&parts);
        o.watch = NULL;
        assert_md_ok(train(&parts, &f, &o, &r, &err), &err);
        assert_int_equal(r.resumed_at, cases[i].resumed);
        assert_int_equal(whole.size, parts.size);
        assert_memory_equal(whole.data, parts.data, whole.size);
        md_buf_release(&parts);
    }
    md_buf_release(&whole);
    end(&f);
}

static void test_trainer__checkpoints_are_checked(void **state)
{
    static fixture f;
    md_train_opts o = options();
    md_error err = MD_ERROR_INIT;
    char path[MD_TEMP_SIZE * 2];
    int64_t stop = 16;
    md_train_report r;
    md_buf b, bytes;

    (void)state;
    begin(&f);
    o.checkpoint = md_temp_path(path, &f.dir, "state");
    o.watch = stop_at;
    o.ctx = &stop;
    (void)train(&b, &f, &o, &r, &err);
    md_buf_release(&b);
    o.seed++;
    assert_md_fails(train(&b, &f, &o, &r, &err), MD_INVALID, &err,
                    "the checkpoint is of another training");
    o.seed--;
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    assert_md_ok(md_file_read(&bytes, path, &err), &err);
    bytes.data[bytes.size / 2] ^= 1;
    md_temp_write(&f.dir, "state", bytes.data, bytes.size);
    assert_md_fails(train(&b, &f, &o, &r, &err), MD_CORRUPT, &err,
                    "the checkpoint is damaged");
    md_temp_write(&f.dir, "state", bytes.data, bytes.size - 4);
    assert_md_fails(train(&b, &f, &o, &r, &err), MD_CORRUPT, &err,
                    "the checkpoint is damaged");
    md_temp_write(&f.dir, "state", "x", 1);
    assert_md_fails(train(&b, &f, &o, &r, &err), MD_CORRUPT, &err,
                    "not a checkpoint: 1 bytes");
    o.checkpoint = "/nonexistent/state";
    o.checkpoint_every = 1;
    assert_md_fails(train(&b, &f, &o, &r, &err), MD_NOT_FOUND, &err,
                    "/nonexistent");
    md_buf_release(&bytes);
    end(&f);
}

static void test_trainer__numbers(void **state)
{
    static const char text[] = "x f32[N,2]; w = f32[2,1]{=0}; b = f32[1]{=0}; "
                               "y = Gemm(x, w, b); -> y";
    static float x[400], y[200];
    md_train_opts o = MD_TRAIN_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);
    md_tensor tx = { .dtype = MD_DTYPE_F32,
                     .shape = { 2, { 200, 2 } },
                     .data = x };
    md_tensor ty = { .dtype = MD_DTYPE_F32,
                     .shape = { 1, { 200 } },
                     .data = y };
    md_rng r = md_rng_make(1, 1);
    md_train_report report;
    const float *w;
    md_dataset d;

    (void)state;
    for (int i = 0; i < 200; i++) {
        x[2 * i] = (float)md_rng_uniform(&r);
        x[2 * i + 1] = (float)md_rng_uniform(&r);
        y[i] = 3 * x[2 * i] - 2 * x[2 * i + 1] + 0.5f;
    }
    d = data_make(m, &tx, &ty);
    o.epochs = 60;
    o.batch = 20;
    o.optimizer.kind = MD_OPTIMIZER_SGD;
    o.optimizer.rate = 0.1;
    o.optimizer.decay = 0.0;
    assert_md_ok(md_train(m, &d, &o, &report, &err), &err);
    assert_int_equal(report.loss, MD_LOSS_MSE);
    assert_true(isnan(report.last_accuracy));
    w = m->graph->values[md_graph_find(m->graph, "w")].cdata->data;
    assert_near(w[0], 3.0, 0.02);
    assert_near(w[1], -2.0, 0.02);
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_trainer__diverging_is_said_and_leaves_the_model(void **state)
{
    static fixture f;
    md_train_opts o = options();
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(net_text);
    md_train_report r;
    md_buf before, after;

    (void)state;
    begin(&f);
    md_buf_init(&before, md_alloc_default(), 1 << 20);
    md_buf_init(&after, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(m, &before, &err), &err);
    o.optimizer.kind = MD_OPTIMIZER_SGD;
    o.optimizer.rate = 1e30;
    o.warmup = 0.0;
    assert_md_fails(md_train(m, &f.d, &o, &r, &err), MD_INVALID, &err,
                    "training diverged: the ");
    assert_non_null(strstr(err.msg, "a lower one may help"));
    assert_md_ok(md_onnx_write(m, &after, &err), &err);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
    md_buf_release(&before);
    md_buf_release(&after);
    md_model_free(m);
    end(&f);
}

static void test_trainer__data_that_do_not_fit_are_named(void **state)
{
    static const struct {
        int64_t y[3];
        md_loss loss;
        const char *text;
    } cases[] = {
        { { 0, 1, 2 }, MD_LOSS_AUTO, "labels 'y': 2 given for sample 2" },
        { { 1, 1, 1 }, MD_LOSS_AUTO, "all 3 samples are of class 1" },
        { { 0, 1, 0 }, MD_LOSS_MSE, "loss mse does not fit 2 values" },
        { { 0, 1, 0 }, MD_LOSS_BINARY, "loss binary does not fit 2 values" },
    };
    static float x[6];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_model *m =
            net_parse("x f32[N,2]; w = f32[2,2]~1; y = MatMul(x, w); -> y");
        md_train_opts o = MD_TRAIN_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        int64_t y[3];
        md_tensor tx = { .dtype = MD_DTYPE_F32,
                         .shape = { 2, { 3, 2 } },
                         .data = x };
        md_tensor ty = { .dtype = MD_DTYPE_I64,
                         .shape = { 1, { 3 } },
                         .data = y };
        md_train_report r;
        md_dataset d;

        memcpy(y, cases[i].y, sizeof(y));
        o.loss = cases[i].loss;
        d = data_make(m, &tx, &ty);
        assert_md_fails(md_train(m, &d, &o, &r, &err), MD_INVALID, &err,
                        cases[i].text);
        md_dataset_release(&d);
        md_model_free(m);
    }
}

/* The n-th allocation of data, state and step fails, for every n: a status, and
 * nothing is left. */
static void test_trainer__out_of_memory(void **state)
{
    static const char text[] =
        "x f32[N,3]; w = f32[3,2]~1; b = f32[2]{=0}; y = Gemm(x, w, b); -> y";
    static float x[24];
    int64_t y[8] = { 0, 1, 0, 1, 0, 1, 0, 1 };
    md_tensor tx = { .dtype = MD_DTYPE_F32,
                     .shape = { 2, { 8, 3 } },
                     .data = x };
    md_tensor ty = { .dtype = MD_DTYPE_I64, .shape = { 1, { 8 } }, .data = y };
    md_status s = MD_NOMEM;

    (void)state;
    for (int64_t n = 0; s != MD_OK; n++) {
        md_train_opts o = MD_TRAIN_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_train_report r;
        fail_alloc f;
        md_dataset d;
        md_model *m;

        fail_alloc_init(&f);
        m = net_load(text, &f.alloc);
        o.batch = 4;
        fail_alloc_arm(&f, n);
        s = md_dataset_of_tensors(&d, m, &tx, &ty, &f.alloc, &err);
        if (s == MD_OK) {
            s = md_train(m, &d, &o, &r, &err);
            md_dataset_release(&d);
        }
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
        cmocka_unit_test(test_trainer__learns),
        cmocka_unit_test(test_trainer__seeds_name_results_and_threads_do_not),
        cmocka_unit_test(test_trainer__resumes_to_the_same_bits),
        cmocka_unit_test(test_trainer__checkpoints_are_checked),
        cmocka_unit_test(test_trainer__numbers),
        cmocka_unit_test(test_trainer__diverging_is_said_and_leaves_the_model),
        cmocka_unit_test(test_trainer__data_that_do_not_fit_are_named),
        cmocka_unit_test(test_trainer__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
