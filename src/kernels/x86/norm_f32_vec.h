#ifndef MD_KERNELS_X86_NORM_F32_VEC_H
#define MD_KERNELS_X86_NORM_F32_VEC_H

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/norm_f32.h"

static size_t lanes_at(int64_t n, int64_t i)
{
    return n - i < VF_LANES ? (size_t)(n - i) : VF_LANES;
}

/* Elements of a part of a sum: each adds a rounding. */
enum {
    PART = 128 * VF_LANES
};

static inline vf part_sum(const float *x, int64_t n)
{
    vf a = vf_zero(), b = vf_zero();
    int64_t i = 0;

    for (; i + 2 * VF_LANES <= n; i += (int64_t)2 * VF_LANES) {
        a = vf_add(a, vf_load(x + i, VF_LANES));
        b = vf_add(b, vf_load(x + i + VF_LANES, VF_LANES));
    }
    for (; i < n; i += VF_LANES)
        a = vf_add(a, vf_load(x + i, lanes_at(n, i)));
    return vf_add(a, b);
}

static float row_sum(const float *x, int64_t n)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += PART)
        sum = vf_add(sum, part_sum(x + i, md_min_i64(PART, n - i)));
    return vf_sum(sum);
}

/* Sums of (x - c)^2. */
static inline vf part_squares(const float *x, int64_t n, vf c)
{
    vf a = vf_zero(), b = vf_zero();
    int64_t i = 0;

    for (; i + 2 * VF_LANES <= n; i += (int64_t)2 * VF_LANES) {
        const vf p = vf_sub(vf_load(x + i, VF_LANES), c);
        const vf q = vf_sub(vf_load(x + i + VF_LANES, VF_LANES), c);

        a = vf_fmadd(p, p, a);
        b = vf_fmadd(q, q, b);
    }
    for (; i < n; i += VF_LANES) {
        const vf p = vf_sub(vf_load_or(x + i, lanes_at(n, i), c), c);

        a = vf_fmadd(p, p, a);
    }
    return vf_add(a, b);
}

static float row_squares(const float *x, int64_t n, float mean)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += PART)
        sum = vf_add(
            sum, part_squares(x + i, md_min_i64(PART, n - i), vf_set(mean)));
    return vf_sum(sum);
}

/* What a row is moved and scaled by: its own or the given parameters from
 * index `at` on. */
typedef struct row {
    const md_norm_f32_args *a;
    float mean, by;
    int64_t at;
} row;

static row row_of(const md_norm_f32_args *a, const float *x, int64_t at)
{
    const float n = (float)a->n;
    row r = { .a = a, .at = at };

    if (a->mean)
        return r;
    r.mean = a->kind == MD_NORM_RMS ? 0 : row_sum(x, a->n) / n;
    r.by = 1 / sqrtf(row_squares(x, a->n, r.mean) / n + a->eps);
    return r;
}

/* Each element has parameters of its own. */
static void apply_each(const row *r, float *y, const float *x)
{
    const md_norm_f32_args *a = r->a;
    vf c = vf_set(r->mean), by = vf_set(r->by);

    for (int64_t i = 0; i < a->n; i += VF_LANES) {
        const size_t m = lanes_at(a->n, i);
        vf v;

        if (a->mean) {
            c = vf_load(a->mean + r->at + i, m);
            by =
                vf_div(vf_set(1), vf_sqrt(vf_add(vf_load(a->var + r->at + i, m),
                                                 vf_set(a->eps))));
        }
        v = vf_mul(vf_sub(vf_load(x + i, m), c), by);
        if (a->scale)
            v = vf_mul(v, vf_load(a->scale + r->at + i, m));
        if (a->bias)
            v = vf_add(v, vf_load(a->bias + r->at + i, m));
        vf_store(y + i, v, m);
    }
}

/* n elements share parameter k. */
static void apply_span(const row *r, float *y, const float *x, int64_t n,
                       int64_t k)
{
    const md_norm_f32_args *a = r->a;
    const vf c = vf_set(a->mean ? a->mean[k] : r->mean);
    const vf by = vf_set(a->mean ? 1 / sqrtf(a->var[k] + a->eps) : r->by);
    const vf scale = vf_set(a->scale ? a->scale[k] : 1);
    const vf bias = vf_set(a->bias ? a->bias[k] : 0);

    for (int64_t i = 0; i < n; i += VF_LANES) {
        const size_t m = lanes_at(n, i);
        const vf v = vf_mul(vf_mul(vf_sub(vf_load(x + i, m), c), by), scale);

        vf_store(y + i, vf_add(v, bias), m);
    }
}

/* Sum of |x|, or of x^2. */
static MD_ALWAYS_INLINE double row_norm(const float *x, int64_t n,
                                        const bool l1)
{
    vd a = vd_set(0), b = vd_set(0);

    for (int64_t i = 0; i < n; i += VF_LANES) {
        const vf v = vf_load(x + i, lanes_at(n, i));
        const vf w = l1 ? vf_abs(v) : v;

        a = l1 ? vd_add(a, vd_low(w)) : vd_fmadd(vd_low(w), vd_low(w), a);
        b = l1 ? vd_add(b, vd_high(w)) : vd_fmadd(vd_high(w), vd_high(w), b);
    }
    return vd_sum(vd_add(a, b));
}

static void divide_by_norm(const md_norm_f32_args *a, float *y, const float *x)
{
    const double norm = a->kind == MD_NORM_L1 ? row_norm(x, a->n, true)
                                              : sqrt(row_norm(x, a->n, false));
    const vf by = vf_set((float)norm);

    /* a float does not hold it, or too few of its digits */
    if (norm < FLT_MIN || (norm > FLT_MAX && !isinf(norm))) {
        for (int64_t i = 0; i < a->n; i++)
            y[i] = norm == 0 ? 0 : (float)(x[i] / norm);
        return;
    }
    for (int64_t i = 0; i < a->n; i += VF_LANES) {
        const size_t m = lanes_at(a->n, i);

        vf_store(y + i, vf_div(vf_load(x + i, m), by), m);
    }
}

void VF(md_norm_f32)(const md_norm_f32_args *a)
{
    const int64_t span = a->span ? a->span : 1, per = a->n / span;

    assert(a->n % span == 0 && !a->mean == !a->var);
    for (int64_t i = 0; i < a->rows; i++) {
        const float *x = a->x + i * a->n;
        float *y = a->y + i * a->n;
        row r;

        if (a->kind == MD_NORM_L1 || a->kind == MD_NORM_L2) {
            divide_by_norm(a, y, x);
            continue;
        }
        r = row_of(a, x, a->cycle ? (a->first + i) % a->cycle * per : 0);
        if (span == 1)
            apply_each(&r, y, x);
        for (int64_t k = 0; k < per && span > 1; k++)
            apply_span(&r, y + k * span, x + k * span, span, r.at + k);
    }
}

#endif
