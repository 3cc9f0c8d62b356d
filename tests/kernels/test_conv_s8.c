#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "kernels/conv_s8.h"
#include "kernels/s8_case.h"

typedef struct problem {
    md_conv_shape s;
    unsigned how;
    int x_block;
    int32_t zero;
    bool x_signed;
    uint32_t seed;
    size_t x_size, w_size, y_count;
    uint8_t *x, *res;
    int8_t *w, *packed;
    int32_t *bias, *start;
    float *mult, *fbias;
    int64_t stride[4];
    uint8_t lut[256];
} problem;

static int64_t blocks(int64_t c)
{
    return md_div_up(c, MD_LANES);
}

static void set_layout(problem *p)
{
    const md_conv_shape *s = &p->s;

    if (p->x_block == MD_LANES) {
        p->x_size = (size_t)(s->n * blocks(s->ic) * MD_LANES * s->ih * s->iw);
        return;
    }
    p->x_size = (size_t)(s->n * s->ic * s->ih * s->iw);
    p->stride[0] = s->ic * s->ih * s->iw;
    p->stride[1] = p->how % 2 ? 1 : s->ih * s->iw;
    p->stride[2] = p->how % 2 ? s->ic * s->iw : s->iw;
    p->stride[3] = p->how % 2 ? s->ic : 1;
}

static void problem_init(problem *p, const md_conv_shape *s, int x_block,
                         unsigned how)
{
    const int64_t oc = blocks(s->oc) * MD_LANES;

    memset(p, 0, sizeof(*p));
    p->s = *s;
    p->how = how;
    p->x_block = x_block;
    p->seed = how + 1;
    p->x_signed = how % 4 >= 2;
    p->zero = p->x_signed ? -9 : 77;
    set_layout(p);
    p->w_size = (size_t)(s->oc * s->ic * s->kh * s->kw);
    p->y_count = (size_t)(s->n * oc * s->oh * s->ow);
    p->x = md_guard_alloc(p->x_size);
    p->w = md_guard_alloc(p->w_size);
    p->res = md_guard_alloc(p->y_count);
    p->bias = md_guard_alloc((size_t)s->oc * 4);
    p->start = md_guard_alloc((size_t)oc * 4);
    p->mult = s8_case_mult(oc, s->ic * s->kh * s->kw, &p->seed);
    p->fbias = s8_case_mult(oc, 1, &p->seed);
    md_guard_fill(p->x, p->x_size, &p->seed);
    md_guard_fill(p->w, p->w_size, &p->seed);
    md_guard_fill(p->res, p->y_count, &p->seed);
    md_guard_fill(p->lut, sizeof(p->lut), &p->seed);
    for (int64_t i = 0; i < s->oc; i++)
        p->bias[i] = (int32_t)(md_guard_random(&p->seed) % 4000) - 2000;
}

static void pack(problem *p, const md_gemm_s8_kernel *k)
{
    p->packed = md_guard_alloc(md_conv_s8_packed_size(k, &p->s, p->x_block));
    md_conv_s8_pack(p->packed, k, p->w, &p->s, p->x_block, 0, blocks(p->s.oc));
    md_gemm_s8_start(p->start, p->packed, p->s.oc,
                     md_conv_s8_packed_k(k, &p->s, p->x_block), p->bias,
                     p->zero, p->x_signed);
}

static void problem_release(problem *p)
{
    const size_t oc = (size_t)(blocks(p->s.oc) * MD_LANES);

    md_guard_free(p->x, p->x_size);
    md_guard_free(p->w, p->w_size);
    md_guard_free(p->res, p->y_count);
    md_guard_free(p->bias, (size_t)p->s.oc * 4);
    md_guard_free(p->start, oc * 4);
    md_guard_free(p->mult, oc * 4);
    md_guard_free(p->fbias, oc * 4);
}

static md_requant requant_of(const problem *p)
{
    return s8_case_requant(p->how, p->mult, p->fbias, p->lut);
}

/* Input at c, y, x less its zero point; 0 outside. */
static int32_t input_at(const problem *p, int64_t n, int64_t c, int64_t y,
                        int64_t x)
{
    const md_conv_shape *s = &p->s;
    uint8_t v;

    if (y < 0 || y >= s->ih || x < 0 || x >= s->iw)
        return 0;
    if (p->x_block == MD_LANES)
        v = p->x[(((n * blocks(s->ic) + c / MD_LANES) * s->ih + y) * s->iw +
                  x) *
                     MD_LANES +
                 c % MD_LANES];
    else
        v = p->x[n * p->stride[0] + c * p->stride[1] + y * p->stride[2] +
                 x * p->stride[3]];
    return (p->x_signed ? (int8_t)v : v) - p->zero;
}

static int32_t sum_at(const problem *p, int64_t n, int64_t oc, int64_t oy,
                      int64_t ox)
{
    const md_conv_shape *s = &p->s;
    const int8_t *w = p->w + oc * s->ic * s->kh * s->kw;
    const int64_t y = oy * s->stride_h - s->pad_top;
    const int64_t x = ox * s->stride_w - s->pad_left;
    int32_t acc = p->bias[oc];

    for (int64_t c = 0; c < s->ic; c++)
        for (int64_t i = 0; i < s->kh; i++)
            for (int64_t j = 0; j < s->kw; j++)
                acc += *w++ * input_at(p, n, c, y + i * s->dilation_h,
                                       x + j * s->dilation_w);
    return acc;
}

static void naive_pixel(const problem *p, char *y, int64_t n, int64_t b,
                        int64_t pixel)
{
    const md_conv_shape *s = &p->s;
    const md_requant q = requant_of(p);
    const int64_t at =
        ((n * blocks(s->oc) + b) * s->oh * s->ow + pixel) * MD_LANES;
    int32_t acc[MD_LANES] = { 0 };
    const md_requant_tile t = {
        .acc = acc,
        .out = y + at * md_qout_size(q.out),
        .res = s8_case_adds(&q, p->how) ? p->res + at : NULL,
        .rows = 1,
        .lanes = MD_LANES,
    };

    for (int64_t c = 0; c < MD_LANES && b * MD_LANES + c < s->oc; c++)
        acc[c] = sum_at(p, n, b * MD_LANES + c, pixel / s->ow, pixel % s->ow);
    md_requant_s8_select(0)->run(&q, b * MD_LANES, &t);
}

static void naive(const problem *p, char *y)
{
    for (int64_t n = 0; n < p->s.n; n++)
        for (int64_t b = 0; b < blocks(p->s.oc); b++)
            for (int64_t i = 0; i < p->s.oh * p->s.ow; i++)
                naive_pixel(p, y, n, b, i);
}

static void run(const problem *p, const md_gemm_s8_kernel *k, void *y)
{
    md_conv_s8_args c = {
        .kernel = k,
        .requant = md_requant_s8_select(md_cpu_flags()),
        .shape = p->s,
        .x = p->x,
        .x_signed = p->x_signed,
        .x_zero = p->zero,
        .x_block = p->x_block,
        .w = p->packed,
        .start = p->start,
        .y = y,
        .rq = requant_of(p),
    };
    size_t size;
    void *scratch;

    if (s8_case_adds(&c.rq, p->how))
        c.res = p->res;
    if (c.res && p->how & 1) { /* in place */
        memcpy(y, p->res, p->y_count);
        c.res = y;
    }
    memcpy(c.x_stride, p->stride, sizeof(p->stride));
    size = md_conv_s8_scratch_size(&c);
    scratch = md_guard_alloc(md_round_up(size, 8));
    for (int64_t i = 0; i < md_conv_s8_n_chunks(&c); i++)
        md_conv_s8_run(&c, i, scratch);
    md_guard_free(scratch, md_round_up(size, 8));
}

static void one_case(const md_conv_shape *s, int x_block, unsigned how)
{
    problem p;
    char *want, *got;
    size_t size;

    problem_init(&p, s, x_block, how);
    size = p.y_count * (size_t)md_qout_size(requant_of(&p).out);
    want = md_guard_alloc(size);
    naive(&p, want);
    for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
        if (r->required & ~md_cpu_flags()) {
            if (how == 0)
                printf("skipped: %s (CPU)\n", r->name);
            continue;
        }
        got = md_guard_alloc(size);
        pack(&p, r);
        run(&p, r, got);
        md_guard_free(p.packed, md_conv_s8_packed_size(r, s, x_block));
        if (memcmp(want, got, size) != 0)
            fail_msg("%s: %dx%dx%d k %dx%d -> %d block %d how %u", r->name,
                     (int)s->ic, (int)s->ih, (int)s->iw, (int)s->kh, (int)s->kw,
                     (int)s->oc, x_block, how);
        md_guard_free(got, size);
    }
    md_guard_free(want, size);
    problem_release(&p);
}

/* clang-format off */
static const md_conv_shape shapes[] = {
    /* n ic ih iw  oc oh ow  kh kw  stride  pad  dilation */
    { 1, 16,  5,  5, 16,  5,  5, 1, 1, 1, 1, 0, 0, 1, 1 },
    { 2, 33, 13,  9, 70, 13,  9, 1, 1, 1, 1, 0, 0, 1, 1 },
    { 1, 16,  8,  8, 32,  8,  8, 3, 3, 1, 1, 1, 1, 1, 1 },
    { 1, 20,  9, 14, 17,  5,  7, 3, 3, 2, 2, 1, 1, 1, 1 },
    { 1,  5,  7,  7, 40,  4,  4, 1, 1, 2, 2, 0, 0, 1, 1 },
    { 1, 18, 11, 12,  9,  7,  4, 3, 5, 1, 2, 0, 0, 2, 1 },
    { 1, 17, 10, 11,  8, 10, 11, 3, 3, 1, 1, 2, 2, 2, 2 },
    { 1,  3,  4,  4, 16,  8,  8, 5, 5, 1, 1, 4, 4, 1, 1 },
    { 2, 16,  3, 30, 90,  4, 31, 2, 2, 1, 1, 1, 1, 1, 1 },
    { 1, 16,  2,  2, 16,  3,  3, 1, 1, 3, 3, 2, 2, 1, 1 },
    { 1, 70,  7,  7, 40,  7,  7, 3, 3, 1, 1, 1, 1, 1, 1 },
    { 1,  0,  4,  4, 17,  4,  4, 3, 3, 1, 1, 1, 1, 1, 1 },
    { 1, 20,  9,  1, 17,  9,  1, 1, 1, 1, 2, 0, 0, 1, 1 },
    { 1, 20,  1,  9, 17,  1,  9, 1, 1, 2, 1, 0, 0, 1, 1 },
};
static const md_conv_shape stems[] = {
    { 1, 3, 15, 17, 24,  8,  9, 3, 3, 2, 2, 1, 1, 1, 1 },
    { 2, 1, 12, 12, 16, 12, 12, 5, 5, 1, 1, 2, 2, 1, 1 },
    { 1, 4,  9,  9, 33,  5,  5, 3, 3, 1, 1, 0, 0, 2, 2 },
    { 1, 2,  6,  6, 16,  6,  6, 1, 1, 1, 1, 0, 0, 1, 1 },
    { 1, 3, 33, 33, 64, 17, 17, 7, 7, 2, 2, 3, 3, 1, 1 },
    { 1, 0,  4,  4, 17,  4,  4, 3, 3, 1, 1, 1, 1, 1, 1 },
};
/* clang-format on */

static void test_conv_s8__rows_equal_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        for (unsigned how = 0; how < 12; how++)
            one_case(&shapes[i], MD_LANES, how);
}

static void test_conv_s8__first_layer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stems) / sizeof(*stems); i++)
        for (unsigned how = 0; how < 12; how++)
            one_case(&stems[i], 4, how);
}

/* No image, no pixel: no chunks, whatever else the shape says. */
static void test_conv_s8__empty(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
            md_conv_s8_args c = { .kernel = r, .shape = shapes[2] };

            if (what == 0)
                c.shape.n = 0;
            if (what == 1)
                c.shape.ih = c.shape.oh = 0;
            if (what == 2)
                c.shape.iw = c.shape.ow = 0;
            for (int block = 4; block <= MD_LANES; block *= 4) {
                c.x_block = block;
                assert_int_equal(md_conv_s8_n_chunks(&c), 0);
                assert_int_equal(md_conv_s8_scratch_size(&c), 0);
            }
        }
    }
}

/* Large enough to be split over rows, pixels and channels. */
static void test_conv_s8__many_chunks(void **state)
{
    static const md_conv_shape big = { 1, 64, 24, 24, 96, 24, 24, 3,
                                       3, 1,  1,  1,  1,  1,  1 };
    static const md_conv_shape flat = { 1, 256, 20, 20, 64, 20, 20, 1,
                                        1, 1,   1,  0,  0,  1,  1 };
    const md_conv_s8_args a = { .kernel = md_gemm_s8_select(MD_CPU_NONE),
                                .shape = big,
                                .x_block = MD_LANES };

    (void)state;
    assert_true(md_conv_s8_n_chunks(&a) >= 8);
    one_case(&big, MD_LANES, 1);
    one_case(&flat, MD_LANES, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_s8__rows_equal_definition),
        cmocka_unit_test(test_conv_s8__first_layer),
        cmocka_unit_test(test_conv_s8__empty),
        cmocka_unit_test(test_conv_s8__many_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
