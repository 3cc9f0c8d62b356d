/* Outcomes of each row of the input, which holds their logarithms of
 * probability; these need not sum up to 1. */
#include <math.h>

#include "ops/common/random.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t dtype = md_node_attr_i(c->node, "dtype", MD_DTYPE_I32);
    int64_t n = md_node_attr_i(c->node, "sample_size", 1);
    md_type t = { .has_rank = true, .rank = 2 };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    if (dtype != MD_DTYPE_I32 && dtype != MD_DTYPE_I64)
        return md_fail(err, MD_INVALID, "dtype is %lld, 6 or 7 expected",
                       (long long)dtype);
    if (n < 1)
        return md_fail(err, MD_INVALID,
                       "sample_size is %lld, at least 1 expected",
                       (long long)n);
    t.dtype = (md_dtype)dtype;
    t.dim[1] = MD_DIM(n);
    if (c->in[0]->has_rank)
        t.dim[0] = c->in[0]->dim[0];
    else
        MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* sum[i]: of the probabilities up to outcome i, the largest being 1. */
static md_status add_up(double *sum, const md_tensor *in, int64_t row,
                        int64_t n, md_error *err)
{
    double max = -INFINITY, total = 0.0;

    md_load_f64(sum, in, row * n, n);
    for (int64_t i = 0; i < n; i++) {
        if (isnan(sum[i]) || sum[i] == INFINITY)
            return md_fail(err, MD_INVALID,
                           "row %lld of the input holds %g, logarithms of "
                           "probabilities expected",
                           (long long)row, sum[i]);
        max = sum[i] > max ? sum[i] : max;
    }
    if (max == -INFINITY)
        return md_fail(err, MD_INVALID,
                       "row %lld of the input has no possible outcome",
                       (long long)row);
    for (int64_t i = 0; i < n; i++)
        sum[i] = total += md_random__exp(sum[i] - max);
    return MD_OK;
}

/* The first outcome whose sum is above v. */
static int64_t find(const double *sum, int64_t n, double v)
{
    int64_t lo = 0, hi = n - 1;

    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;

        if (sum[mid] > v)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t rows = out->shape.dim[0], n = x->in[0]->shape.dim[1];
    int64_t samples = out->shape.dim[1];
    md_random r;
    double *sum;

    MD_TRY(md_exec__scratch(&sum, ar, n, sizeof(*sum), err));
    md_random__start(&r, x->node);
    for (int64_t row = 0; row < rows; row++) {
        MD_TRY(add_up(sum, x->in[0], row, n, err));
        for (int64_t i = 0; i < samples; i++) {
            double v = md_random__uniform(&r) * sum[n - 1];
            int64_t k = find(sum, n, v);

            md_store_i64(out, row * samples + i, &k, 1);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_multinomial = {
    .domain = "",
    .name = "Multinomial",
    .since = 7,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_IMPURE,
    .infer = infer,
    .run = run,
};
