#include "conv_f32_case.h"

#include "kernels/dwconv_f32.h"

typedef struct problem {
    md_conv_shape s;
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

static void problem_init(problem *p, const md_conv_shape *s, uint32_t *seed)
{
    *p = (problem){ .s = *s };
    p->ep = f32_epilogue((int)md_guard_random(seed) % MD_ACT_COUNT);
    p->x_n = nc16_count(s->n, s->ic, s->ih, s->iw);
    p->y_n = nc16_count(s->n, s->oc, s->oh, s->ow);
    p->w_n = (size_t)(s->oc * s->kh * s->kw);
    p->bias_n = md_round_up((size_t)s->oc, BLOCK);
    p->x = nc16_random(s->n, s->ic, s->ih * s->iw, seed);
    p->res = nc16_random(s->n, s->oc, s->oh * s->ow, seed);
    p->w = f32_random(p->w_n, seed);
    p->y = f32_random(p->y_n, seed);
    p->bias = f32_random(p->bias_n, seed);
    assert_true(md_dwconv_f32_packed_size(&p->packed_size, s));
    p->packed = md_guard_alloc(p->packed_size);
    md_guard_fill(p->packed, p->packed_size, seed);
    md_dwconv_f32_pack(p->packed, p->w, s);
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

static void run(problem *p, const md_dwconv_f32_kernel *k, int threads,
                int alias)
{
    md_dwconv_f32_args c = { p->s, p->x, p->packed, p->y, p->ep };
    const int64_t n = md_dwconv_f32_n_chunks(&p->s, threads);

    memset(p->y, 0xff, p->y_n * sizeof(float));
    if (alias && p->ep.residual) {
        memcpy(p->y, p->res, p->y_n * sizeof(float));
        c.ep.residual = p->y;
    }
    for (int64_t i = n - 1; i >= 0; i--)
        md_dwconv_f32_run(k, &c, i, n);
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
    r = conv_oracle(&p->s, p->s.oc, read_x, p, p->w, at);
    if (p->ep.bias)
        conv_sum_add(&r, p->bias[at[1]]);
    if (p->ep.residual)
        conv_sum_add(&r, p->res[y]);
    f32_check(who, p->y[y], &p->ep, r.sum, r.mag, r.n);
}

static void compare(const md_dwconv_f32_kernel *k, const md_conv_shape *s,
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

static void test_dwconv_f32__random_shapes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (const md_dwconv_f32_kernel *k = md_dwconv_f32_kernels; k->row; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 400; i++) {
            md_conv_shape s = { .n = f32_pick(&seed, 1, 2) };

            s.ic = s.oc = f32_pick(&seed, 1, 40);
            s.ih = f32_pick(&seed, 1, 9), s.iw = f32_pick(&seed, 1, 19);
            conv_window_random(&s, &seed);
            compare(k, &s, &seed);
        }
    }
}

/* The windows that have code of their own, over every width, large enough to
 * be cut by rows. */
static void test_dwconv_f32__usual_windows(void **state)
{
    uint32_t seed = 2;

    (void)state;
    for (const md_dwconv_f32_kernel *k = md_dwconv_f32_kernels; k->row; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int64_t i = 0; i < 4 * 35; i++) {
            const int64_t ks = i % 2 ? 3 : 5, stride = i / 2 % 2 + 1;
            const int64_t w = i / 4 + 1, out = (w - 1) / stride + 1;
            const md_conv_shape s = { 1,      17,     w,      w,  17,
                                      out,    out,    ks,     ks, stride,
                                      stride, ks / 2, ks / 2, 1,  1 };

            compare(k, &s, &seed);
        }
    }
}

static void test_dwconv_f32__chunks(void **state)
{
    const md_conv_shape s = { 1, 32, 112, 112, 32, 112, 112, 3,
                              3, 1,  1,   1,   1,  1,   1 };
    const md_conv_shape none = { 1, 0, 9, 9, 0, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1 };
    const int64_t big = INT64_MAX / 64;
    const md_conv_shape large = { 1,   1, 1, 1, 1, 1, 1, big,
                                  big, 1, 1, 0, 0, 1, 1 };
    size_t size;

    (void)state;
    assert_int_equal(md_dwconv_f32_n_chunks(&none, 4), 0);
    assert_true(md_dwconv_f32_n_chunks(&s, 8) >= 8);
    assert_false(md_dwconv_f32_packed_size(&size, &large));
    assert_string_equal(md_dwconv_f32_select(MD_CPU_NONE)->name,
                        "dwconv_f32__ref");
    assert_ptr_equal(md_dwconv_f32_select(MD_CPU_ALL), md_dwconv_f32_kernels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dwconv_f32__random_shapes),
        cmocka_unit_test(test_dwconv_f32__usual_windows),
        cmocka_unit_test(test_dwconv_f32__chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
