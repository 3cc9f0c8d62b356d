#include "f32_case.h"

#include "kernels/cast_bf16.h"
#include "real.h"

/* Floats around every kind of rounding, with the bits that they become
 * (worked out by hand: 1 sign, 8 exponent, 7 mantissa bits). */
static const struct {
    uint32_t from;
    uint16_t to;
} known[] = {
    { 0x3f800000, 0x3f80 }, /* 1 */
    { 0x3f808000, 0x3f80 }, /* half way, to the even one below */
    { 0x3f818000, 0x3f82 }, /* half way, to the even one above */
    { 0x3f808001, 0x3f81 }, /* just over half */
    { 0x3f807fff, 0x3f80 }, /* just under half */
    { 0x3fffffff, 0x4000 }, /* into the next power of two */
    { 0xbf818000, 0xbf82 }, /* negative */
    { 0x00000000, 0x0000 }, { 0x80000000, 0x8000 },
    { 0x00000001, 0x0000 }, /* the smallest subnormal */
    { 0x00018000, 0x0002 }, /* subnormal, half way */
    { 0x007fffff, 0x0080 }, /* the largest subnormal: the first normal */
    { 0x7f7f7fff, 0x7f7f }, /* the largest bf16, from just under half */
    { 0x7f7f8000, 0x7f80 }, /* half way past it: infinite */
    { 0x7f7fffff, 0x7f80 }, { 0x7f800000, 0x7f80 },
    { 0xff800000, 0xff80 }, { 0x7fc00000, 0x7fc0 },
    { 0x7f800001, 0x7fc0 }, /* signalling, payload in the lost half */
    { 0xffa12345, 0xffe1 },
};

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void test_cast_bf16__known(void **state)
{
    (void)state;
    for (const md_cast_bf16_kernel *k = md_cast_bf16_kernels; k->run; k++) {
        for (size_t i = 0;
             f32_usable(k->name, k->required) && i < MD_COUNT(known); i++) {
            float x[16];
            uint16_t to[16];

            for (int j = 0; j < 16; j++)
                x[j] = float_of(known[i].from);
            k->run(to, 16, x, 16);
            for (int j = 0; j < 16; j++) {
                if (to[j] != known[i].to)
                    fail_msg("%s: 0x%08x became 0x%04x, expected 0x%04x",
                             k->name, known[i].from, to[j], known[i].to);
            }
        }
    }
}

/* Groups go where `step` says; nothing between them or behind is touched. */
static void check_steps(const md_cast_bf16_kernel *k, int64_t n, int64_t step,
                        uint32_t *seed)
{
    const size_t size = (size_t)((n - 1) / 16 * step + (n - 1) % 16 + 1) * 2;
    float *x = md_guard_alloc((size_t)n * sizeof(float));
    uint16_t *want = md_guard_alloc(size), *got = md_guard_alloc(size);

    for (int64_t i = 0; i < n; i++)
        x[i] = real_sweep(md_guard_random(seed) % REAL_SWEEP);
    memset(want, 0x5a, size);
    memset(got, 0x5a, size);
    md_cast_bf16_select(0)->run(want, step, x, n);
    k->run(got, step, x, n);
    if (memcmp(got, want, size) != 0)
        fail_msg("%s: n %d, step %d", k->name, (int)n, (int)step);
    md_guard_free(x, (size_t)n * sizeof(float));
    md_guard_free(want, size);
    md_guard_free(got, size);
}

static void test_cast_bf16__rows_equal_ref(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (const md_cast_bf16_kernel *k = md_cast_bf16_kernels; k->run; k++) {
        for (int64_t n = 1; f32_usable(k->name, k->required) && n < 100; n++) {
            check_steps(k, n, 16, &seed);
            check_steps(k, n, 16 + f32_pick(&seed, 1, 50), &seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cast_bf16__known),
        cmocka_unit_test(test_cast_bf16__rows_equal_ref),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
