/* Files of PyTorch become the graphs that they should.  What they compute is
 * compared in tests/e2e/test_torch.py. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "convert/convert.h"
#include "convert/torch/unpickle.h"
#include "support/fail_alloc.h"

#define FOLDER MD_TEST_DIR "/golden/torch/"

static uint32_t count(const md_graph *g, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        n += strcmp(g->nodes[i]->op, op) == 0;
        for (uint32_t k = 0; md_node_graph(g->nodes[i], k); k++)
            n += count(md_node_graph(g->nodes[i], k), op);
    }
    return n;
}

static md_model *load(const char *name, const char *inputs)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    char path[512];

    opts.how.inputs = inputs;
    snprintf(path, sizeof(path), "%s%s", FOLDER, name);
    assert_md_ok(md_convert(&m, path, &opts, NULL, md_alloc_default(), &err),
                 &err);
    return m;
}

static void assert_type(const md_model *m, md_value_id id, const char *want)
{
    char text[256];

    assert_string_equal(md_type_format(text, sizeof(text), m,
                                       &md_graph_value(m->graph, id)->type),
                        want);
}

static void test_torch__cond_is_if(void **state)
{
    md_model *m = load("cond.pt2", NULL);

    (void)state;
    assert_int_equal(count(m->graph, "If"), 1);
    assert_int_equal(count(m->graph, "Sin"), 1);
    assert_int_equal(count(m->graph, "Cos"), 1);
    assert_type(m, m->graph->inputs[0], "float32[3,4]");
    assert_string_equal(md_model_meta(m, "modeld.source"), "torch.export");
    md_model_free(m);
}

static void test_torch__loop_and_branch(void **state)
{
    md_model *m = load("control_flow.scripted.pt", "x=float32[batch,6]");

    (void)state;
    assert_int_equal(count(m->graph, "Loop"), 1);
    assert_int_equal(count(m->graph, "If"), 1);
    assert_type(m, m->graph->inputs[0], "float32[batch,6]");
    assert_type(m, m->graph->inputs[1], "int64[]");
    md_model_free(m);
}

/* A number that is fixed unrolls the loop. */
static void test_torch__fixed_numbers(void **state)
{
    md_model *m = load("control_flow.scripted.pt", "x=float32[batch,6];n=3");

    (void)state;
    assert_int_equal(count(m->graph, "Loop"), 0);
    assert_int_equal(count(m->graph, "If"), 3);
    assert_int_equal(m->graph->n_inputs, 1);
    md_model_free(m);
}

/* What is said of no input is found: the rank by trying, the width by what it
 * is multiplied with. */
static void test_torch__types_are_found(void **state)
{
    md_model *m = load("control_flow.scripted.pt", NULL);

    (void)state;
    assert_type(m, m->graph->inputs[0], "float32[batch,6]");
    md_model_free(m);
    m = load("conv1d3d.traced.pt", "volume=float32[?,1,5,7,9]");
    assert_type(m, m->graph->inputs[0], "float32[batch,8,signal_2]");
    md_model_free(m);
}

static void test_torch__recurrent_layers_are_one_node(void **state)
{
    md_model *m =
        load("gru_both.frozen.pt", "x=float32[9,?,6];h=float32[4,?,10]");

    (void)state;
    assert_int_equal(count(m->graph, "GRU"), 2);
    assert_true(m->graph->n_nodes <= 11);
    md_model_free(m);
}

/* The parent believes nothing that a child says. */
static void test_torch__records(void **state)
{
    static const char pickle[] = "\x80\x02(K\1U\1ae.";
    static const char list[] = "\x80\x02](K\1U\1ae.";
    md_error err = MD_ERROR_INIT;
    md_arena arena;
    md_pickle p;
    md_buf b;

    (void)state;
    md_arena_init(&arena, md_alloc_default(), 0);
    md_buf_init(&b, md_alloc_default(), 1 << 20);
    assert_int_equal(md_torch_pickle_records(&b, pickle, sizeof(pickle) - 1,
                                             md_alloc_default(), NULL),
                     MD_CORRUPT);
    assert_md_ok(md_torch_pickle_records(&b, list, sizeof(list) - 1,
                                         md_alloc_default(), &err),
                 &err);
    assert_md_ok(md_torch_pickle_take(&p, list, sizeof(list) - 1, b.data,
                                      b.size, &arena, &err),
                 &err);
    assert_int_equal(p.nodes[p.root].n, 2);
    assert_md_fails(
        md_torch_pickle_take(&p, list, 3, b.data, b.size, &arena, &err),
        MD_CORRUPT, &err, "result of the reader");
    assert_md_fails(md_torch_pickle_take(&p, list, sizeof(list) - 1, b.data,
                                         b.size - 1, &arena, &err),
                    MD_CORRUPT, &err, "result of the reader");
    for (size_t i = 24; i < b.size; i++) { /* no byte of it is trusted */
        b.data[i] ^= 0xff;
        (void)md_torch_pickle_take(&p, list, sizeof(list) - 1, b.data, b.size,
                                   &arena, NULL);
        b.data[i] ^= 0xff;
    }
    md_buf_release(&b);
    md_arena_release(&arena);
}

/* Each allocation fails once; `step` apart, as conversions make thousands. */
static void fail_each(const char *name, int64_t step)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    bool failed = true;
    char path[512];
    md_map map;
    md_error err = MD_ERROR_INIT;

    snprintf(path, sizeof(path), "%s%s", FOLDER, name);
    assert_md_ok(md_map_open(&map, path, &err), &err);
    opts.no_self_check = true;
    for (int64_t n = 0; failed; n += step) {
        md_error why = MD_ERROR_INIT;
        md_model *m = NULL;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, n);
        s = md_convert_bytes(&m, map.data, map.size, name, &opts, NULL,
                             &fa.alloc, &why);
        md_model_free(m);
        failed = fail_alloc_disarm(&fa);
        assert_int_equal(atomic_load(&fa.n_live), 0);
        if (failed)
            assert_md_fails(s, MD_NOMEM, &why, "");
        else
            assert_md_ok(s, &why);
    }
    md_map_release(&map);
}

static void test_torch__out_of_memory(void **state)
{
    (void)state;
    fail_each("cond.pt2", 1);
    fail_each("multi_io.static.pt2", 3);
    fail_each("control_flow.scripted.pt", 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch__cond_is_if),
        cmocka_unit_test(test_torch__loop_and_branch),
        cmocka_unit_test(test_torch__fixed_numbers),
        cmocka_unit_test(test_torch__types_are_found),
        cmocka_unit_test(test_torch__recurrent_layers_are_one_node),
        cmocka_unit_test(test_torch__records),
        cmocka_unit_test(test_torch__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
