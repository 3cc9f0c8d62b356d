/* Determinants of the matrices in the last two axes, by elimination with
 * pivots, in double. */
#include <math.h>

#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    t = *c->in[0];
    if (t.has_rank) {
        MD_TRY(md_infer__must_equal(c, t.dim[t.rank - 1], t.dim[t.rank - 2],
                                    "number of a matrix's columns", err));
        t.rank -= 2;
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Of [n, n], which is overwritten. */
static double determinant(double *m, int64_t n)
{
    double det = 1.0;

    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;

        for (int64_t i = k + 1; i < n; i++)
            best = fabs(m[i * n + k]) > fabs(m[best * n + k]) ? i : best;
        for (int64_t j = 0; best != k && j < n; j++) {
            double swap = m[k * n + j];

            m[k * n + j] = m[best * n + j];
            m[best * n + j] = swap;
        }
        det *= best != k ? -m[k * n + k] : m[k * n + k];
        if (m[k * n + k] == 0.0)
            return 0.0;
        for (int64_t i = k + 1; i < n; i++) {
            double f = m[i * n + k] / m[k * n + k];

            for (int64_t j = k; j < n; j++)
                m[i * n + j] -= f * m[k * n + j];
        }
    }
    return det;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    int64_t n = s->dim[s->rank - 1];
    double *m, det;

    MD_TRY(md_exec__scratch(&m, ar, n * n, sizeof(*m), err));
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        md_load_f64(m, x->in[0], i * n * n, n * n);
        det = determinant(m, n);
        md_store_f64(out, i, &det, 1);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_det = {
    .domain = "",
    .name = "Det",
    .since = 11,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
