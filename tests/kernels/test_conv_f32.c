#include "conv_f32_case.h"

#include "kernels/conv_f32.h"

typedef struct problem {
    md_conv_shape s;
    int64_t groups;
    float *x, *w, *packed, *bias, *res, *y;
    size_t x_n, w_n, packed_size, bias_n, y_n;
    md_epilogue ep;
} problem;

static float read_x(const void *ctx, int64_t n, int64_t c, int64_t iy,
                    int64_t ix)
{
    const problem *p = ctx;

    return p->x[nc16_at(n, p->s.ic, c, p->s.ih * p->s.iw, iy * p->s.iw + ix)];
}

static void problem_init(problem *p, const md_conv_shape *s, int64_t groups,
                         uint32_t *seed)
{
    *p = (problem){ .s = *s, .groups = groups };
    p->ep = f32_epilogue((int)md_guard_random(seed) % MD_ACT_COUNT);
    p->x_n = nc16_count(s->n, s->ic, s->ih, s->iw);
    p->y_n = nc16_count(s->n, s->oc, s->oh, s->ow);
    p->w_n = (size_t)(s->oc * s->ic / groups * s->kh * s->kw);
    p->bias_n = md_round_up((size_t)s->oc, BLOCK);
    p->x = nc16_random(s->n, s->ic, s->ih * s->iw, seed);
    p->res = nc16_random(s->n, s->oc, s->oh * s->ow, seed);
    p->w = f32_random(p->w_n, seed);
    p->y = f32_random(p->y_n, seed);
    p->bias = f32_random(p->bias_n, seed);
    assert_true(md_conv_f32_packed_size(&p->packed_size, s, groups));
    p->packed = md_guard_alloc(p->packed_size);
    md_guard_fill(p->packed, p->packed_size, seed);
    md_conv_f32_pack(p->packed, p->w, s, groups);
    p->ep.bias = f32_pick(seed, 0, 1) ? p->bias : NULL;
    p->ep.residual = f32_pick(seed, 0, 1) ? p->res : NULL;
}

static void problem_release(problem *p)
{
    f32_free(p->x, p->x_n);
    f32_free(p->res, p->y_n);
    f32_free(p->w, p->w_n);
    f32_free(p->y, p->y_n);
    f32_free(p->bias, p->bias_n);
    md_guard_free(p->packed, p->packed_size);
}

static void run(problem *p, const md_conv_f32_kernel *k, int threads, int alias)
{
    md_conv_f32_args c = { p->s, p->groups, p->x, p->packed, p->y, p->ep };
    md_conv_f32_grid grid;
    size_t size;
    void *scratch;

    assert_true(md_conv_f32_split(&grid, k, &p->s, p->groups, threads));
    size = md_round_up(grid.scratch_size, MD_CACHE_LINE);
    scratch = md_guard_alloc(size);
    memset(scratch, 0xff, size);
    memset(p->y, 0xff, p->y_n * sizeof(float));
    if (alias && p->ep.residual) {
        memcpy(p->y, p->res, p->y_n * sizeof(float));
        c.ep.residual = p->y;
    }
    for (int64_t i = grid.n_chunks - 1; i >= 0; i--)
        md_conv_f32_run(k, &c, &grid, i, scratch);
    md_guard_free(scratch, size);
}

static void check_value(const problem *p, const char *who, const int64_t at[4])
{
    const size_t y = nc16_at(at[0], p->s.oc, at[1], p->s.oh * p->s.ow,
                             at[2] * p->s.ow + at[3]);
    conv_sum r;

    if (at[1] >= p->s.oc) {
        if (p->y[y] != 0)
            fail_msg("%s: %g in a lane that is no channel", who,
                     (double)p->y[y]);
        return;
    }
    r = conv_oracle(&p->s, p->groups, read_x, p, p->w, at);
    if (p->ep.bias)
        conv_sum_add(&r, p->bias[at[1]]);
    if (p->ep.residual)
        conv_sum_add(&r, p->res[y]);
    f32_check(who, p->y[y], &p->ep, r.sum, r.mag, r.n);
}

static void check(const problem *p, const char *who)
{
    const int64_t oc = (int64_t)md_round_up((size_t)p->s.oc, BLOCK);
    const int64_t count = p->s.n * oc * p->s.oh * p->s.ow;

    for (int64_t i = 0; i < count; i++) {
        const int64_t at[4] = { i / p->s.ow / p->s.oh / oc,
                                i / p->s.ow / p->s.oh % oc,
                                i / p->s.ow % p->s.oh, i % p->s.ow };

        check_value(p, who, at);
    }
}

static void compare(const md_conv_f32_kernel *k, const md_conv_shape *s,
                    int64_t groups, uint32_t *seed)
{
    problem p;

    problem_init(&p, s, groups, seed);
    run(&p, k, (int)f32_pick(seed, 1, 5), (int)f32_pick(seed, 0, 1));
    check(&p, k->name);
    problem_release(&p);
}

static void test_conv_f32__random_shapes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 250; i++) {
            md_conv_shape s = { .n = f32_pick(&seed, 1, 2) };

            s.ic = f32_pick(&seed, 1, 40), s.oc = f32_pick(&seed, 1, 90);
            s.ih = f32_pick(&seed, 1, 9), s.iw = f32_pick(&seed, 1, 19);
            conv_window_random(&s, &seed);
            compare(k, &s, 1, &seed);
        }
    }
}

static void test_conv_f32__groups(void **state)
{
    uint32_t seed = 2;

    (void)state;
    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 20; i++) {
            const int64_t groups = f32_pick(&seed, 1, 3);
            md_conv_shape s = { .n = f32_pick(&seed, 1, 2) };

            s.ic = groups * BLOCK * f32_pick(&seed, 1, 2);
            s.oc = groups * BLOCK * f32_pick(&seed, 1, 2);
            s.ih = f32_pick(&seed, 1, 9), s.iw = f32_pick(&seed, 1, 9);
            conv_window_random(&s, &seed);
            compare(k, &s, groups, &seed);
        }
    }
}

/* Each width of a row, so each tile, and pointwise planes of several
 * segments. */
static void test_conv_f32__every_width(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int64_t w = 1; w <= 45; w++) {
            const int64_t pad = w % 2;
            md_conv_shape s = { 1,          3, 2, w + 2 - 2 * pad,
                                70 + w % 3, 2, w, 3,
                                3,          1, 1, 1,
                                pad,        1, 1 };

            compare(k, &s, 1, &seed);
            s = (md_conv_shape){ 1, 5, 3, w, 33, 3, w, 1, 1, 1, 1, 0, 0, 1, 1 };
            compare(k, &s, 1, &seed);
        }
    }
}

/* Weights of a span beyond what is kept in L2: the sum is built in parts. */
static void test_conv_f32__many_channels(void **state)
{
    uint32_t seed = 4;

    (void)state;
    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 4; i++) {
            const md_conv_shape s = { 1, 1370, 2, 2, 64, 2, 2, 3,
                                      3, 1,    1, 1, 1,  1, 1 };

            compare(k, &s, 1, &seed);
        }
    }
}

/* The result for any number of threads is that for one, also when the sum is
 * built in parts upon a residual that is overwritten. */
static void test_conv_f32__same_bits_for_any_threads(void **state)
{
    static const md_conv_shape shapes[] = {
        { 1, 20, 9, 11, 40, 9, 11, 3, 3, 1, 1, 1, 1, 1, 1 },
        { 2, 64, 7, 7, 64, 7, 7, 1, 1, 1, 1, 0, 0, 1, 1 },
        { 1, 1370, 3, 3, 40, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1 },
        { 3, 1370, 4, 2, 40, 2, 1, 3, 3, 2, 2, 1, 1, 1, 1 },
    };
    uint32_t seed = 6;

    (void)state;
    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (size_t i = 0; i < 3 * MD_COUNT(shapes); i++) {
            const int alias = i % 3 == 1;
            problem p;
            float *one;

            problem_init(&p, &shapes[i / 3], 1, &seed);
            p.ep.residual = i % 3 ? p.res : NULL;
            one = md_guard_alloc(p.y_n * sizeof(*one));
            run(&p, k, 1, alias);
            memcpy(one, p.y, p.y_n * sizeof(*one));
            for (int threads = 2; threads <= 32; threads *= 2) {
                run(&p, k, threads, alias);
                if (memcmp(p.y, one, p.y_n * sizeof(*one)) != 0)
                    fail_msg("%s: shape %zu, %d threads", k->name, i / 3,
                             threads);
            }
            f32_free(one, p.y_n);
            problem_release(&p);
        }
    }
}

/* No image, no channels, no taps inside the image. */
static void test_conv_f32__empty(void **state)
{
    static const md_conv_shape none = { 0, 3, 4, 4, 5, 4, 4, 1,
                                        1, 1, 1, 0, 0, 1, 1 };
    static const md_conv_shape outside = { 1, 3, 1, 1, 5, 9, 9, 1,
                                           1, 1, 1, 4, 4, 1, 1 };
    uint32_t seed = 5;

    (void)state;
    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        md_conv_f32_grid grid;

        if (!f32_usable(k->name, k->required))
            continue;
        assert_true(md_conv_f32_split(&grid, k, &none, 1, 4));
        assert_int_equal(grid.n_chunks, 0);
        compare(k, &outside, 1, &seed);
    }
}

static void test_conv_f32__sizes_that_overflow(void **state)
{
    const int64_t big = INT64_MAX / 64;
    const md_conv_shape s = {
        1, big, 1, 1, 16, 1, 1, big, big, 1, 1, 0, 0, 1, 1
    };
    const md_conv_f32_kernel *k = md_conv_f32_select(MD_CPU_NONE);
    size_t size;

    (void)state;
    assert_string_equal(k->name, "conv_f32__ref");
    assert_ptr_equal(md_conv_f32_select(MD_CPU_ALL), md_conv_f32_kernels);
    assert_false(md_conv_f32_packed_size(&size, &s, 1));
}

/* Enough chunks for the threads, and none for nothing. */
static void test_conv_f32__split_feeds_threads(void **state)
{
    static const md_conv_shape shapes[] = {
        { 1, 64, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1 },
        { 1, 512, 7, 7, 512, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1 },
        { 1, 2048, 7, 7, 512, 7, 7, 1, 1, 1, 1, 0, 0, 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(shapes); i++) {
        for (int threads = 1; threads <= 8; threads *= 2) {
            md_conv_f32_grid grid;

            assert_true(md_conv_f32_split(&grid, md_conv_f32_kernels,
                                          &shapes[i], 1, threads));
            assert_true(grid.n_chunks >= threads);
            assert_true(grid.n_chunks <= 4 * (int64_t)threads + 8);
            assert_true(grid.scratch_size <= 1 << 20);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_f32__random_shapes),
        cmocka_unit_test(test_conv_f32__groups),
        cmocka_unit_test(test_conv_f32__every_width),
        cmocka_unit_test(test_conv_f32__many_channels),
        cmocka_unit_test(test_conv_f32__same_bits_for_any_threads),
        cmocka_unit_test(test_conv_f32__empty),
        cmocka_unit_test(test_conv_f32__sizes_that_overflow),
        cmocka_unit_test(test_conv_f32__split_feeds_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
