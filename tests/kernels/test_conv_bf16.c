#include "bf16_case.h"

#include <stdbool.h>

#include "kernels/conv_bf16.h"

typedef struct problem {
    md_conv_shape s;
    float *x, *w, *bias, *res, *y;
    uint16_t *packed;
    size_t x_n, w_n, packed_size, bias_n, y_n;
    md_epilogue ep;
} problem;

static float read_x(const void *ctx, int64_t n, int64_t c, int64_t iy,
                    int64_t ix)
{
    const problem *p = ctx;

    return p->x[nc16_at(n, p->s.ic, c, p->s.ih * p->s.iw, iy * p->s.iw + ix)];
}

/* Operands that bf16 holds: rounding them is the business of cast_bf16. */
static void round_all(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)bf16_rounded(x[i]);
}

static void problem_init(problem *p, const md_conv_shape *s, uint32_t *seed)
{
    *p = (problem){ .s = *s };
    p->ep = f32_epilogue((int)md_guard_random(seed) % MD_ACT_COUNT);
    p->x_n = nc16_count(s->n, s->ic, s->ih, s->iw);
    p->y_n = nc16_count(s->n, s->oc, s->oh, s->ow);
    p->w_n = (size_t)(s->oc * s->ic * s->kh * s->kw);
    p->bias_n = md_round_up((size_t)s->oc, BLOCK);
    p->x = nc16_random(s->n, s->ic, s->ih * s->iw, seed);
    p->res = nc16_random(s->n, s->oc, s->oh * s->ow, seed);
    p->w = f32_random(p->w_n, seed);
    p->y = f32_random(p->y_n, seed);
    p->bias = f32_random(p->bias_n, seed);
    round_all(p->x, p->x_n);
    round_all(p->w, p->w_n);
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
}

/* Block by block, the last first. */
static void pack(problem *p, const md_gemm_bf16_kernel *k)
{
    assert_true(md_conv_bf16_packed_size(&p->packed_size, k, &p->s));
    p->packed = md_guard_alloc(p->packed_size);
    memset(p->packed, 0xff, p->packed_size);
    for (int64_t b = md_div_up(p->s.oc, BLOCK); b-- > 0;)
        md_conv_bf16_pack(p->packed, k, md_cast_bf16_select(md_cpu_flags()),
                          p->w, &p->s, b, b + 1);
}

static void run(problem *p, const md_gemm_bf16_kernel *k, bool in_place)
{
    md_conv_bf16_args c = { .kernel = k,
                            .cast = md_cast_bf16_select(md_cpu_flags()),
                            .finish = md_finish_f32_select(md_cpu_flags()),
                            .shape = p->s,
                            .x = p->x,
                            .w = p->packed,
                            .y = p->y,
                            .ep = p->ep };
    const size_t size = md_conv_bf16_scratch_size(&c);
    const size_t whole = md_round_up(size, MD_CACHE_LINE);
    void *scratch = md_guard_alloc(whole);

    memset(scratch, 0xff, whole); /* NaN where it is not written */
    memset(p->y, 0xff, p->y_n * sizeof(float));
    if (in_place && p->ep.residual) {
        memcpy(p->y, p->res, p->y_n * sizeof(float));
        c.ep.residual = p->y;
    }
    for (int64_t i = md_conv_bf16_n_chunks(&c); i-- > 0;)
        md_conv_bf16_run(&c, i, scratch);
    md_guard_free(scratch, whole);
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
    bf16_check(who, p->y[y], &p->ep, &r);
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

static void compare(const md_gemm_bf16_kernel *k, const md_conv_shape *s,
                    uint32_t *seed)
{
    problem p;

    problem_init(&p, s, seed);
    pack(&p, k);
    run(&p, k, f32_pick(seed, 0, 1));
    check(&p, k->name);
    md_guard_free(p.packed, p.packed_size);
    problem_release(&p);
}

static void test_conv_bf16__random_shapes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++) {
        for (int i = 0; f32_usable(k->name, k->required) && i < 250; i++) {
            md_conv_shape s = { .n = f32_pick(&seed, 1, 2) };

            s.ic = f32_pick(&seed, 1, 70), s.oc = f32_pick(&seed, 1, 90);
            s.ih = f32_pick(&seed, 1, 9), s.iw = f32_pick(&seed, 1, 19);
            conv_window_random(&s, &seed);
            compare(k, &s, &seed);
        }
    }
}

/* Work that is cut by pixels, by channels and by both. */
static void test_conv_bf16__many_chunks(void **state)
{
    static const md_conv_shape shapes[] = {
        { 1, 64, 40, 40, 16, 40, 40, 3, 3, 1, 1, 1, 1, 1, 1 },
        { 1, 256, 7, 7, 520, 7, 7, 1, 1, 1, 1, 0, 0, 1, 1 },
        { 1, 16, 130, 9, 40, 65, 5, 3, 3, 2, 2, 1, 1, 1, 1 },
    };
    uint32_t seed = 2;

    (void)state;
    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++) {
        for (size_t i = 0;
             f32_usable(k->name, k->required) && i < MD_COUNT(shapes); i++)
            compare(k, &shapes[i], &seed);
    }
}

/* An infinity reaches the windows that hold it and no other. */
static void test_conv_bf16__special_values_stay(void **state)
{
    static const md_conv_shape s = { 1, 20, 6, 40, 17, 6, 40, 3,
                                     3, 1,  1, 1,  1,  1, 1 };
    uint32_t seed = 3;

    (void)state;
    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++) {
        problem p;

        if (!f32_usable(k->name, k->required))
            continue;
        problem_init(&p, &s, &seed);
        p.ep = (md_epilogue)MD_EPILOGUE_INIT;
        p.x[nc16_at(0, s.ic, 3, s.ih * s.iw, 2 * s.iw + 33)] = INFINITY;
        pack(&p, k);
        run(&p, k, false);
        for (int64_t i = 0; i < s.oh * s.ow; i++) {
            const int64_t dy = i / s.ow - 2, dx = i % s.ow - 33;
            const float y = p.y[nc16_at(0, s.oc, 16, s.oh * s.ow, i)];

            assert_int_equal(isfinite(y) == 0,
                             dy >= -1 && dy <= 1 && dx >= -1 && dx <= 1);
        }
        md_guard_free(p.packed, p.packed_size);
        problem_release(&p);
    }
}

static void test_conv_bf16__empty_and_huge(void **state)
{
    md_conv_shape s = { 0, 4, 5, 5, 8, 5, 5, 1, 1, 1, 1, 0, 0, 1, 1 };
    const int64_t huge = (int64_t)1 << 40;
    size_t size;

    (void)state;
    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++) {
        const md_conv_bf16_args c = { .kernel = k, .shape = s };

        assert_int_equal(md_conv_bf16_n_chunks(&c), 0);
        assert_int_equal(md_conv_bf16_scratch_size(&c), 0);
        s.ic = s.oc = huge;
        assert_false(md_conv_bf16_packed_size(&size, k, &s));
        s.ic = s.oc = 4;
        s.kh = s.kw = huge;
        assert_false(md_conv_bf16_packed_size(&size, k, &s));
        s.oc = 8, s.kh = s.kw = 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_bf16__random_shapes),
        cmocka_unit_test(test_conv_bf16__many_chunks),
        cmocka_unit_test(test_conv_bf16__special_values_stay),
        cmocka_unit_test(test_conv_bf16__empty_and_huge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
