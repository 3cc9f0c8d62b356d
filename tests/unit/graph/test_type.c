/* Types: dimensions with symbols, and how they are written. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "graph/graph.h"

enum {
    H = 1, /* symbols of the model below */
    BATCH,
    NAMELESS,
    LONG,
    LONG_UTF8
};

static md_model *m;

static const char long_name[] =
    "a_name_that_is_longer_than_anyone_would_want_to_read_in_a_listing";

static int setup(void **state)
{
    const char *names[] = { "h", "batch", NULL, long_name, NULL };
    char utf8[100];
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < 33; i++)
        memcpy(utf8 + 3 * i, "\xe4\xb8\xad", 4);
    names[LONG_UTF8 - 1] = utf8;
    if (md_model_new(&m, md_alloc_default(), 0, &err) != MD_OK)
        return -1;
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        uint32_t id;

        if (md_model_symbol(&id, m, names[i], &err) != MD_OK || id != i + 1)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_model_free(m);
    return 0;
}

static md_type tensor_of(int rank, const md_dim *dims)
{
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = rank };

    for (int i = 0; i < rank; i++)
        t.dim[i] = dims[i];
    return t;
}

static void test_type__of_a_tensor(void **state)
{
    md_shape shape = { 3, { 2, 0, INT64_MAX } }, back = { 0 };
    md_type t = md_type_of_tensor(MD_DTYPE_U4, &shape);

    (void)state;
    assert_int_equal(t.kind, MD_KIND_TENSOR);
    assert_int_equal(t.dtype, MD_DTYPE_U4);
    assert_true(t.has_rank);
    assert_int_equal(t.rank, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(md_dim_is_const(t.dim[i]));
        assert_int_equal(t.dim[i].k, shape.dim[i]);
    }
    assert_true(md_type_static(&t, &back));
    assert_true(md_shape_equal(&back, &shape));
}

static void test_type__static_or_not(void **state)
{
    const md_dim constant = MD_DIM(3), symbol = { 0, 1, H };
    const md_dim both[] = { constant, symbol };
    md_type scalar = tensor_of(0, NULL), mixed = tensor_of(2, both);
    md_type unranked = { .dtype = MD_DTYPE_F32 };
    md_type sequence = tensor_of(1, &constant);
    md_shape shape;

    (void)state;
    assert_true(md_type_static(&scalar, &shape));
    assert_int_equal(shape.rank, 0);
    assert_false(md_type_static(&mixed, &shape));
    mixed.rank = 1;
    assert_true(md_type_static(&mixed, &shape));
    assert_int_equal(shape.dim[0], 3);
    assert_false(md_type_static(&unranked, &shape));
    for (int kind = MD_KIND_SEQUENCE; kind <= MD_KIND_MAP; kind++) {
        sequence.kind = (md_kind)kind;
        assert_false(md_type_static(&sequence, &shape));
    }
}

static void test_type__dims_are_equal(void **state)
{
    static const struct {
        md_dim a, b;
        bool equal;
    } cases[] = {
        { { 3, 0, 0 }, { 3, 0, 0 }, true },
        { { 3, 0, 0 }, { 3, 5, 0 }, true }, /* no symbol to scale */
        { { 3, 0, 0 }, { 4, 0, 0 }, false },
        { { 0, 1, H }, { 0, 1, H }, true },
        { { 0, 1, H }, { 0, 1, BATCH }, false },
        { { 0, 1, H }, { 0, 2, H }, false },
        { { 1, 2, H }, { 1, 2, H }, true },
        { { 1, 2, H }, { 0, 2, H }, false },
        { { 0, 1, H }, { 0, 0, 0 }, false },
        { { -1, -1, H }, { -1, -1, H }, true },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        assert_int_equal(md_dim_equal(cases[i].a, cases[i].b), cases[i].equal);
        assert_int_equal(md_dim_equal(cases[i].b, cases[i].a), cases[i].equal);
        assert_int_equal(md_dim_is_const(cases[i].a), cases[i].a.sym == 0);
    }
}

static void test_type__format_of_dims(void **state)
{
    static const struct {
        md_dim dim;
        const char *want;
    } cases[] = {
        { { 3, 0, 0 }, "3" },
        { { 0, 0, 0 }, "0" },
        { { 3, 9, 0 }, "3" },
        { { -1, 0, 0 }, "-1" },
        { { INT64_MIN, 0, 0 }, "-9223372036854775808" },
        { { 0, 1, BATCH }, "batch" },
        { { 1, 1, BATCH }, "batch+1" },
        { { -1, 1, BATCH }, "batch-1" },
        { { 0, 2, H }, "2*h" },
        { { 1, 2, H }, "2*h+1" },
        { { 0, -1, H }, "-1*h" },
        { { 7, 0, H }, "0*h+7" },
        { { 0, 1, NAMELESS }, "?3" },
        { { -3, 4, NAMELESS }, "4*?3-3" },
        { { 0, 1, 99 }, "?99" }, /* of no symbol: shown, not read */
        { { 0, 1, LONG }, "a_name_that_is_longer_than_anyone_would_" },
        { { INT64_MAX, INT64_MIN, H },
          "-9223372036854775808*h+9223372036854775807" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_type t = tensor_of(1, &cases[i].dim);
        char buf[160], want[160];

        assert_ptr_equal(md_type_format(buf, sizeof(buf), m, &t), buf);
        snprintf(want, sizeof(want), "float32[%s]", cases[i].want);
        assert_string_equal(buf, want);
    }
}

static void test_type__long_names_are_cut_at_a_character(void **state)
{
    const md_dim dim = { 0, 1, LONG_UTF8 };
    md_type t = tensor_of(1, &dim);
    char buf[160];

    (void)state;
    md_type_format(buf, sizeof(buf), m, &t);
    assert_true(md_utf8_valid(buf, strlen(buf)));
    assert_int_equal(strlen(buf), 8 + 39 + 1); /* 13 characters of 3 bytes */
}

static void test_type__format_of_kinds(void **state)
{
    static const struct {
        md_type type;
        const char *want;
    } cases[] = {
        { { .dtype = MD_DTYPE_NONE }, "unknown" },
        { { .dtype = MD_DTYPE_STRING }, "string" },
        { { .dtype = MD_DTYPE_F32, .has_rank = true }, "float32[]" },
        { { .dtype = MD_DTYPE_I4,
            .has_rank = true,
            .rank = 2,
            .dim = { { .k = 2 }, { 0, 1, H } } },
          "int4[2,h]" },
        { { .kind = MD_KIND_SEQUENCE, .dtype = MD_DTYPE_F32 },
          "sequence of float32" },
        { { .kind = MD_KIND_OPTIONAL, .dtype = MD_DTYPE_I64 },
          "optional int64" },
        { { .kind = MD_KIND_MAP,
            .key = MD_DTYPE_STRING,
            .dtype = MD_DTYPE_F32 },
          "map to float32" },
        { { .kind = MD_KIND_SEQUENCE,
            .dtype = MD_DTYPE_U8,
            .has_rank = true,
            .rank = 1,
            .dim = { { .k = 5 } } },
          "sequence of uint8[5]" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char buf[160];

        md_type_format(buf, sizeof(buf), m, &cases[i].type);
        assert_string_equal(buf, cases[i].want);
    }
}

/* At every size: the beginning of the whole text, terminated, nothing else
 * touched. */
static void test_type__format_at_every_size(void **state)
{
    const md_dim dims[] = { { 1, 2, H },
                            MD_DIM(34),
                            { -5, -6, NAMELESS },
                            { 0, 1, LONG },
                            { 0, 1, BATCH } };
    md_type t = tensor_of(5, dims);
    char whole[200];
    size_t n;

    (void)state;
    md_type_format(whole, sizeof(whole), m, &t);
    n = strlen(whole);
    assert_int_equal(whole[n - 1], ']');
    for (size_t size = 0; size <= n + 1; size++) {
        char buf[200];

        memset(buf, '!', sizeof(buf));
        assert_ptr_equal(md_type_format(buf, size, m, &t), buf);
        assert_int_equal(buf[size], '!');
        if (size == 0)
            continue;
        assert_int_equal(strlen(buf), size - 1);
        assert_memory_equal(buf, whole, size - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type__of_a_tensor),
        cmocka_unit_test(test_type__static_or_not),
        cmocka_unit_test(test_type__dims_are_equal),
        cmocka_unit_test(test_type__format_of_dims),
        cmocka_unit_test(test_type__long_names_are_cut_at_a_character),
        cmocka_unit_test(test_type__format_of_kinds),
        cmocka_unit_test(test_type__format_at_every_size),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
