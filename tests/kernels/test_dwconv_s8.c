#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "kernels/dwconv_s8.h"
#include "kernels/s8_case.h"

typedef struct problem {
    md_conv_shape s;
    unsigned how;
    int32_t zero;
    bool x_signed;
    uint32_t seed;
    size_t x_size, w_size, y_count, c;
    uint8_t *x, *res;
    int8_t *w;
    void *packed;
    int32_t *bias, *start;
    float *mult, *fbias;
    uint8_t lut[256];
} problem;

static void problem_init(problem *p, const md_conv_shape *s, unsigned how)
{
    memset(p, 0, sizeof(*p));
    p->s = *s;
    p->how = how;
    p->seed = how + 1;
    p->x_signed = how % 4 >= 2;
    p->zero = p->x_signed ? -9 : 77;
    p->c = (size_t)(md_div_up(s->oc, MD_LANES) * MD_LANES);
    p->x_size = (size_t)(s->n * s->ih * s->iw) * p->c;
    p->w_size = (size_t)(s->oc * s->kh * s->kw);
    p->y_count = (size_t)(s->n * s->oh * s->ow) * p->c;
    p->x = md_guard_alloc(p->x_size);
    p->w = md_guard_alloc(p->w_size);
    p->res = md_guard_alloc(p->y_count);
    p->packed = md_guard_alloc(md_dwconv_s8_packed_size(s));
    p->bias = md_guard_alloc((size_t)s->oc * 4);
    p->start = md_guard_alloc(p->c * 4);
    p->mult = s8_case_mult((int64_t)p->c, s->kh * s->kw, &p->seed);
    p->fbias = s8_case_mult((int64_t)p->c, 1, &p->seed);
    md_guard_fill(p->x, p->x_size, &p->seed);
    md_guard_fill(p->w, p->w_size, &p->seed);
    md_guard_fill(p->res, p->y_count, &p->seed);
    md_guard_fill(p->lut, sizeof(p->lut), &p->seed);
    for (int64_t i = 0; i < s->oc; i++)
        p->bias[i] = (int32_t)(md_guard_random(&p->seed) % 4000) - 2000;
    md_dwconv_s8_pack(p->packed, p->start, p->w, p->bias, p->zero, p->x_signed,
                      s);
}

static void problem_release(problem *p)
{
    md_guard_free(p->x, p->x_size);
    md_guard_free(p->w, p->w_size);
    md_guard_free(p->res, p->y_count);
    md_guard_free(p->packed, md_dwconv_s8_packed_size(&p->s));
    md_guard_free(p->bias, (size_t)p->s.oc * 4);
    md_guard_free(p->start, p->c * 4);
    md_guard_free(p->mult, p->c * 4);
    md_guard_free(p->fbias, p->c * 4);
}

static int32_t sum_at(const problem *p, int64_t nb, int64_t c, int64_t oy,
                      int64_t ox)
{
    const md_conv_shape *s = &p->s;
    int32_t acc = p->bias[c];

    for (int64_t i = 0; i < s->kh; i++) {
        for (int64_t j = 0; j < s->kw; j++) {
            const int64_t y = oy * s->stride_h - s->pad_top + i * s->dilation_h;
            const int64_t x =
                ox * s->stride_w - s->pad_left + j * s->dilation_w;
            uint8_t v;

            if (y < 0 || y >= s->ih || x < 0 || x >= s->iw)
                continue;
            v = p->x[((nb * s->ih + y) * s->iw + x) * MD_LANES + c % MD_LANES];
            acc += ((p->x_signed ? (int8_t)v : v) - p->zero) *
                   p->w[(c * s->kh + i) * s->kw + j];
        }
    }
    return acc;
}

static void naive(const problem *p, char *y)
{
    const md_conv_shape *s = &p->s;
    const int64_t blocks = (int64_t)p->c / MD_LANES;
    const md_requant q = s8_case_requant(p->how, p->mult, p->fbias, p->lut);

    for (int64_t at = 0; at < s->n * blocks * s->oh * s->ow; at++) {
        const int64_t nb = at / (s->oh * s->ow), b = nb % blocks;
        int32_t acc[MD_LANES] = { 0 };
        const md_requant_tile t = {
            .acc = acc,
            .out = y + at * MD_LANES * md_qout_size(q.out),
            .res = s8_case_adds(&q, p->how) ? p->res + at * MD_LANES : NULL,
            .rows = 1,
            .lanes = MD_LANES,
        };

        for (int64_t c = 0; c < MD_LANES && b * MD_LANES + c < s->oc; c++)
            acc[c] =
                sum_at(p, nb, b * MD_LANES + c, at / s->ow % s->oh, at % s->ow);
        md_requant_s8_select(0)->run(&q, b * MD_LANES, &t);
    }
}

static void run(const problem *p, const md_dwconv_s8_kernel *k, void *y)
{
    md_dwconv_s8_args c = {
        .kernel = k,
        .requant = md_requant_s8_select(md_cpu_flags()),
        .shape = p->s,
        .x = p->x,
        .x_signed = p->x_signed,
        .x_zero = p->zero,
        .w = p->packed,
        .start = p->start,
        .y = y,
        .rq = s8_case_requant(p->how, p->mult, p->fbias, p->lut),
    };
    const size_t size = md_dwconv_s8_scratch_size(&c);
    void *scratch = md_guard_alloc(size);

    assert_int_equal(size % 8, 0);
    if (s8_case_adds(&c.rq, p->how))
        c.res = p->res;
    if (c.res && p->how & 1) { /* in place */
        memcpy(y, p->res, p->y_count);
        c.res = y;
    }
    for (int64_t i = 0; i < md_dwconv_s8_n_chunks(&c); i++)
        md_dwconv_s8_run(&c, i, scratch);
    md_guard_free(scratch, size);
}

static void one_case(const md_conv_shape *s, unsigned how)
{
    problem p;
    char *want, *got;
    size_t size;

    problem_init(&p, s, how);
    size = p.y_count * (size_t)md_qout_size(
                           s8_case_requant(how, p.mult, p.fbias, p.lut).out);
    want = md_guard_alloc(size);
    naive(&p, want);
    for (const md_dwconv_s8_kernel *r = md_dwconv_s8_kernels; r->run; r++) {
        if (r->required & ~md_cpu_flags()) {
            if (how == 0)
                printf("skipped: %s (CPU)\n", r->name);
            continue;
        }
        got = md_guard_alloc(size);
        run(&p, r, got);
        if (memcmp(want, got, size) != 0)
            fail_msg("%s: %dx%dx%d k %dx%d how %u", r->name, (int)s->ic,
                     (int)s->ih, (int)s->iw, (int)s->kh, (int)s->kw, how);
        md_guard_free(got, size);
    }
    md_guard_free(want, size);
    problem_release(&p);
}

/* clang-format off */
static const md_conv_shape shapes[] = {
    /* n ic ih iw  oc oh ow  kh kw  stride  pad  dilation */
    { 1, 16,  5,  5, 16,  5,  5, 3, 3, 1, 1, 1, 1, 1, 1 },
    { 2, 33, 13,  9, 33, 13,  9, 3, 3, 1, 1, 1, 1, 1, 1 },
    { 1, 20,  9, 44, 20,  5, 22, 3, 3, 2, 2, 1, 1, 1, 1 },
    { 1,  5,  7, 70,  5,  7, 70, 5, 5, 1, 1, 2, 2, 1, 1 },
    { 1, 18, 11, 12, 18,  7,  4, 3, 5, 1, 2, 0, 0, 2, 1 },
    { 1, 17, 10, 11, 17, 10, 11, 3, 3, 1, 1, 2, 2, 2, 2 },
    { 1,  3,  2,  2,  3,  6,  6, 5, 5, 1, 1, 4, 4, 1, 1 },
    { 1, 16,  2,  2, 16,  3,  3, 1, 1, 3, 3, 2, 2, 1, 1 },
    { 1, 16,  1,  1, 16,  1,  4, 1, 7, 1, 1, 0, 5, 1, 1 },
    { 1, 16, 60, 90, 16, 58, 88, 3, 3, 1, 1, 0, 0, 1, 1 },
    { 1, 16, 60, 90, 16, 60, 90, 3, 3, 1, 1, 1, 1, 1, 1 }, /* bands */
};
/* clang-format on */

static void test_dwconv_s8__rows_equal_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        for (unsigned how = 0; how < 14; how++)
            one_case(&shapes[i], how);
}

/* No image, no pixel: no chunks. */
static void test_dwconv_s8__empty(void **state)
{
    md_dwconv_s8_args c = { .kernel = md_dwconv_s8_select(0),
                            .shape = shapes[0] };

    (void)state;
    assert_true(md_dwconv_s8_n_chunks(&c) > 0);
    c.shape.n = 0;
    assert_int_equal(md_dwconv_s8_n_chunks(&c), 0);
    c.shape = shapes[0];
    c.shape.ih = c.shape.oh = 0;
    assert_int_equal(md_dwconv_s8_n_chunks(&c), 0);
    c.shape = shapes[0];
    c.shape.iw = c.shape.ow = 0;
    assert_int_equal(md_dwconv_s8_n_chunks(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dwconv_s8__rows_equal_definition),
        cmocka_unit_test(test_dwconv_s8__empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
