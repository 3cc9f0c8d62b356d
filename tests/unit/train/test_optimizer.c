/* Optimizers beside their formulas, step by step in double. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "train/optimizer.h"

enum {
    N = 40000, /* three pieces */
    STEPS = 5
};

/* A kernel of N, a bias of 3 and a running mean of 2. */
typedef struct fixture {
    md_param p[3];
    md_params params;
    md_slot slots[3];
    const float *gradient[3];
} fixture;

static float value[3][N], first[3][N], second[3][N], average[3][N], grad[3][N];

static void begin(fixture *f)
{
    static const md_param_kind kinds[] = { MD_PARAM_KERNEL, MD_PARAM_BIAS,
                                           MD_PARAM_MEAN };
    static const int64_t counts[] = { N, 3, 2 };

    memset(f, 0, sizeof(*f));
    memset(first, 0, sizeof(first));
    memset(second, 0, sizeof(second));
    for (int i = 0; i < 3; i++) {
        f->p[i].kind = kinds[i];
        f->p[i].n = counts[i];
        f->slots[i] = (md_slot){ value[i], average[i], first[i], second[i] };
        f->gradient[i] = grad[i];
        for (int64_t k = 0; k < counts[i]; k++)
            value[i][k] = average[i][k] = sinf((float)k + (float)i);
    }
    f->params = (md_params){ f->p, 3, 3 };
}

static float gradient_at(int64_t k, int t)
{
    return cosf((float)k * 0.7f + (float)t) * 0.01f;
}

static void set_gradient(const fixture *f, int t)
{
    for (int i = 0; i < 3; i++) {
        for (int64_t k = 0; k < f->p[i].n; k++)
            grad[i][k] = gradient_at(k, t);
    }
}

static double norm_of(const fixture *f)
{
    double sum = 0.0;

    for (int i = 0; i < 2; i++) {
        for (int64_t k = 0; k < f->p[i].n; k++)
            sum += (double)grad[i][k] * grad[i][k];
    }
    return sqrt(sum);
}

/* Element k of parameter i by the formulas, all steps. */
static double expect(const md_optimizer_opts *o, int i, int64_t k,
                     const double *norms)
{
    double w = sinf((float)k + (float)i), m = 0.0, v = 0.0;
    const double decay = i == 0 ? o->decay : 0.0;

    for (int t = 0; t < STEPS; t++) {
        double scale =
            o->clip > 0 && norms[t] > o->clip ? o->clip / norms[t] : 1.0;
        double g = gradient_at(k, t) * scale;
        double rate = md_optimizer_rate(o, t);

        if (o->kind == MD_OPTIMIZER_SGD) {
            m = o->momentum * m + g + decay * w;
            w -= rate * m;
            continue;
        }
        m = o->beta1 * m + (1 - o->beta1) * g;
        v = o->beta2 * v + (1 - o->beta2) * g * g;
        w -= rate * (m / (1 - pow(o->beta1, t + 1)) /
                         (sqrt(v / (1 - pow(o->beta2, t + 1))) + o->epsilon) +
                     decay * w);
    }
    return w;
}

static void check(const md_optimizer_opts *o)
{
    double norms[STEPS];
    fixture f;

    begin(&f);
    for (int t = 0; t < STEPS; t++) {
        set_gradient(&f, t);
        norms[t] = norm_of(&f);
        assert_near(md_gradient_norm(&f.params, f.gradient, NULL), norms[t],
                    1e-9 * norms[t]);
        md_optimizer_step(o, &f.params, f.slots, f.gradient, norms[t], t, NULL);
    }
    for (int i = 0; i < 2; i++) {
        /* Five steps of floats: a few units of 6e-8 each; Adam's first steps
         * divide by a root that is a float as well. */
        for (int64_t k = 0; k < f.p[i].n; k += 997)
            assert_near(value[i][k], expect(o, i, k, norms), 2e-6);
    }
    /* What is not learned becomes what the step gave. */
    assert_true(value[2][0] == grad[2][0] && value[2][1] == grad[2][1]);
}

static void test_optimizer__formulas(void **state)
{
    md_optimizer_opts o = MD_OPTIMIZER_OPTS_INIT;

    (void)state;
    o.total = 100;
    check(&o);
    o.clip = 0.5;
    o.warmup = 3;
    check(&o);
    o.kind = MD_OPTIMIZER_SGD;
    o.rate = 0.1;
    check(&o);
    o.clip = 0.0;
    o.decay = 0.0;
    check(&o);
}

static void test_optimizer__threads_do_not_matter(void **state)
{
    static float alone[N];
    md_optimizer_opts o = MD_OPTIMIZER_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    double norm[2];
    md_pool *pool;

    (void)state;
    o.clip = 0.1;
    o.total = 10;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    for (int i = 0; i < 2; i++) {
        fixture f;

        begin(&f);
        set_gradient(&f, 1);
        norm[i] = md_gradient_norm(&f.params, f.gradient, i ? pool : NULL);
        md_optimizer_step(&o, &f.params, f.slots, f.gradient, norm[i], 0,
                          i ? pool : NULL);
        if (i == 0)
            memcpy(alone, value[0], sizeof(alone));
    }
    assert_true(norm[0] == norm[1]);
    assert_memory_equal(alone, value[0], sizeof(alone));
    md_pool_free(pool);
}

/* The average follows; at first it forgets where it began. */
static void test_optimizer__averages(void **state)
{
    md_optimizer_opts o = MD_OPTIMIZER_OPTS_INIT;
    double want = sin(7.0);
    fixture f;

    (void)state;
    o.ema = 0.3;
    o.total = 10;
    begin(&f);
    for (int t = 0; t < STEPS; t++) {
        double keep = fmin(0.3, (t + 1.0) / (t + 10.0));

        set_gradient(&f, t);
        md_optimizer_step(&o, &f.params, f.slots, f.gradient, 1.0, t, NULL);
        want = keep * want + (1 - keep) * value[0][7];
        assert_near(average[0][7], want, 1e-6);
    }
}

static void test_optimizer__rates(void **state)
{
    md_optimizer_opts o = MD_OPTIMIZER_OPTS_INIT;

    (void)state;
    o.rate = 2.0;
    o.warmup = 4;
    o.total = 14;
    assert_near(md_optimizer_rate(&o, 0), 0.5, 1e-12);
    assert_near(md_optimizer_rate(&o, 3), 2.0, 1e-12);
    assert_near(md_optimizer_rate(&o, 4), 2.0, 1e-12);
    assert_near(md_optimizer_rate(&o, 9), 1.0, 1e-12);
    assert_near(md_optimizer_rate(&o, 13), 1.0 + cos(0.9 * 3.14159265358979),
                1e-9);
    assert_near(md_optimizer_rate(&o, 14), 0.0, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimizer__formulas),
        cmocka_unit_test(test_optimizer__threads_do_not_matter),
        cmocka_unit_test(test_optimizer__averages),
        cmocka_unit_test(test_optimizer__rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
