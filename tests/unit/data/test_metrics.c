/* Measures beside figures that were counted by hand or by scikit-learn 1.5. */
#include "support/test.h"

#include <math.h>

#include "data/interval.h"
#include "data/metrics.h"

enum {
    N = 8
};

/* Eight samples of three classes. */
static void fill(md_outcomes *o)
{
    static const int32_t truth[N] = { 0, 0, 0, 1, 1, 2, 2, 2 };
    static const float scores[N][3] = {
        { 3, 2, 1 }, { 1, 3, 2 }, { 2, 2, 1 }, { 0, 5, 1 },
        { 4, 1, 0 }, { 0, 1, 2 }, { 3, 2, 1 }, { 1, 3, 2 },
    };
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_outcomes_init(o, N, 3, md_alloc_default(), &err), &err);
    for (int i = 0; i < N; i++)
        md_outcomes_take(o, i, truth[i], scores[i]);
}

static void test_metrics__classes(void **state)
{
    static const int32_t predicted[N] = { 0, 1, 0, 1, 0, 2, 0, 1 };
    static const uint32_t weight[N] = { 0, 2, 0, 0, 1, 0, 0, 1 };
    md_class_share worst;
    md_outcomes o;

    (void)state;
    fill(&o);
    for (int i = 0; i < N; i++)
        assert_int_equal(o.predicted[i], predicted[i]);
    assert_near(md_metric_top(&o, 1, NULL), 0.5, 1e-12);
    assert_near(md_metric_top(&o, 2, NULL), 0.75, 1e-12);
    assert_near(md_metric_top(&o, 3, NULL), 1.0, 1e-12);
    /* f1_score(..., average="macro") = (4/7 + 2/5 + 1/2) / 3. */
    assert_near(md_metric_f1(&o, NULL), (4.0 / 7.0 + 2.0 / 5.0 + 0.5) / 3.0,
                1e-12);
    assert_near(md_metric_top(&o, 1, weight), 0.0, 1e-12);
    assert_near(md_metric_f1(&o, weight), 0.0, 1e-12);
    worst = md_metric_worst(&o);
    assert_int_equal(worst.label, 2);
    assert_int_equal(worst.right, 1);
    assert_int_equal(worst.n, 3);
    md_outcomes_release(&o);
}

static void test_metrics__auc(void **state)
{
    static const float score[N] = { 0.1f, 0.4f, 0.35f, 0.8f,
                                    0.8f, 0.2f, 0.9f,  0.4f };
    static const int32_t truth[N] = { 0, 0, 1, 1, 0, 0, 1, 1 };
    static const uint32_t ones[N] = { 0, 0, 1, 1, 0, 0, 1, 1 };
    md_error err = MD_ERROR_INIT;
    md_outcomes o;

    (void)state;
    assert_md_ok(md_outcomes_init(&o, N, 2, md_alloc_default(), &err), &err);
    for (int i = 0; i < N; i++)
        md_outcomes_take(&o, i, truth[i], (float[]){ 0, score[i] });
    assert_md_ok(md_outcomes_sort(&o, &err), &err);
    /* Of 16 pairs: 2 + 3.5 + 4 + 2.5. */
    assert_near(md_metric_auc(&o, NULL), 12.0 / 16.0, 1e-12);
    assert_true(isnan(md_metric_auc(&o, ones)));
    md_outcomes_release(&o);
}

static void test_metrics__distributions(void **state)
{
    static const float logits[] = { 1, 2, 3 }, good[] = { 0.25f, 0.25f, 0.5f };
    double p[3], q[3];

    (void)state;
    assert_false(md_are_probabilities(logits, 1, 3));
    assert_true(md_are_probabilities(good, 1, 3));
    md_probabilities(p, good, 3, true);
    md_probabilities(q, logits, 3, false);
    assert_near(q[2], 0.665240955775, 1e-9);
    assert_near(md_divergence(p, p, 3), 0.0, 1e-15);
    /* scipy.special.rel_entr(p, q).sum() */
    assert_near(md_divergence(p, q, 3),
                0.25 * log(0.25 / 0.0900305731704) +
                    0.25 * log(0.25 / 0.2447284710548) +
                    0.5 * log(0.5 / 0.665240955775),
                1e-9);
    /* A class that the other one rules out costs much, not infinity. */
    assert_true(isfinite(
        md_divergence((double[]){ 0.5, 0.5 }, (double[]){ 1.0, 0.0 }, 2)));
}

static void test_interval__of_a_share(void **state)
{
    /* statsmodels' proportion_confint(k, n, method="wilson"). */
    static const struct {
        int64_t k, n;
        double low, high;
    } cases[] = { { 9, 10, 0.59585, 0.98212 },
                  { 0, 10, 0.0, 0.27753 },
                  { 10, 10, 0.72247, 1.0 },
                  { 918, 1000, 0.89938, 0.93345 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_interval v = md_interval_share(cases[i].k, cases[i].n);

        assert_near(v.low, cases[i].low, 1e-4);
        assert_near(v.high, cases[i].high, 1e-4);
    }
}

/* Of 5 and 15: scipy.stats.binomtest(5, 20).pvalue, and less its last term. */
static void test_interval__mcnemar(void **state)
{
    static const struct {
        int64_t b, c;
        double exact, mid;
    } cases[] = {
        { 0, 0, 1.0, 1.0 },
        { 5, 15, 0.0413894, 0.0266037 },
        { 15, 5, 0.0413894, 0.0266037 },
        { 3, 3, 1.0, 1.0 - 0.5 * 20.0 / 64.0 },
        { 0, 6, 2.0 / 64.0, 1.0 / 64.0 },
        { 50000, 50000, 1.0, 0.998738 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        double exact, mid;

        md_mcnemar(cases[i].b, cases[i].c, &exact, &mid);
        assert_near(exact, cases[i].exact, 1e-6);
        assert_near(mid, cases[i].mid, 1e-6);
    }
}

typedef struct sample {
    const double *v;
    int64_t n;
} sample;

static void mean_of(void *ctx, const uint32_t *weight, double *out)
{
    const sample *s = ctx;

    out[0] = md_metric_mean(s->v, s->n, weight);
    out[1] = NAN;
}

/* The mean of 400 numbers of deviation 0.5: the interval of the bootstrap is
 * about that of the normal distribution, 1.96 * 0.5 / 20 on both sides. */
static void test_interval__bootstrap(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_interval a[2], b[2], c[2];
    double v[400];
    sample s = { v, 400 };

    (void)state;
    for (int i = 0; i < 400; i++)
        v[i] = i % 2;
    assert_md_ok(
        md_bootstrap(a, 2, 400, mean_of, &s, 1, md_alloc_default(), &err),
        &err);
    assert_near(a[0].low, 0.5 - 0.049, 0.006);
    assert_near(a[0].high, 0.5 + 0.049, 0.006);
    assert_true(isnan(a[1].low) && isnan(a[1].high));
    assert_md_ok(
        md_bootstrap(b, 2, 400, mean_of, &s, 1, md_alloc_default(), &err),
        &err);
    assert_true(a[0].low == b[0].low && a[0].high == b[0].high);
    assert_md_ok(
        md_bootstrap(c, 2, 400, mean_of, &s, 2, md_alloc_default(), &err),
        &err);
    assert_true(a[0].low != c[0].low || a[0].high != c[0].high);
    assert_int_equal(md_bootstrap_rounds(1), 2000);
    assert_int_equal(md_bootstrap_rounds(INT64_C(1) << 40), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__classes),
        cmocka_unit_test(test_metrics__auc),
        cmocka_unit_test(test_metrics__distributions),
        cmocka_unit_test(test_interval__of_a_share),
        cmocka_unit_test(test_interval__mcnemar),
        cmocka_unit_test(test_interval__bootstrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
