/* Constants: whose their data is, and when it goes. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "graph/graph.h"
#include "support/fail_alloc.h"

enum {
    N = 4
};

static fail_alloc f;
static md_model *m;
static md_graph *g;

static int setup(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    fail_alloc_init(&f);
    if (md_model_new(&m, &f.alloc, 0, &err) != MD_OK)
        return -1;
    g = m->graph;
    return 0;
}

/* Whatever a test did, everything is given back. */
static int teardown(void **state)
{
    (void)state;
    md_model_free(m);
    return f.n_live != 0;
}

static md_tensor owned(int32_t first)
{
    md_shape shape = { 1, { N } };
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;

    assert_md_ok(md_tensor_alloc(&t, MD_DTYPE_I32, &shape, &f.alloc, &err),
                 &err);
    for (int i = 0; i < N; i++)
        md_tensor_set_i64(&t, i, first + i);
    return t;
}

static md_tensor borrowed(const void *data)
{
    return (md_tensor){ .dtype = MD_DTYPE_I32,
                        .shape = { 1, { N } },
                        .data = (void *)(uintptr_t)data };
}

static md_value_id add(const char *name, md_tensor t)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id = MD_VALUE_NONE;

    assert_md_ok(md_graph_add_const(&id, g, name, t, &err), &err);
    return id;
}

static int64_t first_of(md_value_id id)
{
    return md_tensor_get_i64(g->values[id].cdata, 0);
}

static void test_const__tells_its_type(void **state)
{
    md_value_id id = add("w", owned(7));
    const md_value *v = &g->values[id];
    md_shape shape;

    (void)state;
    assert_int_equal(md_graph_find(g, "w"), id);
    assert_true(md_type_static(&v->type, &shape));
    assert_int_equal(v->type.dtype, MD_DTYPE_I32);
    assert_int_equal(shape.rank, 1);
    assert_int_equal(shape.dim[0], N);
    assert_int_equal(first_of(id), 7);
    assert_null(v->def);
}

/* What was there is kept until the model goes: others may still look at it. */
static void test_const__replaced(void **state)
{
    static const int32_t data[N] = { 50 };
    md_error err = MD_ERROR_INIT;
    md_value_id id = add("w", owned(1));
    const md_tensor *old = g->values[id].cdata;

    (void)state;
    assert_md_ok(md_graph_set_const(g, id, owned(9), &err), &err);
    assert_int_equal(first_of(id), 9);
    assert_int_equal(md_tensor_get_i64(old, 0), 1);
    assert_md_ok(md_graph_set_const(g, id, borrowed(data), &err), &err);
    assert_int_equal(first_of(id), 50);
    assert_ptr_equal(g->values[id].cdata->data, data);
}

static void test_const__forgotten(void **state)
{
    static const int32_t data[N] = { 50 };
    md_value_id a = add("a", owned(1)), b = add("b", borrowed(data));
    int64_t live = f.n_live;

    (void)state;
    md_graph_forget_const(g, a);
    assert_int_equal(f.n_live, live - 1);
    assert_non_null(g->values[a].cdata); /* with type and shape */
    assert_null(g->values[a].cdata->data);
    assert_int_equal(g->values[a].type.dim[0].k, N);
    md_graph_forget_const(g, a);
    md_graph_forget_const(g, b); /* not ours to free */
    assert_int_equal(first_of(b), 50);
    assert_int_equal(f.n_live, live - 1);
}

static void test_const__forget_what_is_none(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id;

    (void)state;
    assert_md_ok(md_graph_add_value(&id, g, "x", &err), &err);
    md_graph_forget_const(g, id);
    assert_null(g->values[id].cdata);
}

static void test_const__owned_from_now_on(void **state)
{
    static const int32_t data[N] = { 50 };
    md_error err = MD_ERROR_INIT;
    md_value_id id = add("w", borrowed(data));
    md_tensor copy = owned(60);
    int64_t live = f.n_live;

    (void)state;
    assert_md_ok(md_graph_own_const(g, id, copy.data, &f.alloc, &err), &err);
    assert_int_equal(first_of(id), 60);
    assert_ptr_equal(g->values[id].cdata->owner, &f.alloc);
    md_graph_forget_const(g, id);
    assert_true(f.n_live < live);
}

static void test_const__aligned_when_it_is_not(void **state)
{
    static _Alignas(8) unsigned char bytes[4 * N + 8];
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t shift = 0; shift < 5; shift++) {
        int32_t v[N] = { 11, 22, 33, 44 };
        md_value_id id;
        bool moved = shift % 4 != 0;

        memcpy(bytes + shift, v, sizeof(v));
        id = add("", borrowed(bytes + shift));
        assert_int_equal(md_tensor_is_aligned(g->values[id].cdata), !moved);
        assert_md_ok(md_graph_align_const(g, id, &err), &err);
        assert_int_equal(g->values[id].cdata->data != bytes + shift, moved);
        assert_int_equal(g->values[id].cdata->owner != NULL, moved);
        assert_memory_equal(g->values[id].cdata->data, v, sizeof(v));
        if (moved)
            assert_int_equal(
                (uintptr_t)g->values[id].cdata->data % MD_CACHE_LINE, 0);
    }
}

/* Types of narrow elements lie anywhere, wide ones by the size of a part. */
static void test_const__alignment_by_type(void **state)
{
    static const struct {
        md_dtype type;
        size_t align;
    } cases[] = {
        { MD_DTYPE_U8, 1 },
        { MD_DTYPE_BOOL, 1 },
        { MD_DTYPE_I2, 1 },
        { MD_DTYPE_U4, 1 },
        { MD_DTYPE_F4E2M1, 1 },
        { MD_DTYPE_F8E5M2, 1 },
        { MD_DTYPE_F16, 2 },
        { MD_DTYPE_BF16, 2 },
        { MD_DTYPE_I16, 2 },
        { MD_DTYPE_F32, 4 },
        { MD_DTYPE_C64, 4 },
        { MD_DTYPE_I64, 8 },
        { MD_DTYPE_C128, 8 },
        { MD_DTYPE_F64, 8 },
        { MD_DTYPE_STRING, _Alignof(md_str) },
    };
    static _Alignas(16) unsigned char bytes[64];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        assert_int_equal(md_dtype_align(cases[i].type), cases[i].align);
        for (size_t shift = 0; shift < 16; shift++) {
            md_tensor t = { .dtype = cases[i].type,
                            .shape = { 1, { 1 } },
                            .data = bytes + shift };

            assert_int_equal(md_tensor_is_aligned(&t),
                             shift % cases[i].align == 0);
        }
    }
}

static void test_const__out_of_memory(void **state)
{
    static const int32_t data[N] = { 50 };
    static _Alignas(8) unsigned char bytes[4 * N + 8];
    md_error err = MD_ERROR_INIT;
    md_value_id id = add("w", borrowed(data));
    md_value_id odd = add("odd", borrowed(bytes + 1));
    md_tensor t = owned(1);
    int64_t live;

    (void)state;
    m->arena.limit = m->arena.used;
    live = f.n_live;
    assert_md_fails(md_graph_set_const(g, id, t, &err), MD_NOMEM, &err,
                    "out of memory");
    assert_int_equal(first_of(id), 50); /* as it was */
    assert_md_fails(md_graph_align_const(g, odd, &err), MD_NOMEM, &err,
                    "out of memory");
    assert_int_equal(f.n_live, live); /* the copy is gone */
    assert_ptr_equal(g->values[odd].cdata->data, bytes + 1);
    m->arena.limit = 0;
    fail_alloc_arm(&f, 0);
    assert_md_fails(md_graph_align_const(g, odd, &err), MD_NOMEM, &err,
                    "out of memory: 16 bytes wanted");
    fail_alloc_disarm(&f);
    md_tensor_release(&t); /* not taken over */
}

static md_map map_of(const void *data, size_t size)
{
    char path[] = "/tmp/md-test-const-XXXXXX";
    md_error err = MD_ERROR_INIT;
    md_map map = { 0 };
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_md_ok(md_map_fd(&map, fd, path, &err), &err);
    close(fd);
    unlink(path);
    return map;
}

/* Constants in a file live as long as the model; forgotten ones are read from
 * the file again. */
static void test_const__in_a_map(void **state)
{
    static int32_t data[8192];
    md_error err = MD_ERROR_INIT;
    md_map first, second;
    md_value_id a, b;

    (void)state;
    for (int i = 0; i < 8192; i++)
        data[i] = 1000 + i;
    first = map_of(data, sizeof(data));
    second = map_of(data + 4096, sizeof(data) / 2);
    a = add("a", borrowed(first.data));
    b = add("b", borrowed(second.data));
    assert_md_ok(md_model_keep_map(m, &first, &err), &err);
    assert_md_ok(md_model_keep_map(m, &second, &err), &err);
    assert_null(first.data); /* taken over */
    assert_int_equal(second.size, 0);
    assert_int_equal(first_of(a), 1000);
    assert_int_equal(first_of(b), 1000 + 4096);
    md_graph_forget_const(g, a);
    md_graph_forget_const(g, b);
    assert_int_equal(first_of(a), 1000);
    assert_int_equal(first_of(b), 1000 + 4096);
}

static void test_const__map_out_of_memory(void **state)
{
    static const char text[] = "contents";
    md_error err = MD_ERROR_INIT;
    md_map map = map_of(text, sizeof(text));

    (void)state;
    m->arena.limit = m->arena.used + 1;
    assert_md_fails(md_model_keep_map(m, &map, &err), MD_NOMEM, &err,
                    "out of memory");
    assert_memory_equal(map.data, text, sizeof(text)); /* still ours */
    md_map_release(&map);
}

static md_value_id add_constant(const char *name, md_error *err)
{
    static const int32_t data[N] = { 4, 5, 6, 7 };
    static md_tensor t; /* attributes borrow it */
    const md_attr a = { .name = "value", .type = MD_ATTR_TENSOR, .v.t = &t };
    md_node *n = NULL;
    md_value_id id = MD_VALUE_NONE;

    t = borrowed(data);
    if (md_graph_add_value(&id, g, name, err) != MD_OK ||
        md_graph_add_node(&n, g,
                          &(md_node_spec){ .domain = "",
                                           .op = "Constant",
                                           .name = name,
                                           .out = &id,
                                           .n_out = 1 },
                          err) != MD_OK ||
        md_node_add_attr(g, n, &a, err) != MD_OK)
        fail_msg("%s", err->msg);
    return id;
}

static void test_const__nodes_are_lifted(void **state)
{
    md_error err = MD_ERROR_INIT;
    const md_value_id c = add_constant("c", &err);
    const md_value_id y = add_constant("y", &err);

    (void)state;
    assert_md_ok(md_graph_add_output(g, y, &err), &err);
    fail_alloc_arm(&f, 0);
    assert_md_fails(md_graph_lift_constants(g, &err), MD_NOMEM, &err, "");
    assert_true(fail_alloc_disarm(&f));
    err = (md_error)MD_ERROR_INIT;
    assert_md_ok(md_graph_lift_constants(g, &err), &err);
    assert_int_equal(g->n_nodes, 1); /* the output's */
    assert_non_null(g->values[y].def);
    assert_null(g->values[c].def);
    assert_non_null(g->values[c].cdata);
    if (g->values[c].cdata)
        assert_int_equal(md_tensor_get_i64(g->values[c].cdata, 2), 6);
    assert_md_ok(md_graph_verify(g, &err), &err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_const__tells_its_type),
        TEST(test_const__replaced),
        TEST(test_const__forgotten),
        TEST(test_const__forget_what_is_none),
        TEST(test_const__owned_from_now_on),
        TEST(test_const__aligned_when_it_is_not),
        TEST(test_const__nodes_are_lifted),
        TEST(test_const__alignment_by_type),
        TEST(test_const__out_of_memory),
        TEST(test_const__in_a_map),
        TEST(test_const__map_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
