/* The table of element types against ONNX's and NumPy's, written out. */
#include "support/test.h"

#include <string.h>

#include "base/size.h"
#include "tensor/dtype.h"

typedef struct known {
    int value; /* TensorProto.DataType */
    unsigned bits;
    const char *name, *v2, *npy;
    char cls; /* Float Unsigned Integer Bool Complex String */
    int64_t min, max;
} known;

/* From onnx.proto, the Open Inference Protocol (section Tensor Data Types)
 * and NumPy's array interface. */
static const known table[] = {
    { 1, 32, "float32", "FP32", "<f4", 'F', 0, 0 },
    { 2, 8, "uint8", "UINT8", "|u1", 'U', 0, 255 },
    { 3, 8, "int8", "INT8", "|i1", 'I', -128, 127 },
    { 4, 16, "uint16", "UINT16", "<u2", 'U', 0, 65535 },
    { 5, 16, "int16", "INT16", "<i2", 'I', -32768, 32767 },
    { 6, 32, "int32", "INT32", "<i4", 'I', INT32_MIN, INT32_MAX },
    { 7, 64, "int64", "INT64", "<i8", 'I', INT64_MIN, INT64_MAX },
    { 8, 8 * sizeof(md_str), "string", "BYTES", "<U", 'S', 0, 0 },
    { 9, 8, "bool", "BOOL", "|b1", 'B', 0, 0 },
    { 10, 16, "float16", "FP16", "<f2", 'F', 0, 0 },
    { 11, 64, "float64", "FP64", "<f8", 'F', 0, 0 },
    { 12, 32, "uint32", "UINT32", "<u4", 'U', 0, UINT32_MAX },
    { 13, 64, "uint64", "UINT64", "<u8", 'U', 0, INT64_MAX },
    { 14, 64, "complex64", "", "<c8", 'C', 0, 0 },
    { 15, 128, "complex128", "", "<c16", 'C', 0, 0 },
    { 16, 16, "bfloat16", "BF16", "<u2", 'F', 0, 0 },
    { 17, 8, "float8e4m3fn", "", "|u1", 'F', 0, 0 },
    { 18, 8, "float8e4m3fnuz", "", "|u1", 'F', 0, 0 },
    { 19, 8, "float8e5m2", "", "|u1", 'F', 0, 0 },
    { 20, 8, "float8e5m2fnuz", "", "|u1", 'F', 0, 0 },
    { 21, 4, "uint4", "", "|u1", 'U', 0, 15 },
    { 22, 4, "int4", "", "|u1", 'I', -8, 7 },
    { 23, 4, "float4e2m1", "", "|u1", 'F', 0, 0 },
    { 24, 8, "float8e8m0", "", "|u1", 'F', 0, 0 },
    { 25, 2, "uint2", "", "|u1", 'U', 0, 3 },
    { 26, 2, "int2", "", "|u1", 'I', -2, 1 },
};

static void test_dtype__every_type(void **state)
{
    (void)state;
    assert_int_equal(MD_COUNT(table), MD_DTYPE_N - 1);
    for (size_t i = 0; i < MD_COUNT(table); i++) {
        const known *k = &table[i];
        md_dtype t = (md_dtype)k->value;

        assert_true(md_dtype_is_valid(k->value));
        assert_int_equal(md_dtype_bits(t), k->bits);
        assert_string_equal(md_dtype_name(t), k->name);
        assert_string_equal(md_dtype_v2_name(t), k->v2);
        assert_string_equal(md_dtype_npy(t), k->npy);
        assert_int_equal(md_dtype_is_float(t), k->cls == 'F');
        assert_int_equal(md_dtype_is_integer(t),
                         k->cls == 'U' || k->cls == 'I');
        assert_int_equal(md_dtype_is_signed(t), k->cls == 'I');
        assert_int_equal(md_dtype_parse(k->name), t);
        if (k->v2[0])
            assert_int_equal(md_dtype_parse_v2(k->v2), t);
        if (k->cls == 'U' || k->cls == 'I') {
            assert_int_equal(md_dtype_int_min(t), k->min);
            assert_int_equal(md_dtype_int_max(t), k->max);
        }
    }
}

static void test_dtype__values_that_are_none(void **state)
{
    static const int values[] = { 0,   -1,      27,        28,       255,
                                  256, 1 << 20, INT32_MAX, INT32_MIN };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(values); i++) {
        md_dtype t = (md_dtype)values[i];

        assert_false(md_dtype_is_valid(values[i]));
        assert_int_equal(md_dtype_bits(t), 0);
        assert_string_equal(md_dtype_name(t), "unknown");
        assert_string_equal(md_dtype_v2_name(t), "");
        assert_string_equal(md_dtype_npy(t), "");
        assert_false(md_dtype_is_float(t));
        assert_false(md_dtype_is_integer(t));
        assert_false(md_dtype_is_signed(t));
    }
}

static void test_dtype__names_are_exact(void **state)
{
    static const char *const none[] = { "",       "float",    "Float32",
                                        "float3", "float321", "unknown",
                                        "FP32",   " int8",    "int8 " };
    static const char *const no_v2[] = { "",        "fp32",   "FP8",
                                         "float32", "STRING", "INT4" };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(none); i++)
        assert_int_equal(md_dtype_parse(none[i]), MD_DTYPE_NONE);
    for (size_t i = 0; i < MD_COUNT(no_v2); i++)
        assert_int_equal(md_dtype_parse_v2(no_v2[i]), MD_DTYPE_NONE);
}

static void test_dtype__size(void **state)
{
    static const struct {
        md_dtype type;
        int64_t n;
        bool fits;
        size_t size;
    } cases[] = {
        { MD_DTYPE_F32, 0, true, 0 },
        { MD_DTYPE_F32, 3, true, 12 },
        { MD_DTYPE_U4, 0, true, 0 },
        { MD_DTYPE_U4, 1, true, 1 },
        { MD_DTYPE_U4, 2, true, 1 },
        { MD_DTYPE_F4E2M1, 3, true, 2 },
        { MD_DTYPE_I2, 4, true, 1 },
        { MD_DTYPE_I2, 5, true, 2 },
        { MD_DTYPE_NONE, 9, true, 0 },
        { MD_DTYPE_I8, -1, false, 0 },
        { MD_DTYPE_I8, INT64_MIN, false, 0 },
        { MD_DTYPE_I2, INT64_MAX, true, 0x2000000000000000 },
        { MD_DTYPE_U4, (int64_t)1 << 61, true, (size_t)1 << 60 },
        { MD_DTYPE_U4, INT64_MAX, false, 0 },
        { MD_DTYPE_U8, ((int64_t)1 << 61) - 1, true, ((size_t)1 << 61) - 1 },
        { MD_DTYPE_U8, (int64_t)1 << 61, false, 0 },
        { MD_DTYPE_F64, (int64_t)1 << 58, false, 0 },
        { MD_DTYPE_C128, ((int64_t)1 << 57) - 1, true,
          (((size_t)1 << 57) - 1) * 16 },
        { MD_DTYPE_C128, (int64_t)1 << 57, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        size_t size = 77;
        bool fits = md_dtype_size(&size, cases[i].type, cases[i].n);

        if (fits != cases[i].fits || (fits && size != cases[i].size))
            fail_msg("%lld of %s: %d, %zu bytes", (long long)cases[i].n,
                     md_dtype_name(cases[i].type), fits, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtype__every_type),
        cmocka_unit_test(test_dtype__values_that_are_none),
        cmocka_unit_test(test_dtype__names_are_exact),
        cmocka_unit_test(test_dtype__size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
