/* Graphs of TensorFlow become the graphs that they should, and broken ones are
 * refused with the reason.  What they compute is compared in
 * tests/e2e/test_tensorflow.py. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "formats/pb.h"
#include "support/fail_alloc.h"
#include "support/temp.h"

#define FOLDER MD_TEST_DIR "/golden/tensorflow/"

enum {
    ATTR_INT = 3,
    ATTR_TYPE = 6,
    ATTR_SHAPE = 7,
    ATTR_TENSOR = 8,
    ATTR_FUNCTION = 10,
    FLOAT = 1
};

/* --- graphs, written --- */

typedef struct sink {
    md_buf buf;
} sink;

static md_status append(void *ctx, const void *data, size_t size, md_error *err)
{
    return md_buf_append(&((sink *)ctx)->buf, data, size, err);
}

/* An attribute of the open node that is an integer of some kind. */
static void put_number(md_pb_writer *w, const char *name, uint32_t kind,
                       int64_t v)
{
    md_pb_mark attr = md_pb_begin(w, 5);
    md_pb_mark value;

    md_pb_put_text(w, 1, name);
    value = md_pb_begin(w, 2);
    md_pb_put_int(w, kind, v);
    md_pb_end(w, value);
    md_pb_end(w, attr);
}

/* A node with inputs apart by blanks, and T float; left open. */
static md_pb_mark begin_node(md_pb_writer *w, uint32_t field, const char *name,
                             const char *op, const char *inputs)
{
    md_pb_mark node = md_pb_begin(w, field);
    char one[64];

    md_pb_put_text(w, 1, name);
    md_pb_put_text(w, 2, op);
    for (const char *p = inputs; *p; p += *p == ' ') {
        size_t n = strcspn(p, " ");

        snprintf(one, sizeof(one), "%.*s", (int)n, p);
        md_pb_put_text(w, 3, one);
        p += n;
    }
    put_number(w, "T", ATTR_TYPE, FLOAT);
    return node;
}

static void put_node(md_pb_writer *w, const char *name, const char *op,
                     const char *inputs)
{
    md_pb_end(w, begin_node(w, 1, name, op, inputs));
}

/* x: float32 [4] */
static void put_input(md_pb_writer *w)
{
    md_pb_mark node = begin_node(w, 1, "x", "Placeholder", "");
    md_pb_mark attr;
    md_pb_mark value;
    md_pb_mark shape;
    md_pb_mark dim;

    put_number(w, "dtype", ATTR_TYPE, FLOAT);
    attr = md_pb_begin(w, 5);
    md_pb_put_text(w, 1, "shape");
    value = md_pb_begin(w, 2);
    shape = md_pb_begin(w, ATTR_SHAPE);
    dim = md_pb_begin(w, 2);
    md_pb_put_int(w, 1, 4);
    md_pb_end(w, dim);
    md_pb_end(w, shape);
    md_pb_end(w, value);
    md_pb_end(w, attr);
    md_pb_end(w, node);
}

/* A constant of float32 [size] whose only listed value is 1. */
static void put_const(md_pb_writer *w, const char *name, int64_t size)
{
    md_pb_mark node = begin_node(w, 1, name, "Const", "");
    md_pb_mark attr = md_pb_begin(w, 5);
    md_pb_mark value;
    md_pb_mark tensor;
    md_pb_mark shape;
    md_pb_mark dim;
    float one = 1;

    md_pb_put_text(w, 1, "value");
    value = md_pb_begin(w, 2);
    tensor = md_pb_begin(w, ATTR_TENSOR);
    md_pb_put_int(w, 1, FLOAT);
    shape = md_pb_begin(w, 2);
    dim = md_pb_begin(w, 2);
    md_pb_put_int(w, 1, size);
    md_pb_end(w, dim);
    md_pb_end(w, shape);
    md_pb_put_floats(w, 5, &one, 1);
    md_pb_end(w, tensor);
    md_pb_end(w, value);
    md_pb_end(w, attr);
    md_pb_end(w, node);
}

static void put_function_attr(md_pb_writer *w, const char *name,
                              const char *function)
{
    md_pb_mark attr = md_pb_begin(w, 5);
    md_pb_mark value;
    md_pb_mark f;

    md_pb_put_text(w, 1, name);
    value = md_pb_begin(w, 2);
    f = md_pb_begin(w, ATTR_FUNCTION);
    md_pb_put_text(w, 1, function);
    md_pb_end(w, f);
    md_pb_end(w, value);
    md_pb_end(w, attr);
}

/* A list of one type. */
static void put_types(md_pb_writer *w, const char *name)
{
    md_pb_mark attr = md_pb_begin(w, 5);
    md_pb_mark value;
    md_pb_mark list;

    md_pb_put_text(w, 1, name);
    value = md_pb_begin(w, 2);
    list = md_pb_begin(w, 1);
    md_pb_put_int(w, ATTR_TYPE, FLOAT);
    md_pb_end(w, list);
    md_pb_end(w, value);
    md_pb_end(w, attr);
}

/* y = f(x), where f calls `callee`. */
static void put_call(md_pb_writer *w, const char *callee)
{
    md_pb_mark node = begin_node(w, 1, "y", "PartitionedCall", "x");
    md_pb_mark library;
    md_pb_mark function;
    md_pb_mark part;
    md_pb_mark arg;

    put_types(w, "Tout");
    put_function_attr(w, "f", "f");
    md_pb_end(w, node);
    library = md_pb_begin(w, 2);
    function = md_pb_begin(w, 1);
    part = md_pb_begin(w, 1);
    md_pb_put_text(w, 1, "f");
    for (uint32_t i = 2; i < 4; i++) {
        arg = md_pb_begin(w, i);
        md_pb_put_text(w, 1, i == 2 ? "a" : "r");
        md_pb_end(w, arg);
    }
    md_pb_end(w, part);
    part =
        begin_node(w, 3, "inner", callee[0] ? "PartitionedCall" : "Relu", "a");
    put_types(w, "Tout");
    put_function_attr(w, "f", callee);
    md_pb_end(w, part);
    part = md_pb_begin(w, 4);
    md_pb_put_text(w, 1, "r");
    md_pb_put_text(w, 2, "inner:output:0");
    md_pb_end(w, part);
    md_pb_end(w, function);
    md_pb_end(w, library);
}

static md_status convert(md_model **out, md_pb_writer *w, const md_alloc *alloc,
                         md_error *err)
{
    sink s;
    md_status status;

    *out = NULL;
    md_buf_init(&s.buf, md_alloc_default(), 1 << 20);
    assert_int_equal(md_pb_writer_drain(w, append, &s, NULL), MD_OK);
    status = md_convert_bytes(out, s.buf.data, s.buf.size, "graph", NULL, NULL,
                              alloc, err);
    md_buf_release(&s.buf);
    return status;
}

typedef void put_fn(md_pb_writer *w);

static void put_circle(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "a", "Add", "x b");
    put_node(w, "b", "Neg", "a");
    put_node(w, "y", "Relu", "b");
}

static void put_nowhere(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "y", "Add", "x nobody");
}

static void put_twice(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "y", "Relu", "x");
    put_node(w, "y", "Neg", "x");
}

static void put_unknown(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "a", "Nonsense", "x");
    put_node(w, "b", "Nonsense", "a");
    put_node(w, "c", "Lgamma", "x");
    put_node(w, "d", "Add", "b c");
    put_node(w, "y", "Relu", "d");
}

static void put_old_loop(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "enter", "Enter", "x");
    put_node(w, "merge", "Merge", "enter next");
    put_node(w, "next", "NextIteration", "merge");
    put_node(w, "exit", "Exit", "merge");
    put_node(w, "y", "Relu", "exit");
}

static void put_output_9(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "a", "Relu", "x");
    put_node(w, "y", "Neg", "a:9");
}

static void put_variable(md_pb_writer *w)
{
    put_input(w);
    put_node(w, "v", "VarHandleOp", "");
    put_node(w, "r", "ReadVariableOp", "v");
    put_node(w, "y", "Add", "x r");
}

static void put_bomb(md_pb_writer *w)
{
    put_input(w);
    put_const(w, "c", INT64_C(1) << 33);
    put_node(w, "y", "Add", "x c");
}

static void put_self_call(md_pb_writer *w)
{
    put_input(w);
    put_call(w, "f");
}

static void put_no_function(md_pb_writer *w)
{
    put_input(w);
    put_call(w, "g");
}

static void put_nothing(md_pb_writer *w)
{
    put_input(w);
}

static const struct {
    put_fn *put;
    md_status status;
    const char *text;
} broken[] = {
    { put_circle, MD_CORRUPT, "depends on itself" },
    { put_nowhere, MD_CORRUPT, "input 'nobody' is nowhere" },
    { put_twice, MD_CORRUPT, "two nodes are called 'y'" },
    { put_unknown, MD_UNSUPPORTED, "Nonsense (2, at 'a')" },
    { put_unknown, MD_UNSUPPORTED, "Lgamma (1, at 'c')" },
    { put_old_loop, MD_UNSUPPORTED, "a loop of TensorFlow 1" },
    { put_output_9, MD_CORRUPT, "'a' has 1 outputs" },
    { put_variable, MD_NOT_FOUND, "variable 'v' has no value" },
    { put_bomb, MD_TOO_LARGE, "a tensor of" },
    { put_self_call, MD_TOO_LARGE, "in a circle" },
    { put_no_function, MD_CORRUPT, "function 'g' is not there" },
    { put_nothing, MD_UNSUPPORTED, "the graph computes nothing" },
};

static void test_tf__broken_graphs(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(broken); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_pb_writer w;

        md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
        broken[i].put(&w);
        assert_md_fails(convert(&m, &w, md_alloc_default(), &err),
                        broken[i].status, &err, broken[i].text);
        md_pb_writer_release(&w);
    }
}

static uint32_t count(const md_graph *g, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i]->op, op) == 0;
    return n;
}

/* What a function does stands where it is called. */
static void test_tf__calls(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_pb_writer w;

    (void)state;
    md_pb_writer_init(&w, md_alloc_default(), 1 << 20);
    put_input(&w);
    put_call(&w, "");
    assert_md_ok(convert(&m, &w, md_alloc_default(), &err), &err);
    assert_int_equal(count(m->graph, "Relu"), 1);
    assert_string_equal(md_graph_value(m->graph, m->graph->inputs[0])->name,
                        "x:0");
    assert_string_equal(md_graph_value(m->graph, m->graph->outputs[0])->name,
                        "y:0");
    md_model_free(m);
    md_pb_writer_release(&w);
}

static void load(md_model **m, md_convert_report *r, const char *name)
{
    md_error err = MD_ERROR_INIT;
    char path[512];

    snprintf(path, sizeof(path), "%s%s", FOLDER, name);
    assert_md_ok(md_convert(m, path, NULL, r, md_alloc_default(), &err), &err);
    assert_true(r->ran);
}

/* What lies channels first stays so: no Transpose is left. */
static void test_tf__channels_first(void **state)
{
    md_convert_report r;
    md_model *m = NULL;

    (void)state;
    load(&m, &r, "channels_first.pb");
    assert_int_equal(count(m->graph, "Transpose"), 0);
    assert_int_equal(count(m->graph, "Conv"), 1);
    md_model_free(m);
}

/* Scales and shifts are the convolutions' own, but for one that is needed
 * without them. */
static void test_tf__affine(void **state)
{
    md_convert_report r;
    md_model *m = NULL;

    (void)state;
    load(&m, &r, "affine.pb");
    assert_int_equal(count(m->graph, "Conv"), 4);
    assert_int_equal(count(m->graph, "Mul"), 1);
    assert_int_equal(count(m->graph, "Add"), 1);
    assert_int_equal(count(m->graph, "BatchNormalization"), 0);
    md_model_free(m);
}

/* Loops over time are the operators that they stand for. */
static void test_tf__recurrent(void **state)
{
    md_convert_report r;
    md_model *m = NULL;

    (void)state;
    load(&m, &r, "recurrent.pb");
    assert_int_equal(count(m->graph, "LSTM"), 2);
    assert_int_equal(count(m->graph, "GRU"), 2);
    assert_int_equal(count(m->graph, "RNN"), 1);
    assert_int_equal(count(m->graph, "Loop"), 0);
    md_model_free(m);
}

/* A checkpoint is found beside its graph. */
static void test_tf__checkpoint(void **state)
{
    md_convert_report r;
    md_model *m = NULL;

    (void)state;
    load(&m, &r, "checkpoint/model.meta");
    assert_string_equal(r.format, "checkpoint");
    assert_int_equal(r.n_parameters, 16);
    md_model_free(m);
}

/* A SavedModel by its folder and by its file; its signatures. */
static void test_tf__signatures(void **state)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_convert_report r;
    md_model *m = NULL;

    (void)state;
    load(&m, &r, "functions");
    assert_string_equal(md_model_meta(m, "modeld.signature"),
                        "serving_default");
    md_model_free(m);
    opts.how.signature = "embed";
    assert_md_ok(md_convert(&m, FOLDER "functions/saved_model.pb", &opts, &r,
                            md_alloc_default(), &err),
                 &err);
    assert_int_equal(count(m->graph, "Loop"), 1);
    md_model_free(m);
    opts.how.signature = "nobody";
    assert_md_fails(
        md_convert(&m, FOLDER "functions", &opts, &r, md_alloc_default(), &err),
        MD_NOT_FOUND, &err, "no signature 'nobody', 'embed'");
}

/* --- TensorFlow.js --- */

/* x and a weight in a file, added. */
static const char js[] =
    "{\"modelTopology\":{\"node\":["
    "{\"name\":\"x\",\"op\":\"Placeholder\",\"attr\":{\"dtype\":{\"type\":"
    "\"DT_FLOAT\"},\"shape\":{\"shape\":{\"dim\":[{\"size\":\"2\"}]}}}},"
    "{\"name\":\"w\",\"op\":\"Const\",\"attr\":{}},"
    "{\"name\":\"y\",\"op\":\"AddV2\",\"input\":[\"x\",\"w\"],"
    "\"attr\":{\"T\":{\"type\":\"DT_FLOAT\"}}}]},"
    "\"weightsManifest\":[{\"paths\":[\"%s\"],\"weights\":[{\"name\":\"w\","
    "\"shape\":[%s],\"dtype\":\"%s\"%s}]}]}";

static const struct {
    const char *path, *shape, *dtype, *more;
    md_status status;
    const char *text;
} js_cases[] = {
    { "w.bin", "2", "float32", "", MD_OK, "" },
    { "w.bin", "9", "float32", "", MD_CORRUPT, "36 bytes, 8 are left" },
    { "w.bin", "-2", "float32", "", MD_CORRUPT, "a size of -2" },
    { "w.bin", "2", "nothing", "", MD_UNSUPPORTED, "of type 'nothing'" },
    { "../w.bin", "2", "float32", "", MD_DENIED, "" },
    { "/etc/passwd", "2", "float32", "", MD_DENIED, "" },
    { "none.bin", "2", "float32", "", MD_NOT_FOUND, "none.bin" },
    { "w.bin", "2", "float32",
      ",\"quantization\":{\"dtype\":\"int3\",\"scale\":1,\"min\":0}",
      MD_UNSUPPORTED, "codes of type 'int3'" },
    { "w.bin", "2", "string", "", MD_CORRUPT, "string 0 of" },
};

static void test_tf__javascript(void **state)
{
    static const float weights[] = { 1, 2 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(js_cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        char text[2048];
        md_temp dir;
        md_status s;

        md_temp_make(&dir);
        md_temp_write(&dir, "w.bin", weights, sizeof(weights));
        snprintf(text, sizeof(text), js, js_cases[i].path, js_cases[i].shape,
                 js_cases[i].dtype, js_cases[i].more);
        md_temp_write(&dir, "model.json", text, strlen(text));
        s = md_convert(&m, dir.path, NULL, NULL, md_alloc_default(), &err);
        if (js_cases[i].status == MD_OK)
            assert_md_ok(s, &err);
        else
            assert_md_fails(s, js_cases[i].status, &err, js_cases[i].text);
        md_model_free(m);
        md_temp_remove(&dir);
    }
}

/* Weights that nobody can find, layers, and what is no JSON. */
static void test_tf__javascript_alone(void **state)
{
    static const char layers[] = "{\"modelTopology\":{\"model_config\":{}}}";
    static const char broken_json[] = "{\"modelTopology\":[";
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    char text[2048];

    (void)state;
    snprintf(text, sizeof(text), js, "w.bin", "2", "float32", "");
    assert_md_fails(md_convert_bytes(&m, text, strlen(text), "js", NULL, NULL,
                                     md_alloc_default(), &err),
                    MD_DENIED, &err, "has no folder");
    assert_md_fails(md_convert_bytes(&m, layers, strlen(layers), "js", NULL,
                                     NULL, md_alloc_default(), &err),
                    MD_UNSUPPORTED, &err, "a layers model");
    assert_md_fails(md_convert_bytes(&m, broken_json, strlen(broken_json), "js",
                                     NULL, NULL, md_alloc_default(), &err),
                    MD_CORRUPT, &err, "line 1");
}

/* Without memory at any point: nothing leaks, nothing is half there. */
static void run_out_of_memory(const char *path)
{
    for (int64_t n = 0;; n++) {
        md_error err = MD_ERROR_INIT;
        md_convert_opts opts = MD_CONVERT_OPTS_INIT;
        md_model *m = NULL;
        md_status s;
        fail_alloc f;

        opts.no_self_check = true;
        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        s = md_convert(&m, path, &opts, NULL, &f.alloc, &err);
        if (s == MD_OK)
            md_model_free(m);
        assert_int_equal(f.n_live, 0);
        if (!fail_alloc_disarm(&f)) {
            assert_md_ok(s, &err);
            break;
        }
        assert_int_not_equal(s, MD_OK);
    }
}

static void test_tf__out_of_memory(void **state)
{
    (void)state;
    run_out_of_memory(FOLDER "checkpoint/model.meta");
    run_out_of_memory(FOLDER "browser");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tf__broken_graphs),
        cmocka_unit_test(test_tf__calls),
        cmocka_unit_test(test_tf__channels_first),
        cmocka_unit_test(test_tf__affine),
        cmocka_unit_test(test_tf__recurrent),
        cmocka_unit_test(test_tf__checkpoint),
        cmocka_unit_test(test_tf__signatures),
        cmocka_unit_test(test_tf__javascript),
        cmocka_unit_test(test_tf__javascript_alone),
        cmocka_unit_test(test_tf__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
