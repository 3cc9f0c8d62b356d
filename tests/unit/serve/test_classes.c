/* Outputs of ZipMap become tables for requests, with their labels. */
#include "support/test.h"

#include "serve/model.h"
#include "support/net.h"

#define LINEAR                                                                 \
    "x f32[N,2]; l, p = ai.onnx.ml.LinearClassifier(x) "                       \
    "coefficients=[1.0,0.0,0.0,1.0,-1.0,-1.0] intercepts=[0.0,0.0,0.5] "       \
    "post_transform=\"SOFTMAX\" "

static md_serve_model *serve(const char *text, const char *labels)
{
    md_error err = MD_ERROR_INIT;
    md_model *model = net_parse(text);
    md_serve_model *m = NULL;
    md_serve_classes classes;
    md_session *s = NULL;

    assert_md_ok(md_serve_classes_take(&classes, model, &err), &err);
    assert_md_ok(md_session_new(&s, model, NULL, &err), &err);
    assert_md_ok(md_serve_model_from_session(&m, "net", labels, &classes, s,
                                             md_alloc_default(), &err),
                 &err);
    return m;
}

static void check_table(const md_serve_io *io, const char *name)
{
    assert_string_equal(io->name, name);
    assert_int_equal(io->dtype, MD_DTYPE_F32);
    assert_int_equal(io->shape.rank, 2);
    assert_int_equal(io->shape.dim[0], -1);
    assert_int_equal(io->shape.dim[1], 3);
}

static void test_classes__texts(void **state)
{
    md_serve_model *m =
        serve(LINEAR "classlabels_strings=[\"ant\",\"bee\",\"\"]; "
                     "m = ai.onnx.ml.ZipMap(p) "
                     "classlabels_strings=[\"ant\",\"bee\",\"\"]; -> l, m",
              NULL);

    (void)state;
    check_table(&m->outputs[1], "m");
    assert_int_equal(m->labelled, 1);
    assert_int_equal(m->n_labels, 3);
    assert_string_equal(m->labels[0], "ant");
    assert_string_equal(m->labels[2], "");
    assert_null(m->label_numbers);
    md_serve_model_free(m);
}

static void test_classes__numbers(void **state)
{
    md_serve_model *m = serve(LINEAR "classlabels_ints=[7,-1,0]; "
                                     "m = ai.onnx.ml.ZipMap(p) "
                                     "classlabels_int64s=[7,-1,0]; -> m, l",
                              NULL);

    (void)state;
    check_table(&m->outputs[0], "m");
    assert_int_equal(m->labelled, 0);
    assert_int_equal(m->n_labels, 3);
    assert_string_equal(m->labels[1], "-1");
    assert_int_equal(m->label_numbers[0], 7);
    md_serve_model_free(m);
}

/* Who serves a model may know better. */
static void test_classes__given_labels_go_first(void **state)
{
    md_serve_model *m = serve(LINEAR "classlabels_ints=[0,1,2]; "
                                     "m = ai.onnx.ml.ZipMap(p) "
                                     "classlabels_int64s=[0,1,2]; -> m",
                              "a\nb\nc");

    (void)state;
    assert_string_equal(m->labels[1], "b");
    assert_null(m->label_numbers);
    md_serve_model_free(m);
}

/* Maps that a node reads stay maps; nothing else changes. */
static void test_classes__leaves_others(void **state)
{
    static const char *const texts[] = {
        LINEAR "classlabels_ints=[0,1,2]; m = ai.onnx.ml.ZipMap(p) "
               "classlabels_int64s=[0,1,2]; n = SequenceLength(m); -> n, m",
        "x f32[2]; y = SequenceConstruct(x); -> y",
        "x f32[N,2]; y = Relu(x); -> y",
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(texts); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *model = net_parse(texts[i]);
        const uint32_t n = model->graph->n_nodes;
        const char *op = model->graph->nodes[n - 1]->op;
        md_serve_classes classes;

        assert_md_ok(md_serve_classes_take(&classes, model, &err), &err);
        assert_null(classes.output);
        assert_ptr_equal(model->graph->nodes[n - 1]->op, op);
        md_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes__texts),
        cmocka_unit_test(test_classes__numbers),
        cmocka_unit_test(test_classes__given_labels_go_first),
        cmocka_unit_test(test_classes__leaves_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
