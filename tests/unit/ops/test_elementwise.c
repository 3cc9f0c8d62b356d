/*
 * Elementwise operators over shapes that are long enough for blocks, parts of
 * threads and vectors: each element is what the operator gives for it alone.
 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "ops/eval.h"
#include "support/guard.h"

typedef struct pair {
    md_shape a, b, y;
} pair;

static const pair pairs[] = {
    { { 2, { 300, 70 } }, { 2, { 300, 70 } }, { 2, { 300, 70 } } },
    { { 2, { 3, 5000 } }, { 0, { 0 } }, { 2, { 3, 5000 } } },
    { { 2, { 3, 1 } }, { 2, { 3, 5000 } }, { 2, { 3, 5000 } } },
    { { 1, { 3000 } }, { 2, { 7, 1 } }, { 2, { 7, 3000 } } },
    { { 3, { 50, 1, 3 } }, { 2, { 90, 1 } }, { 3, { 50, 90, 3 } } },
    { { 1, { 1 } }, { 2, { 1, 1 } }, { 2, { 1, 1 } } },
    { { 2, { 0, 4 } }, { 1, { 4 } }, { 2, { 0, 4 } } },
};

static const md_dtype types[] = {
    MD_DTYPE_BOOL, MD_DTYPE_U8,  MD_DTYPE_I8,  MD_DTYPE_U16, MD_DTYPE_I16,
    MD_DTYPE_U32,  MD_DTYPE_I32, MD_DTYPE_U64, MD_DTYPE_I64, MD_DTYPE_F16,
    MD_DTYPE_BF16, MD_DTYPE_F32, MD_DTYPE_F64,
};

static md_pool *pool;

static md_tensor made(md_dtype type, const md_shape *shape, uint32_t seed)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t;

    assert_md_ok(md_tensor_alloc(&t, type, shape, md_alloc_default(), &err),
                 &err);
    for (int64_t i = 0; i < md_tensor_n(&t); i++) {
        int32_t v = (int32_t)(md_guard_random(&seed) % 41) - 15;

        if (md_dtype_is_float(type))
            md_tensor_set_f64(&t, i, v == 25 ? (double)NAN : v / 4.0);
        else
            md_tensor_set_i64(&t, i, v);
    }
    return t;
}

static md_node node_of(const char *op, uint32_t n_in)
{
    static md_value_id in[3] = { 0, 1, 2 }, out[1] = { 3 };

    return (md_node){ .op = (char *)(uintptr_t)op,
                      .domain = "",
                      .name = "",
                      .in = in,
                      .out = out,
                      .n_in = n_in,
                      .n_out = 1 };
}

/* False where the operator does not take the type. */
static bool eval(md_tensor *y, const char *op, const md_tensor *const *in,
                 uint32_t n_in, md_pool *p)
{
    md_node n = node_of(op, n_in);
    md_error err = MD_ERROR_INIT;
    md_status s = md_node_eval(y, &n, 18, in, md_alloc_default(), p, &err);

    assert_true(s == MD_OK || s == MD_INVALID);
    return s == MD_OK;
}

static int64_t index_of(const md_shape *s, const md_shape *y, int64_t i)
{
    int64_t stride[MD_RANK_MAX], at = 0;

    md_shape_broadcast_strides(stride, s, y);
    for (int d = y->rank - 1; d >= 0; d--) {
        at += i % y->dim[d] * stride[d];
        i /= y->dim[d];
    }
    return at;
}

/* Element i of t as a tensor of one. */
static md_tensor one_of(const md_tensor *t, int64_t i)
{
    return (md_tensor){ .dtype = t->dtype,
                        .data = (char *)t->data +
                                i * (md_dtype_bits(t->dtype) / 8) };
}

static void check_alone(const char *op, const md_tensor *const *in,
                        uint32_t n_in, const md_tensor *y, int64_t i)
{
    md_tensor part[3], got = MD_TENSOR_INIT, want = one_of(y, i);
    const md_tensor *p[3] = { &part[0], &part[1], &part[2] };

    for (uint32_t k = 0; k < n_in; k++)
        part[k] = one_of(in[k], index_of(&in[k]->shape, &y->shape, i));
    assert_true(eval(&got, op, p, n_in, NULL));
    if (memcmp(got.data, want.data, md_tensor_size(&got)) != 0 &&
        !isnan(md_tensor_get_f64(&got, 0)))
        fail_msg("%s of %s: element %d is %.9g, alone %.9g", op,
                 md_dtype_name(in[0]->dtype), (int)i,
                 md_tensor_get_f64(&want, 0), md_tensor_get_f64(&got, 0));
    md_tensor_release(&got);
}

static void check(const char *op, const md_tensor *const *in, uint32_t n_in)
{
    md_tensor y = MD_TENSOR_INIT, z = MD_TENSOR_INIT;
    int64_t n;

    if (!eval(&y, op, in, n_in, pool))
        return;
    md_cpu_set_mask(MD_CPU_NONE);
    assert_true(eval(&z, op, in, n_in, NULL));
    assert_int_equal(md_tensor_size(&y), md_tensor_size(&z));
    n = md_tensor_n(&y);
    if (n > 0) /* the same on every level, for any number of threads */
        assert_memory_equal(y.data, z.data, md_tensor_size(&y));
    md_cpu_set_mask(MD_CPU_ALL);
    for (int64_t i = 0; i < n; i += 1 + n / 97)
        check_alone(op, in, n_in, &y, i);
    md_tensor_release(&y);
    md_tensor_release(&z);
}

static void check_pair(const char *op, md_dtype type, const pair *p)
{
    md_tensor a = made(type, &p->a, 5), b = made(type, &p->b, 6);
    md_tensor c = made(type, &p->y, 7);
    const md_tensor *in[] = { &a, &b, &c };

    check(op, in, 2);
    if (strcmp(op, "Max") == 0 || strcmp(op, "Sum") == 0 ||
        strcmp(op, "Mean") == 0)
        check(op, in, 3);
    md_tensor_release(&a);
    md_tensor_release(&b);
    md_tensor_release(&c);
}

static void test_elementwise__two_inputs(void **state)
{
    static const char *const ops[] = {
        "Add", "Sub",  "Mul",        "Div",       "Min",
        "Max", "Sum",  "Mean",       "Pow",       "Equal",
        "Or",  "Less", "Greater",    "And",       "LessOrEqual",
        "Xor", "Mod",  "BitwiseAnd", "BitwiseOr", "GreaterOrEqual",
    };

    (void)state;
    for (size_t o = 0; o < MD_COUNT(ops); o++) {
        for (size_t t = 0; t < MD_COUNT(types); t++) {
            for (size_t p = 0; p < MD_COUNT(pairs); p++)
                check_pair(ops[o], types[t], &pairs[p]);
        }
    }
}

static void test_elementwise__one_input(void **state)
{
    static const char *const ops[] = { "Abs",   "Neg",        "Sign",
                                       "Relu",  "Not",        "BitwiseNot",
                                       "IsNaN", "IsInf",      "Round",
                                       "Floor", "Reciprocal", "Softsign" };
    const md_shape shape = { 2, { 3, 30000 } };

    (void)state;
    for (size_t o = 0; o < MD_COUNT(ops); o++) {
        for (size_t t = 0; t < MD_COUNT(types); t++) {
            md_tensor x = made(types[t], &shape, 9);

            check(ops[o], (const md_tensor *const[]){ &x }, 1);
            md_tensor_release(&x);
        }
    }
}

static void test_elementwise__where_and_clip(void **state)
{
    const md_shape shape = { 2, { 300, 70 } }, row = { 1, { 70 } };
    const md_shape column = { 2, { 300, 1 } }, scalar = { 0, { 0 } };

    (void)state;
    for (size_t t = 0; t < MD_COUNT(types); t++) {
        md_tensor c = made(MD_DTYPE_BOOL, &column, 3);
        md_tensor x = made(types[t], &shape, 1), r = made(types[t], &row, 2);
        md_tensor lo = made(types[t], &scalar, 3);
        md_tensor hi = made(types[t], &scalar, 4);

        check("Where", (const md_tensor *const[]){ &c, &x, &r }, 3);
        check("Where", (const md_tensor *const[]){ &c, &r, &lo }, 3);
        check("Clip", (const md_tensor *const[]){ &x, &lo, &hi }, 3);
        md_tensor_release(&c);
        md_tensor_release(&x);
        md_tensor_release(&r);
        md_tensor_release(&lo);
        md_tensor_release(&hi);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise__two_inputs),
        cmocka_unit_test(test_elementwise__one_input),
        cmocka_unit_test(test_elementwise__where_and_clip),
    };
    int failed;

    if (md_pool_new(&pool, 3, md_alloc_default(), NULL) != MD_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    md_pool_free(pool);
    return failed;
}
