#include "support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "formats/onnx.h"
#include "support/onnx_data.h"
#include "support/onnx_sample.h"

enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE = 15
};

static const int64_t shape_22[] = { 2, 2 };

/* Written and read again it is the same model: the same counts, and the same
 * bytes when it is written once more. */
static void check_rewritten(const md_model *m, const char *path)
{
    md_error err = MD_ERROR_INIT;
    md_model *again = NULL;
    md_buf a;
    md_buf b;

    md_buf_init(&a, md_alloc_default(), 1 << 26);
    md_buf_init(&b, md_alloc_default(), 1 << 26);
    assert_md_ok(md_onnx_write(m, &a, &err), &err);
    if (md_onnx_parse(&again, a.data, a.size, NULL, md_alloc_default(), &err) !=
        MD_OK)
        fail_msg("%s: %s", path, err.msg);
    assert_int_equal(again->graph->n_nodes, m->graph->n_nodes);
    assert_int_equal(again->graph->n_inputs, m->graph->n_inputs);
    assert_int_equal(again->graph->n_outputs, m->graph->n_outputs);
    assert_md_ok(md_onnx_write(again, &b, &err), &err);
    if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0)
        fail_msg("%s: written again it differs", path);
    md_model_free(again);
    md_buf_release(&a);
    md_buf_release(&b);
}

/* Loads every model of one suite; how many there were. */
static unsigned load_suite(const char *data, const char *suite)
{
    char folder[2048];
    char path[4096];
    unsigned n = 0;
    const struct dirent *e;
    DIR *dir;

    snprintf(folder, sizeof(folder), "%s/%s", data, suite);
    dir = opendir(folder);
    assert_non_null(dir);
    while ((e = readdir(dir))) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_status s;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/model.onnx", folder, e->d_name);
        s = md_onnx_load(&m, path, md_alloc_default(), &err);
        if (s == MD_NOT_FOUND)
            continue;
        assert_md_ok(s, &err);
        assert_true(m->graph->n_nodes > 0);
        assert_true(m->graph->n_outputs > 0);
        check_rewritten(m, path);
        md_model_free(m);
        n++;
    }
    closedir(dir);
    return n;
}

static void test_onnx__loads_the_backend_tests(void **state)
{
    static const char *const suites[] = { "node", "simple", "light",
                                          "pytorch-operator",
                                          "pytorch-converted" };
    char buf[1024];
    const char *data = md_test_onnx_data(buf, sizeof(buf));
    unsigned n = 0;

    (void)state;
    if (!data) {
        print_message("skipped: python3 has no onnx with backend tests\n");
        skip();
    }
    for (size_t i = 0; i < MD_COUNT(suites); i++)
        n += load_suite(data, suites[i]);
    print_message("loaded %u models\n", n);
    assert_true(n > 1000);
}

static void test_onnx__refuses_what_is_no_model(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        md_status status;
        const char *text;
    } cases[] = {
        { "", 0, MD_CORRUPT, "empty file" },
        { "{\"a\":1}", 7, MD_CORRUPT, "protobuf" },
        { "\x08\x07", 2, MD_CORRUPT, "no graph" },
        { "\x3a\x00", 2, MD_CORRUPT, "ir_version 0 given" },
        { "\x08\x63\x3a\x00", 4, MD_UNSUPPORTED, "ir_version 99 given, 1 to" },
        { "\x08\x03\x3a\x00", 4, MD_CORRUPT, "no operator set imported" },
        { "\x0a\x00\x3a\x00", 4, MD_CORRUPT, "an integer's" },
        { "\x38\x00", 2, MD_CORRUPT, "a message's" },
    };
    md_model *m = NULL;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(md_onnx_parse(&m, cases[i].bytes, cases[i].size, NULL,
                                      md_alloc_default(), &err),
                        cases[i].status, &err, cases[i].text);
    }
    assert_null(m);
}

static void test_onnx__names_the_file_that_is_missing(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    (void)state;
    assert_md_fails(
        md_onnx_load(&m, "/nonexistent/x.onnx", md_alloc_default(), &err),
        MD_NOT_FOUND, &err, "model '/nonexistent/x.onnx'");
}

/* Parse what the writer holds (closing the graph) and release it. */
static md_status parse(md_model **m, md_pb_writer *w, md_pb_mark graph,
                       md_error *err)
{
    md_status s;

    md_pb_end(w, graph);
    assert_md_ok(md_pb_writer_finish(w, NULL, err), err);
    s = md_onnx_parse(m, w->buf.data, w->buf.size, NULL, md_alloc_default(),
                      err);
    md_pb_writer_release(w);
    return s;
}

static md_pb_mark begin(md_pb_writer *w, int ir_version)
{
    md_pb_writer_init(w, md_alloc_default(), 1 << 24);
    return md_test_begin_model(w, ir_version);
}

static void test_onnx__refuses_bad_initializers(void **state)
{
    static const int64_t huge[] = { INT64_MAX, 2 };
    static const int64_t negative[] = { -1 };
    static const int64_t rank9[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    static const int64_t wide[] = { 1 << 30, 1 << 30, 1 << 30 };
    static const float raw[4];
    static const struct {
        int dtype;
        const int64_t *dims;
        size_t n_dims;
        const void *raw;
        size_t size;
        md_status status;
        const char *text;
    } cases[] = {
        { 1, shape_22, 2, raw, 12, MD_CORRUPT,
          "initializer 'w': 12 bytes given, 16 expected for float32 [2,2]" },
        { 1, shape_22, 2, NULL, 0, MD_CORRUPT,
          "initializer 'w': 0 float_data given, 4 expected for float32 [2,2]" },
        { 11, shape_22, 2, raw, 16, MD_CORRUPT, "32 expected for float64" },
        { 22, shape_22, 2, raw, 3, MD_CORRUPT, "2 expected for int4" },
        { 8, shape_22, 2, raw, 16, MD_CORRUPT, "strings cannot be raw data" },
        { 8, shape_22, 2, NULL, 0, MD_CORRUPT, "0 strings given, 4 expected" },
        { 0, shape_22, 2, raw, 16, MD_CORRUPT, "0 is not an element type" },
        { 99, shape_22, 2, raw, 16, MD_CORRUPT, "99 is not an element type" },
        { -1, shape_22, 2, raw, 16, MD_CORRUPT, "-1 is not an element type" },
        { 1, huge, 2, raw, 16, MD_TOO_LARGE, "more elements than 2^63" },
        { 1, wide, 3, raw, 16, MD_TOO_LARGE, "more elements than" },
        { 1, negative, 1, raw, 16, MD_CORRUPT, "dimension -1 is negative" },
        { 1, rank9, 9, raw, 4, MD_UNSUPPORTED, "rank larger than 8" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_pb_writer w;
        md_pb_mark graph = begin(&w, 8);

        md_test_put_tensor(&w, GRAPH_INITIALIZER, "w", cases[i].dtype,
                           cases[i].dims, cases[i].n_dims, cases[i].raw,
                           cases[i].size);
        assert_md_fails(parse(&m, &w, graph, &err), cases[i].status, &err,
                        cases[i].text);
        assert_non_null(strstr(err.msg, "initializer 'w': "));
    }
}

static void test_onnx__refuses_bad_structure(void **state)
{
    static const struct {
        const char *op[2], *in[2], *out[2];
        const char *text;
    } cases[] = {
        { { "Add", "Relu" }, { "x c", "b" }, { "b", "c" }, "cycle" },
        { { "Relu", "Relu" },
          { "x", "gone" },
          { "b", "c" },
          "reads 'gone', which nothing produces" },
        { { "Relu", "Relu" },
          { "x", "x" },
          { "c", "c" },
          "'c' is produced more than once" },
        { { "Relu", "Relu" },
          { "x", "x" },
          { "x", "c" },
          "'x' is produced more than once" },
        { { "Relu", "" }, { "x", "x" }, { "b", "c" }, "names no operator" },
        { { "Relu", "Relu" },
          { "x", "x" },
          { "a", "b" },
          "graph output 'c' reads 'c'" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_pb_writer w;
        md_pb_mark graph = begin(&w, 8);

        md_test_put_value(&w, GRAPH_INPUT, "x", 1, shape_22, 2);
        for (unsigned k = 0; k < 2; k++)
            md_test_put_node(&w, GRAPH_NODE, cases[i].op[k], cases[i].in[k],
                             cases[i].out[k]);
        md_test_put_value(&w, GRAPH_OUTPUT, "c", 1, shape_22, 2);
        assert_md_fails(parse(&m, &w, graph, &err), MD_CORRUPT, &err,
                        cases[i].text);
    }
}

static void test_onnx__nodes_may_be_in_any_order(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_pb_writer w;
    md_pb_mark graph = begin(&w, 8);

    (void)state;
    md_test_put_value(&w, GRAPH_OUTPUT, "c", 1, shape_22, 2);
    md_test_put_node(&w, GRAPH_NODE, "Relu", "b", "c");
    md_test_put_node(&w, GRAPH_NODE, "Abs", "x -", "b");
    md_test_put_value(&w, GRAPH_INPUT, "x", 1, shape_22, 2);
    assert_md_ok(parse(&m, &w, graph, &err), &err);
    assert_string_equal(m->graph->nodes[0]->op, "Abs");
    assert_int_equal(m->graph->nodes[0]->n_in, 2);
    assert_int_equal(m->graph->nodes[0]->in[1], MD_VALUE_NONE);
    assert_int_equal(md_model_opset(m, ""), 17);
    md_model_free(m);
}

static void test_onnx__an_input_with_an_initializer_is_a_constant(void **state)
{
    static const int versions[] = { 3, 8 };
    static const float raw[4] = { 1, 2, 3, 4 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(versions); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        const md_value *v;
        md_pb_writer w;
        md_pb_mark graph = begin(&w, versions[i]);

        md_test_put_value(&w, GRAPH_INPUT, "x", 1, shape_22, 2);
        md_test_put_value(&w, GRAPH_INPUT, "w", 1, shape_22, 2);
        md_test_put_tensor(&w, GRAPH_INITIALIZER, "w", 1, shape_22, 2, raw, 16);
        md_test_put_node(&w, GRAPH_NODE, "Add", "x w", "y");
        md_test_put_value(&w, GRAPH_OUTPUT, "y", 1, shape_22, 2);
        assert_md_ok(parse(&m, &w, graph, &err), &err);
        assert_int_equal(m->graph->n_inputs, 1);
        v = md_graph_value(m->graph, md_graph_find(m->graph, "w"));
        assert_false(v->is_input);
        assert_memory_equal(v->cdata->data, raw, 16);
        md_model_free(m);
    }
}

static void test_onnx__unknown_dims_are_symbols_of_their_own(void **state)
{
    static const int64_t dims[] = { -1, -1, 3 };
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    const md_type *t;
    md_pb_writer w;
    md_pb_mark graph = begin(&w, 8);

    (void)state;
    md_test_put_value(&w, GRAPH_INPUT, "x", 1, dims, 3);
    assert_md_ok(parse(&m, &w, graph, &err), &err);
    t = &md_graph_value(m->graph, m->graph->inputs[0])->type;
    assert_int_equal(t->rank, 3);
    assert_true(t->dim[0].sym != 0 && t->dim[1].sym != 0);
    assert_true(t->dim[0].sym != t->dim[1].sym);
    assert_int_equal(t->dim[0].scale, 1);
    assert_true(md_dim_is_const(t->dim[2]));
    md_model_free(m);
}

/* Writes a SparseTensorProto of float32 [2,3] as an initializer. */
static void put_sparse(md_pb_writer *w, const int64_t *index, size_t n_index,
                       size_t rank, const int64_t *dims)
{
    static const float values[] = { 5.0f, 7.0f };
    const int64_t n[2] = { (int64_t)(n_index / rank), (int64_t)rank };
    md_pb_mark sparse = md_pb_begin(w, GRAPH_SPARSE);
    static const int64_t two = 2;

    md_test_put_tensor(w, 1, "s", 1, &two, 1, values, sizeof(values));
    md_test_put_tensor(w, 2, "", 7, n, rank > 1 ? 2 : 1, index,
                       n_index * sizeof(*index));
    md_pb_put_ints(w, 3, dims, 2);
    md_pb_end(w, sparse);
}

static void test_onnx__sparse_initializers_become_dense(void **state)
{
    static const int64_t dims[] = { 2, 3 };
    static const int64_t flat[] = { 1, 5 };
    static const int64_t pairs[] = { 0, 1, 1, 2 };
    static const float want[6] = { 0, 5, 0, 0, 0, 7 };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        const md_value *v;
        md_pb_writer w;
        md_pb_mark graph = begin(&w, 8);

        put_sparse(&w, i ? pairs : flat, i ? 4 : 2, i ? 2 : 1, dims);
        assert_md_ok(parse(&m, &w, graph, &err), &err);
        v = md_graph_value(m->graph, md_graph_find(m->graph, "s"));
        assert_int_equal(v->cdata->shape.rank, 2);
        assert_memory_equal(v->cdata->data, want, sizeof(want));
        md_model_free(m);
    }
}

static void test_onnx__refuses_bad_sparse_initializers(void **state)
{
    static const struct {
        int64_t dims[2];
        int64_t index[4];
        size_t n, rank;
        md_status status;
        const char *text;
    } cases[] = {
        { { 2, 3 }, { 1, 6 }, 2, 1, MD_CORRUPT, "index 6 is not below 6" },
        { { 2, 3 }, { -1, 1 }, 2, 1, MD_CORRUPT, "index -1" },
        { { 2, 3 }, { 0, 1, 2, 0 }, 4, 2, MD_CORRUPT, "outside dimension 0" },
        { { 2, 3 }, { 0, 1, 1 }, 3, 1, MD_CORRUPT, "do not fit its values" },
        { { 0, 3 }, { 0, 1 }, 2, 1, MD_CORRUPT, "index 0 is not below 0" },
        { { 1 << 20, 1 << 20 }, { 0, 1 }, 2, 1, MD_TOO_LARGE, "made dense" },
        { { INT64_MAX, 4 }, { 0, 1 }, 2, 1, MD_TOO_LARGE, "elements" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_pb_writer w;
        md_pb_mark graph = begin(&w, 8);

        put_sparse(&w, cases[i].index, cases[i].n, cases[i].rank,
                   cases[i].dims);
        assert_md_fails(parse(&m, &w, graph, &err), cases[i].status, &err,
                        cases[i].text);
    }
}

static void test_onnx__refuses_bad_attributes(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
        { "\x18\x01\xa0\x01\x02", 5, "attribute without a name" },
        { "\x0a\x01g", 3, "attribute 'g' has no type" },
        { "\x0a\x01g\xa0\x01\x63", 6, "99 is not an attribute type" },
        { "\x0a\x01g\xa0\x01\x05", 6, "'g' of type 5 has no value" },
        { "\x0a\x01g\xa0\x01\x04", 6, "'g' of type 4 has no value" },
        { "\x0a\x01g\xaa\x01\x01r", 7, "refers to 'r', but is not in a" },
        { "\x0a\x01g\x12\x00\xa0\x01\x01", 8, "a float's" },
        { "\x0a\x01g\x42\x01\x80\xa0\x01\x07", 9, "ends inside a number" },
        { "\x0a\x01g\x28\x01\xa0\x01\x04", 8, "a message's" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_pb_writer w;
        md_pb_mark graph = begin(&w, 8);
        md_pb_mark node = md_pb_begin(&w, GRAPH_NODE);

        md_pb_put_text(&w, 4, "Relu");
        md_pb_put_bytes(&w, 5, cases[i].bytes, cases[i].size);
        md_pb_end(&w, node);
        assert_md_fails(parse(&m, &w, graph, &err), MD_CORRUPT, &err,
                        cases[i].text);
        assert_non_null(strstr(err.msg, "node '' (Relu): "));
    }
}

static void test_onnx__attributes_without_type_have_their_field_s(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_pb_writer w;
    md_pb_mark graph = begin(&w, 2);
    md_pb_mark node = md_pb_begin(&w, GRAPH_NODE);
    uint32_t n;
    const int64_t *ints;

    (void)state;
    md_pb_put_text(&w, 4, "Relu");
    md_pb_put_bytes(&w, 5, "\x0a\x01i\x40\x05\x40\x06", 7);
    md_pb_end(&w, node);
    assert_md_ok(parse(&m, &w, graph, &err), &err);
    ints = md_node_attr_is(m->graph->nodes[0], "i", &n);
    assert_int_equal(n, 2);
    assert_int_equal(ints[1], 6);
    md_model_free(m);
}

/* An If whose branch holds an If, `depth` times. */
static void put_nested(md_pb_writer *w, unsigned depth)
{
    md_pb_mark node = md_pb_begin(w, GRAPH_NODE);
    md_pb_mark attr;
    md_pb_mark graph;

    md_pb_put_text(w, 4, "If");
    attr = md_pb_begin(w, 5);
    md_pb_put_text(w, 1, "then_branch");
    md_pb_put_int(w, 20, 5);
    graph = md_pb_begin(w, 6);
    if (depth > 0)
        put_nested(w, depth - 1);
    md_pb_end(w, graph);
    md_pb_end(w, attr);
    md_pb_end(w, node);
}

static void test_onnx__subgraphs_have_a_depth_limit(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_pb_writer w;
    md_pb_mark graph = begin(&w, 8);

    (void)state;
    put_nested(&w, 20);
    assert_md_ok(parse(&m, &w, graph, &err), &err);
    md_model_free(m);
    graph = begin(&w, 8);
    put_nested(&w, 200);
    assert_md_fails(parse(&m, &w, graph, &err), MD_CORRUPT, &err,
                    "nested deeper than 100");
}

static void test_onnx__the_number_of_symbols_is_bounded(void **state)
{
    static const int64_t dims[] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_pb_writer w;
    md_pb_mark graph = begin(&w, 8);
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 16384 / 8 + 1; i++) {
        snprintf(name, sizeof(name), "x%u", i);
        md_test_put_value(&w, GRAPH_INPUT, name, 1, dims, 8);
    }
    assert_md_fails(parse(&m, &w, graph, &err), MD_TOO_LARGE, &err,
                    "more than 16384 symbolic dimensions");
}

static void test_onnx__the_memory_limit_holds(void **state)
{
    md_onnx_opts opts = MD_ONNX_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_model *sample = md_test_sample();
    md_buf bytes;

    (void)state;
    opts.memory_limit = 2000;
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(sample, &bytes, &err), &err);
    assert_md_fails(md_onnx_parse(&m, bytes.data, bytes.size, &opts,
                                  md_alloc_default(), &err),
                    MD_NOMEM, &err, "");
    md_buf_release(&bytes);
    md_model_free(sample);
}

static void test_onnx__every_truncation_is_an_answer(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *sample = md_test_sample();
    md_buf bytes;

    (void)state;
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(sample, &bytes, &err), &err);
    for (size_t n = 0; n < bytes.size; n++) {
        md_model *m = NULL;
        /* An exact copy, so that a read behind it is seen. */
        unsigned char *cut = test_malloc(n ? n : 1);

        memcpy(cut, bytes.data, n);
        if (md_onnx_parse(&m, cut, n, NULL, md_alloc_default(), &err) == MD_OK)
            md_model_free(m);
        else
            assert_true(err.msg[0] != '\0');
        test_free(cut);
    }
    md_buf_release(&bytes);
    md_model_free(sample);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void test_onnx__mutations_are_answered(void **state)
{
    md_onnx_opts opts = MD_ONNX_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *sample = md_test_sample();
    uint32_t seed = 2463534242u;
    unsigned n_read = 0;
    unsigned char *copy;
    md_buf bytes;

    (void)state;
    opts.dense_limit = 1 << 20;
    opts.keep = true;
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(sample, &bytes, &err), &err);
    copy = test_malloc(bytes.size);
    for (unsigned i = 0; i < 20000; i++) {
        md_model *m = NULL;
        unsigned n_flips = 1 + next_random(&seed) % 3;

        memcpy(copy, bytes.data, bytes.size);
        for (unsigned k = 0; k < n_flips; k++)
            copy[next_random(&seed) % bytes.size] ^=
                (unsigned char)(1u << next_random(&seed) % 8);
        if (md_onnx_parse(&m, copy, bytes.size, &opts, md_alloc_default(),
                          &err) == MD_OK)
            n_read++;
        md_model_free(m);
    }
    print_message("%u of 20000 mutations are models\n", n_read);
    assert_in_range(n_read, 1, 19999);
    test_free(copy);
    md_buf_release(&bytes);
    md_model_free(sample);
}

static void test_onnx__probe_knows_its_own(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *sample = md_test_sample();
    md_buf bytes;

    (void)state;
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(sample, &bytes, &err), &err);
    assert_true(md_onnx_probe(bytes.data, bytes.size));
    assert_true(md_onnx_probe(bytes.data, 64));
    /* Unknown fields are skipped, but tell nothing. */
    assert_true(md_onnx_probe("\x08\x08\xfa\x06\x01x\x3a\x00", 8));
    assert_true(md_onnx_probe("\x08\x08\xf8\x06\x01\x3a\x00", 7));
    assert_false(md_onnx_probe("\xfa\x06\x01x\x08\x08", 6));
    assert_false(md_onnx_probe("", 0));
    assert_false(md_onnx_probe("\x89HDF\r\n\x1a\n", 8));
    assert_false(md_onnx_probe("PK\x03\x04", 4));
    assert_false(md_onnx_probe("\x93NUMPY\x01\x00", 8));
    md_buf_release(&bytes);
    md_model_free(sample);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx__loads_the_backend_tests),
        cmocka_unit_test(test_onnx__refuses_what_is_no_model),
        cmocka_unit_test(test_onnx__names_the_file_that_is_missing),
        cmocka_unit_test(test_onnx__refuses_bad_initializers),
        cmocka_unit_test(test_onnx__refuses_bad_structure),
        cmocka_unit_test(test_onnx__nodes_may_be_in_any_order),
        cmocka_unit_test(test_onnx__an_input_with_an_initializer_is_a_constant),
        cmocka_unit_test(test_onnx__unknown_dims_are_symbols_of_their_own),
        cmocka_unit_test(test_onnx__sparse_initializers_become_dense),
        cmocka_unit_test(test_onnx__refuses_bad_sparse_initializers),
        cmocka_unit_test(test_onnx__refuses_bad_attributes),
        cmocka_unit_test(test_onnx__attributes_without_type_have_their_field_s),
        cmocka_unit_test(test_onnx__subgraphs_have_a_depth_limit),
        cmocka_unit_test(test_onnx__the_number_of_symbols_is_bounded),
        cmocka_unit_test(test_onnx__the_memory_limit_holds),
        cmocka_unit_test(test_onnx__every_truncation_is_an_answer),
        cmocka_unit_test(test_onnx__mutations_are_answered),
        cmocka_unit_test(test_onnx__probe_knows_its_own),
    };

    return cmocka_run_group_tests_name("onnx", tests, NULL, NULL);
}
