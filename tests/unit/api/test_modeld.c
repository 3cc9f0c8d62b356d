/* The public library through its header, on models made here and the Keras
 * files of the example. */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "formats/onnx.h"
#include "modeld.h"
#include "support/build.h"
#include "support/temp.h"

#define assert_code(expr, want, err, text)                                     \
    do {                                                                       \
        (err)->code = MODELD_OK;                                               \
        (err)->message[0] = '\0';                                              \
        modeld_code got_ = (expr);                                             \
        if (got_ != (want) || (err)->code != (want) ||                         \
            !strstr((err)->message, (text)))                                   \
            fail_msg("%s: %s: '%s', wanted %s: '%s'", #expr,                   \
                     modeld_code_text(got_), (err)->message,                   \
                     modeld_code_text(want), (text));                          \
    } while (0)

/* y = relu(x + c), x and y of shape [batch,3], c = { 1, 2, 3 }. */
static md_model *make_add(void)
{
    const int64_t dims[] = { -1, 3 }, three = 3;
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 2, dims);
    md_value_id c = md_build_random(m, 1, &three, 1.0f, 1);
    float *p = m->graph->values[c].cdata->data;
    md_value_id y;

    for (int i = 0; i < 3; i++)
        p[i] = (float)(i + 1);
    y = md_build_node(m, "Add", 2, (md_value_id[]){ x, c });
    md_build_output(m, md_build_node(m, "Relu", 1, &y));
    return m;
}

/* The bytes of a model, which is freed. */
static void write_model(md_buf *out, md_model *m)
{
    md_error err = MD_ERROR_INIT;

    md_buf_init(out, md_alloc_default(), 1 << 20);
    assert_md_ok(md_graph_verify(m->graph, &err), &err);
    assert_md_ok(md_onnx_write(m, out, &err), &err);
    md_model_free(m);
}

static modeld_model *open_made(md_model *made, const modeld_options *opts)
{
    modeld_model *m = NULL;
    modeld_error err = { .code = MODELD_OK };
    md_buf bytes;

    write_model(&bytes, made);
    if (modeld_model_open_memory(&m, bytes.data, bytes.size, opts, &err) !=
        MODELD_OK)
        fail_msg("%s", err.message);
    md_buf_release(&bytes); /* the model has copies */
    return m;
}

static modeld_tensor tensor_2x3(float *x)
{
    return (modeld_tensor){ .type = MODELD_TYPE_F32,
                            .rank = 2,
                            .dim = { 2, 3 },
                            .data = x,
                            .size = 6 * sizeof(*x) };
}

static void check_run(modeld_model *m)
{
    float x[] = { -9, 0, 1, 2, 3, 4 };
    const float want[] = { 0, 2, 4, 3, 5, 7 };
    modeld_tensor in = tensor_2x3(x), out;
    modeld_error err = { .code = MODELD_OK };

    assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_OK, &err,
                "");
    assert_int_equal(out.type, MODELD_TYPE_F32);
    assert_int_equal(out.rank, 2);
    assert_int_equal(out.dim[0], 2);
    assert_int_equal(out.dim[1], 3);
    assert_int_equal(out.size, sizeof(want));
    assert_memory_equal(out.data, want, sizeof(want));
    modeld_tensor_release(&out);
    assert_null(out.data);
    modeld_tensor_release(&out); /* zeroed: nothing happens */
}

static void test_modeld__versions_agree(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof(text), "%d.%d.%d", MODELD_VERSION_MAJOR,
             MODELD_VERSION_MINOR, MODELD_VERSION_PATCH);
    assert_string_equal(modeld_version(), text);
}

static void test_modeld__texts(void **state)
{
    (void)state;
    assert_string_equal(modeld_code_text(MODELD_NOT_FOUND), "not found");
    assert_non_null(modeld_code_text((modeld_code)-5));
    assert_string_equal(modeld_type_name(MODELD_TYPE_BF16), "bfloat16");
    assert_string_equal(modeld_type_name((modeld_type)0), "unknown");
    assert_string_equal(modeld_type_name((modeld_type)999), "unknown");
}

static void test_modeld__describes_and_runs(void **state)
{
    modeld_model *m = open_made(make_add(), NULL);
    const modeld_info *x = modeld_model_input(m, 0);

    (void)state;
    assert_int_equal(modeld_model_n_inputs(m), 1);
    assert_int_equal(modeld_model_n_outputs(m), 1);
    assert_string_equal(x->name, "x");
    assert_int_equal(x->type, MODELD_TYPE_F32);
    assert_int_equal(x->rank, 2);
    assert_int_equal(x->dim[0], -1);
    assert_int_equal(x->dim[1], 3);
    assert_int_equal(modeld_model_output(m, 0)->rank, 2);
    assert_null(modeld_model_input(m, 1));
    assert_null(modeld_model_output(m, SIZE_MAX));
    check_run(m);
    check_run(m);
    modeld_model_close(m);
}

static void test_modeld__output_outlives_model(void **state)
{
    float x[6] = { 0 };
    modeld_model *m = open_made(make_add(), NULL);
    modeld_tensor in = tensor_2x3(x), out;
    modeld_error err = { .code = MODELD_OK };

    (void)state;
    assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_OK, &err,
                "");
    modeld_model_close(m);
    assert_float_equal(((float *)out.data)[5], 3.0f, 0.0f);
    modeld_tensor_release(&out);
    modeld_tensor_release(&in); /* the caller's: data is not freed */
    modeld_tensor_release(NULL);
}

static void test_modeld__empty_batch(void **state)
{
    modeld_model *m = open_made(make_add(), NULL);
    modeld_tensor in = { .type = MODELD_TYPE_F32, .rank = 2, .dim = { 0, 3 } };
    modeld_tensor out;
    modeld_error err = { .code = MODELD_OK };

    (void)state;
    assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_OK, &err,
                "");
    assert_int_equal(out.dim[0], 0);
    assert_int_equal(out.size, 0);
    modeld_tensor_release(&out);
    modeld_model_close(m);
}

static void test_modeld__strings(void **state)
{
    const int64_t dims[] = { 2 };
    md_model *made = md_build_model(17);
    md_value_id x = md_build_input(made, "s", MD_DTYPE_STRING, 1, dims);
    modeld_string words[] = { { "one", 3 }, { NULL, 0 } };
    modeld_tensor in = { .type = MODELD_TYPE_STRING,
                         .rank = 1,
                         .dim = { 2 },
                         .data = words,
                         .size = sizeof(words) };
    modeld_error err = { .code = MODELD_OK };
    modeld_tensor out;
    modeld_model *m;

    (void)state;
    md_build_output(made, md_build_node(made, "Identity", 1, &x));
    m = open_made(made, NULL);
    assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_OK, &err,
                "");
    assert_int_equal(((modeld_string *)out.data)[0].n, 3);
    assert_memory_equal(((modeld_string *)out.data)[0].p, "one", 3);
    assert_int_equal(((modeld_string *)out.data)[1].n, 0);
    modeld_tensor_release(&out);
    words[1].n = 1;
    assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_INVALID,
                &err, "input 's': string 1: NULL given");
    modeld_model_close(m);
}

static void test_modeld__options(void **state)
{
    static const modeld_precision precisions[] = { MODELD_PRECISION_FP32,
                                                   MODELD_PRECISION_STRICT,
                                                   MODELD_PRECISION_BF16,
                                                   MODELD_PRECISION_AUTO };
    modeld_options opts = MODELD_OPTIONS_INIT;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(precisions); i++) {
        modeld_model *m;

        opts.threads = (int)i;
        opts.precision = precisions[i];
        m = open_made(make_add(), &opts);
        check_run(m);
        modeld_model_close(m);
    }
}

static void test_modeld__bad_options(void **state)
{
    struct {
        modeld_options opts;
        char later[8]; /* a member that this library does not know */
    } newer = { MODELD_OPTIONS_INIT, { 0 } };
    modeld_error err;
    modeld_model *m;
    md_buf b;

    (void)state;
    write_model(&b, make_add());
#define OPEN modeld_model_open_memory(&m, b.data, b.size, &newer.opts, &err)
    newer.opts.size = 0;
    assert_code(OPEN, MODELD_INVALID, &err,
                "options: size 0 given, 16 to 4096 expected");
    assert_null(m);
    newer.opts.size = sizeof(newer);
    assert_code(OPEN, MODELD_OK, &err, "");
    modeld_model_close(m);
    newer.opts.size = (size_t)1 << 40; /* never set: nothing behind is read */
    assert_code(OPEN, MODELD_INVALID, &err,
                "options: size 1099511627776 given, 16 to 4096 expected");
    assert_null(m);
    newer.opts.size = sizeof(newer);
    newer.later[3] = 1;
    assert_code(OPEN, MODELD_UNSUPPORTED, &err, "is set");
    newer.opts.size = sizeof(newer.opts);
    newer.opts.threads = -1;
    assert_code(OPEN, MODELD_INVALID, &err, "threads: -1 given, 0 to 256");
    newer.opts.threads = 257;
    assert_code(OPEN, MODELD_INVALID, &err, "threads: 257 given");
    newer.opts.threads = 1;
    newer.opts.precision = (modeld_precision)7;
    assert_code(OPEN, MODELD_INVALID, &err, "precision: 7 given");
#undef OPEN
    md_buf_release(&b);
}

static void test_modeld__null_arguments(void **state)
{
    modeld_model *m = open_made(make_add(), NULL), *none = NULL;
    float x[6] = { 0 };
    modeld_tensor in = tensor_2x3(x), out;
    modeld_error err;

    (void)state;
    assert_code(modeld_model_open(NULL, "x", NULL, &err), MODELD_INVALID, &err,
                "out: NULL");
    assert_code(modeld_model_open(&none, NULL, NULL, &err), MODELD_INVALID,
                &err, "path: NULL");
    assert_code(modeld_model_open_memory(NULL, x, 1, NULL, &err),
                MODELD_INVALID, &err, "out: NULL");
    assert_code(modeld_model_open_memory(&none, NULL, 1, NULL, &err),
                MODELD_INVALID, &err, "bytes: NULL");
    assert_code(modeld_model_run(NULL, &in, 1, &out, 1, &err), MODELD_INVALID,
                &err, "model: NULL");
    assert_code(modeld_model_run(m, NULL, 1, &out, 1, &err), MODELD_INVALID,
                &err, "inputs: NULL");
    assert_code(modeld_model_run(m, &in, 1, NULL, 1, &err), MODELD_INVALID,
                &err, "outputs: NULL");
    assert_int_equal(modeld_model_open(NULL, NULL, NULL, NULL),
                     MODELD_INVALID); /* no error wanted */
    assert_int_equal(modeld_model_n_inputs(NULL), 0);
    assert_int_equal(modeld_model_n_outputs(NULL), 0);
    assert_null(modeld_model_input(NULL, 0));
    assert_null(modeld_model_output(NULL, 0));
    modeld_model_close(NULL);
    modeld_model_close(m);
}

static void test_modeld__bad_tensors(void **state)
{
    static const struct {
        modeld_tensor in;
        modeld_code code;
        const char *text;
    } cases[] = {
        { { .type = MODELD_TYPE_F64, .rank = 2, .dim = { 1, 3 }, .size = 24 },
          MODELD_INVALID,
          "input 'x': float64 given, float32 expected" },
        { { .type = (modeld_type)77, .rank = 2, .dim = { 1, 3 }, .size = 12 },
          MODELD_INVALID,
          "input 'x': unknown given" },
        { { .type = MODELD_TYPE_F32, .rank = 1, .dim = { 3 }, .size = 12 },
          MODELD_INVALID,
          "input 'x': rank 1 given, 2 expected" },
        { { .type = MODELD_TYPE_F32, .rank = 1000, .dim = { 3 }, .size = 12 },
          MODELD_INVALID,
          "rank 1000 given" },
        { { .type = MODELD_TYPE_F32, .rank = 2, .dim = { 1, 4 }, .size = 16 },
          MODELD_INVALID,
          "input 'x': shape [1,4] given" },
        { { .type = MODELD_TYPE_F32, .rank = 2, .dim = { -1, 3 }, .size = 12 },
          MODELD_INVALID,
          "input 'x': " },
        { { .type = MODELD_TYPE_F32, .rank = 2, .dim = { 1, 3 }, .size = 11 },
          MODELD_INVALID,
          "input 'x': 11 bytes given, 12 expected" },
        { { .type = MODELD_TYPE_F32,
            .rank = 2,
            .dim = { INT64_MAX, 3 },
            .size = 12 },
          MODELD_TOO_LARGE,
          "input 'x': " },
    };
    float x[16] = { 0 };
    modeld_model *m = open_made(make_add(), NULL);
    modeld_tensor in = tensor_2x3(x), out[2];
    modeld_error err;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        modeld_tensor bad = cases[i].in;

        bad.data = x;
        memset(out, 0xff, sizeof(out));
        assert_code(modeld_model_run(m, &bad, 1, out, 1, &err), cases[i].code,
                    &err, cases[i].text);
        assert_null(out[0].data);
        assert_null(out[0].owner);
    }
    in.data = NULL;
    assert_code(modeld_model_run(m, &in, 1, out, 1, &err), MODELD_INVALID, &err,
                "input 'x': data: NULL given");
    assert_code(modeld_model_run(m, &in, 2, out, 1, &err), MODELD_INVALID, &err,
                "inputs: 2 given, 1 expected");
    assert_code(modeld_model_run(m, &in, 1, out, 2, &err), MODELD_INVALID, &err,
                "outputs: room for 2 given, for 1 expected");
    check_run(m); /* still good */
    modeld_model_close(m);
}

/* One input of every type that a model can add, 3 bytes off its place. */
static void test_modeld__data_off_its_alignment(void **state)
{
    static const struct {
        md_dtype dtype;
        modeld_type type;
        size_t size;
        const char *text;
    } cases[] = {
        { MD_DTYPE_F32, MODELD_TYPE_F32, 8, "a multiple of 4 expected" },
        { MD_DTYPE_F64, MODELD_TYPE_F64, 16, "a multiple of 8 expected" },
        { MD_DTYPE_I32, MODELD_TYPE_I32, 8, "a multiple of 4 expected" },
        { MD_DTYPE_I64, MODELD_TYPE_I64, 16, "a multiple of 8 expected" },
        { MD_DTYPE_F16, MODELD_TYPE_F16, 4, "a multiple of 2 expected" },
        { MD_DTYPE_U8, MODELD_TYPE_U8, 2, NULL }, /* anywhere */
        { MD_DTYPE_BOOL, MODELD_TYPE_BOOL, 2, NULL },
        { MD_DTYPE_STRING, MODELD_TYPE_STRING, 32, "a multiple of 8 expected" },
    };
    static _Alignas(16) unsigned char bytes[64];
    const int64_t two = 2;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_model *made = md_build_model(17);
        md_value_id x = md_build_input(made, "x", cases[i].dtype, 1, &two);
        modeld_tensor in = { .type = cases[i].type,
                             .rank = 1,
                             .dim = { 2 },
                             .data = bytes + 3,
                             .size = cases[i].size };
        modeld_error err;
        modeld_tensor out;
        modeld_model *m;

        md_build_output(made, md_build_node(made, "Identity", 1, &x));
        m = open_made(made, NULL);
        if (cases[i].text) {
            assert_code(modeld_model_run(m, &in, 1, &out, 1, &err),
                        MODELD_INVALID, &err, "input 'x': data: address ");
            assert_non_null(strstr(err.message, cases[i].text));
        } else {
            assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_OK,
                        &err, "");
            assert_memory_equal(out.data, bytes + 3, cases[i].size);
            modeld_tensor_release(&out);
        }
        modeld_model_close(m);
    }
}

static void test_modeld__bad_files(void **state)
{
    md_temp temp;
    char path[MD_TEMP_SIZE * 2];
    modeld_model *m;
    modeld_error err;
    md_buf b;

    (void)state;
    md_temp_make(&temp);
    md_temp_path(path, &temp, "m.onnx");
    assert_code(modeld_model_open(&m, path, NULL, &err), MODELD_NOT_FOUND, &err,
                "m.onnx");
    assert_null(m);
    assert_int_not_equal(modeld_model_open(&m, temp.path, NULL, &err),
                         MODELD_OK); /* a folder */
    write_model(&b, make_add());
    md_temp_write(&temp, "m.onnx", b.data, b.size);
    assert_code(modeld_model_open(&m, path, NULL, &err), MODELD_OK, &err, "");
    check_run(m);
    modeld_model_close(m);
    md_temp_write(&temp, "m.onnx", b.data, b.size / 2);
    assert_code(modeld_model_open(&m, path, NULL, &err), MODELD_CORRUPT, &err,
                "");
    md_temp_write(&temp, "m.onnx", "", 0);
    assert_int_not_equal(modeld_model_open(&m, path, NULL, &err), MODELD_OK);
    for (size_t n = 0; n < b.size; n++) { /* cut anywhere: never a crash */
        if (modeld_model_open_memory(&m, b.data, n, NULL, &err) == MODELD_OK)
            modeld_model_close(m);
        else
            assert_null(m);
    }
    md_buf_release(&b);
    md_temp_remove(&temp);
}

static void test_modeld__missing_operator(void **state)
{
    const int64_t dims[] = { 1 };
    md_model *made = md_build_model(17);
    md_value_id x = md_build_input(made, "x", MD_DTYPE_F32, 1, dims);
    modeld_model *m;
    modeld_error err;
    md_buf b;

    (void)state;
    md_build_output(made, md_build_node(made, "Unheard", 1, &x));
    write_model(&b, made);
    assert_code(modeld_model_open_memory(&m, b.data, b.size, NULL, &err),
                MODELD_UNSUPPORTED, &err, "Unheard");
    md_buf_release(&b);
}

static void test_modeld__keras(void **state)
{
    static const char *const names[] = { "seed_cnn.keras", "seed_cnn.h5" };
    static float x[32 * 32 * 3];
    modeld_tensor in = { .type = MODELD_TYPE_F32,
                         .rank = 4,
                         .dim = { 1, 32, 32, 3 },
                         .data = x,
                         .size = sizeof(x) };
    modeld_error err = { .code = MODELD_OK };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        char path[1024];
        modeld_model *m;
        modeld_tensor out;

        snprintf(path, sizeof(path), "%s/fashion/%s", MD_EXAMPLES_DIR,
                 names[i]);
        assert_code(modeld_model_open(&m, path, NULL, &err), MODELD_OK, &err,
                    "");
        assert_code(modeld_model_run(m, &in, 1, &out, 1, &err), MODELD_OK, &err,
                    "");
        assert_int_equal(out.dim[1], 10);
        modeld_tensor_release(&out);
        modeld_model_close(m);
    }
}

static void *run_often(void *model)
{
    for (int i = 0; i < 50; i++)
        check_run(model);
    return NULL;
}

static void test_modeld__many_threads(void **state)
{
    modeld_options opts = MODELD_OPTIONS_INIT;
    pthread_t threads[4];
    modeld_model *m;

    (void)state;
    opts.threads = 2;
    m = open_made(make_add(), &opts);
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_often, m), 0);
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    modeld_model_close(m);
}

enum {
    ROWS_MAX = 9
};

typedef struct caller {
    modeld_model *model;
    int id;
    int n_wrong; /* answers that are not the caller's own */
} caller;

/* Batches of changing size with the caller's own values, and now and then a
 * call that fails. */
static void *run_own(void *arg)
{
    caller *c = arg;

    for (int i = 0; i < 100; i++) {
        int rows = 1 + (i * 5 + c->id) % ROWS_MAX;
        float x[ROWS_MAX * 3];
        modeld_tensor in = tensor_2x3(x), out;
        modeld_error err;

        for (int k = 0; k < rows * 3; k++)
            x[k] = (float)(c->id * 1000 + i * 30 + k);
        in.dim[0] = rows;
        in.size = sizeof(float) * (size_t)rows * 3;
        if (i % 10 == 9) {
            char want[64];

            in.size += (size_t)c->id + 1;
            snprintf(want, sizeof(want), "input 'x': %zu bytes given", in.size);
            c->n_wrong += modeld_model_run(c->model, &in, 1, &out, 1, &err) !=
                              MODELD_INVALID ||
                          !strstr(err.message, want);
            continue;
        }
        if (modeld_model_run(c->model, &in, 1, &out, 1, NULL) != MODELD_OK) {
            c->n_wrong++;
            continue;
        }
        for (int k = 0; k < rows * 3; k++)
            c->n_wrong += ((float *)out.data)[k] != x[k] + (float)(k % 3 + 1);
        modeld_tensor_release(&out);
    }
    return NULL;
}

/* One handle, many threads, each with shapes and errors of its own; with and
 * without a pool. */
static void test_modeld__threads_get_their_own_answers(void **state)
{
    (void)state;
    for (int width = 1; width <= 3; width++) {
        modeld_options opts = MODELD_OPTIONS_INIT;
        pthread_t threads[6];
        caller callers[MD_COUNT(threads)];
        modeld_model *m;

        opts.threads = width;
        m = open_made(make_add(), &opts);
        for (size_t i = 0; i < MD_COUNT(threads); i++) {
            callers[i] = (caller){ m, (int)i, 0 };
            assert_int_equal(
                pthread_create(&threads[i], NULL, run_own, &callers[i]), 0);
        }
        for (size_t i = 0; i < MD_COUNT(threads); i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (size_t i = 0; i < MD_COUNT(threads); i++)
            assert_int_equal(callers[i].n_wrong, 0);
        modeld_model_close(m);
    }
}

/* Opening fails and succeeds on several threads at once. */
static void *open_often(void *arg)
{
    const md_buf *bytes = arg;

    for (int i = 0; i < 10; i++) {
        modeld_model *m = NULL;
        modeld_error err;

        assert_int_equal(modeld_model_open_memory(&m, bytes->data,
                                                  bytes->size / 2, NULL, &err),
                         MODELD_CORRUPT);
        assert_null(m);
        assert_int_equal(
            modeld_model_open_memory(&m, bytes->data, bytes->size, NULL, &err),
            MODELD_OK);
        check_run(m);
        modeld_model_close(m);
    }
    return NULL;
}

static void test_modeld__threads_open(void **state)
{
    pthread_t threads[3];
    md_buf bytes;

    (void)state;
    write_model(&bytes, make_add());
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_often, &bytes),
                         0);
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    md_buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modeld__versions_agree),
        cmocka_unit_test(test_modeld__texts),
        cmocka_unit_test(test_modeld__describes_and_runs),
        cmocka_unit_test(test_modeld__output_outlives_model),
        cmocka_unit_test(test_modeld__empty_batch),
        cmocka_unit_test(test_modeld__strings),
        cmocka_unit_test(test_modeld__options),
        cmocka_unit_test(test_modeld__bad_options),
        cmocka_unit_test(test_modeld__null_arguments),
        cmocka_unit_test(test_modeld__bad_tensors),
        cmocka_unit_test(test_modeld__data_off_its_alignment),
        cmocka_unit_test(test_modeld__bad_files),
        cmocka_unit_test(test_modeld__missing_operator),
        cmocka_unit_test(test_modeld__keras),
        cmocka_unit_test(test_modeld__many_threads),
        cmocka_unit_test(test_modeld__threads_get_their_own_answers),
        cmocka_unit_test(test_modeld__threads_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
