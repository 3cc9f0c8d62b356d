/*
 * Constants of every element type: listed in typed fields, raw, and beside
 * the model, read, written and read again; and files beyond 2 GiB.
 */
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/onnx.h"
#include "support/onnx_sample.h"
#include "support/temp.h"

enum {
    INITIALIZER = 5,
    N = 5 /* elements: odd, so that packed types end inside a byte */
};

/* How onnx.proto lists a type; of the packed ones it lists bytes. */
typedef struct listing {
    md_dtype dtype;
    uint32_t field; /* 4 float, 5 int32, 7 int64, 10 double, 11 uint64 */
    unsigned bytes; /* of a listed value in memory */
} listing;

static const listing listings[] = {
    { MD_DTYPE_F32, 4, 4 },        { MD_DTYPE_U8, 5, 1 },
    { MD_DTYPE_I8, 5, 1 },         { MD_DTYPE_U16, 5, 2 },
    { MD_DTYPE_I16, 5, 2 },        { MD_DTYPE_I32, 5, 4 },
    { MD_DTYPE_I64, 7, 8 },        { MD_DTYPE_BOOL, 5, 1 },
    { MD_DTYPE_F16, 5, 2 },        { MD_DTYPE_F64, 10, 8 },
    { MD_DTYPE_U32, 11, 4 },       { MD_DTYPE_U64, 11, 8 },
    { MD_DTYPE_C64, 4, 4 },        { MD_DTYPE_C128, 10, 8 },
    { MD_DTYPE_BF16, 5, 2 },       { MD_DTYPE_F8E4M3FN, 5, 1 },
    { MD_DTYPE_F8E4M3FNUZ, 5, 1 }, { MD_DTYPE_F8E5M2, 5, 1 },
    { MD_DTYPE_F8E5M2FNUZ, 5, 1 }, { MD_DTYPE_U4, 5, 1 },
    { MD_DTYPE_I4, 5, 1 },         { MD_DTYPE_F4E2M1, 5, 1 },
    { MD_DTYPE_F8E8M0, 5, 1 },     { MD_DTYPE_U2, 5, 1 },
    { MD_DTYPE_I2, 5, 1 },
};

/* Bytes of N elements of the type, each another; bools are 0 and 1. */
static size_t make_bytes(unsigned char out[N * 16], md_dtype t)
{
    size_t size = 0;

    assert_true(md_dtype_size(&size, t, N));
    for (size_t i = 0; i < size; i++)
        out[i] = t == MD_DTYPE_BOOL ? (i & 1) : (unsigned char)(i * 37 + 1);
    if (md_dtype_bits(t) < 8) /* what the last byte has too much */
        out[size - 1] &= (unsigned char)((1u << N * md_dtype_bits(t) % 8) - 1);
    return size;
}

/* The field holding `bytes` as l lists them. */
static void put_listed(md_pb_writer *w, const listing *l,
                       const unsigned char *bytes, size_t size)
{
    if (l->field == 4) {
        float v[N * 2];

        memcpy(v, bytes, size);
        md_pb_put_floats(w, 4, v, size / 4);
        return;
    }
    if (l->field == 10) { /* packed fixed64 is the bytes */
        md_pb_put_bytes(w, 10, bytes, size);
        return;
    }
    for (size_t i = 0; i < size; i += l->bytes) {
        uint64_t v = 0;

        memcpy(&v, bytes + i, l->bytes);
        md_pb_put_int(w, l->field, (int64_t)v);
    }
}

/* A model with the constant "w" of N elements, listed or raw. */
static void make_model(md_pb_writer *w, const listing *l, bool raw,
                       const unsigned char *bytes, size_t size)
{
    static const int64_t n = N;
    md_error err = MD_ERROR_INIT;
    md_pb_mark graph, tensor;

    md_pb_writer_init(w, md_alloc_default(), 1 << 20);
    graph = md_test_begin_model(w, 10);
    tensor = md_pb_begin(w, INITIALIZER);
    md_pb_put_ints(w, 1, &n, 1);
    md_pb_put_int(w, 2, l->dtype);
    md_pb_put_text(w, 8, "w");
    if (raw)
        md_pb_put_bytes(w, 9, bytes, size);
    else
        put_listed(w, l, bytes, size);
    md_pb_end(w, tensor);
    /* The writer leaves out what nothing reads. */
    md_test_put_node(w, 1, "Identity", "w", "y");
    md_test_put_value(w, 12, "y", (int)l->dtype, &n, 1);
    md_pb_end(w, graph);
    assert_md_ok(md_pb_writer_finish(w, NULL, &err), &err);
}

static void expect_constant(const md_model *m, md_dtype t,
                            const unsigned char *bytes, size_t size)
{
    const md_value *v = md_graph_value(m->graph, md_graph_find(m->graph, "w"));

    assert_non_null(v->cdata);
    assert_int_equal(v->cdata->dtype, t);
    assert_int_equal(v->cdata->shape.rank, 1);
    assert_int_equal(v->cdata->shape.dim[0], N);
    assert_int_equal(md_tensor_size(v->cdata), size);
    assert_memory_equal(v->cdata->data, bytes, size);
}

static void test_onnx_types__listed_and_raw_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(listings); i++) {
        unsigned char bytes[N * 16];
        size_t size = make_bytes(bytes, listings[i].dtype);

        for (int raw = 0; raw < 2; raw++) {
            md_error err = MD_ERROR_INIT;
            md_model *m = NULL;
            md_model *again = NULL;
            md_pb_writer w;
            md_buf written;

            make_model(&w, &listings[i], raw, bytes, size);
            assert_md_ok(md_onnx_parse(&m, w.buf.data, w.buf.size, NULL,
                                       md_alloc_default(), &err),
                         &err);
            expect_constant(m, listings[i].dtype, bytes, size);
            md_buf_init(&written, md_alloc_default(), 1 << 20);
            assert_md_ok(md_onnx_write(m, &written, &err), &err);
            assert_md_ok(md_onnx_parse(&again, written.data, written.size, NULL,
                                       md_alloc_default(), &err),
                         &err);
            expect_constant(again, listings[i].dtype, bytes, size);
            md_buf_release(&written);
            md_pb_writer_release(&w);
            md_model_free(m);
            md_model_free(again);
        }
    }
}

/* One listed value too few or too many, and one raw byte. */
static void test_onnx_types__counts_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(listings); i++) {
        const listing *l = &listings[i];
        unsigned char bytes[N * 16 + 16] = { 0 };
        size_t size = make_bytes(bytes, l->dtype);
        const struct {
            bool raw;
            size_t size;
        } cases[] = { { false, size - l->bytes },
                      { true, size - 1 },
                      { true, size + 1 } };

        for (size_t k = 0; k < MD_COUNT(cases); k++) {
            md_error err = MD_ERROR_INIT;
            char text[96];
            md_model *m = NULL;
            md_pb_writer w;

            make_model(&w, l, cases[k].raw, bytes, cases[k].size);
            snprintf(text, sizeof(text), "%zu expected for %s [%d]",
                     cases[k].raw ? size : size / l->bytes,
                     md_dtype_name(l->dtype), N);
            assert_md_fails(md_onnx_parse(&m, w.buf.data, w.buf.size, NULL,
                                          md_alloc_default(), &err),
                            MD_CORRUPT, &err, text);
            md_pb_writer_release(&w);
        }
    }
}

static void put_entry(md_pb_writer *w, const char *key, const char *value)
{
    md_pb_mark entry = md_pb_begin(w, 13);

    md_pb_put_text(w, 1, key);
    md_pb_put_text(w, 2, value);
    md_pb_end(w, entry);
}

/* Data behind 5 GiB of nothing: only the pages that are read exist. */
static void test_onnx_types__external_data_beyond_two_gib(void **state)
{
    static const int64_t dims[] = { 1 << 10 };
    static float want[1 << 10];
    const off_t at = (off_t)5 << 30;
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_pb_mark graph, tensor;
    const md_value *v;
    md_model *m = NULL;
    md_pb_writer w;
    md_temp dir;
    int fd;

    (void)state;
    for (int i = 0; i < 1 << 10; i++)
        want[i] = (float)i;
    md_temp_make(&dir);
    fd = open(md_temp_path(path, &dir, "w.bin"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, want, sizeof(want), at), sizeof(want));
    close(fd);
    md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
    graph = md_test_begin_model(&w, 10);
    tensor = md_pb_begin(&w, INITIALIZER);
    md_pb_put_ints(&w, 1, dims, 1);
    md_pb_put_int(&w, 2, MD_DTYPE_F32);
    md_pb_put_text(&w, 8, "w");
    put_entry(&w, "location", "w.bin");
    put_entry(&w, "offset", "5368709120");
    put_entry(&w, "length", "4096");
    md_pb_put_int(&w, 14, 1);
    md_pb_end(&w, tensor);
    md_pb_end(&w, graph);
    md_temp_write(&dir, "model.onnx", w.buf.data, w.buf.size);
    md_pb_writer_release(&w);
    assert_md_ok(md_onnx_load(&m, md_temp_path(path, &dir, "model.onnx"),
                              md_alloc_default(), &err),
                 &err);
    v = md_graph_value(m->graph, md_graph_find(m->graph, "w"));
    assert_memory_equal(v->cdata->data, want, sizeof(want));
    assert_null(v->cdata->owner); /* where it lies, not copied */
    md_model_free(m);
    md_temp_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx_types__listed_and_raw_are_the_same),
        cmocka_unit_test(test_onnx_types__counts_are_checked),
        cmocka_unit_test(test_onnx_types__external_data_beyond_two_gib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
