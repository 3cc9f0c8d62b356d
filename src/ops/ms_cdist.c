/* com.microsoft's CDist: the distance of each row of A to each row of B. */
#include <math.h>
#include <string.h>

#include "ops/common/util.h"

#define TYPES (MD_T(F32) | MD_T(F64))

static md_status infer(const md_infer *c, md_error *err)
{
    const char *metric = md_node_attr_s(c->node, "metric", "sqeuclidean");
    const md_type *a = c->in[0], *b = c->in[1];
    md_type t;

    if (strcmp(metric, "sqeuclidean") != 0 && strcmp(metric, "euclidean") != 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "metric is '%s', euclidean or sqeuclidean expected",
                       metric);
    MD_TRY(md_infer__need(c, 0, TYPES, err));
    MD_TRY(md_infer__need(c, 1, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    MD_TRY(md_infer__rank(c, 1, 2, 2, err));
    MD_TRY(md_infer__fresh_type(c, &t, a->dtype, 2, err));
    if (a->has_rank)
        t.dim[0] = a->dim[0];
    if (b->has_rank)
        t.dim[1] = b->dim[0];
    if (a->has_rank && b->has_rank)
        MD_TRY(md_infer__must_equal(c, b->dim[1], a->dim[1], "a row of input 1",
                                    err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool root = strcmp(md_node_attr_s(x->node, "metric", "sqeuclidean"),
                       "euclidean") == 0;
    int64_t n = x->in[0]->shape.dim[1], rows = x->in[1]->shape.dim[0];
    double *a, *b;

    MD_TRY(md_exec__scratch(&a, ar, n, sizeof(*a), err));
    MD_TRY(md_exec__scratch(&b, ar, rows * n, sizeof(*b), err));
    md_load_f64(b, x->in[1], 0, rows * n);
    for (int64_t i = 0; i < x->in[0]->shape.dim[0]; i++) {
        md_load_f64(a, x->in[0], i * n, n);
        for (int64_t j = 0; j < rows; j++) {
            double sum = 0.0;

            for (int64_t k = 0; k < n; k++)
                sum += (a[k] - b[j * n + k]) * (a[k] - b[j * n + k]);
            md_tensor_set_f64(out, i * rows + j, root ? sqrt(sum) : sum);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_cdist = {
    .domain = "com.microsoft",
    .name = "CDist",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
