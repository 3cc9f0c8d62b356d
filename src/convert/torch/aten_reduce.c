/* Along axes: sums, means, norms, softmax, orders. */
#include <math.h>
#include <string.h>

#include "convert/torch/build.h"

/* Axes of argument i as a constant; MD_VALUE_NONE for all of them.  n is how
 * many there are. */
static md_value_id axes_of(md_torch_call *c, uint32_t i, md_value_id x,
                           int64_t axes[MD_RANK_MAX], int *n)
{
    int rank = md_torch_rank(c, x);
    int got = md_torch_given(c, i) ? md_torch_ints(c, i, axes, MD_RANK_MAX) : 0;

    *n = got > 0 ? got : rank;
    for (int k = 0; k < *n; k++)
        axes[k] = got > 0 ? md_torch_axis(c, axes[k], rank) : k;
    if (rank == 0)
        *n = 0;
    return got > 0 && rank > 0 ? md_emit_ints(c->e, axes, got) : MD_VALUE_NONE;
}

static md_value_id reduce(md_torch_call *c, const char *op, md_value_id x,
                          md_value_id axes, bool keep)
{
    return md_emit_op(c->e, op, (md_value_id[]){ x, axes },
                      axes == MD_VALUE_NONE ? 1 : 2,
                      EMIT_ATTRS(EMIT_I("keepdims", keep)));
}

/* What is summed up: integers as int64, floats as they are. */
static md_value_id summand(md_torch_call *c, md_value_id x, const char *op)
{
    md_dtype t = md_torch_dtype_of(c, x);

    if (strcmp(op, "ReduceMax") == 0 || strcmp(op, "ReduceMin") == 0)
        return x;
    if (md_dtype_is_float(t))
        return x;
    return md_emit_cast(c->e, x,
                        strcmp(op, "ReduceLogSumExp") == 0 ? MD_DTYPE_F32
                                                           : MD_DTYPE_I64);
}

static md_value_id reduce_any(md_torch_call *c, md_value_id x, md_value_id axes,
                              bool keep)
{
    x = md_emit_cast(c->e, x, MD_DTYPE_BOOL);
    x = md_emit_cast(c->e, x, MD_DTYPE_I32);
    x = reduce(c, strcmp(c->row->onnx, "any") == 0 ? "ReduceMax" : "ReduceMin",
               x, axes, keep);
    return md_emit_cast(c->e, x, MD_DTYPE_BOOL);
}

static void finish_reduce(md_torch_call *c, md_value_id x, md_value_id axes,
                          bool keep)
{
    const char *op = c->row->onnx;

    md_torch_ret(c, op[0] == 'a'
                        ? reduce_any(c, x, axes, keep)
                        : reduce(c, op, summand(c, x, op), axes, keep));
}

void md_torch_emit_reduce_all(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    if (strstr(c->row->args, "dtype"))
        x = md_torch_to_arg(c, x, 1);
    finish_reduce(c, x, MD_VALUE_NONE, false);
}

void md_torch_emit_reduce(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    md_value_id a;
    int n;

    if (strstr(c->row->args, "dtype"))
        x = md_torch_to_arg(c, x, 3);
    a = axes_of(c, 1, x, axes, &n);
    finish_reduce(c, x, a, md_torch_b(c, 2));
}

void md_torch_emit_nansum(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    md_value_id a;
    int n;

    x = md_emit_op(
        c->e, "Where",
        (md_value_id[]){ md_emit_op1(c->e, "IsNaN", x),
                         md_emit_number(c->e, md_torch_dtype_of(c, x), 0), x },
        3, NULL);
    a = axes_of(c, 1, x, axes, &n);
    md_torch_ret(c, reduce(c, "ReduceSum", x, a, md_torch_b(c, 2)));
}

void md_torch_emit_count_nonzero(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    md_value_id a;
    int n;

    a = axes_of(c, 1, x, axes, &n);
    x = md_emit_cast(c->e, md_emit_cast(c->e, x, MD_DTYPE_BOOL), MD_DTYPE_I64);
    md_torch_ret(c, reduce(c, "ReduceSum", x, a, false));
}

/* --- largest and smallest --- */

static md_value_id arg(md_torch_call *c, const char *op, md_value_id x,
                       int axis, bool keep)
{
    return md_emit_op(
        c->e, op, &x, 1,
        EMIT_ATTRS(EMIT_I("axis", axis), EMIT_I("keepdims", keep)));
}

static md_value_id comparable(md_torch_call *c, md_value_id x)
{
    return md_torch_dtype_of(c, x) == MD_DTYPE_BOOL
               ? md_emit_cast(c->e, x, MD_DTYPE_I32)
               : x;
}

void md_torch_emit_arg(md_torch_call *c)
{
    md_value_id x = comparable(c, md_torch_x(c, 0));
    bool keep = md_torch_b(c, 2);

    if (!md_torch_given(c, 1)) {
        x = md_emit_reshape(c->e, x, (int64_t[]){ -1 }, 1);
        md_torch_ret(c, arg(c, c->row->onnx, x, 0, false));
        return;
    }
    md_torch_ret(c, arg(c, c->row->onnx, x,
                        md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x)),
                        keep));
}

void md_torch_emit_peak(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));
    bool keep = md_torch_b(c, 2);
    const char *op = c->row->onnx;

    md_torch_ret_n(
        c,
        (md_value_id[]){ reduce(c, op, x, MD_TORCH_INTS(c, axis), keep),
                         arg(c,
                             strcmp(op, "ReduceMax") == 0 ? "ArgMax" : "ArgMin",
                             comparable(c, x), axis, keep) },
        2);
}

void md_torch_emit_aminmax(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id axes = MD_VALUE_NONE;
    bool keep = md_torch_b(c, 2);

    if (md_torch_given(c, 1))
        axes = MD_TORCH_INTS(
            c, md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x)));
    md_torch_ret_n(c,
                   (md_value_id[]){ reduce(c, "ReduceMin", x, axes, keep),
                                    reduce(c, "ReduceMax", x, axes, keep) },
                   2);
}

/* --- variance --- */

/* How many elements lie on the axes, as a scalar of x's type. */
static md_value_id count(md_torch_call *c, md_value_id x, const int64_t *axes,
                         int n)
{
    md_value_id shape = md_emit_op1(c->e, "Shape", x);
    md_value_id on =
        md_emit_op2(c->e, "Gather", shape, md_emit_ints(c->e, axes, n));

    return md_emit_cast(c->e, reduce(c, "ReduceProd", on, MD_VALUE_NONE, false),
                        md_torch_dtype_of(c, x));
}

/* Mean of squared distances, times n / (n - correction). */
static void emit_spread(md_torch_call *c, md_value_id axes_id,
                        const int64_t *axes, int n, double correction,
                        bool keep)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    md_value_id mean = reduce(c, "ReduceMean", x, axes_id, true);
    md_value_id d = md_emit_op2(e, "Sub", x, mean);
    md_value_id v =
        reduce(c, "ReduceMean", md_emit_op2(e, "Mul", d, d), axes_id, keep);

    if (correction != 0) {
        md_value_id k = count(c, x, axes, n);
        md_value_id less =
            md_emit_op2(e, "Sub", k,
                        md_emit_number(e, md_torch_dtype_of(c, x), correction));

        v = md_emit_op2(e, "Mul", v, md_emit_op2(e, "Div", k, less));
    }
    if (c->row->onnx[0] == 's')
        v = md_emit_op1(e, "Sqrt", v);
    if (strstr(c->row->onnx, "mean"))
        md_torch_ret_n(
            c,
            (md_value_id[]){
                v, keep ? mean : reduce(c, "ReduceMean", x, axes_id, false) },
            2);
    else
        md_torch_ret(c, v);
}

void md_torch_emit_spread_all(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    int rank = md_torch_rank(c, x);

    for (int i = 0; i < rank; i++)
        axes[i] = i;
    emit_spread(c, MD_VALUE_NONE, axes, rank, md_torch_b(c, 1), false);
}

void md_torch_emit_spread(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    md_value_id a;
    int n;

    a = axes_of(c, 1, x, axes, &n);
    emit_spread(c, a, axes, n, md_torch_given(c, 2) ? md_torch_f(c, 2) : 1,
                md_torch_b(c, 3));
}

/* --- norms --- */

static md_value_id norm(md_torch_call *c, md_value_id x, double p,
                        md_value_id axes, bool keep)
{
    md_emit *e = c->e;
    md_dtype t = md_torch_dtype_of(c, x);

    if (p == 2)
        return reduce(c, "ReduceL2", x, axes, keep);
    if (p == 1)
        return reduce(c, "ReduceL1", x, axes, keep);
    x = md_emit_op1(e, "Abs", x);
    if (isinf(p))
        return reduce(c, p > 0 ? "ReduceMax" : "ReduceMin", x, axes, keep);
    if (p == 0)
        return reduce(c, "ReduceSum",
                      md_emit_cast(e, md_emit_cast(e, x, MD_DTYPE_BOOL), t),
                      axes, keep);
    x = reduce(c, "ReduceSum",
               md_emit_op2(e, "Pow", x, md_emit_number(e, t, p)), axes, keep);
    return md_emit_op2(e, "Pow", x, md_emit_number(e, t, 1 / p));
}

void md_torch_emit_vector_norm(md_torch_call *c)
{
    md_value_id x = md_torch_to_arg(c, md_torch_x(c, 0), 4);
    int64_t axes[MD_RANK_MAX];
    md_value_id a;
    int n;

    a = axes_of(c, 2, x, axes, &n);
    if (strcmp(c->row->name, "linalg_norm") == 0 && md_torch_given(c, 1) &&
        n > 1)
        md_emit_fail(c->e, MD_UNSUPPORTED, "norm of a matrix");
    md_torch_ret(c, norm(c, x, md_torch_given(c, 1) ? md_torch_f(c, 1) : 2, a,
                         md_torch_b(c, 3)));
}

void md_torch_emit_norm_all(md_torch_call *c)
{
    md_torch_ret(c, norm(c, md_torch_x(c, 0),
                         md_torch_given(c, 1) ? md_torch_f(c, 1) : 2,
                         MD_VALUE_NONE, false));
}

void md_torch_emit_frobenius(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    md_value_id a;
    int n;

    a = axes_of(c, 1, x, axes, &n);
    md_torch_ret(c, norm(c, x, 2, a, md_torch_b(c, 2)));
}

/* x / max(|x|, eps) * y / max(|y|, eps), summed. */
void md_torch_emit_cosine(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x[2];
    md_value_id axes = MD_VALUE_NONE;

    for (uint32_t i = 0; i < 2; i++) {
        md_value_id n;

        x[i] = md_torch_x(c, i);
        if (i == 0)
            axes = MD_TORCH_INTS(
                c, md_torch_axis(c, md_torch_i(c, 2), md_torch_rank(c, x[0])));
        n = norm(c, x[i], 2, axes, true);
        n = md_emit_op2(
            e, "Max", n,
            md_emit_number(e, md_torch_dtype_of(c, x[i]), md_torch_f(c, 3)));
        x[i] = md_emit_op2(e, "Div", x[i], n);
    }
    md_torch_ret(c, reduce(c, "ReduceSum", md_emit_op2(e, "Mul", x[0], x[1]),
                           axes, false));
}

void md_torch_emit_distance(md_torch_call *c)
{
    md_value_id x =
        md_emit_op2(c->e, "Sub", md_torch_x(c, 0), md_torch_x(c, 1));

    x = md_emit_op2(
        c->e, "Add", x,
        md_emit_number(c->e, md_torch_dtype_of(c, x), md_torch_f(c, 3)));
    md_torch_ret(c, norm(c, x, md_torch_f(c, 2), MD_TORCH_INTS(c, -1),
                         md_torch_b(c, 4)));
}

/* --- softmax, cumulative --- */

void md_torch_emit_softmax(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    const char *op = c->row->onnx;
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));

    if (strstr(c->row->args, "half_to_float")) {
        if (md_torch_b(c, 2))
            x = md_emit_cast(c->e, x, MD_DTYPE_F32);
    } else {
        x = md_torch_to_arg(c, x, 2);
    }
    if (op[0] == 'm') {
        x = md_emit_op1(c->e, "Neg", x);
        op = "Softmax";
    }
    md_torch_ret(c,
                 md_emit_op(c->e, op, &x, 1, EMIT_ATTRS(EMIT_I("axis", axis))));
}

/* Rows that are all -inf give 0. */
void md_torch_emit_safe_softmax(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_to_arg(c, md_torch_x(c, 0), 2);
    md_dtype t = md_torch_dtype_of(c, x);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));
    md_value_id most = reduce(c, "ReduceMax", x, MD_TORCH_INTS(c, axis), true);
    md_value_id y =
        md_emit_op(e, "Softmax", &x, 1, EMIT_ATTRS(EMIT_I("axis", axis)));

    md_torch_ret(c, md_emit_op(e, "Where",
                               (md_value_id[]){
                                   md_emit_op2(e, "Equal", most,
                                               md_emit_number(e, t, -INFINITY)),
                                   md_emit_number(e, t, 0), y },
                               3, NULL));
}

static md_value_id cumulated(md_torch_call *c, md_value_id x, int axis)
{
    if (md_torch_rank(c, x) == 0)
        return x;
    return md_emit_op2(c->e, "CumSum", x, md_emit_int(c->e, axis));
}

void md_torch_emit_cumsum(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));

    x = md_torch_to_arg(c, x, 2);
    if (!md_torch_given(c, 2))
        x = summand(c, x, "ReduceSum");
    md_torch_ret(c, cumulated(c, x, axis));
}

/* By logarithms of the sizes, and the signs counted. */
void md_torch_emit_cumprod(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_to_arg(c, md_torch_x(c, 0), 2);
    md_dtype t = md_torch_dtype_of(c, x);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));
    md_value_id size, sign;

    if (!md_dtype_is_float(t)) {
        md_emit_fail(e, MD_UNSUPPORTED, "of integers");
        return;
    }
    size = md_emit_op1(
        e, "Exp",
        cumulated(c, md_emit_op1(e, "Log", md_emit_op1(e, "Abs", x)), axis));
    sign = md_emit_cast(e, md_emit_op2(e, "Less", x, md_emit_number(e, t, 0)),
                        MD_DTYPE_I64);
    sign = md_emit_op2(e, "Mod", cumulated(c, sign, axis), md_emit_int(e, 2));
    sign = md_emit_cast(e, sign, t);
    sign = md_emit_op2(e, "Sub", md_emit_number(e, t, 1),
                       md_emit_op2(e, "Mul", sign, md_emit_number(e, t, 2)));
    md_torch_ret(c, md_emit_op2(e, "Mul", size, sign));
}

void md_torch_emit_logcumsumexp(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));
    md_value_id most = reduce(c, "ReduceMax", x, MD_TORCH_INTS(c, axis), true);

    x = md_emit_op1(e, "Exp", md_emit_op2(e, "Sub", x, most));
    x = md_emit_op1(e, "Log", cumulated(c, x, axis));
    md_torch_ret(c, md_emit_op2(e, "Add", x, most));
}

/* --- orders --- */

static void top(md_torch_call *c, md_value_id out[2], md_value_id x,
                md_value_id k, int axis, bool largest)
{
    md_dtype t = md_torch_dtype_of(c, x);

    if (t == MD_DTYPE_BOOL)
        x = md_emit_cast(c->e, x, MD_DTYPE_I32);
    md_emit_op_n(c->e, out, 2, "TopK", (md_value_id[]){ x, k }, 2,
                 EMIT_ATTRS(EMIT_I("axis", axis), EMIT_I("largest", largest)));
    if (t == MD_DTYPE_BOOL)
        out[0] = md_emit_cast(c->e, out[0], t);
}

static md_value_id one_int(md_torch_call *c, uint32_t i)
{
    return md_emit_reshape(c->e, md_tv_as(c->b, &c->arg[i], MD_DTYPE_I64),
                           (int64_t[]){ 1 }, 1);
}

void md_torch_emit_topk(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, 2), md_torch_rank(c, x));
    md_value_id out[2];

    top(c, out, x, one_int(c, 1), axis, md_torch_b(c, 3));
    md_torch_ret_n(c, out, 2);
}

void md_torch_emit_sort(md_torch_call *c)
{
    const char *how = c->row->onnx;
    uint32_t at = how[0] == 's' ? 2 : 1;
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, at), md_torch_rank(c, x));
    md_value_id n =
        md_emit_op(c->e, "Shape", &x, 1,
                   EMIT_ATTRS(EMIT_I("start", axis), EMIT_I("end", axis + 1)));
    md_value_id out[2];

    if (md_torch_rank(c, x) == 0) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of a scalar");
        return;
    }
    top(c, out, x, n, axis, md_torch_b(c, at + 1));
    if (strstr(how, "arg"))
        md_torch_ret(c, out[1]);
    else
        md_torch_ret_n(c, out, 2);
}

/* The last of the k smallest. */
static void emit_kth(md_torch_call *c, md_value_id k, int axis, bool keep)
{
    md_emit *e = c->e;
    md_value_id out[2];

    top(c, out, md_torch_x(c, 0), k, axis, false);
    for (int i = 0; i < 2; i++) {
        out[i] = md_emit_op(e, "Slice",
                            (md_value_id[]){ out[i], MD_TORCH_INTS(c, -1),
                                             MD_TORCH_INTS(c, INT64_MAX),
                                             MD_TORCH_INTS(c, axis) },
                            4, NULL);
        if (!keep)
            out[i] = md_emit_squeeze(e, out[i], axis);
    }
    md_torch_ret_n(c, out, 2);
}

void md_torch_emit_kthvalue(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    emit_kth(c, one_int(c, 1),
             md_torch_axis(c, md_torch_i(c, 2), md_torch_rank(c, x)),
             md_torch_b(c, 3));
}

/* The lower one of two in the middle: element (n + 1) / 2 of the order. */
void md_torch_emit_median(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));
    md_value_id n =
        md_emit_op(c->e, "Shape", &x, 1,
                   EMIT_ATTRS(EMIT_I("start", axis), EMIT_I("end", axis + 1)));

    n = md_emit_op2(c->e, "Div",
                    md_emit_op2(c->e, "Add", n, MD_TORCH_INTS(c, 1)),
                    MD_TORCH_INTS(c, 2));
    emit_kth(c, n, axis, md_torch_b(c, 2));
}
