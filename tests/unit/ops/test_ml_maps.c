/* Operators of ai.onnx.ml that take or give maps. */
#include "support/test.h"

#include <string.h>

#include "ops/eval.h"
#include "tensor/container.h"

typedef struct fixture {
    md_model *model;
    md_node *node;
    md_value_id ids[2];
    md_error err;
} fixture;

static void make_node(fixture *f, const char *op)
{
    md_graph *g;

    f->err = (md_error)MD_ERROR_INIT;
    assert_md_ok(md_model_new(&f->model, md_alloc_default(), 0, &f->err),
                 &f->err);
    g = f->model->graph;
    for (int i = 0; i < 2; i++)
        assert_md_ok(md_graph_add_value(&f->ids[i], g, NULL, &f->err), &f->err);
    assert_md_ok(
        md_graph_add_node(&f->node, g,
                          &(md_node_spec){ "ai.onnx.ml", op, "", &f->ids[0], 1,
                                           &f->ids[1], 1 },
                          &f->err),
        &f->err);
}

static void add_strings(fixture *f, const char *name, const md_str *v,
                        uint32_t n)
{
    md_attr a = { .name = name, .type = MD_ATTR_STRINGS, .n = n, .v.ss = v };

    assert_md_ok(md_node_add_attr(f->model->graph, f->node, &a, &f->err),
                 &f->err);
}

static void add_string(fixture *f, const char *name, const char *v)
{
    assert_md_ok(md_node_set_attr_s(f->model->graph, f->node, name, v, &f->err),
                 &f->err);
}

static md_status eval(fixture *f, md_tensor *out, const md_tensor *in)
{
    return md_node_eval(out, f->node, 1, &in, md_alloc_default(), NULL,
                        &f->err);
}

/* A map of n keys to n values, which are copied. */
static md_tensor make_map(fixture *f, md_dtype key, const void *keys,
                          md_dtype value, const void *values, int64_t n)
{
    md_tensor k = { .dtype = key, .shape = { 1, { n } } };
    md_tensor v = { .dtype = value, .shape = { 1, { n } } };
    md_tensor own_k, own_v, map;

    k.data = (void *)keys;
    v.data = (void *)values;
    assert_md_ok(md_tensor_copy(&own_k, &k, md_alloc_default(), &f->err),
                 &f->err);
    assert_md_ok(md_tensor_copy(&own_v, &v, md_alloc_default(), &f->err),
                 &f->err);
    assert_md_ok(
        md_container_map(&map, &own_k, &own_v, md_alloc_default(), &f->err),
        &f->err);
    return map;
}

static const md_str words[3] = { { "a", 1 }, { "bb", 2 }, { "c", 1 } };

static void test_ml_maps__zip_map(void **state)
{
    float x[4] = { 1, 2, 3, 4 };
    md_tensor in = { .dtype = MD_DTYPE_F32, .shape = { 2, { 2, 2 } } };
    const md_tensor *map;
    md_tensor out;
    fixture f;

    (void)state;
    in.data = x;
    make_node(&f, "ZipMap");
    add_strings(&f, "classlabels_strings", words, 2);
    assert_md_ok(eval(&f, &out, &in), &f.err);
    assert_int_equal(out.kind, MD_KIND_SEQUENCE);
    assert_int_equal(out.shape.dim[0], 2);
    map = md_container_item(&out, 1);
    assert_int_equal(map->kind, MD_KIND_MAP);
    assert_int_equal(((const md_str *)md_container_item(map, 0)->data)[1].n, 2);
    assert_true(((const float *)md_container_item(map, 1)->data)[1] == 4.0F);
    md_tensor_release(&out);
    md_model_free(f.model);
}

static void test_ml_maps__dict_vectorizer(void **state)
{
    static const md_str keys[2] = { { "c", 1 }, { "other", 5 } };
    static const int64_t values[2] = { 7, 9 };
    md_tensor map, out;
    fixture f;

    (void)state;
    make_node(&f, "DictVectorizer");
    add_strings(&f, "string_vocabulary", words, 3);
    map = make_map(&f, MD_DTYPE_STRING, keys, MD_DTYPE_I64, values, 2);
    assert_md_ok(eval(&f, &out, &map), &f.err);
    assert_int_equal(out.shape.rank, 2);
    assert_int_equal(((const int64_t *)out.data)[0], 0);
    assert_int_equal(((const int64_t *)out.data)[2], 7);
    md_tensor_release(&out);
    md_tensor_release(&map);
    map = make_map(&f, MD_DTYPE_I64, values, MD_DTYPE_F32, "\0\0\0\0\0\0\0", 2);
    assert_md_fails(eval(&f, &out, &map), MD_INVALID, &f.err,
                    "the map has keys of type int64, the vocabulary string");
    md_tensor_release(&map);
    md_model_free(f.model);
}

static void test_ml_maps__cast_map(void **state)
{
    static const int64_t keys[2] = { 3, 1 };
    static const float values[2] = { 1.5F, 2.5F };
    md_tensor map, out;
    fixture f;

    (void)state;
    make_node(&f, "CastMap");
    map = make_map(&f, MD_DTYPE_I64, keys, MD_DTYPE_F32, values, 2);
    assert_md_ok(eval(&f, &out, &map), &f.err);
    assert_int_equal(out.shape.dim[1], 2);
    assert_true(((const float *)out.data)[0] == 2.5F); /* key 1 first */
    md_tensor_release(&out);
    add_string(&f, "map_form", "SPARSE");
    assert_md_fails(eval(&f, &out, &map), MD_INVALID, &f.err,
                    "key 3, 0 to 0 expected");
    assert_md_ok(
        md_node_set_attr_i(f.model->graph, f.node, "max_map", 4, &f.err),
        &f.err);
    add_string(&f, "cast_to", "TO_INT64");
    assert_md_ok(eval(&f, &out, &map), &f.err);
    assert_int_equal(out.shape.dim[1], 4);
    assert_int_equal(((const int64_t *)out.data)[1], 2);
    assert_int_equal(((const int64_t *)out.data)[2], 0);
    md_tensor_release(&out);
    add_string(&f, "cast_to", "TO_STRING");
    assert_md_ok(eval(&f, &out, &map), &f.err);
    assert_int_equal(((const md_str *)out.data)[3].n, 3); /* 1.5 */
    assert_int_equal(((const md_str *)out.data)[0].n, 0);
    md_tensor_release(&out);
    add_string(&f, "cast_to", "TO_DOUBLE");
    assert_md_fails(eval(&f, &out, &map), MD_INVALID, &f.err,
                    "cast_to is 'TO_DOUBLE', TO_FLOAT, TO_STRING or TO_INT64");
    md_tensor_release(&map);
    md_model_free(f.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ml_maps__zip_map),
        cmocka_unit_test(test_ml_maps__dict_vectorizer),
        cmocka_unit_test(test_ml_maps__cast_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
