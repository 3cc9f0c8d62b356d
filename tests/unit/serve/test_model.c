#include "support/test.h"

#include <string.h>

#include "support/build.h"
#include "support/fake_serve.h"

static md_serve_model *of_shape(md_dtype dtype, int rank, int64_t a, int64_t b,
                                int64_t c, int64_t d)
{
    const md_serve_io x = { "x", dtype, { rank, { a, b, c, d } }, rank > 0 };

    return fake_model("m", &x, 1, NULL, 0, NULL);
}

static void test_model__guesses_pictures(void **state)
{
    static const struct {
        md_dtype dtype;
        int rank;
        int64_t dim[4];
        bool accepted;
        int height_axis;
        int channel_axis;
        int channels;
    } cases[] = {
        { MD_DTYPE_F32, 4, { -1, 3, 224, 224 }, true, 2, 1, 3 },
        { MD_DTYPE_F32, 4, { 1, 1, 28, 28 }, true, 2, 1, 1 },
        { MD_DTYPE_F32, 4, { -1, 32, 32, 3 }, true, 1, 3, 3 },
        { MD_DTYPE_U8, 4, { -1, -1, -1, 3 }, true, 1, 3, 3 },
        { MD_DTYPE_F16, 3, { 28, 28, 1 }, true, 0, 2, 1 },
        { MD_DTYPE_F32, 3, { 3, 64, 64 }, true, 1, 0, 3 },
        { MD_DTYPE_F32, 3, { -1, 28, 28 }, true, 1, -1, 1 },
        { MD_DTYPE_F32, 4, { -1, 4, 32, 32 }, false, 0, 0, 0 },
        { MD_DTYPE_F32, 4, { 8, 3, 32, 32 }, false, 0, 0, 0 },
        { MD_DTYPE_I64, 4, { -1, 3, 32, 32 }, false, 0, 0, 0 },
        { MD_DTYPE_F32, 2, { -1, 784, 0, 0 }, false, 0, 0, 0 },
        { MD_DTYPE_F32, 3, { 16, 28, 28 }, false, 0, 0, 0 },
        { MD_DTYPE_F32, 3, { -1, 2, 2 }, false, 0, 0, 0 },
        { MD_DTYPE_F32, 0, { 0 }, false, 0, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const int64_t *d = cases[i].dim;
        md_serve_model *m =
            of_shape(cases[i].dtype, cases[i].rank, d[0], d[1], d[2], d[3]);

        if (m->image.accepted != cases[i].accepted)
            fail_msg("case %zu", i);
        if (cases[i].accepted) {
            assert_int_equal(m->image.height_axis, cases[i].height_axis);
            assert_int_equal(m->image.channel_axis, cases[i].channel_axis);
            assert_int_equal(m->image.channels, cases[i].channels);
            assert_true(m->image.scale ==
                        (cases[i].dtype == MD_DTYPE_U8 ? 1.0f : 1.0f / 255));
        }
        md_serve_model_free(m);
    }
}

static void test_model__samples(void **state)
{
    static const struct {
        int rank;
        int64_t dim[4];
        int64_t n;
    } cases[] = {
        { 2, { -1, 4 }, 4 },
        { 4, { 1, 3, 2, 2 }, 12 },
        { 1, { -1 }, 1 },
        { 2, { 2, 4 }, 0 },
        { 2, { -1, -1 }, 0 },
        { 2, { -1, 0 }, 0 },
        { 3, { -1, INT64_MAX, 2 }, 0 },
        { 0, { 0 }, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_serve_io io = { "x", MD_DTYPE_F32, { cases[i].rank, { 0 } }, true };

        memcpy(io.shape.dim, cases[i].dim, sizeof(cases[i].dim));
        assert_int_equal(md_serve_io_sample(&io), cases[i].n);
    }
}

/* ---- from a session ---- */

static const int64_t CHW[] = { -1, 3, 4, 4 };

/* Relu of a picture [batch,3,4,4]. */
static md_session *relu_session(const char *key, const char *value)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 4, CHW);
    md_session *s = NULL;

    md_build_output(m, md_build_node(m, "Relu", 1, &x));
    if (key)
        assert_md_ok(md_model_set_meta(m, key, value, &err), &err);
    assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
    return s;
}

static md_serve_model *from(const char *labels, const char *key,
                            const char *value)
{
    md_error err = MD_ERROR_INIT;
    md_serve_model *m = NULL;

    assert_md_ok(md_serve_model_from_session(&m, "relu", labels, NULL,
                                             relu_session(key, value),
                                             md_alloc_default(), &err),
                 &err);
    return m;
}

static void test_model__takes_a_session(void **state)
{
    md_serve_model *m = from("a\nb\r\n\nc", NULL, NULL);
    const md_serve_io *x = &m->inputs[0];

    (void)state;
    assert_string_equal(m->name, "relu");
    assert_string_equal(x->name, "x");
    assert_int_equal(x->shape.rank, 4);
    assert_int_equal(x->shape.dim[0], -1);
    assert_int_equal(x->shape.dim[3], 4);
    assert_int_equal(m->n_outputs, 1);
    assert_int_equal(m->n_labels, 4);
    assert_string_equal(m->labels[1], "b");
    assert_string_equal(m->labels[2], "");
    assert_string_equal(m->labels[3], "c");
    assert_true(m->image.accepted);
    assert_int_equal(md_serve_model_find_input(m, (md_str){ "x", 1 }), 0);
    assert_int_equal(md_serve_model_find_input(m, (md_str){ "xy", 2 }), -1);
    md_serve_model_free(m);
}

static void test_model__reads_metadata(void **state)
{
    md_serve_model *m = from(NULL, "modeld.labels", "one\ntwo");

    (void)state;
    assert_int_equal(m->n_labels, 2);
    md_serve_model_free(m);
    m = from("mine", "modeld.labels", "one\ntwo");
    assert_int_equal(m->n_labels, 1);
    md_serve_model_free(m);
    m = from(NULL, "modeld.image.mean", "0.5, 0.25 ,0");
    assert_true(m->image.mean[0] == 0.5f && m->image.mean[1] == 0.25f &&
                m->image.mean[2] == 0.0f);
    md_serve_model_free(m);
    m = from(NULL, "modeld.image.std", "2");
    assert_true(m->image.std[0] == 2.0f && m->image.std[2] == 2.0f);
    md_serve_model_free(m);
    m = from(NULL, "modeld.image.scale", "1");
    assert_true(m->image.scale == 1.0f);
    md_serve_model_free(m);
    m = from(NULL, "modeld.image.fit", "pad");
    assert_true(m->image.pad);
    md_serve_model_free(m);
}

static void test_model__refuses(void **state)
{
    static const struct {
        const char *name;
        const char *key;
        const char *value;
        const char *text;
    } cases[] = {
        { "", NULL, NULL, "model name ''" },
        { "a/b", NULL, NULL, "model name 'a/b': 1 to 128 letters" },
        { "a b", NULL, NULL, "model name 'a b'" },
        { "caf\xc3\xa9", NULL, NULL, "letters, digits" },
        { "m", "modeld.image.mean", "1,2", "'1,2' given, 3 numbers" },
        { "m", "modeld.image.mean", "1,2,3,4", "3 numbers" },
        { "m", "modeld.image.mean", "", "3 numbers" },
        { "m", "modeld.image.scale", "x", "'x' given, 1 numbers" },
        { "m", "modeld.image.scale", "1,2", "'1,2' given, 1 numbers" },
        { "m", "modeld.image.std", "1,0,1", "0 given, another" },
        { "m", "modeld.image.fit", "crop", "'crop' given, 'stretch' or 'pad'" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_session *s = relu_session(cases[i].key, cases[i].value);
        md_serve_model *m = NULL;

        assert_md_fails(md_serve_model_from_session(&m, cases[i].name, NULL,
                                                    NULL, s, md_alloc_default(),
                                                    &err),
                        MD_INVALID, &err, cases[i].text);
        assert_null(m);
        md_session_free(s); /* still ours */
    }
}

/* The whole way with an engine: JSON, run, JSON, twice the same run. */
static void test_model__serves(void **state)
{
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, from(NULL, NULL, NULL), NULL);
    for (int i = 0; i < 3; i++) {
        fake_expect_part(&f, "POST", "/predict",
                         "{\"input_data\":[-1,2,-3,4,-5,6,-7,8,-9,10,-11,12,"
                         "-13,14,-15,16,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
                         "0,0,0,0,0,0,0,0,0,0,0,0,-1]}",
                         200, "\"output\":[[[0.0,2.0,0.0,4.0],[0.0,6.0,");
        fake_expect_part(&f, "POST", "/predict", "{\"input_data\":[1]}", 400,
                         "[-1,3,4,4] expected");
    }
    fake_server_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model__guesses_pictures),
        cmocka_unit_test(test_model__samples),
        cmocka_unit_test(test_model__takes_a_session),
        cmocka_unit_test(test_model__reads_metadata),
        cmocka_unit_test(test_model__refuses),
        cmocka_unit_test(test_model__serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
