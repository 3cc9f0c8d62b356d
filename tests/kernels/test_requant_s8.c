#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/s8_case.h"

/* Sums at which something happens: halves, saturation, the ends of s32. */
static int32_t sum_at(int i, uint32_t *seed)
{
    static const int32_t special[] = { 0,   1,    -1,        2,         3,
                                       -3,  5,    INT32_MAX, INT32_MIN, 255,
                                       510, -256, 16777217 };

    if ((size_t)i < sizeof(special) / sizeof(*special))
        return special[i];
    return (int32_t)(md_guard_random(seed) % 2000) - 1000;
}

enum {
    ROWS_MAX = 9 /* beyond two steps of four */
};

static void one_case(const md_requant_s8_kernel *k, unsigned how, int rows,
                     int lanes, float scale)
{
    uint32_t seed = how * 31 + 7;
    const md_requant_s8_kernel *ref = md_requant_s8_select(0);
    float mult[64], bias[64];
    uint8_t lut[256], from[ROWS_MAX * 40];
    int32_t terms[4][64];
    float row_mult[ROWS_MAX];
    md_requant q = s8_case_requant(how, mult, bias, lut);
    const size_t size = (size_t)md_qout_size(q.out);
    const int gap = how % 4 < 2 ? 41 - lanes : 0;
    const size_t bytes =
        ((size_t)(rows - 1) * (size_t)(lanes + gap) + (size_t)lanes) * size;
    const size_t n_acc = (size_t)(rows - 1) * 43 + (size_t)lanes;
    int32_t *acc = md_guard_alloc(n_acc * sizeof(*acc));
    uint8_t *want = md_guard_alloc(bytes), *got = md_guard_alloc(bytes);
    md_requant_tile t = {
        .acc = acc,
        .acc_stride = 43,
        .out_stride = (lanes + gap) * (int64_t)size,
        .rows = rows,
        .lanes = lanes,
        .res_stride = 40,
    };

    if (s8_case_adds(&q, how))
        t.res = from + sizeof(from) - ((rows - 1) * 40 + lanes);
    for (size_t i = 0; i < n_acc; i++)
        acc[i] = sum_at((int)i, &seed);
    for (int i = 0; i < 64; i++) {
        mult[i] = scale;
        bias[i] = (float)i;
    }
    md_guard_fill(lut, sizeof(lut), &seed);
    md_guard_fill(from, sizeof(from), &seed);
    md_guard_fill(terms, sizeof(terms), &seed);
    for (int i = 0; i < ROWS_MAX; i++)
        row_mult[i] = (float)(i + 1) * 0.3f;
    for (int i = 0;
         q.out != MD_QOUT_Q8 && i < (int)(how % 4) && i < MD_REQUANT_TERMS;
         i++) {
        q.column[i] = terms[2 * i];
        t.row[i] = terms[2 * i + 1];
    }
    q.codes = q.out == MD_QOUT_F32 && how % 4;
    if (q.out == MD_QOUT_F32 && how % 3) {
        t.row_mult = row_mult;
        t.add = mult;
        t.add_stride = 1;
    }
    t.out = want;
    ref->run(&q, 16, &t);
    t.out = got;
    k->run(&q, 16, &t);
    if (memcmp(want, got, bytes) != 0)
        fail_msg("%s: how %u rows %d lanes %d scale %g", k->name, how, rows,
                 lanes, (double)scale);
    md_guard_free(acc, n_acc * sizeof(*acc));
    md_guard_free(want, bytes);
    md_guard_free(got, bytes);
}

static void test_requant_s8__rows_equal_ref(void **state)
{
    static const float scales[] = { 0.5f, 0.0123f, 1e30f, 0.0f, -0.25f };

    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (unsigned how = 0; how < 210; how++)
            for (int lanes = 1; lanes <= 37; lanes += 3)
                one_case(k, how, 1 + (int)(how * 7 % ROWS_MAX), lanes,
                         scales[how / 42]);
    }
}

/* What is added may lie where the results go. */
static void test_requant_s8__adds_in_place(void **state)
{
    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        int32_t acc[2 * 20];
        float y[2 * 20], mult[32];
        md_requant q = { .out = MD_QOUT_F32, .mult = mult };
        md_requant_tile t = { .acc = acc,
                              .acc_stride = 20,
                              .out = y,
                              .out_stride = 20 * sizeof(float),
                              .rows = 2,
                              .lanes = 20,
                              .add = y,
                              .add_stride = 20 };

        if (k->required & ~md_cpu_flags())
            continue;
        for (int i = 0; i < 32; i++)
            mult[i] = 0.5f;
        for (int i = 0; i < 2 * 20; i++) {
            acc[i] = 2 * i;
            y[i] = (float)(100 * i);
        }
        k->run(&q, 0, &t);
        for (int i = 0; i < 2 * 20; i++)
            assert_true(y[i] == (float)(101 * i));
    }
}

static uint8_t q8(const md_requant_s8_kernel *k, int32_t acc, float mult,
                  int32_t zero, int32_t lo, int32_t hi)
{
    float m[16] = { 0 };
    uint8_t out = 0;
    const md_requant q = { .mult = m, .zero = zero, .q_min = lo, .q_max = hi };
    const md_requant_tile t = {
        .acc = &acc, .out = &out, .rows = 1, .lanes = 1
    };

    m[0] = mult;
    k->run(&q, 0, &t);
    return out;
}

static void test_requant_s8__definition(void **state)
{
    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        assert_int_equal(q8(k, 1, 0.5f, 10, 0, 255), 10); /* half to even */
        assert_int_equal(q8(k, 3, 0.5f, 10, 0, 255), 12);
        assert_int_equal(q8(k, -3, 0.5f, 10, 0, 255), 8);
        assert_int_equal(q8(k, 1000, 1.0f, 10, 0, 255), 255);
        assert_int_equal(q8(k, -1000, 1.0f, 10, 0, 255), 0);
        assert_int_equal(q8(k, INT32_MAX, 1e30f, 10, 0, 255), 255);
        assert_int_equal((int8_t)q8(k, INT32_MIN, 1.0f, 10, -128, 127), -128);
        assert_int_equal(q8(k, -5, 1.0f, 10, 10, 255), 10);  /* ReLU */
        assert_int_equal(q8(k, 0, INFINITY, 10, 3, 255), 3); /* NaN */
        assert_int_equal(q8(k, INT32_MIN, 1e30f, -128, -128, 127), 0x80);
        assert_int_equal(q8(k, 90, 1.0f, 7, 7, 90), 90); /* of s8, clipped */
    }
}

static uint8_t q8_with(const md_requant_s8_kernel *k, int32_t acc, uint8_t res)
{
    float m[16] = { 0.5f };
    uint8_t out = 0;
    const md_requant q = { .mult = m,
                           .zero = 10,
                           .q_max = 255,
                           .own_min = -20,
                           .own_max = 30,
                           .own_mult = 1.5f,
                           .res_mult = 2.0f,
                           .res_zero = 100 };
    const md_requant_tile t = {
        .acc = &acc, .out = &out, .res = &res, .rows = 1, .lanes = 1
    };

    k->run(&q, 0, &t);
    return out;
}

/* The sum is a code of its own before the residual is added to it. */
static void test_requant_s8__residual(void **state)
{
    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        /* 7 / 2 rounds to 4, 4 * 1.5 + 2 * 2 = 10 */
        assert_int_equal(q8_with(k, 7, 102), 20);
        /* 5 / 2 rounds to 2, 3 */
        assert_int_equal(q8_with(k, 5, 100), 13);
        /* 30 of 50, 45 + 2 * 60; 255 at most */
        assert_int_equal(q8_with(k, 100, 160), 175);
        assert_int_equal(q8_with(k, 100, 255), 255);
        /* -20, -30 + 2 * 20; 0 at least */
        assert_int_equal(q8_with(k, INT32_MIN, 120), 20);
        assert_int_equal(q8_with(k, -1000, 0), 0);
    }
}

/* Floats that are what codes stand for: of -20 .. 30 by 1.5. */
static void test_requant_s8__codes_as_floats(void **state)
{
    static const int32_t acc[] = { 5, 7, 1000, INT32_MIN, -3 };
    static const float want[] = { 3 + 10, 6 + 10, 45 + 10, -30 + 10, -3 + 10 };

    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        float mult[16] = { 0 }, bias[16] = { 10 }, out[5];
        const md_requant q = { .out = MD_QOUT_F32,
                               .mult = mult,
                               .bias = bias,
                               .codes = true,
                               .own_min = -20,
                               .own_max = 30,
                               .own_mult = 1.5f };
        const md_requant_tile t = { .acc = acc,
                                    .acc_stride = 1,
                                    .out = out,
                                    .out_stride = sizeof(*out),
                                    .rows = 5,
                                    .lanes = 1 };

        if (k->required & ~md_cpu_flags())
            continue;
        mult[0] = 0.5f;
        k->run(&q, 0, &t);
        assert_memory_equal(out, want, sizeof(want));
        mult[0] = INFINITY; /* 0 * infinity is NaN: the least code */
        k->run(&q, 0,
               &(md_requant_tile){ .acc = (const int32_t[]){ 0 },
                                   .out = out,
                                   .rows = 1,
                                   .lanes = 1 });
        assert_true(out[0] == -20);
    }
}

/* 100 + 2 * 5 - 3 * 7 = 89; modulo 2^32 too. */
static void test_requant_s8__terms(void **state)
{
    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        const int32_t five[16] = { 5 }, seven[16] = { 7 };
        const int32_t two[] = { 2, INT32_MAX }, three[] = { -3, 0 };
        const int32_t acc[] = { 100, 0 };
        const float mult[16] = { 0.1f }, row_mult[] = { 0.7f, 1.0f };
        int32_t sum[2];
        float f;
        md_requant q = { .out = MD_QOUT_S32,
                         .mult = mult,
                         .column = { five, seven } };
        md_requant_tile t = { .acc = acc,
                              .acc_stride = 1,
                              .out = sum,
                              .out_stride = sizeof(*sum),
                              .rows = 2,
                              .lanes = 1,
                              .row = { two, three } };

        if (k->required & ~md_cpu_flags())
            continue;
        k->run(&q, 0, &t);
        assert_int_equal(sum[0], 89);
        assert_int_equal(sum[1], INT32_MAX - 4); /* 5 * (2^31 - 1) */
        q.out = MD_QOUT_F32;
        t.rows = 1;
        t.out = &f;
        t.row_mult = row_mult;
        k->run(&q, 0, &t);
        assert_true(f == 89.0f * (0.7f * 0.1f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requant_s8__definition),
        cmocka_unit_test(test_requant_s8__residual),
        cmocka_unit_test(test_requant_s8__codes_as_floats),
        cmocka_unit_test(test_requant_s8__terms),
        cmocka_unit_test(test_requant_s8__rows_equal_ref),
        cmocka_unit_test(test_requant_s8__adds_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
