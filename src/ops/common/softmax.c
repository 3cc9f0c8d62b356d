#include "ops/common/softmax.h"

#include <math.h>

#include "kernels/array_f64.h"

static int64_t axis_of(const md_node *n, int64_t opset)
{
    return md_node_attr_i(n, "axis", opset >= 13 ? -1 : 1);
}

/* Before opset 11 the axis may be the rank: one element at a time. */
static md_status find_axis(int *out, const md_node *n, int64_t opset, int rank,
                           md_error *err)
{
    int64_t axis = axis_of(n, opset);

    if (opset < 11 && axis == rank) {
        *out = rank;
        return MD_OK;
    }
    if (rank == 0 && (axis == 0 || axis == -1)) {
        *out = 0;
        return MD_OK;
    }
    return md_axis_normalize(out, axis, rank, err);
}

md_status md_softmax__infer(const md_infer *c, md_error *err)
{
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    if (c->in[0]->has_rank)
        MD_TRY(find_axis(&axis, c->node, c->opset, c->in[0]->rank, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

void md_softmax__exp(double *v, int64_t n)
{
    double max = v[0], sum = 0.0;

    for (int64_t i = 1; i < n; i++)
        max = fmax(max, v[i]);
    for (int64_t i = 0; i < n; i++) {
        v[i] = exp(v[i] - max);
        sum += v[i];
    }
    for (int64_t i = 0; i < n; i++)
        v[i] /= sum;
}

void md_softmax__log(double *v, int64_t n)
{
    double max = v[0], sum = 0.0;

    for (int64_t i = 1; i < n; i++)
        max = fmax(max, v[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp(v[i] - max);
    for (int64_t i = 0; i < n; i++)
        v[i] = v[i] - max - log(sum);
}

/* Rows of float64 that lie side by side. */
typedef struct job {
    const md_array_f64_kernel *kernel;
    const double *in;
    double *out;
    int64_t n;
    bool log;
} job;

static void rows_f64(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_array_f64_kernel *k = j->kernel;
    const size_t n = (size_t)j->n;

    for (int64_t row = from; row < to; row++) {
        const double *x = j->in + row * j->n;
        double *y = j->out + row * j->n, max = -INFINITY, sum;

        k->fold_rows(MD_FOLD_F64_MAX, &max, x, 1, n, n, 0);
        sum = k->exp_sum(j->log ? NULL : y, x, n, max);
        if (j->log) {
            k->map(MD_MAP_F64_AFFINE, y, x, n, 1, -max);
            k->map(MD_MAP_F64_AFFINE, y, y, n, 1, -log(sum));
        } else {
            k->map(MD_MAP_F64_AFFINE, y, y, n, 1 / sum, 0);
        }
    }
}

md_status md_softmax__run(md_exec *x, md_tensor *out, md_softmax_fn *fn,
                          md_arena *ar, md_error *err)
{
    const md_shape *s = &out->shape;
    int64_t n, inner, outer;
    double *v;
    int axis;

    MD_TRY(find_axis(&axis, x->node, x->opset, s->rank, err));
    outer = md_shape_span(s, 0, axis);
    if (x->opset >= 13 && s->rank > 0) {
        n = s->dim[axis];
        inner = md_shape_span(s, axis + 1, s->rank);
    } else {
        n = md_shape_span(s, axis, s->rank);
        inner = 1;
    }
    if (out->dtype == MD_DTYPE_F64 && inner == 1 &&
        (fn == md_softmax__exp || fn == md_softmax__log)) {
        md_exec__share(x, outer, 2.0 * (double)n + 10.0, rows_f64,
                       &(job){ .kernel = md_array_f64_select(x->cpu),
                               .in = x->in[0]->data,
                               .out = out->data,
                               .n = n,
                               .log = fn == md_softmax__log });
        return MD_OK;
    }
    MD_TRY(md_exec__scratch(&v, ar, n, sizeof(*v), err));
    for (int64_t row = 0; row < outer * inner; row++) {
        int64_t at = row / inner * n * inner + row % inner;

        for (int64_t i = 0; i < n; i++)
            v[i] = md_tensor_get_f64(x->in[0], at + i * inner);
        fn(v, n);
        for (int64_t i = 0; i < n; i++)
            md_tensor_set_f64(out, at + i * inner, v[i]);
    }
    return MD_OK;
}

int md_softmax__axes(md_grad *g, int64_t axes[MD_RANK_MAX])
{
    int rank = md_grad_rank(g, md_grad_in(g, 0)), axis, n = 0;

    if (find_axis(&axis, g->m.node, g->m.opset, rank, NULL) != MD_OK) {
        md_grad_refuse(g, "the axis is none of rank %d", rank);
        return 0;
    }
    for (int d = axis; d < rank && (n == 0 || g->m.opset < 13); d++)
        axes[n++] = d;
    return n;
}
