#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "kernels/binary_s8.h"
#include "support/guard.h"

static md_binary_s8_op op_of(unsigned how, const uint8_t *lut)
{
    const bool is_signed = how & 4;

    return (md_binary_s8_op){
        .mul = how & 1,
        .a_signed = how & 2,
        .b_signed = is_signed,
        .a_zero = how & 2 ? -20 : 128,
        .b_zero = is_signed ? 7 : 0,
        .a_mult = how & 1 ? 0.0173f : 0.5f, /* halves on purpose */
        .b_mult = how & 8 ? -0.75f : 1.25f,
        .zero = is_signed ? 3 : 100,
        .q_min = is_signed ? -128
                 : how & 8 ? 100
                           : 0,
        .q_max = is_signed ? 127 : 255,
        .lut = how & 16 ? lut : NULL,
    };
}

static void one_case(const md_binary_s8_kernel *k, size_t n, int a_step,
                     int b_step, unsigned how)
{
    const size_t an = a_step ? n : 1, bn = b_step ? n : 1;
    uint8_t *a = md_guard_alloc(an), *b = md_guard_alloc(bn);
    uint8_t *want = md_guard_alloc(n), *got = md_guard_alloc(n);
    uint32_t seed = how;
    uint8_t lut[256];
    const md_binary_s8_op op = op_of(how, lut);

    md_guard_fill(lut, sizeof(lut), &seed);
    md_guard_fill(a, an, &seed);
    md_guard_fill(b, bn, &seed);
    md_binary_s8_select(0)->run(want, a, b, n, a_step, b_step, &op);
    k->run(got, a, b, n, a_step, b_step, &op);
    if (memcmp(want, got, n) != 0)
        fail_msg("%s: n %zu steps %d %d how %u", k->name, n, a_step, b_step,
                 how);
    if (b_step) { /* in place */
        k->run(b, a, b, n, a_step, b_step, &op);
        assert_memory_equal(b, want, n);
    }
    md_guard_free(a, an);
    md_guard_free(b, bn);
    md_guard_free(want, n);
    md_guard_free(got, n);
}

static void test_binary_s8__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_binary_s8_kernel *k = md_binary_s8_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (unsigned how = 0; how < 32; how++)
            for (size_t n = 1; n < 70; n += 1 + n / 5)
                for (int s = 0; s < 4; s++)
                    one_case(k, n, s & 1, s >> 1, how);
    }
}

/* 0.5 (a - 10) + 0.25 (b + 4), rounded half to even, + 3. */
static void test_binary_s8__definition(void **state)
{
    const uint8_t a[] = { 10, 11, 13, 255, 0 };
    const int8_t b[] = { -4, -4, -4, 127, -128 };
    const uint8_t want[] = { 3, 3, 5, 158, 0 };
    const int64_t five = 5, one = 1;
    uint8_t y[5];
    md_binary_s8_args args = {
        .kernel = md_binary_s8_select(md_cpu_flags()),
        .op = { .b_signed = true,
                .a_zero = 10,
                .b_zero = -4,
                .a_mult = 0.5f,
                .b_mult = 0.25f,
                .zero = 3,
                .q_max = 255 },
        .y = y,
        .a = a,
        .b = (const uint8_t *)b,
    };

    (void)state;
    md_broadcast_init(&args.shape, 1, &five, &one, &one);
    md_binary_s8_run(&args, 0);
    assert_memory_equal(y, want, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_s8__rows_equal_ref),
        cmocka_unit_test(test_binary_s8__definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
