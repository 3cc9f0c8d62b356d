/* com.microsoft's Inverse of square matrices, by Gauss and Jordan with the
 * largest pivot of each column, in double. */
#include <math.h>

#include "ops/common/util.h"

#define TYPES (MD_T(F32) | MD_T(F64) | MD_T(F16))

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *t = c->in[0];

    MD_TRY(md_infer__need(c, 0, TYPES, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (t->has_rank)
        MD_TRY(md_infer__must_equal(c, t->dim[t->rank - 1], t->dim[t->rank - 2],
                                    "the number of columns", err));
    md_infer__give(c, 0, t);
    return MD_OK;
}

static void swap_rows(double *m, int64_t width, int64_t a, int64_t b)
{
    for (int64_t i = 0; i < width; i++) {
        double v = m[a * width + i];

        m[a * width + i] = m[b * width + i];
        m[b * width + i] = v;
    }
}

/* m is [n, 2n]: a matrix and the identity; its right half becomes the
 * inverse.  A column without a pivot divides by 0, as the formula does. */
static void invert(double *m, int64_t n)
{
    int64_t width = 2 * n;

    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        double pivot;

        for (int64_t i = k + 1; i < n; i++) {
            if (fabs(m[i * width + k]) > fabs(m[best * width + k]))
                best = i;
        }
        if (best != k)
            swap_rows(m, width, best, k);
        pivot = m[k * width + k];
        for (int64_t j = 0; j < width; j++)
            m[k * width + j] /= pivot;
        for (int64_t i = 0; i < n; i++) {
            double f = m[i * width + k];

            for (int64_t j = 0; i != k && f != 0.0 && j < width; j++)
                m[i * width + j] -= f * m[k * width + j];
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    int64_t n = s->dim[s->rank - 1];
    double *m;

    MD_TRY(md_exec__scratch(&m, ar, 2 * n * n, sizeof(*m), err));
    for (int64_t at = 0; at < md_tensor_n(out); at += n * n) {
        for (int64_t i = 0; i < n; i++) {
            md_load_f64(m + i * 2 * n, x->in[0], at + i * n, n);
            for (int64_t j = 0; j < n; j++)
                m[i * 2 * n + n + j] = i == j;
        }
        invert(m, n);
        for (int64_t i = 0; i < n; i++)
            md_store_f64(out, at + i * n, m + i * 2 * n + n, n);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_inverse = {
    .domain = "com.microsoft",
    .name = "Inverse",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
