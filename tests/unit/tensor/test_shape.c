/* Shapes: products, strides, broadcasting against reading by index, axes. */
#include "support/test.h"

#include <string.h>

#include "base/size.h"
#include "tensor/shape.h"

#define BIG ((int64_t)1 << 32)

static md_shape shape_of(const char *dims)
{
    md_shape s = { 0 };

    for (; *dims; dims++)
        s.dim[s.rank++] = *dims - '0';
    return s;
}

static void test_shape__count(void **state)
{
    static const struct {
        md_shape shape;
        int64_t n;
    } cases[] = {
        { { 0, { 0 } }, 1 },
        { { 1, { 0 } }, 0 },
        { { 1, { 7 } }, 7 },
        { { 3, { 2, 3, 4 } }, 24 },
        { { 3, { 2, 0, 4 } }, 0 },
        { { 8, { 1, 2, 1, 2, 1, 2, 1, 2 } }, 16 },
        { { 1, { INT64_MAX } }, INT64_MAX },
        { { 3, { INT64_MAX, 1, 1 } }, INT64_MAX },
        { { 2, { BIG, BIG / 2 - 1 } }, BIG * (BIG / 2 - 1) },
        { { 3, { 0, BIG, BIG / 4 } }, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t n = -5;

        assert_md_ok(md_shape_count(&n, &cases[i].shape, &err), &err);
        assert_int_equal(n, cases[i].n);
        assert_int_equal(md_shape_n(&cases[i].shape), cases[i].n);
    }
}

static void test_shape__count_refuses(void **state)
{
    static const struct {
        md_shape shape;
        md_status status;
        const char *text;
    } cases[] = {
        { { 2, { BIG, BIG / 2 } },
          MD_TOO_LARGE,
          "shape [4294967296,2147483648] has more elements than 2^63" },
        { { 2, { INT64_MAX, 2 } }, MD_TOO_LARGE, "more elements than 2^63" },
        { { 4, { BIG, BIG, BIG, BIG } }, MD_TOO_LARGE, "than 2^63" },
        /* 2^64 is 0 and 2^64 + 2^33 small when products wrap */
        { { 3, { BIG, BIG, 0 } }, MD_TOO_LARGE, "than 2^63" },
        { { 2, { BIG + 2, BIG } }, MD_TOO_LARGE, "than 2^63" },
        { { 1, { -1 } },
          MD_INVALID,
          "shape [-1] has the negative dimension -1" },
        { { 3, { 2, 0, -7 } }, MD_INVALID, "negative dimension -7" },
        { { 3, { BIG, BIG, -1 } }, MD_INVALID, "negative dimension -1" },
        { { 2, { INT64_MIN, INT64_MIN } },
          MD_INVALID,
          "negative dimension -9223372036854775808" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t n = -5;

        assert_md_fails(md_shape_count(&n, &cases[i].shape, &err),
                        cases[i].status, &err, cases[i].text);
        assert_int_equal(n, -5);
    }
}

static void test_shape__span(void **state)
{
    md_shape s = { 4, { 2, 3, 4, 5 } };
    static const struct {
        int from, to;
        int64_t n;
    } cases[] = { { 0, 4, 120 }, { 1, 3, 12 }, { 2, 2, 1 },
                  { 3, 4, 5 },   { 0, 1, 2 },  { 4, 4, 1 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_int_equal(md_shape_span(&s, cases[i].from, cases[i].to),
                         cases[i].n);
}

static void test_shape__equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        { "", "", true },
        { "1", "", false },
        { "23", "23", true },
        { "23", "32", false },
        { "23", "231", false },
        { "0", "0", true },
        { "12345678", "12345678", true },
        { "12345678", "12345679", false },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_shape a = shape_of(cases[i].a), b = shape_of(cases[i].b);

        a.dim[7] = a.rank == 8 ? a.dim[7] : 99; /* behind the rank: ignored */
        assert_int_equal(md_shape_equal(&a, &b), cases[i].equal);
        assert_int_equal(md_shape_equal(&b, &a), cases[i].equal);
    }
}

static void test_shape__strides(void **state)
{
    static const struct {
        const char *dims;
        int64_t want[MD_RANK_MAX];
    } cases[] = {
        { "7", { 1 } },
        { "234", { 12, 4, 1 } },
        { "1514", { 20, 4, 4, 1 } },
        { "203", { 0, 3, 1 } },
        { "22222222", { 128, 64, 32, 16, 8, 4, 2, 1 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_shape s = shape_of(cases[i].dims);
        int64_t stride[MD_RANK_MAX] = { 0 };

        md_shape_strides(stride, &s);
        assert_memory_equal(stride, cases[i].want,
                            sizeof(stride[0]) * (size_t)s.rank);
    }
}

static void test_shape__broadcast(void **state)
{
    static const struct {
        const char *a, *b, *want; /* want NULL: they do not fit */
    } cases[] = {
        { "", "", "" },
        { "", "234", "234" },
        { "1", "1", "1" },
        { "3", "1", "3" },
        { "23", "3", "23" },
        { "23", "13", "23" },
        { "21", "13", "23" },
        { "314", "21", "324" },
        { "5131", "36", "5136" },
        { "0", "1", "0" },
        { "01", "3", "03" },
        { "10", "21", "20" },
        { "12345678", "8", "12345678" },
        { "11111111", "22222222", "22222222" },
        { "2", "3", NULL },
        { "23", "2", NULL },
        { "0", "2", NULL },
        { "234", "3", NULL },
        { "2", "23", NULL },
        { "0", "3", NULL },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_shape a = shape_of(cases[i].a), b = shape_of(cases[i].b), out;
        md_shape back, want;
        md_error err = MD_ERROR_INIT;

        if (!cases[i].want) {
            assert_md_fails(md_shape_broadcast(&out, &a, &b, &err), MD_INVALID,
                            &err, "do not broadcast");
            assert_int_equal(md_shape_broadcast(&out, &b, &a, NULL),
                             MD_INVALID);
            continue;
        }
        want = shape_of(cases[i].want);
        assert_md_ok(md_shape_broadcast(&out, &a, &b, &err), &err);
        assert_md_ok(md_shape_broadcast(&back, &b, &a, &err), &err);
        assert_true(md_shape_equal(&out, &want));
        assert_true(md_shape_equal(&back, &want));
    }
}

static void test_shape__broadcast_names_both(void **state)
{
    md_shape a = { 2, { 4, 3 } }, b = { 3, { 7, 2, 3 } }, out;
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_int_equal(md_shape_broadcast(&out, &a, &b, &err), MD_INVALID);
    assert_string_equal(err.msg, "shapes [4,3] and [7,2,3] do not broadcast");
}

/* The number at an index, by walking the index. */
static int64_t at_index(const md_shape *s, const md_shape *to,
                        const int64_t *index)
{
    int skip = to->rank - s->rank;
    int64_t at = 0;

    for (int i = 0; i < s->rank; i++)
        at = at * s->dim[i] + (s->dim[i] == 1 ? 0 : index[i + skip]);
    return at;
}

/* Strides lead to where NumPy's rule reads, at each index of the result. */
static void test_shape__broadcast_strides_read_right(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = { { "", "234" },    { "4", "234" },     { "1", "234" },
                  { "31", "234" },  { "34", "234" },    { "214", "234" },
                  { "234", "234" }, { "111", "234" },   { "1", "1" },
                  { "11", "11" },   { "2131", "2531" }, { "5", "21315" } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_shape s = shape_of(cases[i].from), to = shape_of(cases[i].to);
        int64_t stride[MD_RANK_MAX] = { 0 };
        int64_t n = md_shape_n(&to);

        md_shape_broadcast_strides(stride, &s, &to);
        for (int64_t k = 0; k < n; k++) {
            int64_t index[MD_RANK_MAX] = { 0 }, rest = k, at = 0;

            for (int d = to.rank; d-- > 0; rest /= to.dim[d])
                index[d] = rest % to.dim[d];
            for (int d = 0; d < to.rank; d++)
                at += index[d] * stride[d];
            assert_int_equal(at, at_index(&s, &to, index));
        }
    }
}

static void test_shape__axis(void **state)
{
    static const struct {
        int64_t axis;
        int rank, want; /* -1: refused */
    } cases[] = {
        { 0, 1, 0 },          { -1, 1, 0 },         { 3, 4, 3 },
        { -4, 4, 0 },         { 1, 1, -1 },         { -2, 1, -1 },
        { 0, 0, -1 },         { -1, 0, -1 },        { 8, 8, -1 },
        { 7, 8, 7 },          { -8, 8, 0 },         { -9, 8, -1 },
        { INT64_MAX, 8, -1 }, { INT64_MIN, 8, -1 }, { (int64_t)1 << 32, 8, -1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int got = -7;

        if (cases[i].want < 0) {
            assert_md_fails(
                md_axis_normalize(&got, cases[i].axis, cases[i].rank, &err),
                MD_INVALID, &err, "is outside [");
            assert_int_equal(got, -7);
            continue;
        }
        assert_md_ok(
            md_axis_normalize(&got, cases[i].axis, cases[i].rank, &err), &err);
        assert_int_equal(got, cases[i].want);
    }
}

static void test_shape__axis_message(void **state)
{
    md_error err = MD_ERROR_INIT;
    int got;

    (void)state;
    assert_int_equal(md_axis_normalize(&got, -5, 4, &err), MD_INVALID);
    assert_string_equal(err.msg,
                        "axis -5 is outside [-4, 4) of a rank 4 tensor");
}

static void test_shape__format(void **state)
{
    md_shape widest = { MD_RANK_MAX, { 0 } };
    char buf[MD_SHAPE_TEXT];
    static const struct {
        md_shape shape;
        size_t size;
        const char *want;
    } cases[] = {
        { { 0, { 0 } }, MD_SHAPE_TEXT, "[]" },
        { { 1, { 5 } }, MD_SHAPE_TEXT, "[5]" },
        { { 3, { 1, -2, 0 } }, MD_SHAPE_TEXT, "[1,-2,0]" },
        { { 2, { 123, 456 } }, 9, "[123,456" },
        { { 2, { 123, 456 } }, 6, "[123," },
        { { 2, { 123, 456 } }, 2, "[" },
        { { 2, { 123, 456 } }, 1, "" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        memset(buf, '!', sizeof(buf));
        assert_ptr_equal(md_shape_format(buf, cases[i].size, &cases[i].shape),
                         buf);
        assert_string_equal(buf, cases[i].want);
        if (cases[i].size < sizeof(buf))
            assert_int_equal(buf[cases[i].size], '!');
    }
    buf[0] = '!';
    md_shape_format(buf, 0, &widest);
    assert_int_equal(buf[0], '!');
    for (int i = 0; i < MD_RANK_MAX; i++)
        widest.dim[i] = INT64_MIN;
    md_shape_format(buf, sizeof(buf), &widest);
    assert_int_equal(strlen(buf), 8 * 20 + 7 + 2);
    assert_int_equal(buf[strlen(buf) - 1], ']');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape__count),
        cmocka_unit_test(test_shape__count_refuses),
        cmocka_unit_test(test_shape__span),
        cmocka_unit_test(test_shape__equal),
        cmocka_unit_test(test_shape__strides),
        cmocka_unit_test(test_shape__broadcast),
        cmocka_unit_test(test_shape__broadcast_names_both),
        cmocka_unit_test(test_shape__broadcast_strides_read_right),
        cmocka_unit_test(test_shape__axis),
        cmocka_unit_test(test_shape__axis_message),
        cmocka_unit_test(test_shape__format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
