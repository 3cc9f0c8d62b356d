#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/pool2d.h"
#include "support/guard.h"

typedef struct problem {
    md_pool2d_args p;
    size_t x_size, y_size;
    void *x;
    void *y;
} problem;

/* clang-format off */
static const md_conv_shape shapes[] = {
    /* n ic ih iw  oc oh ow  kh kw  stride  pad  dilation */
    { 1, 16,  6,  6, 16,  3,  3, 2, 2, 2, 2, 0, 0, 1, 1 },
    { 2, 33,  7,  9, 33,  4,  5, 3, 3, 2, 2, 1, 1, 1, 1 },
    { 1,  5,  8,  8,  5,  8,  8, 5, 5, 1, 1, 2, 2, 1, 1 },
    { 1, 16,  9,  9, 16,  5,  5, 3, 3, 1, 1, 0, 0, 2, 2 },
    { 1, 16,  7,  7, 16,  7,  7, 3, 3, 1, 1, 2, 2, 2, 2 },
    { 1, 16,  5,  5, 16,  3,  3, 2, 2, 2, 2, 0, 0, 1, 1 }, /* ceil mode */
    { 1, 16,  2,  2, 16,  4,  4, 1, 1, 1, 1, 1, 1, 1, 1 }, /* empty ones */
};
/* clang-format on */

static void problem_init(problem *t, const md_conv_shape *s,
                         md_pool2d_type type, unsigned how)
{
    const int64_t c = md_div_up(s->oc, MD_LANES) * MD_LANES;
    const int64_t size = type == MD_POOL2D_F32 ? 4 : 1;
    const bool is_signed = type == MD_POOL2D_S8;
    uint32_t seed = how + 1;

    memset(t, 0, sizeof(*t));
    t->x_size = (size_t)(s->n * c * s->ih * s->iw * size);
    t->y_size = (size_t)(s->n * c * s->oh * s->ow * size);
    t->x = md_guard_alloc(t->x_size);
    t->y = md_guard_alloc(t->y_size);
    if (type == MD_POOL2D_F32)
        md_guard_fill_f32(t->x, t->x_size / 4, 4, &seed);
    else
        md_guard_fill(t->x, t->x_size, &seed);
    t->p = (md_pool2d_args){
        .shape = *s,
        .pad_bottom = s->pad_top,
        .pad_right = s->pad_left,
        .average = how & 1,
        .count_pad = how & 2,
        .type = type,
        .x = t->x,
        .y = t->y,
        .mult = 0.77f,
        .x_zero = is_signed ? -4 : 100,
        .rq = { .zero = is_signed ? 2 : 90,
                .q_min = is_signed ? -128 : 0,
                .q_max = is_signed ? 127 : 255 },
    };
}

static void problem_release(problem *t)
{
    md_guard_free(t->x, t->x_size);
    md_guard_free(t->y, t->y_size);
}

static void run(problem *t, const md_pool2d_kernel *k)
{
    t->p.kernel = k;
    t->p.requant = md_requant_s8_select(md_cpu_flags());
    for (int64_t i = 0; i < md_pool2d_n_chunks(&t->p); i++)
        md_pool2d_run(&t->p, i);
}

static double value_at(const md_pool2d_args *p, int64_t i)
{
    if (p->type == MD_POOL2D_F32)
        return ((const float *)p->x)[i];
    return p->type == MD_POOL2D_S8 ? ((const int8_t *)p->x)[i]
                                   : ((const uint8_t *)p->x)[i];
}

/* The answer at block nb, output y, x, lane c, in real numbers. */
static double naive(const md_pool2d_args *p, int64_t nb, int64_t oy, int64_t ox,
                    int64_t c)
{
    const md_conv_shape *s = &p->shape;
    double top = -INFINITY, sum = 0;
    int inside = 0, padded = 0;

    for (int64_t k = 0; k < s->kh * s->kw; k++) {
        const int64_t y =
            oy * s->stride_h - s->pad_top + k / s->kw * s->dilation_h;
        const int64_t x =
            ox * s->stride_w - s->pad_left + k % s->kw * s->dilation_w;
        double v;

        padded += y < s->ih + p->pad_bottom && x < s->iw + p->pad_right;
        if (y < 0 || y >= s->ih || x < 0 || x >= s->iw)
            continue;
        v = value_at(p, ((nb * s->ih + y) * s->iw + x) * MD_LANES + c);
        inside++;
        top = v > top ? v : top;
        sum += v - (p->type == MD_POOL2D_F32 ? 0 : p->x_zero);
    }
    if (!p->average)
        return top;
    return inside ? sum / (p->count_pad ? padded : inside) : 0;
}

static void check_pixel(const problem *t, int64_t i)
{
    const md_pool2d_args *p = &t->p;
    const md_conv_shape *s = &p->shape;
    const int64_t pixel = i / MD_LANES;
    const double want = naive(p, pixel / (s->oh * s->ow), pixel / s->ow % s->oh,
                              pixel % s->ow, i % MD_LANES);
    double got, q;

    if (p->type == MD_POOL2D_F32) {
        got = ((const float *)p->y)[i];
        if (got != want && !(fabs(got - want) < 1e-5))
            fail_msg("%s [%d]: %g, want %g", p->kernel->name, (int)i, got,
                     want);
        return;
    }
    got = p->type == MD_POOL2D_S8 ? ((const int8_t *)p->y)[i]
                                  : ((const uint8_t *)p->y)[i];
    q = p->average ? nearbyint(want * (double)p->mult) + p->rq.zero : want;
    q = fmin(fmax(q, p->rq.q_min), p->rq.q_max);
    /* float against double: a half may fall to the other side */
    if (fabs(got - q) > (p->average ? 1 : 0))
        fail_msg("%s [%d]: %g, want %g", p->kernel->name, (int)i, got, q);
}

static void one_case(const md_conv_shape *s, md_pool2d_type type, unsigned how)
{
    problem t;
    void *want;

    problem_init(&t, s, type, how);
    want = md_guard_alloc(t.y_size);
    run(&t, md_pool2d_select(0));
    memcpy(want, t.y, t.y_size);
    for (int64_t i = 0; i < (int64_t)t.y_size / (type == MD_POOL2D_F32 ? 4 : 1);
         i++)
        check_pixel(&t, i);
    for (const md_pool2d_kernel *k = md_pool2d_kernels; k->max_f32; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        memset(t.y, 0x33, t.y_size);
        run(&t, k);
        if (memcmp(t.y, want, t.y_size) != 0)
            fail_msg("%s: type %d how %u", k->name, (int)type, how);
    }
    md_guard_free(want, t.y_size);
    problem_release(&t);
}

static void test_pool2d__rows_equal_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        for (int type = MD_POOL2D_F32; type <= MD_POOL2D_S8; type++)
            for (unsigned how = 0; how < 4; how++)
                one_case(&shapes[i], (md_pool2d_type)type, how);
}

/* What the header promises to the bit: sums of rows, then of these, in order;
 * of values that are unordered the later one is the maximum. */
static float expected_bits(const md_pool2d_args *p, int64_t nb, int64_t oy,
                           int64_t ox, int64_t c)
{
    const md_conv_shape *s = &p->shape;
    float top = -INFINITY, sum = 0;
    int64_t n = 0;

    for (int64_t i = 0; i < s->kh; i++) {
        const int64_t y = oy * s->stride_h - s->pad_top + i * s->dilation_h;
        float row = 0;

        if (y < 0 || y >= s->ih)
            continue;
        for (int64_t j = 0; j < s->kw; j++) {
            const int64_t x =
                ox * s->stride_w - s->pad_left + j * s->dilation_w;
            float v;

            if (x < 0 || x >= s->iw)
                continue;
            v = ((const float *)
                     p->x)[((nb * s->ih + y) * s->iw + x) * MD_LANES + c];
            n++;
            row += v;
            if (!(top > v))
                top = v;
        }
        sum += row;
    }
    if (!p->average)
        return top;
    return n ? sum / (float)n : 0;
}

static void test_pool2d__bits_and_specials(void **state)
{
    static const float specials[] = { NAN,      -0.0f,     0.0f,
                                      INFINITY, -INFINITY, 1e-42f };

    (void)state;
    for (const md_pool2d_kernel *k = md_pool2d_kernels; k->max_f32; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t i = 0; i < 2 * MD_COUNT(shapes); i++) {
            const md_conv_shape *s = &shapes[i / 2];
            uint32_t seed = 11;
            problem t;

            problem_init(&t, s, MD_POOL2D_F32, i % 2);
            for (size_t j = 0; j < t.x_size / 4; j += 5)
                ((float *)t.x)[j] =
                    specials[md_guard_random(&seed) % MD_COUNT(specials)];
            run(&t, k);
            for (int64_t j = 0; j < (int64_t)t.y_size / 4; j++) {
                const int64_t pixel = j / MD_LANES;
                const float got = ((float *)t.y)[j];
                const float want = expected_bits(&t.p, pixel / (s->oh * s->ow),
                                                 pixel / s->ow % s->oh,
                                                 pixel % s->ow, j % MD_LANES);

                if (!(isnan(got) && isnan(want)) &&
                    memcmp(&got, &want, sizeof(got)) != 0)
                    fail_msg("%s: shape %zu [%d]: %.9g, expected %.9g", k->name,
                             i / 2, (int)j, (double)got, (double)want);
            }
            problem_release(&t);
        }
    }
}

/* Global: [n][c] output without the lanes that fill the block up. */
static void test_pool2d__global_rows(void **state)
{
    static const md_conv_shape s = { 2, 21, 5, 6, 21, 1, 1, 5,
                                     6, 1,  1, 0, 0,  1, 1 };

    (void)state;
    for (int type = MD_POOL2D_F32; type <= MD_POOL2D_S8; type++) {
        const size_t size = type == MD_POOL2D_F32 ? 4 : 1;
        char *rows = md_guard_alloc(42 * size);
        problem t;

        problem_init(&t, &s, (md_pool2d_type)type, 1);
        run(&t, md_pool2d_select(md_cpu_flags()));
        t.p.y = rows;
        t.p.y_rows = true;
        run(&t, md_pool2d_select(md_cpu_flags()));
        for (size_t n = 0; n < 2; n++)
            assert_memory_equal(rows + n * 21 * size,
                                (char *)t.y + n * 32 * size, 21 * size);
        problem_release(&t);
        md_guard_free(rows, 42 * size);
    }
}

/* Row-major planes give what NC16 gives. */
static void test_pool2d__nchw(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        const md_conv_shape *s = &shapes[2];
        const size_t pixels = (size_t)(s->ih * s->iw);
        float *x = md_guard_alloc(5 * pixels * 4);
        float *y = md_guard_alloc((size_t)(5 * s->oh * s->ow) * 4);
        problem t;
        md_pool2d_args p;

        problem_init(&t, s, MD_POOL2D_F32, how);
        run(&t, md_pool2d_select(md_cpu_flags()));
        for (size_t c = 0; c < 5; c++)
            for (size_t i = 0; i < pixels; i++)
                x[c * pixels + i] = ((float *)t.x)[i * MD_LANES + c];
        p = t.p;
        p.x = x;
        p.y = y;
        for (int64_t c = 0; c < 5; c++)
            md_pool2d_nchw_run(&p, c);
        for (int64_t i = 0; i < 5 * s->oh * s->ow; i++)
            assert_true(y[i] == ((float *)t.y)[i % (s->oh * s->ow) * MD_LANES +
                                               i / (s->oh * s->ow)]);
        problem_release(&t);
        md_guard_free(x, 5 * pixels * 4);
        md_guard_free(y, (size_t)(5 * s->oh * s->ow) * 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool2d__rows_equal_definition),
        cmocka_unit_test(test_pool2d__bits_and_specials),
        cmocka_unit_test(test_pool2d__global_rows),
        cmocka_unit_test(test_pool2d__nchw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
