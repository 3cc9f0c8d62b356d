#include "ops/common/arg.h"

#include <math.h>

#include "base/attr.h"
#include "kernels/array_f64.h"

md_status md_arg__infer(const md_infer *c, md_error *err)
{
    bool keep = md_node_attr_i(c->node, "keepdims", 1) != 0;
    md_type t = { .dtype = MD_DTYPE_I64 };
    const md_type *in = c->in[0];
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    if (in->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
        if (md_dim_is_const(in->dim[axis]) && in->dim[axis].k == 0)
            return md_fail(err, MD_INVALID, "axis %d has no elements", axis);
        MD_TRY(md_infer__at_least(c, in->dim[axis], MD_DIM(1), err));
        t.has_rank = true;
        for (int i = 0; i < in->rank; i++) {
            if (i != axis)
                t.dim[t.rank++] = in->dim[i];
            else if (keep)
                t.dim[t.rank++] = MD_DIM(1);
        }
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Outputs are in `out`; of equals the first counts, or the last. */
typedef struct job {
    const md_tensor *in;
    int64_t *out;
    int64_t n, inner; /* elements of the axis, and behind it */
    int sign;         /* -1: the smallest */
    bool last;
    const md_array_f64_kernel *kernel; /* of rows of float64 */
} job;

/* A piece of elements in the order of which the largest is looked for: for
 * ArgMin that is the reverse. */
typedef struct piece {
    union {
        double f64[MD_CHUNK];
        int64_t i64[MD_CHUNK];
    };
} piece;

static bool load(piece *p, const job *j, int64_t at, int64_t n)
{
    if (md_dtype_is_float(j->in->dtype)) {
        md_load_f64(p->f64, j->in, at, n);
        for (int64_t i = 0; i < n && j->sign < 0; i++)
            p->f64[i] = -p->f64[i];
        return true;
    }
    md_load_i64(p->i64, j->in, at, n);
    if (j->in->dtype == MD_DTYPE_U64)
        for (int64_t i = 0; i < n; i++) /* in the order of int64 */
            p->i64[i] = (int64_t)((uint64_t)p->i64[i] ^ UINT64_C(1) << 63);
    for (int64_t i = 0; i < n && j->sign < 0; i++)
        p->i64[i] = ~p->i64[i];
    return false;
}

/* v is beyond best; NaN is beyond every number. */
static inline bool beyond_f64(double v, double best, bool last)
{
    if (MD_LIKELY(last ? v < best : v <= best))
        return false;
    if (isnan(best))
        return last && isnan(v);
    return true;
}

static inline bool beyond_i64(int64_t v, int64_t best, bool last)
{
    return last ? v >= best : v > best;
}

#define FIND(type)                                                             \
    for (int64_t i = 0; i < m; i++) {                                          \
        if (beyond_##type(v.type[i], best.type[i * side], j->last)) {          \
            best.type[i * side] = v.type[i];                                   \
            at[i * side] = k + i * !side;                                      \
        }                                                                      \
    }

/* Outputs [o, o + columns), which lie side by side; of one a row is read,
 * of several a column for each. */
static void find(const job *j, int64_t o, int64_t columns)
{
    bool side = j->inner > 1;
    int64_t from = o / j->inner * j->n * j->inner + o % j->inner;
    int64_t *at = j->out + o, m = columns;
    piece best, v;

    load(&best, j, from, columns);
    for (int64_t i = 0; i < columns; i++)
        at[i] = 0;
    for (int64_t k = 1; k < j->n; k += side ? 1 : m) {
        if (!side)
            m = md_min_i64(j->n - k, MD_CHUNK);
        if (load(&v, j, from + k * j->inner, m))
            FIND(f64)
        else
            FIND(i64)
    }
}

/* Output o of a row of float64: the value first, then where it is; false when
 * it is NaN. */
static bool find_row_f64(const job *j, int64_t o)
{
    const md_fold_f64 op = j->sign < 0 ? MD_FOLD_F64_MIN : MD_FOLD_F64_MAX;
    const double *x = (const double *)j->in->data + o * j->n;
    const size_t n = (size_t)j->n;
    double best = md_fold_f64_start(op);
    int64_t i = 0;

    j->kernel->fold_rows(op, &best, x, 1, n, n, 0.0);
    if (isnan(best))
        return false;
    if (j->last)
        for (i = j->n - 1; x[i] != best;)
            i--;
    else
        while (x[i] != best)
            i++;
    j->out[o] = i;
    return true;
}

static void find_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;

    if (j->in->dtype == MD_DTYPE_F64 && j->inner == 1) {
        for (; from < to; from++)
            if (!find_row_f64(j, from))
                find(j, from, 1);
        return;
    }
    for (int64_t m; from < to; from += m) {
        m = md_min_i64(to - from, j->inner - from % j->inner);
        m = md_min_i64(m, MD_CHUNK);
        find(j, from, m);
    }
}

md_status md_arg__compute(md_exec *x, md_tensor *out, int sign, md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    job j = { .in = x->in[0],
              .out = out->data,
              .sign = sign,
              .kernel = md_array_f64_select(x->cpu),
              .last = md_node_attr_i(x->node, "select_last_index", 0) != 0 };
    int axis;

    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0), s->rank,
                             err));
    j.n = s->dim[axis];
    j.inner = md_shape_span(s, axis + 1, s->rank);
    md_exec__share(x, md_tensor_n(out), 2.0 + 1.2 * (double)j.n, find_part, &j);
    return MD_OK;
}
