/*
 * com.microsoft's RelativePositionBias: for each pair of positions the bias of
 * its bucket (Raffel et al. 2020).  Distances below half of the buckets have
 * one each; those up to max_distance share the others by their logarithm.
 * Bidirectional, half of the buckets are for keys that lie ahead.
 * The table is [buckets, heads] by its shape, but its elements lie head by
 * head.
 */
#include <math.h>

#include "ops/common/util.h"

static md_status lengths(const md_infer *c, md_dim out[2], md_error *err)
{
    for (uint32_t i = 1; i <= 2; i++) {
        const md_tensor *t = c->cin[i];
        int64_t n;

        MD_TRY(md_infer__need(c, i, MD_T(I64), err));
        MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), "a length", err));
        MD_TRY(md_infer__fresh(c, &out[i - 1], err));
        if (!t || md_tensor_n(t) != 1)
            continue;
        n = md_tensor_get_i64(t, 0);
        if (n < 0 || n > INT32_MAX)
            return md_fail(err, MD_INVALID,
                           "a length is %lld, 0 to 2147483647 expected",
                           (long long)n);
        out[i - 1] = MD_DIM(n);
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *table = c->in[0];
    int64_t most = md_node_attr_i(c->node, "max_distance", 0);
    md_type y;

    MD_TRY(md_infer__need(c, 0, MD_T(F32) | MD_T(F16), err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    if (most < 1 || most > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "max_distance is %lld, at least 1 expected",
                       (long long)most);
    MD_TRY(md_infer__fresh_type(c, &y, table->dtype, 4, err));
    y.dim[0] = MD_DIM(1);
    if (table->has_rank)
        y.dim[1] = table->dim[1];
    MD_TRY(lengths(c, &y.dim[2], err));
    md_infer__give(c, 0, &y);
    return MD_OK;
}

static int64_t bucket_of(int64_t ahead, bool both, int64_t buckets,
                         int64_t most)
{
    int64_t first = 0, exact, far;

    if (both) {
        buckets /= 2;
        first = ahead > 0 ? buckets : 0;
        ahead = ahead < 0 ? -ahead : ahead;
    } else {
        ahead = ahead < 0 ? -ahead : 0;
    }
    exact = buckets / 2;
    if (ahead < exact)
        return first + ahead;
    far = exact + (int64_t)(logf((float)ahead / (float)exact) /
                            logf((float)most / (float)exact) *
                            (float)(buckets - exact));
    return first + (far < buckets ? far : buckets - 1);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t buckets = x->in[0]->shape.dim[0], heads = x->in[0]->shape.dim[1];
    int64_t n_q = out->shape.dim[2], n_k = out->shape.dim[3];
    int64_t most = md_node_attr_i(x->node, "max_distance", 0);
    bool both = md_node_attr_i(x->node, "is_bidirectional", 0) != 0;

    (void)ar;
    if (buckets < (both ? 4 : 2) || most <= buckets / (both ? 4 : 2))
        return md_fail(err, MD_INVALID,
                       "%lld buckets do not reach to max_distance %lld",
                       (long long)buckets, (long long)most);
    for (int64_t i = 0; i < n_q; i++) {
        for (int64_t j = 0; j < n_k; j++) {
            int64_t b = bucket_of(j - i, both, buckets, most);

            for (int64_t h = 0; h < heads; h++)
                md_tensor_set_from(out, (h * n_q + i) * n_k + j, x->in[0],
                                   h * buckets + b);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_relative_position_bias = {
    .domain = "com.microsoft",
    .name = "RelativePositionBias",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
