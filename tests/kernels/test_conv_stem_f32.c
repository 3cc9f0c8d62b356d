#include "conv_f32_case.h"

#include "kernels/conv_stem_f32.h"

typedef struct problem {
    md_conv_shape s;
    int64_t stride[4];
    float *x, *w, *packed, *bias, *res, *y;
    size_t x_n, w_n, packed_size, bias_n, y_n;
    md_epilogue ep;
} problem;

static float read_x(const void *ctx, int64_t n, int64_t c, int64_t iy,
                    int64_t ix)
{
    const problem *p = ctx;

    return p->x[n * p->stride[0] + c * p->stride[1] + iy * p->stride[2] +
                ix * p->stride[3]];
}

/* NCHW, NHWC or NCHW with gaps. */
static void strides_random(problem *p, uint32_t *seed)
{
    const md_conv_shape *s = &p->s;
    const int64_t gap = f32_pick(seed, 0, 2);

    if (f32_pick(seed, 0, 1)) {
        p->stride[3] = s->ic + gap;
        p->stride[1] = 1;
        p->stride[2] = s->iw * p->stride[3];
        p->stride[0] = s->ih * p->stride[2];
    } else {
        p->stride[3] = 1;
        p->stride[2] = s->iw + gap;
        p->stride[1] = s->ih * p->stride[2];
        p->stride[0] = s->ic * p->stride[1];
    }
    p->x_n =
        (size_t)((s->n - 1) * p->stride[0] + (s->ic - 1) * p->stride[1] +
                 (s->ih - 1) * p->stride[2] + (s->iw - 1) * p->stride[3] + 1);
}

static void problem_init(problem *p, const md_conv_shape *s, uint32_t *seed)
{
    *p = (problem){ .s = *s };
    p->ep = f32_epilogue((int)md_guard_random(seed) % MD_ACT_COUNT);
    strides_random(p, seed);
    p->y_n = nc16_count(s->n, s->oc, s->oh, s->ow);
    p->w_n = (size_t)(s->oc * s->ic * s->kh * s->kw);
    p->bias_n = md_round_up((size_t)s->oc, BLOCK);
    p->x = f32_random(p->x_n, seed);
    p->res = nc16_random(s->n, s->oc, s->oh * s->ow, seed);
    p->w = f32_random(p->w_n, seed);
    p->y = f32_random(p->y_n, seed);
    p->bias = f32_random(p->bias_n, seed);
    assert_true(md_conv_stem_f32_packed_size(&p->packed_size, s));
    p->packed = md_guard_alloc(p->packed_size);
    md_guard_fill(p->packed, p->packed_size, seed);
    md_conv_stem_f32_pack(p->packed, p->w, s);
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

static void run(problem *p, const md_conv_stem_f32_kernel *k, int threads,
                int alias)
{
    md_conv_stem_f32_args c = {
        .shape = p->s, .x = p->x, .w = p->packed, .y = p->y, .ep = p->ep
    };
    md_conv_stem_f32_grid grid;
    size_t size;
    void *scratch;

    memcpy(c.x_stride, p->stride, sizeof(c.x_stride));
    assert_true(md_conv_stem_f32_split(&grid, &p->s, threads));
    size = md_round_up(grid.scratch_size, MD_CACHE_LINE);
    scratch = md_guard_alloc(size);
    memset(scratch, 0xff, size);
    memset(p->y, 0xff, p->y_n * sizeof(float));
    if (alias && p->ep.residual) {
        memcpy(p->y, p->res, p->y_n * sizeof(float));
        c.ep.residual = p->y;
    }
    for (int64_t i = grid.n_chunks - 1; i >= 0; i--)
        md_conv_stem_f32_run(k, &c, &grid, i, scratch);
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
    r = conv_oracle(&p->s, 1, read_x, p, p->w, at);
    if (p->ep.bias)
        conv_sum_add(&r, p->bias[at[1]]);
    if (p->ep.residual)
        conv_sum_add(&r, p->res[y]);
    f32_check(who, p->y[y], &p->ep, r.sum, r.mag, r.n);
}

static void compare(const md_conv_stem_f32_kernel *k, const md_conv_shape *s,
                    uint32_t *seed)
{
    const int64_t oc = (int64_t)md_round_up((size_t)s->oc, BLOCK);
    problem p;

    problem_init(&p, s, seed);
    run(&p, k, (int)f32_pick(seed, 1, 5), (int)f32_pick(seed, 0, 1));
    for (int64_t i = 0; i < s->n * oc * s->oh * s->ow; i++) {
        const int64_t at[4] = { i / s->ow / s->oh / oc, i / s->ow / s->oh % oc,
                                i / s->ow % s->oh, i % s->ow };

        check_value(&p, k->name, at);
    }
    problem_release(&p);
}

static void test_conv_stem_f32__random_shapes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (const md_conv_stem_f32_kernel *k = md_conv_stem_f32_kernels; k->span;
         k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 250; i++) {
            md_conv_shape s = { .n = f32_pick(&seed, 1, 2) };

            s.ic = f32_pick(&seed, 1, 5), s.oc = f32_pick(&seed, 1, 70);
            s.ih = f32_pick(&seed, 1, 9), s.iw = f32_pick(&seed, 1, 40);
            conv_window_random(&s, &seed);
            compare(k, &s, &seed);
        }
    }
}

/* The first layers of well-known nets, narrower. */
static void test_conv_stem_f32__known_stems(void **state)
{
    static const md_conv_shape shapes[] = {
        { 1, 3, 20, 224, 64, 10, 112, 7, 7, 2, 2, 3, 3, 1, 1 },
        { 1, 3, 20, 160, 32, 10, 80, 3, 3, 2, 2, 1, 1, 1, 1 },
        { 2, 1, 28, 28, 6, 28, 28, 5, 5, 1, 1, 2, 2, 1, 1 },
        { 1, 3, 32, 32, 32, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1 },
        { 1, 3, 32, 32, 8, 2, 2, 16, 16, 16, 16, 0, 0, 1, 1 },
    };
    uint32_t seed = 2;

    (void)state;
    for (const md_conv_stem_f32_kernel *k = md_conv_stem_f32_kernels; k->span;
         k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (size_t i = 0; i < MD_COUNT(shapes); i++)
            compare(k, &shapes[i], &seed);
    }
}

static void test_conv_stem_f32__empty_and_too_large(void **state)
{
    const int64_t big = INT64_MAX / 64;
    const md_conv_shape none = { 1, 3, 4, 4, 0, 4, 4, 1, 1, 1, 1, 0, 0, 1, 1 };
    const md_conv_shape large = { 1,   1, 1, 1, 16, 1, 1, big,
                                  big, 1, 1, 0, 0,  1, 1 };
    md_conv_stem_f32_grid grid;
    size_t size;

    (void)state;
    assert_true(md_conv_stem_f32_split(&grid, &none, 4));
    assert_int_equal(grid.n_chunks, 0);
    assert_false(md_conv_stem_f32_packed_size(&size, &large));
    assert_string_equal(md_conv_stem_f32_select(MD_CPU_NONE)->name,
                        "conv_stem_f32__ref");
    assert_ptr_equal(md_conv_stem_f32_select(MD_CPU_ALL),
                     md_conv_stem_f32_kernels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_stem_f32__random_shapes),
        cmocka_unit_test(test_conv_stem_f32__known_stems),
        cmocka_unit_test(test_conv_stem_f32__empty_and_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
