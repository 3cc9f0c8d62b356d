/* Whole convolutions by Winograd's filtering, for each row and tile. */
#include "conv_f32_case.h"
#include "winograd_case.h"

#include "kernels/conv_winograd.h"

typedef struct problem {
    md_conv_shape s;
    md_conv_winograd k;
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

static void problem_pack(problem *p)
{
    md_conv_winograd_pack(p->packed, &p->k, p->w, &p->s, 0,
                          md_div_up(p->s.oc, BLOCK));
}

static void problem_init(problem *p, const md_conv_winograd *k,
                         const md_conv_shape *s, uint32_t *seed)
{
    *p = (problem){ .s = *s, .k = *k };
    p->ep = f32_epilogue((int)md_guard_random(seed) % MD_ACT_COUNT);
    p->x_n = nc16_count(s->n, s->ic, s->ih, s->iw);
    p->y_n = nc16_count(s->n, s->oc, s->oh, s->ow);
    p->w_n = (size_t)(s->oc * s->ic * 9);
    p->bias_n = md_round_up((size_t)s->oc, BLOCK);
    p->x = nc16_random(s->n, s->ic, s->ih * s->iw, seed);
    p->res = nc16_random(s->n, s->oc, s->oh * s->ow, seed);
    p->w = f32_random(p->w_n, seed);
    p->y = f32_random(p->y_n, seed);
    p->bias = f32_random(p->bias_n, seed);
    for (size_t i = (size_t)s->oc; i < p->bias_n; i++)
        p->bias[i] = 0;
    assert_true(md_conv_winograd_packed_size(&p->packed_size, k, s));
    p->packed = md_guard_alloc(p->packed_size);
    md_guard_fill(p->packed, p->packed_size, seed);
    problem_pack(p);
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

static void run(problem *p, int threads, int alias)
{
    md_conv_winograd_args c = { p->k, p->s, p->x, p->packed, p->y, p->ep };
    md_conv_winograd_grid grid;
    size_t size;
    void *scratch;

    assert_true(md_conv_winograd_split(&grid, &c, threads));
    size = md_round_up(grid.scratch_size, MD_CACHE_LINE);
    scratch = md_guard_alloc(size);
    memset(scratch, 0xff, size);
    memset(p->y, 0xff, p->y_n * sizeof(float));
    if (alias && p->ep.residual) {
        memcpy(p->y, p->res, p->y_n * sizeof(float));
        c.ep.residual = p->y;
    }
    for (int64_t i = grid.n_chunks - 1; i >= 0; i--)
        md_conv_winograd_run(&c, &grid, i, scratch);
    md_guard_free(scratch, size);
}

/* S of conv_winograd.h for one output. */
static double magnitude(const problem *p, const int64_t at[4])
{
    const int m = p->k.tile->m, side = m + 2;
    const int64_t y0 = at[2] / m * m - p->s.pad_top;
    const int64_t x0 = at[3] / m * m - p->s.pad_left;
    double all[POINTS_MAX] = { 0 }, out[POINTS_MAX];

    for (int64_t c = 0; c < p->s.ic; c++) {
        double d[POINTS_MAX] = { 0 }, g[9], u[POINTS_MAX], v[POINTS_MAX];

        for (int i = 0; i < side * side; i++) {
            const int64_t iy = y0 + i / side, ix = x0 + i % side;

            d[i] = iy < 0 || iy >= p->s.ih || ix < 0 || ix >= p->s.iw
                       ? 0
                       : (double)read_x(p, at[0], c, iy, ix);
        }
        for (int t = 0; t < 9; t++)
            g[t] = p->w[(at[1] * p->s.ic + c) * 9 + t];
        oracle_in(v, m, d, true);
        oracle_weights(u, m, g, true);
        for (int e = 0; e < side * side; e++)
            all[e] += u[e] * v[e];
    }
    oracle_out(out, m, all, true);
    return out[at[2] % m * m + at[3] % m];
}

/* Sums of more than 16 terms in one chain and 30 roundings around them:
 * 14 each way (test_winograd_f32), bias and residual. */
static double roundings(const problem *p)
{
    return (double)md_min_i64(p->s.ic, 64 + p->s.ic / 8) + 32;
}

static void check_value(const problem *p, const int64_t at[4])
{
    const size_t y = nc16_at(at[0], p->s.oc, at[1], p->s.oh * p->s.ow,
                             at[2] * p->s.ow + at[3]);
    conv_sum r;

    if (at[1] >= p->s.oc) {
        if (p->y[y] != 0)
            fail_msg("%s: %g in a lane that is no channel", p->k.tile->name,
                     (double)p->y[y]);
        return;
    }
    r = conv_oracle(&p->s, 1, read_x, p, p->w, at);
    r.mag = magnitude(p, at);
    if (p->ep.bias)
        conv_sum_add(&r, p->bias[at[1]]);
    if (p->ep.residual)
        conv_sum_add(&r, p->res[y]);
    f32_check_terms(p->k.tile->name, p->y[y], &p->ep, r.sum, r.mag,
                    roundings(p));
}

/* Every pixel, of one channel each: the first, the last, a lane that may be
 * none or any. */
static void check(const problem *p, uint32_t *seed)
{
    const int64_t oc = (int64_t)md_round_up((size_t)p->s.oc, BLOCK);
    const int64_t pixels = p->s.n * p->s.oh * p->s.ow;

    for (int64_t i = 0; i < pixels; i++) {
        const int64_t channels[] = { 0, p->s.oc - 1, oc - 1,
                                     f32_pick(seed, 0, oc - 1) };
        const int64_t at[4] = { i / p->s.ow / p->s.oh,
                                channels[f32_pick(seed, 0, 3)],
                                i / p->s.ow % p->s.oh, i % p->s.ow };

        check_value(p, at);
    }
}

/* A convolution with output of oh x ow. */
static md_conv_shape shape_of(int64_t n, int64_t ic, int64_t oc, int64_t oh,
                              int64_t ow, int64_t top, int64_t left)
{
    return (md_conv_shape){ n,
                            ic,
                            md_max_i64(1, oh + 2 - 2 * top),
                            md_max_i64(1, ow + 2 - 2 * left),
                            oc,
                            oh,
                            ow,
                            3,
                            3,
                            1,
                            1,
                            top,
                            left,
                            1,
                            1 };
}

typedef void case_fn(const md_conv_winograd *k, uint32_t *seed);

static void for_each(case_fn *one, int times)
{
    uint32_t seed = 1;

    for (const md_winograd_f32_kernel *k = md_winograd_f32_kernels; k->tiles;
         k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < times * MD_WINOGRAD_TILES; i++) {
            const md_conv_winograd w =
                md_conv_winograd_select(k->required, i % MD_WINOGRAD_TILES);

            assert_ptr_equal(w.tile, &k->tiles[i % MD_WINOGRAD_TILES]);
            one(&w, &seed);
        }
    }
}

static void compare(const md_conv_winograd *k, const md_conv_shape *s,
                    uint32_t *seed)
{
    problem p;

    problem_init(&p, k, s, seed);
    run(&p, (int)f32_pick(seed, 1, 5), (int)f32_pick(seed, 0, 1));
    check(&p, seed);
    problem_release(&p);
}

static void random_shape(const md_conv_winograd *k, uint32_t *seed)
{
    md_conv_shape s = shape_of(f32_pick(seed, 1, 3), f32_pick(seed, 1, 40),
                               f32_pick(seed, 1, 90), f32_pick(seed, 1, 9),
                               f32_pick(seed, 1, 19), f32_pick(seed, 0, 3),
                               f32_pick(seed, 0, 3));

    /* more or less below and to the right than above and to the left */
    s.ih = md_max_i64(1, s.ih - f32_pick(seed, 0, 2));
    s.iw = md_max_i64(1, s.iw + f32_pick(seed, 0, 2) - 1);
    compare(k, &s, seed);
}

static void test_conv_winograd__random_shapes(void **state)
{
    (void)state;
    for_each(random_shape, 40);
}

static void every_width(const md_conv_winograd *k, uint32_t *seed)
{
    for (int64_t w = 1; w <= 37; w++) {
        const md_conv_shape s =
            shape_of(1, 3, 70 + w % 3, 1 + w % 4, w, 1, w % 2);

        compare(k, &s, seed);
    }
}

static void test_conv_winograd__every_width(void **state)
{
    (void)state;
    for_each(every_width, 1);
}

/* More tiles and more channels than a chunk has, alone and in batches. */
static void large(const md_conv_winograd *k, uint32_t *seed)
{
    const md_conv_shape pixels = shape_of(1, 4, 5, 50, 41, 1, 1);
    const md_conv_shape channels = shape_of(2, 330, 130, 5, 5, 1, 1);

    compare(k, &pixels, seed);
    compare(k, &channels, seed);
}

static void test_conv_winograd__large(void **state)
{
    (void)state;
    for_each(large, 1);
}

/* The bits do not depend on how many threads share the work, on the images
 * beside one, nor on the residual's place. */
static void same_bits(const md_conv_winograd *k, uint32_t *seed)
{
    static const int64_t sizes[][5] = { { 3, 20, 70, 9, 11 },
                                        { 2, 64, 64, 30, 17 },
                                        { 5, 33, 200, 7, 7 } };

    for (size_t i = 0; i < MD_COUNT(sizes); i++) {
        const int64_t *z = sizes[i];
        const md_conv_shape s = shape_of(z[0], z[1], z[2], z[3], z[4], 1, 1);
        problem p;
        float *one;

        problem_init(&p, k, &s, seed);
        p.ep.residual = p.res;
        one = f32_random(p.y_n, seed);
        run(&p, 1, 0);
        memcpy(one, p.y, p.y_n * sizeof(*one));
        for (int threads = 1; threads <= 32; threads *= 2) {
            run(&p, threads, 1);
            if (memcmp(p.y, one, p.y_n * sizeof(*one)) != 0)
                fail_msg("%s: %d threads", k->tile->name, threads);
        }
        p.s.n = 1;
        p.y_n /= (size_t)z[0];
        run(&p, 2, 0);
        assert_memory_equal(p.y, one, p.y_n * sizeof(*one));
        p.y_n *= (size_t)z[0];
        f32_free(one, p.y_n);
        problem_release(&p);
    }
}

static void test_conv_winograd__same_bits(void **state)
{
    (void)state;
    for_each(same_bits, 1);
}

/* ---- Inf and NaN ---- */

static int kind_of(double x)
{
    return isnan(x) ? 2 : isinf(x) ? (x > 0 ? 1 : -1) : 0;
}

/* sum of |x| times the largest weight of the window, over all in it that is
 * finite: what a tile done again may be off by, in parts of 2^20. */
static double window_size(const problem *p, const int64_t at[4])
{
    double sum = 0;

    for (int64_t c = 0; c < p->s.ic; c++) {
        const float *w = p->w + (at[1] * p->s.ic + c) * 9;
        double max = 0, all = 0;

        for (int t = 0; t < 9; t++) {
            const int64_t iy = at[2] - p->s.pad_top + t / 3;
            const int64_t ix = at[3] - p->s.pad_left + t % 3;

            max = fmax(max, fabs((double)w[t]));
            if (iy >= 0 && iy < p->s.ih && ix >= 0 && ix < p->s.iw)
                all += fabs((double)read_x(p, at[0], c, iy, ix));
        }
        sum += max * all;
    }
    return sum;
}

/* As a plain sum: the same kind of number, and near it if that is finite. */
static void check_kinds(const problem *p)
{
    for (int64_t i = 0; i < p->s.n * p->s.oc * p->s.oh * p->s.ow; i++) {
        const int64_t at[4] = { i / p->s.ow / p->s.oh / p->s.oc,
                                i / p->s.ow / p->s.oh % p->s.oc,
                                i / p->s.ow % p->s.oh, i % p->s.ow };
        const size_t y = nc16_at(at[0], p->s.oc, at[1], p->s.oh * p->s.ow,
                                 at[2] * p->s.ow + at[3]);
        const double want = conv_oracle(&p->s, 1, read_x, p, p->w, at).sum +
                            (double)p->bias[at[1]] + (double)p->res[y];
        double bound;

        if (kind_of(p->y[y]) != kind_of(want))
            fail_msg("%s: %g, expected %g", p->k.tile->name, (double)p->y[y],
                     want);
        if (!isfinite(want))
            continue;
        bound = roundings(p) * 0x1p-24 * (magnitude(p, at) + 4);
        if (!isfinite(bound)) /* a tile that was done again */
            bound = 0x1p-19 * (window_size(p, at) + 4);
        if (!(fabs(p->y[y] - want) <= bound))
            fail_msg("%s: %.9g, expected %.9g (bound %g)", p->k.tile->name,
                     (double)p->y[y], want, bound);
    }
}

static void not_finite(const md_conv_winograd *k, uint32_t *seed)
{
    /* 3e38 is finite, its transform is not */
    static const float bad[] = { INFINITY, -INFINITY, NAN, 3e38f };
    const md_conv_shape s = shape_of(2, 19, 35, 10, 9, 1, 1);
    problem p;

    problem_init(&p, k, &s, seed);
    p.ep = (md_epilogue)MD_EPILOGUE_INIT;
    p.ep.bias = p.bias, p.ep.residual = p.res;
    for (size_t i = 0; i < p.w_n; i++)
        p.w[i] *= f32_pick(seed, 0, 4) == 0 ? 0 : 0.25f;
    problem_pack(&p);
    for (int i = 0; i < 6; i++)
        p.x[nc16_at(f32_pick(seed, 0, 1), s.ic, f32_pick(seed, 0, s.ic - 1),
                    s.ih * s.iw, f32_pick(seed, 0, s.ih * s.iw - 1))] =
            bad[f32_pick(seed, 0, 3)];
    run(&p, 2, 1);
    check_kinds(&p);
    problem_release(&p);
}

static void test_conv_winograd__not_finite(void **state)
{
    (void)state;
    for_each(not_finite, 8);
}

/* Every pixel of every tile, so that all are done again. */
static void nothing_finite(const md_conv_winograd *k, uint32_t *seed)
{
    const md_conv_shape s = shape_of(1, 16, 20, 21, 20, 1, 1);
    problem p;

    problem_init(&p, k, &s, seed);
    p.ep = (md_epilogue)MD_EPILOGUE_INIT;
    for (size_t i = 0; i < p.x_n; i++)
        p.x[i] = NAN;
    run(&p, 1, 0);
    for (int64_t i = 0; i < s.oc * s.oh * s.ow; i++)
        assert_true(isnan(p.y[nc16_at(0, s.oc, i / (s.oh * s.ow), s.oh * s.ow,
                                      i % (s.oh * s.ow))]));
    problem_release(&p);
}

static void test_conv_winograd__nothing_finite(void **state)
{
    (void)state;
    for_each(nothing_finite, 1);
}

static void test_conv_winograd__weights_taken(void **state)
{
    float w[] = { 1, -1, 0, 1e-45f, -4e37f, 4e37f, 2 };

    (void)state;
    assert_true(md_conv_winograd_takes(w, MD_COUNT(w)));
    assert_true(md_conv_winograd_takes(w, 0));
    for (size_t i = 0; i < MD_COUNT(w); i++) {
        static const float bad[] = { NAN, INFINITY, -INFINITY, 1e38f, -1e38f };

        for (size_t b = 0; b < MD_COUNT(bad); b++) {
            const float was = w[i];

            w[i] = bad[b];
            assert_false(md_conv_winograd_takes(w, MD_COUNT(w)));
            w[i] = was;
        }
    }
}

/* ---- the stated error ---- */

typedef struct errors {
    double square, max; /* in sum |x w| */
} errors;

static errors errors_of(const problem *p, const float *y)
{
    errors e = { 0, 0 };
    const int64_t count = p->s.oc * p->s.oh * p->s.ow;

    for (int64_t i = 0; i < count; i++) {
        const int64_t at[4] = { 0, i / p->s.ow / p->s.oh, i / p->s.ow % p->s.oh,
                                i % p->s.ow };
        const conv_sum r = conv_oracle(&p->s, 1, read_x, p, p->w, at);
        const size_t k = nc16_at(0, p->s.oc, at[1], p->s.oh * p->s.ow,
                                 at[2] * p->s.ow + at[3]);
        const double off = fabs((double)y[k] - r.sum) / r.mag;

        e.square += off * off / (double)count;
        e.max = fmax(e.max, off);
    }
    return e;
}

static void direct(const problem *p, float *y)
{
    md_conv_f32_args c = { p->s, 1, p->x, NULL, y, MD_EPILOGUE_INIT };
    md_conv_f32_grid grid;
    size_t size;
    void *scratch;
    float *packed;

    assert_true(md_conv_f32_packed_size(&size, &p->s, 1));
    packed = md_guard_alloc(size);
    md_conv_f32_pack(packed, p->w, &p->s, 1);
    c.w = packed;
    assert_true(md_conv_f32_split(&grid, p->k.dense, &p->s, 1, 1));
    scratch = md_guard_alloc(md_round_up(grid.scratch_size, MD_CACHE_LINE));
    for (int64_t i = 0; i < grid.n_chunks; i++)
        md_conv_f32_run(p->k.dense, &c, &grid, i, scratch);
    md_guard_free(scratch, md_round_up(grid.scratch_size, MD_CACHE_LINE));
    md_guard_free(packed, size);
}

/* What conv_winograd.h and `modeld explain` say, on numbers as they are behind
 * a ReLU, and of any sign. */
static void stated_error(const md_conv_winograd *k, uint32_t *seed)
{
    const double stated = k->tile->m == 2 ? 1 : 3;
    const md_conv_shape s = shape_of(1, 64, 32, 24, 24, 1, 1);

    for (int relu = 0; relu < 2; relu++) {
        errors ours, plain;
        problem p;
        float *y;

        problem_init(&p, k, &s, seed);
        p.ep = (md_epilogue)MD_EPILOGUE_INIT;
        for (size_t i = 0; i < p.x_n && relu; i++)
            p.x[i] = fmaxf(0, p.x[i]);
        y = f32_random(p.y_n, seed);
        run(&p, 1, 0);
        direct(&p, y);
        ours = errors_of(&p, p.y);
        plain = errors_of(&p, y);
        print_message("%s: error %.2g rms, %.2g at most; plain sum %.2g, %.2g: "
                      "%.2f and %.2f times\n",
                      k->tile->name, sqrt(ours.square), ours.max,
                      sqrt(plain.square), plain.max,
                      sqrt(ours.square / plain.square), ours.max / plain.max);
        assert_true(sqrt(ours.square) <= stated * sqrt(plain.square));
        assert_true(ours.max <= stated * plain.max);
        f32_free(y, p.y_n);
        problem_release(&p);
    }
}

static void test_conv_winograd__stated_error(void **state)
{
    (void)state;
    for_each(stated_error, 1);
}

/* ---- choice and cut ---- */

static int choice(int64_t n, int64_t ic, int64_t oc, int64_t size, double speed)
{
    const md_conv_shape s = shape_of(n, ic, oc, size, size, 1, 1);

    return md_conv_winograd_choose(&s, speed);
}

static void test_conv_winograd__choice(void **state)
{
    md_conv_shape open = shape_of(1, 64, 64, 8, 8, 1, 1);

    (void)state;
    assert_int_equal(choice(1, 64, 64, 56, 1), 1);
    assert_int_equal(choice(1, 128, 128, 28, 1), 1);
    /* weights decide: 2 x 2 has less than half of those of 4 x 4 */
    assert_int_equal(choice(1, 256, 256, 14, 1), 0);
    assert_int_equal(choice(1, 512, 512, 7, 1), -1);
    /* and are used more often in a batch */
    assert_int_equal(choice(32, 512, 512, 7, 1), 1);
    assert_int_equal(choice(1, 1, 1, 1, 1), -1);
    /* beside a kernel of twice the speed only what saves much is left */
    assert_int_equal(choice(1, 64, 64, 56, 2), 1);
    assert_int_equal(choice(1, 256, 256, 14, 2), -1);
    assert_int_equal(choice(1, 64, 64, 56, 12), -1);
    open.n = open.oh = open.ow = 0;
    assert_int_equal(md_conv_winograd_choose(&open, 1),
                     choice(1, 64, 64, 32, 1));
}

static void test_conv_winograd__split(void **state)
{
    static const int64_t sizes[][3] = {
        { 64, 64, 56 },
        { 256, 256, 14 },
        { 512, 512, 7 },
        { 16, 16, 160 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(sizes) * MD_WINOGRAD_TILES; i++) {
        const int64_t *z = sizes[i / MD_WINOGRAD_TILES];
        const md_conv_winograd_args c = {
            .k = md_conv_winograd_select(MD_CPU_NONE,
                                         (int)(i % MD_WINOGRAD_TILES)),
            .shape = shape_of(1, z[0], z[1], z[2], z[2], 1, 1)
        };

        for (int threads = 1; threads <= 8; threads *= 2) {
            md_conv_winograd_grid g;

            assert_true(md_conv_winograd_split(&g, &c, threads));
            assert_true(g.n_chunks >= threads);
            assert_true(g.tile_parts <= threads || g.tile_step >= 14);
            assert_true(g.scratch_size <= 4 << 20);
        }
    }
}

static void test_conv_winograd__nothing_and_too_much(void **state)
{
    const int64_t big = INT64_MAX / 64;
    md_conv_winograd_args c = { .k = md_conv_winograd_select(MD_CPU_NONE, 1),
                                .shape = shape_of(0, 3, 5, 4, 4, 1, 1) };
    md_conv_winograd_grid g;
    size_t size;

    (void)state;
    assert_true(md_conv_winograd_split(&g, &c, 4));
    assert_int_equal(g.n_chunks, 0);
    c.shape = shape_of(INT64_MAX / 2, 3, 5, 40, 40, 1, 1);
    assert_false(md_conv_winograd_split(&g, &c, 4));
    c.shape = shape_of(1, big, big, 4, 4, 1, 1);
    assert_false(md_conv_winograd_packed_size(&size, &c.k, &c.shape));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_winograd__random_shapes),
        cmocka_unit_test(test_conv_winograd__every_width),
        cmocka_unit_test(test_conv_winograd__large),
        cmocka_unit_test(test_conv_winograd__same_bits),
        cmocka_unit_test(test_conv_winograd__not_finite),
        cmocka_unit_test(test_conv_winograd__nothing_finite),
        cmocka_unit_test(test_conv_winograd__weights_taken),
        cmocka_unit_test(test_conv_winograd__stated_error),
        cmocka_unit_test(test_conv_winograd__choice),
        cmocka_unit_test(test_conv_winograd__split),
        cmocka_unit_test(test_conv_winograd__nothing_and_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
