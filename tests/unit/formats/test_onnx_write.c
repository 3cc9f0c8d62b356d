#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "formats/onnx.h"
#include "support/onnx_data.h"
#include "support/onnx_sample.h"
#include "support/temp.h"

static md_model *reread(const md_model *m)
{
    md_error err = MD_ERROR_INIT;
    md_model *out = NULL;
    md_buf bytes;

    md_buf_init(&bytes, md_alloc_default(), 1 << 24);
    assert_md_ok(md_onnx_write(m, &bytes, &err), &err);
    assert_md_ok(md_onnx_parse(&out, bytes.data, bytes.size, NULL,
                               md_alloc_default(), &err),
                 &err);
    md_buf_release(&bytes);
    return out;
}

static void test_onnx_write__the_model_s_head_is_kept(void **state)
{
    md_model *sample = md_test_sample();
    md_model *m = reread(sample);

    (void)state;
    assert_int_equal(m->ir_version, 8);
    assert_int_equal(m->model_version, 3);
    assert_string_equal(m->producer_name, "modeld tests");
    assert_string_equal(m->domain, "example");
    assert_string_equal(m->doc, "one of everything");
    assert_string_equal(md_model_meta(m, "key"), "value");
    assert_int_equal(md_model_opset(m, "com.example"), 2);
    assert_int_equal(m->n_functions, 1);
    assert_string_equal(m->functions[0].name, "Leaky");
    assert_string_equal(m->functions[0].attr_names[0], "slope");
    assert_string_equal(m->functions[0].attr_defaults[0].name, "bias");
    assert_string_equal(m->functions[0].body->nodes[0]->attr[0].ref, "slope");
    assert_int_equal(m->functions[0].opsets[0].version, 17);
    md_model_free(m);
    md_model_free(sample);
}

static void test_onnx_write__overloads_are_kept(void **state)
{
    md_model *sample = md_test_sample();
    md_model *m;

    (void)state;
    assert_string_equal(sample->graph->nodes[1]->op, "Leaky");
    sample->graph->nodes[1]->overload = sample->functions[0].overload = "v2";
    m = reread(sample);
    assert_string_equal(m->graph->nodes[0]->overload, "");
    assert_string_equal(m->graph->nodes[1]->overload, "v2");
    assert_string_equal(m->functions[0].overload, "v2");
    md_model_free(m);
    md_model_free(sample);
}

static void test_onnx_write__types_inside_functions_are_kept(void **state)
{
    const md_type half = { .dtype = MD_DTYPE_F16, .has_rank = true };
    md_model *sample = md_test_sample();
    md_graph *body = sample->functions[0].body;
    md_error err = MD_ERROR_INIT;
    md_value_id inner, out;
    md_model *m;

    (void)state;
    assert_md_ok(md_graph_add_value(&inner, body, "inner", &err), &err);
    assert_md_ok(md_graph_add_value(&out, body, "out", &err), &err);
    assert_md_ok(
        md_graph_add_node(
            NULL, body,
            &(md_node_spec){ "", "Neg", "", &body->inputs[0], 1, &inner, 1 },
            &err),
        &err);
    assert_md_ok(
        md_graph_add_node(NULL, body,
                          &(md_node_spec){ "", "Abs", "", &inner, 1, &out, 1 },
                          &err),
        &err);
    md_graph_value(body, inner)->type = half;
    m = reread(sample);
    body = m->functions[0].body;
    inner = md_graph_find(body, "inner");
    assert_int_not_equal(inner, MD_VALUE_NONE);
    assert_int_equal(md_graph_value(body, inner)->type.dtype, MD_DTYPE_F16);
    assert_true(md_graph_value(body, inner)->type.has_rank);
    md_model_free(m);
    md_model_free(sample);
}

static void test_onnx_write__attributes_are_kept(void **state)
{
    md_model *sample = md_test_sample();
    md_model *m = reread(sample);
    const md_node *n = m->graph->nodes[0];
    const md_attr *a;
    uint32_t count;

    (void)state;
    assert_string_equal(n->op, "Everything");
    assert_int_equal(n->n_in, 3);
    assert_int_equal(n->in[1], MD_VALUE_NONE);
    assert_true(md_node_attr_f(n, "f", 0) == 2.0f);
    assert_int_equal(md_node_attr_i(n, "i", 0), -3);
    assert_string_equal(md_node_attr_s(n, "s", ""), "text");
    assert_true(md_node_attr_fs(n, "fs", &count)[1] == -1.0f);
    assert_int_equal(md_node_attr_is(n, "is", &count)[2], 7);
    assert_int_equal(count, 3);
    a = md_node_attr(n, "ss");
    assert_int_equal(a->n, 2);
    assert_string_equal(a->v.ss[0].p, "one");
    assert_int_equal(a->v.ss[1].n, 0);
    a = md_node_attr(n, "t");
    assert_int_equal(md_tensor_get_i64(a->v.t, 1), 4);
    a = md_node_attr(n, "ts");
    assert_int_equal(md_tensor_get_i64(a->v.ts[1], 0), 3);
    a = md_node_attr(n, "tp");
    assert_int_equal(a->v.type_proto->dtype, MD_DTYPE_F16);
    md_model_free(m);
    md_model_free(sample);
}

static void test_onnx_write__types_and_captures_are_kept(void **state)
{
    md_model *sample = md_test_sample();
    md_model *m = reread(sample);
    const md_graph *g = m->graph;
    const md_type *t = &md_graph_value(g, g->inputs[0])->type;
    const md_value *v;
    const md_graph *branch;

    (void)state;
    assert_string_equal(m->symbols[t->dim[0].sym], "batch");
    assert_int_equal(t->dim[1].k, 3);
    assert_string_equal(m->symbols[t->dim[2].sym], "");
    v = md_graph_value(g, g->outputs[0]);
    assert_int_equal(v->type.kind, MD_KIND_OPTIONAL);
    assert_int_equal(v->type.of, MD_KIND_SEQUENCE);
    assert_int_equal(v->type.dtype, MD_DTYPE_F32);
    v = md_graph_value(g, md_graph_find(g, "words"));
    assert_int_equal(((const md_str *)v->cdata->data)[1].n, 2);
    branch = md_node_attr(g->nodes[2], "then_branch")->v.g;
    assert_ptr_equal(branch->parent, g);
    v = md_graph_value(branch, md_graph_find(branch, "x"));
    assert_true(!v->def && !v->cdata && !v->is_input);
    md_model_free(m);
    md_model_free(sample);
}

static void test_onnx_write__writing_again_gives_the_same_bytes(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *sample = md_test_sample();
    md_model *m = reread(sample);
    md_buf a;
    md_buf b;

    (void)state;
    md_buf_init(&a, md_alloc_default(), 1 << 20);
    md_buf_init(&b, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(sample, &a, &err), &err);
    assert_md_ok(md_onnx_write(m, &b, &err), &err);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    md_buf_release(&a);
    md_buf_release(&b);
    md_model_free(m);
    md_model_free(sample);
}

/* x -> Relu -> (unnamed) -> Relu -> y, with a constant and a dead node. */
static md_model *make_rewritten(void)
{
    static float data[2];
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 1, { 2 } },
                    .data = data };
    md_error err = MD_ERROR_INIT;
    md_value_id id[5];
    md_graph *g;
    md_model *m;
    md_node *dead;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    assert_md_ok(md_model_set_opset(m, "", 17, &err), &err);
    g = m->graph;
    assert_md_ok(md_graph_add_value(&id[0], g, "x", &err), &err);
    assert_md_ok(md_graph_add_value(&id[1], g, "", &err), &err);
    assert_md_ok(md_graph_add_value(&id[2], g, "y", &err), &err);
    assert_md_ok(md_graph_add_value(&id[3], g, "z", &err), &err);
    assert_md_ok(md_graph_add_const(&id[4], g, "unused", t, &err), &err);
    assert_md_ok(md_graph_add_input(g, id[0], &err), &err);
    md_graph_value(g, id[0])->type = md_type_of_tensor(t.dtype, &t.shape);
    md_graph_value(g, id[2])->type = md_type_of_tensor(t.dtype, &t.shape);
    assert_md_ok(md_graph_add_node(
                     NULL, g,
                     &(md_node_spec){ "", "Relu", "", &id[0], 1, &id[1], 1 },
                     &err),
                 &err);
    assert_md_ok(md_graph_add_node(
                     NULL, g,
                     &(md_node_spec){ "", "Relu", "", &id[1], 1, &id[2], 1 },
                     &err),
                 &err);
    assert_md_ok(md_graph_add_node(
                     &dead, g,
                     &(md_node_spec){ "", "Add", "", &id[4], 1, &id[3], 1 },
                     &err),
                 &err);
    dead->dead = true;
    assert_md_ok(md_graph_add_output(g, id[2], &err), &err);
    return m;
}

static void test_onnx_write__leaves_out_what_is_dead(void **state)
{
    md_model *made = make_rewritten();
    md_model *m = reread(made);
    const md_graph *g = m->graph;

    (void)state;
    assert_int_equal(g->n_nodes, 2);
    assert_int_equal(md_graph_find(g, "unused"), MD_VALUE_NONE);
    assert_int_equal(m->ir_version, 10);
    assert_int_equal(g->nodes[0]->out[0], g->nodes[1]->in[0]);
    assert_true(md_graph_value(g, g->nodes[0]->out[0])->name[0] != '\0');
    md_model_free(m);
    md_model_free(made);
}

/* A model with one constant of 100,000 floats and one of two. */
static md_model *make_large(void)
{
    static float data[100000];
    static float bias[2] = { 1, 2 };
    md_tensor large = { .dtype = MD_DTYPE_F32,
                        .shape = { 2, { 50000, 2 } },
                        .data = data };
    md_tensor small = { .dtype = MD_DTYPE_F32,
                        .shape = { 1, { 2 } },
                        .data = bias };
    md_error err = MD_ERROR_INIT;
    md_value_id in[3];
    md_value_id out;
    md_model *m;
    md_graph *g;

    for (unsigned i = 0; i < MD_COUNT(data); i++)
        data[i] = (float)i;
    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    g = m->graph;
    assert_md_ok(md_model_set_opset(m, "", 17, &err), &err);
    assert_md_ok(md_graph_add_value(&in[0], g, "x", &err), &err);
    assert_md_ok(md_graph_add_const(&in[1], g, "w", large, &err), &err);
    assert_md_ok(md_graph_add_const(&in[2], g, "b", small, &err), &err);
    assert_md_ok(md_graph_add_value(&out, g, "y", &err), &err);
    assert_md_ok(md_graph_add_input(g, in[0], &err), &err);
    md_graph_value(g, in[0])->type = (md_type){ .dtype = MD_DTYPE_F32 };
    md_graph_value(g, out)->type = (md_type){ .dtype = MD_DTYPE_F32 };
    assert_md_ok(
        md_graph_add_node(
            NULL, g, &(md_node_spec){ "", "Gemm", "", in, 3, &out, 1 }, &err),
        &err);
    assert_md_ok(md_graph_add_output(g, out, &err), &err);
    return m;
}

static const md_tensor *constant(const md_model *m, const char *name)
{
    const md_value *v = md_graph_value(m->graph, md_graph_find(m->graph, name));

    assert_non_null(v);
    assert_non_null(v->cdata);
    return v->cdata;
}

static void test_onnx_write__large_constants_go_beside_the_file(void **state)
{
    md_onnx_save_opts opts = { .external_above = 1000 };
    char path[MD_TEMP_SIZE * 2];
    char data[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *made = make_large();
    md_model *m = NULL;
    struct stat st;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_path(path, &dir, "m.onnx");
    assert_md_ok(md_onnx_save(made, path, &opts, &err), &err);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 1000);
    assert_int_equal(stat(md_temp_path(data, &dir, "m.onnx.data"), &st), 0);
    assert_int_equal(st.st_size, 400000);
    assert_md_ok(md_onnx_load(&m, path, md_alloc_default(), &err), &err);
    assert_memory_equal(constant(m, "w")->data, constant(made, "w")->data,
                        400000);
    assert_null(constant(m, "w")->owner);
    assert_memory_equal(constant(m, "b")->data, constant(made, "b")->data, 8);
    md_model_free(m);
    md_model_free(made);
    md_temp_remove(&dir);
}

static void test_onnx_write__a_model_can_replace_its_own_file(void **state)
{
    md_onnx_save_opts opts = { .external_above = 1000 };
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *made = make_large();
    md_model *m = NULL;
    md_model *again = NULL;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_path(path, &dir, "m.onnx");
    assert_md_ok(md_onnx_save(made, path, &opts, &err), &err);
    assert_md_ok(md_onnx_load(&m, path, md_alloc_default(), &err), &err);
    assert_md_ok(md_onnx_save(m, path, &opts, &err), &err);
    assert_md_ok(md_onnx_load(&again, path, md_alloc_default(), &err), &err);
    assert_memory_equal(constant(again, "w")->data, constant(made, "w")->data,
                        400000);
    md_model_free(again);
    md_model_free(m);
    md_model_free(made);
    md_temp_remove(&dir);
}

static void test_onnx_write__failures_leave_nothing_behind(void **state)
{
    md_onnx_save_opts opts = { .external_above = 1000 };
    char path[MD_TEMP_SIZE * 2];
    char data[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *made = make_large();
    struct stat st;
    md_buf small;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    assert_md_fails(
        md_onnx_save(made, md_temp_path(path, &dir, "no/m.onnx"), &opts, &err),
        MD_NOT_FOUND, &err, "no/m.onnx");
    /* The data file can be written, the model cannot. */
    md_temp_path(path, &dir, "m.onnx");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(md_onnx_save(made, path, &opts, &err) != MD_OK);
    assert_int_equal(stat(md_temp_path(data, &dir, "m.onnx.data"), &st), -1);
    md_buf_init(&small, md_alloc_default(), 1000);
    assert_md_fails(md_onnx_write(made, &small, &err), MD_TOO_LARGE, &err,
                    "limit 1000");
    md_buf_release(&small);
    md_model_free(made);
    md_temp_remove(&dir);
}

/* onnx.checker's opinion of each NAME.onnx in the folder. */
static void test_onnx_write__the_checker_of_onnx_agrees(void **state)
{
    static const char *const names[] = { "test_if",
                                         "test_loop11",
                                         "test_conv_with_strides_padding",
                                         "test_cast_FLOAT_to_FLOAT8E4M3FN",
                                         "test_optional_get_element_sequence",
                                         "test_constant",
                                         "test_gru_defaults",
                                         "test_string_concat" };
    static const char check[] =
        "python3 -c 'import glob, onnx, sys\n"
        "for p in glob.glob(sys.argv[1] + \"/*.onnx\"):\n"
        "    onnx.checker.check_model(p, full_check=True)' '%s'";
    char buf[1024];
    const char *data = md_test_onnx_data(buf, sizeof(buf));
    md_error err = MD_ERROR_INIT;
    char command[2048];
    md_temp dir;

    (void)state;
    if (!data) {
        print_message("skipped: python3 has no onnx\n");
        skip();
    }
    md_temp_make(&dir);
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        char from[2048];
        char to[MD_TEMP_SIZE * 2];
        md_model *m = NULL;

        snprintf(from, sizeof(from), "%s/node/%s/model.onnx", data, names[i]);
        if (md_onnx_load(&m, from, md_alloc_default(), &err) == MD_NOT_FOUND)
            continue;
        assert_non_null(m);
        snprintf(from, sizeof(from), "%s.onnx", names[i]);
        assert_md_ok(md_onnx_save(m, md_temp_path(to, &dir, from), NULL, &err),
                     &err);
        md_model_free(m);
    }
    snprintf(command, sizeof(command), check, dir.path);
    assert_int_equal(system(command), 0);
    md_temp_remove(&dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onnx_write__the_model_s_head_is_kept),
        cmocka_unit_test(test_onnx_write__overloads_are_kept),
        cmocka_unit_test(test_onnx_write__types_inside_functions_are_kept),
        cmocka_unit_test(test_onnx_write__attributes_are_kept),
        cmocka_unit_test(test_onnx_write__types_and_captures_are_kept),
        cmocka_unit_test(test_onnx_write__writing_again_gives_the_same_bytes),
        cmocka_unit_test(test_onnx_write__leaves_out_what_is_dead),
        cmocka_unit_test(test_onnx_write__large_constants_go_beside_the_file),
        cmocka_unit_test(test_onnx_write__a_model_can_replace_its_own_file),
        cmocka_unit_test(test_onnx_write__failures_leave_nothing_behind),
        cmocka_unit_test(test_onnx_write__the_checker_of_onnx_agrees),
    };

    return cmocka_run_group_tests_name("onnx_write", tests, NULL, NULL);
}
