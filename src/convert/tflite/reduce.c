/* Operators along axes: reductions, softmax, norms, products. */
#include <string.h>

#include "base/size.h"
#include "convert/tflite/build.h"

/* keep_dims 0.  Booleans are reduced as integers. */
void md_tfl_emit_reduce(md_tfl_build *b)
{
    const char *op = md_tfl_row_now(b)->onnx;
    bool keep = md_fb_bool(&b->op->options, 0, false);
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    md_tfl_layout to = MD_TFL_LAST;
    int rank = md_tfl_rank_in(b, 0);
    int64_t axes[MD_RANK_MAX];
    bool gone[MD_RANK_MAX] = { false };
    uint32_t n = 0;
    int left = 0;
    bool logical;
    md_value_id x;

    if (!md_tfl_read_ints(b, 1, axes, MD_RANK_MAX, &n))
        return;
    for (uint32_t i = 0; i < n; i++) {
        axes[i] = md_tfl_norm_axis(b, axes[i], rank);
        gone[axes[i]] = true;
    }
    for (int i = 1; i < rank - 1; i++)
        left += !gone[i];
    /* What is left of a picture stays channels first; without its channels or
     * without its places both layouts are one. */
    if (l == MD_TFL_FIRST && !keep && gone[0])
        l = MD_TFL_LAST;
    if (l == MD_TFL_FIRST && (keep || (!gone[rank - 1] && left > 0)))
        to = MD_TFL_FIRST;
    /* Of a whole flattened picture no order matters. */
    if (n == 1 && axes[0] == 1 && md_tfl_flat(md_tfl_in(b, 0)))
        l = MD_TFL_FIRST;
    x = md_tfl_real(b, md_tfl_in(b, 0), l);
    for (uint32_t i = 0; i < n; i++)
        axes[i] = md_tfl_axis(l, rank, (int)axes[i]);
    logical = md_emit_type(&b->e, x)->dtype == MD_DTYPE_BOOL;
    if (logical)
        x = md_emit_cast(&b->e, x, MD_DTYPE_I32);
    /* Without axes TensorFlow leaves the tensor as it is. */
    x = n == 0 ? md_emit_op1(&b->e, "Identity", x)
               : md_emit_op(&b->e, op,
                            (md_value_id[]){ x, md_emit_ints(&b->e, axes, n) },
                            2, EMIT_ATTRS(EMIT_I("keepdims", keep)));
    if (logical)
        x = md_emit_cast(&b->e, x, MD_DTYPE_BOOL);
    md_tfl_set(b, 0, x, to);
}

/* The axis is an input; the result is int32 or int64. */
void md_tfl_emit_arg(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    int64_t axis = 0;
    uint32_t n = 0;
    md_tfl_layout to = MD_TFL_LAST;
    md_value_id x;

    if (!md_tfl_read_ints(b, 1, &axis, 1, &n) || n != 1)
        return;
    axis = md_tfl_norm_axis(b, axis, rank);
    if (axis == 0)
        l = MD_TFL_LAST;
    if (l == MD_TFL_FIRST && axis != rank - 1 && rank > 3)
        to = MD_TFL_FIRST;
    x = md_tfl_code(b, md_tfl_in(b, 0), l);
    x = md_emit_op(&b->e, md_tfl_row_now(b)->onnx, &x, 1,
                   EMIT_ATTRS(EMIT_I("axis", md_tfl_axis(l, rank, (int)axis)),
                              EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, x, to);
}

void md_tfl_emit_softmax(md_tfl_build *b)
{
    const char *op = md_tfl_row_now(b)->onnx;
    float beta = op[0] == 'S' ? md_fb_f32(&b->op->options, 0, 1) : 1;
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    md_value_id x;

    if (op[0] == 'S' && md_tfl_in(b, 0) &&
        md_tfl_is_quantized(md_tfl_in(b, 0)) &&
        md_tfl_in(b, 0)->t->dtype == MD_DTYPE_I16) {
        md_tfl_softmax16(b, (double)beta);
        return;
    }
    x = md_tfl_real(b, md_tfl_in(b, 0), l);
    if (beta != 1)
        x = md_emit_op2(&b->e, "Mul", x, md_emit_float(&b->e, (double)beta));
    x = md_emit_op(&b->e, op, &x, 1,
                   EMIT_ATTRS(EMIT_I("axis", md_tfl_axis(l, rank, rank - 1))));
    md_tfl_set(b, 0, x, l);
}

/* x / max(|x|, 1e-6) over the last axis */
void md_tfl_emit_l2_norm(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    int64_t axis = md_tfl_axis(l, rank, rank - 1);
    md_value_id x = md_tfl_real(b, md_tfl_in(b, 0), l);
    md_value_id norm =
        md_emit_op2(&b->e, "ReduceL2", x, md_emit_ints(&b->e, &axis, 1));

    norm = md_emit_op2(&b->e, "Max", norm, md_emit_float(&b->e, 1e-6));
    x = md_emit_op2(&b->e, "Div", x, norm);
    md_tfl_set(b, 0, md_tfl_activate(b, x, md_fb_i8(&b->op->options, 0, 0)), l);
}

/* exclusive 0, reverse 1 */
void md_tfl_emit_cumsum(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    md_value_id in[] = { md_tfl_x(b, 0),
                         md_emit_reshape(&b->e, md_tfl_x(b, 1), NULL, 0) };

    md_tfl_set(
        b, 0,
        md_emit_op(&b->e, "CumSum", in, 2,
                   EMIT_ATTRS(EMIT_I("exclusive", md_fb_bool(o, 0, false)),
                              EMIT_I("reverse", md_fb_bool(o, 1, false)))),
        MD_TFL_LAST);
}

void md_tfl_emit_top_k(md_tfl_build *b)
{
    md_value_id k = md_emit_cast(&b->e, md_tfl_x(b, 1), MD_DTYPE_I64);
    bool codes = md_tfl_same_codes(b, 0);
    md_value_id x =
        codes ? md_tfl_code(b, md_tfl_in(b, 0), MD_TFL_LAST) : md_tfl_x(b, 0);
    md_value_id in[] = { x,
                         md_emit_reshape(&b->e, k, (const int64_t[]){ 1 }, 1) };
    md_value_id out[2];

    md_emit_op_n(&b->e, out, 2, "TopK", in, 2, EMIT_ATTRS(EMIT_I("axis", -1)));
    if (codes)
        md_tfl_set_code(b, 0, out[0], MD_TFL_LAST);
    else
        md_tfl_set(b, 0, out[0], MD_TFL_LAST);
    md_tfl_set(b, 1, out[1], MD_TFL_LAST);
}

/* How many of the boundaries (field 0, floats) each element reaches. */
void md_tfl_emit_bucketize(md_tfl_build *b)
{
    md_fb_vector v = md_fb_vec(&b->op->options, 0, 4);
    md_value_id x = md_emit_cast(&b->e, md_tfl_x(b, 0), MD_DTYPE_F32);
    md_shape shape = { 1, { v.n } };
    md_tensor t = MD_TENSOR_INIT;
    static const int64_t last = -1;

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_F32, &shape,
                                           b->e.model->alloc, b->e.err)))
        return;
    for (uint32_t i = 0; i < v.n; i++)
        ((float *)t.data)[i] = md_fb_vec_f32(&v, i);
    x = md_emit_op2(&b->e, "GreaterOrEqual", md_emit_unsqueeze(&b->e, x, -1),
                    md_emit_const(&b->e, t));
    x = md_emit_op(&b->e, "ReduceSum",
                   (md_value_id[]){ md_emit_cast(&b->e, x, MD_DTYPE_I32),
                                    md_emit_ints(&b->e, &last, 1) },
                   2, EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

/* --- complex numbers: pairs on a last axis of 2 --- */

/* The last two axes, of the lengths in input 1: real ones, then complex. */
void md_tfl_emit_rfft2d(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t size[2];
    uint32_t n = 0;
    md_value_id x = md_emit_unsqueeze(&b->e, md_tfl_x(b, 0), -1);

    if (!md_tfl_read_ints(b, 1, size, 2, &n))
        return;
    if (n != 2 || rank < 2) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u lengths for rank %d", n, rank);
        return;
    }
    x = md_emit_op(&b->e, "DFT",
                   (md_value_id[]){ x, md_emit_int(&b->e, size[1]),
                                    md_emit_int(&b->e, rank - 1) },
                   3, EMIT_ATTRS(EMIT_I("onesided", 1)));
    if (size[0] > 1)
        x = md_emit_op(&b->e, "DFT",
                       (md_value_id[]){ x, md_emit_int(&b->e, size[0]),
                                        md_emit_int(&b->e, rank - 2) },
                       3, NULL);
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

void md_tfl_emit_complex_part(md_tfl_build *b)
{
    enum {
        IMAG = 133,
        REAL = 134
    };
    static const int64_t last = -1;
    const md_tfl_value *v = md_tfl_in(b, 0);
    md_value_id x = md_tfl_x(b, 0);

    if (!v || v->t->dtype != MD_DTYPE_C64) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "of other types than complex64");
        return;
    }
    if (b->op->code == IMAG || b->op->code == REAL)
        x = md_emit_op(
            &b->e, "Gather",
            (md_value_id[]){ x, md_emit_int(&b->e, b->op->code == IMAG) }, 2,
            EMIT_ATTRS(EMIT_I("axis", -1)));
    else
        x = md_emit_op(&b->e, "ReduceL2",
                       (md_value_id[]){ x, md_emit_ints(&b->e, &last, 1) }, 2,
                       EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

/* --- products --- */

static md_value_id swap_last(md_tfl_build *b, md_value_id x, int rank)
{
    int64_t perm[MD_RANK_MAX];

    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return md_emit_transpose(&b->e, x, perm, rank);
}

/* adj_x 0, adj_y 1 */
void md_tfl_emit_batch_matmul(md_tfl_build *b)
{
    md_value_id x[2];

    for (uint32_t i = 0; i < 2; i++) {
        int rank = md_tfl_rank_in(b, i);

        x[i] = md_tfl_x(b, i);
        if (rank < 2) {
            md_emit_fail(&b->e, MD_CORRUPT, "a matrix of rank %d", rank);
            return;
        }
        if (md_fb_bool(&b->op->options, i, false))
            x[i] = swap_last(b, x[i], rank);
    }
    md_tfl_set(b, 0, md_emit_op(&b->e, "MatMul", x, 2, NULL), MD_TFL_LAST);
}

/* Weights [out, hw * c] of a picture that lies channels first: [out, c * hw].
 */
static md_value_id flat_weight(md_tfl_build *b, const md_tfl_value *w,
                               int64_t c, int64_t hw)
{
    static const int perm[] = { 0, 2, 1 };
    md_tflite_tensor *t = md_emit_alloc(&b->e, 2, sizeof(*t));
    md_tfl_value *v = md_emit_alloc(&b->e, 1, sizeof(*v));
    md_shape as = { 2, { w->c->dim[0], c * hw } };

    if (!t || !v)
        return MD_VALUE_NONE;
    t[0] = *w->t;
    t[1] = *w->c;
    for (int i = 0; i < 2; i++) {
        t[i].rank = 3;
        t[i].dim[1] = hw;
        t[i].dim[2] = c;
    }
    *v = *w;
    v->t = &t[0];
    v->c = &t[1];
    v->made = MD_VALUE_NONE;
    return md_tfl_weight(b, v, perm, &as);
}

/* Can a flattened picture be multiplied as it lies? */
static bool takes_flat(const md_tfl_value *x, const md_tfl_value *w)
{
    return x->flat_c > 0 && w->c && !w->c->sparsity.fb && w->t->rank == 2 &&
           w->t->dim[1] == x->flat_c * x->flat_hw && w->t->axis == 0;
}

static void set_product(md_tfl_build *b, md_value_id y)
{
    md_tfl_set(b, 0, md_tfl_activate(b, y, md_fb_i8(&b->op->options, 0, 0)),
               MD_TFL_LAST);
}

/* activation 0, weights_format 1, keep_num_dims 2 */
void md_tfl_emit_fully_connected(md_tfl_build *b)
{
    static const int turned[] = { 1, 0 };
    const md_fb_table *o = &b->op->options;
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_value *w = md_tfl_in(b, 1);
    md_value_id in[3];
    int rank = md_tfl_rank_in(b, 0);
    int64_t n = 0;
    md_value_id y;

    while (x && x->same)
        x = x->same;
    while (w && w->same)
        w = w->same;
    if (!x || !w || md_tfl_rank_in(b, 1) != 2 || rank < 1) {
        md_emit_fail(&b->e, MD_CORRUPT, "its weights are no matrix");
        return;
    }
    if (md_fb_i8(o, 1, 0) != 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "shuffled weights");
        return;
    }
    n = md_tfl_size(b, w, 1);
    in[2] = md_tfl_bias(b, md_tfl_in(b, 2));
    if (rank > 2 && md_fb_bool(o, 2, false)) {
        y = md_emit_op2(&b->e, "MatMul", md_tfl_real(b, x, MD_TFL_LAST),
                        md_tfl_weight(b, w, turned, NULL));
        if (in[2] != MD_VALUE_NONE)
            y = md_emit_op2(&b->e, "Add", y, in[2]);
        set_product(b, y);
        return;
    }
    if (takes_flat(x, w)) {
        in[0] = md_tfl_real(b, x, MD_TFL_FIRST);
        in[1] = flat_weight(b, w, x->flat_c, x->flat_hw);
    } else {
        in[0] = md_tfl_real(b, x, MD_TFL_LAST);
        in[1] = md_tfl_weight(b, w, NULL, NULL);
        if (rank != 2 || (n >= 0 && md_tfl_size(b, x, 1) != n))
            in[0] =
                md_emit_reshape(&b->e, in[0], (const int64_t[]){ -1, n }, 2);
    }
    set_product(b, md_emit_op(&b->e, "Gemm", in, in[2] == MD_VALUE_NONE ? 2 : 3,
                              EMIT_ATTRS(EMIT_I("transB", 1))));
}
