/* The generator: numbers of known seeds, and none that repeat without one. */
#include "support/test.h"

#include <math.h>

#include "ops/common/random.h"

/* numpy.random.RandomState(seed): random_sample and randn. */
static const struct {
    uint32_t seed;
    double uniform[3], normal[3];
} known[] = {
    { 0u,
      { 0x1.18fe1565f12a8p-1, 0x1.6e2d4cf608733p-1, 0x1.349d66b6e894bp-1 },
      { 0x1.c398ef3e5cfa5p+0, 0x1.99c2cfacc8953p-2, 0x1.f51d25222c9abp-1 } },
    { 1u,
      { 0x1.ab07d0ffa3c06p-2, 0x1.70ce5f3baf051p-1, 0x1.dfb906661c000p-14 },
      { 0x1.9fd5190657c50p+0, -0x1.393822fb7d9adp-1, -0x1.0e6c872548fd2p-1 } },
    { 42u,
      { 0x1.7f8771e5f51ecp-2, 0x1.e6c4068bbd654p-1, 0x1.76c7e8f1e6751p-1 },
      { 0x1.fca2a28a9307cp-2, -0x1.1b2a505de052ap-3, 0x1.4b9dd50245e68p-1 } },
    { 4294967295u,
      { 0x1.8fe69a3924820p-4, 0x1.d323d824032b1p-1, 0x1.93fc6f61af3f9p-1 },
      { 0x1.4bfc38c486d8ap-1, 0x1.56b192e507eeep-1, -0x1.149e836f192fdp+0 } },
};

static void test_random__known_seeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(known); i++) {
        md_random r;

        md_random__seed(&r, known[i].seed);
        for (int k = 0; k < 3; k++)
            assert_true(md_random__uniform(&r) == known[i].uniform[k]);
        md_random__seed(&r, known[i].seed);
        for (int k = 0; k < 3; k++) {
            double v = md_random__normal(&r), want = known[i].normal[k];

            assert_true(fabs(v - want) <= 4e-16 * fabs(want));
        }
    }
}

/* Number 2000 of seed 1: beyond the third renewal of the state. */
static void test_random__later(void **state)
{
    md_random r;
    double v = 0.0;

    (void)state;
    md_random__seed(&r, 1);
    for (int i = 0; i < 2000; i++)
        v = md_random__uniform(&r);
    assert_true(v == 0x1.e4b9915854642p-1);
}

static void test_random__afresh(void **state)
{
    const md_node node = { .op = "RandomNormal", .domain = "", .name = "" };
    double v[64];

    (void)state;
    for (int i = 0; i < 64; i++) {
        md_random r;

        md_random__start(&r, &node);
        v[i] = md_random__uniform(&r);
        assert_true(v[i] >= 0.0 && v[i] < 1.0);
        for (int k = 0; k < i; k++)
            assert_true(v[i] != v[k]);
    }
}

static void test_random__distribution(void **state)
{
    double sum = 0.0, squares = 0.0, below = 0.0;
    const int n = 1 << 18;
    md_random r;

    (void)state;
    md_random__seed(&r, 9);
    for (int i = 0; i < n; i++) {
        double v = md_random__normal(&r);

        sum += v;
        squares += v * v;
        below += v < -1.0;
    }
    /* Five standard errors of each. */
    assert_true(fabs(sum / n) < 5.0 / sqrt(n));
    assert_true(fabs(squares / n - 1.0) < 5.0 * sqrt(2.0 / n));
    assert_true(fabs(below / n - 0.15865525) < 5.0 * sqrt(0.134 / n));
}

static void test_random__exp(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        double v = -0.37 * i, want = exp(v);

        assert_true(fabs(md_random__exp(v) - want) <= 4e-16 * want + 1e-323);
    }
    assert_true(md_random__exp(-INFINITY) == 0.0);
    assert_true(md_random__exp(0.0) == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__known_seeds),
        cmocka_unit_test(test_random__later),
        cmocka_unit_test(test_random__afresh),
        cmocka_unit_test(test_random__distribution),
        cmocka_unit_test(test_random__exp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
