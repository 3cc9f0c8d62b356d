/* Operators that work element by element, and products. */
#include <string.h>

#include "base/size.h"
#include "convert/tf/emit.h"

/* Input 0 as it lies. */
static md_value_id given(md_tfl_build *b, md_tfl_layout *l)
{
    *l = md_tfl_pick(b, 0, 1);
    return md_tfl_real(b, md_tfl_in(b, 0), *l);
}

/* Inputs 0 and 1 so that they broadcast. */
static md_tfl_layout pair(md_tfl_build *b, md_value_id x[2])
{
    md_tfl_layout l = md_tfl_pick(b, 0, 2);
    int rank = md_tfl_rank_in(b, 0) > md_tfl_rank_in(b, 1)
                   ? md_tfl_rank_in(b, 0)
                   : md_tfl_rank_in(b, 1);

    for (uint32_t i = 0; i < 2; i++)
        x[i] = md_tfl_spread(b, md_tfl_in(b, i), l, rank);
    return l;
}

static md_value_id where(md_tfl_build *b, md_value_id c, md_value_id x,
                         md_value_id y)
{
    return md_emit_op(&b->e, "Where", (md_value_id[]){ c, x, y }, 3, NULL);
}

static md_value_id number_like(md_tfl_build *b, md_value_id x, double v)
{
    return md_emit_number(&b->e, md_emit_type(&b->e, x)->dtype, v);
}

void md_tf_emit_output(md_tfl_build *b)
{
    md_tfl_share(b);
}

/* --- of one --- */

void md_tf_emit_erfc(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = given(b, &l);

    md_tfl_set(b, 0,
               md_emit_op2(&b->e, "Sub", number_like(b, x, 1),
                           md_emit_op1(&b->e, "Erf", x)),
               l);
}

void md_tf_emit_expm1(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = given(b, &l);

    md_tfl_set(b, 0,
               md_emit_op2(&b->e, "Sub", md_emit_op1(&b->e, "Exp", x),
                           number_like(b, x, 1)),
               l);
}

void md_tf_emit_log1p(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = given(b, &l);

    md_tfl_set(b, 0,
               md_emit_op1(&b->e, "Log",
                           md_emit_op2(&b->e, "Add", x, number_like(b, x, 1))),
               l);
}

/* x - x is 0 for numbers, else none. */
void md_tf_emit_is_finite(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = given(b, &l);

    x = md_emit_op1(&b->e, "IsNaN", md_emit_op2(&b->e, "Sub", x, x));
    md_tfl_set(b, 0, md_emit_op1(&b->e, "Not", x), l);
}

void md_tf_emit_l2_loss(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);

    x = md_emit_op2(&b->e, "Mul", x, x);
    x = md_emit_op(&b->e, "ReduceSum", &x, 1,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, md_emit_op2(&b->e, "Mul", x, number_like(b, x, 0.5)),
               MD_TFL_LAST);
}

void md_tf_emit_ones_like(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);

    md_tfl_set(b, 0,
               md_emit_op2(&b->e, "Expand", number_like(b, x, 1),
                           md_emit_op1(&b->e, "Shape", x)),
               MD_TFL_LAST);
}

/* --- of two --- */

/* 0 where input 1 is 0, whatever input 0 is. */
void md_tf_emit_no_nan(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);
    md_value_id zero = number_like(b, x[1], 0);
    md_value_id none = md_emit_op2(&b->e, "Equal", x[1], zero);
    md_value_id y = md_emit_op(&b->e, md_tfl_row_now(b)->onnx, x, 2, NULL);

    md_tfl_set(b, 0, where(b, none, zero, y), l);
}

/* x * f(y), or x / y; 0 where x is. */
void md_tf_emit_x_times(md_tfl_build *b)
{
    const char *f = md_tfl_row_now(b)->onnx;
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);
    md_value_id zero = number_like(b, x[0], 0);
    md_value_id y = x[1];

    if (strcmp(f, "Log1p") == 0)
        y = md_emit_op2(&b->e, "Add", y, number_like(b, y, 1));
    if (f[0] == 'L')
        y = md_emit_op2(&b->e, "Mul", x[0], md_emit_op1(&b->e, "Log", y));
    else
        y = md_emit_op2(&b->e, "Div", x[0], y);
    md_tfl_set(b, 0, where(b, md_emit_op2(&b->e, "Equal", x[0], zero), zero, y),
               l);
}

void md_tf_emit_truncate_mod(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);

    md_tfl_set(
        b, 0, md_emit_op(&b->e, "Mod", x, 2, EMIT_ATTRS(EMIT_I("fmod", 1))), l);
}

void md_tf_emit_clip(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    bool scalar = md_tfl_rank_in(b, 1) == 0 && md_tfl_rank_in(b, 2) == 0;
    md_value_id x;

    if (!scalar)
        l = MD_TFL_LAST;
    x = md_tfl_real(b, md_tfl_in(b, 0), l);
    if (scalar) {
        x = md_emit_op(&b->e, "Clip",
                       (md_value_id[]){ x, md_tfl_x(b, 1), md_tfl_x(b, 2) }, 3,
                       NULL);
    } else {
        x = md_emit_op2(&b->e, "Max", x, md_tfl_x(b, 1));
        x = md_emit_op2(&b->e, "Min", x, md_tfl_x(b, 2));
    }
    md_tfl_set(b, 0, x, l);
}

/* num_bits 0, narrow_range 1; the range is constant inputs.  TensorFlow nudges
 * it so that zero is a step. */
void md_tf_emit_fake_quant(md_tfl_build *b)
{
    const md_tflite_op *op = b->op;
    const md_fb_table *o = &op->options;
    double bits = md_fb_i32(o, 0, 8);
    double qmin = md_fb_bool(o, 1, false);
    double qmax =
        (double)((INT64_C(1) << (int)(bits < 1 || bits > 16 ? 8 : bits)) - 1);
    double lo = 0;
    double hi = 0;
    double scale;
    double zero;
    md_tfl_layout l;
    md_value_id x;

    if (!md_tfl_read_float(b, 1, &lo) || !md_tfl_read_float(b, 2, &hi))
        return;
    if (!(lo <= 0) || !(hi >= 0) || !(lo < hi)) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a range of [%g, %g]", lo, hi);
        return;
    }
    scale = (hi - lo) / (qmax - qmin);
    zero = qmin - lo / scale;
    zero = zero < qmin   ? qmin
           : zero > qmax ? qmax
                         : (double)(int64_t)(zero + 0.5);
    lo = (qmin - zero) * scale;
    hi = (qmax - zero) * scale;
    x = given(b, &l);
    x = md_emit_op(&b->e, "Clip",
                   (md_value_id[]){ x, md_emit_float(&b->e, lo),
                                    md_emit_float(&b->e, hi) },
                   3, NULL);
    x = md_emit_op2(&b->e, "Sub", x, md_emit_float(&b->e, lo));
    x = md_emit_op2(&b->e, "Mul", x, md_emit_float(&b->e, 1 / scale));
    x = md_emit_op1(&b->e, "Floor",
                    md_emit_op2(&b->e, "Add", x, md_emit_float(&b->e, 0.5)));
    x = md_emit_op2(&b->e, "Mul", x, md_emit_float(&b->e, scale));
    md_tfl_set(b, 0, md_emit_op2(&b->e, "Add", x, md_emit_float(&b->e, lo)), l);
}

/* --- products --- */

/* Weights [hw * c, out] of a picture that lies channels first: [c * hw, out].
 */
static md_value_id flat_weight(md_tfl_build *b, const md_tfl_value *w,
                               int64_t c, int64_t hw)
{
    static const int perm[] = { 1, 0, 2 };
    md_tflite_tensor *t = md_emit_alloc(&b->e, 1, sizeof(*t));
    md_tfl_value *v = md_emit_alloc(&b->e, 1, sizeof(*v));
    md_shape as = { 2, { c * hw, w->c->dim[1] } };

    if (!t || !v)
        return MD_VALUE_NONE;
    *t = *w->c;
    t->rank = 3;
    t->dim[0] = hw;
    t->dim[1] = c;
    t->dim[2] = w->c->dim[1];
    *v = *w;
    v->t = t;
    v->c = t;
    v->made = MD_VALUE_NONE;
    return md_tfl_weight(b, v, perm, &as);
}

/* transpose_a 0, transpose_b 1; input 2, where there is one, is a bias. */
void md_tf_emit_matmul(md_tfl_build *b)
{
    bool turned[] = { md_fb_bool(&b->op->options, 0, false),
                      md_fb_bool(&b->op->options, 1, false) };
    const md_tfl_value *flat = md_tfl_flat(md_tfl_in(b, 0));
    const md_tfl_value *w = md_tfl_in(b, 1);
    md_value_id in[3];

    if (md_tfl_rank_in(b, 0) != 2 || md_tfl_rank_in(b, 1) != 2) {
        md_emit_fail(&b->e, MD_CORRUPT, "matrices of rank %d and %d",
                     md_tfl_rank_in(b, 0), md_tfl_rank_in(b, 1));
        return;
    }
    if (flat && !turned[0] && !turned[1] && w && w->c && !w->c->stored &&
        w->c->rank == 2 && w->c->dim[0] == flat->flat_c * flat->flat_hw) {
        in[0] = md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST);
        in[1] = flat_weight(b, w, flat->flat_c, flat->flat_hw);
    } else {
        in[0] = md_tfl_x(b, 0);
        in[1] = md_tfl_x(b, 1);
    }
    in[2] = md_tfl_in(b, 2) ? md_tfl_x(b, 2) : MD_VALUE_NONE;
    if (in[2] == MD_VALUE_NONE && !turned[0] && !turned[1]) {
        md_tfl_set(b, 0, md_emit_op(&b->e, "MatMul", in, 2, NULL), MD_TFL_LAST);
        return;
    }
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "Gemm", in, in[2] == MD_VALUE_NONE ? 2 : 3,
                          EMIT_ATTRS(EMIT_I("transA", turned[0]),
                                     EMIT_I("transB", turned[1]))),
               MD_TFL_LAST);
}

/* data_format 0: 1 is channels first. */
void md_tf_emit_bias_add(md_tfl_build *b)
{
    bool first = md_fb_i32(&b->op->options, 0, 0) == 1;
    int rank = md_tfl_rank_in(b, 0);
    int64_t dim[MD_RANK_MAX];
    md_value_id x[2];
    md_tfl_layout l;

    if (!first || rank < 3) {
        l = pair(b, x);
    } else {
        l = MD_TFL_LAST;
        for (int i = 0; i < rank; i++)
            dim[i] = i == 1 ? -1 : 1;
        x[0] = md_tfl_x(b, 0);
        x[1] = md_emit_reshape(&b->e, md_tfl_x(b, 1), dim, rank);
    }
    md_tfl_set(b, 0, md_emit_op(&b->e, "Add", x, 2, NULL), l);
}

/* equation 0: letters as in ONNX, blanks too; both know "...". */
void md_tf_emit_einsum(md_tfl_build *b)
{
    const char *equation = md_fb_text(&b->op->options, 0);
    md_value_id *in = md_emit_alloc(&b->e, b->op->n_in, sizeof(*in));

    for (uint32_t i = 0; in && i < b->op->n_in; i++)
        in[i] = md_tfl_x(b, i);
    if (in)
        md_tfl_set(b, 0,
                   md_emit_op(&b->e, "Einsum", in, b->op->n_in,
                              EMIT_ATTRS(EMIT_S("equation", equation))),
                   MD_TFL_LAST);
}

/* --- normalization --- */

/* epsilon 0, data_format 1 (odd: channels first), is_training 2. */
void md_tf_emit_batch_norm(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    bool first = md_fb_i32(o, 1, 0) % 2 == 1;
    int rank = md_tfl_rank_in(b, 0);
    md_value_id in[5];

    if (md_fb_bool(o, 2, true)) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "in training");
        return;
    }
    if (rank < 3) {
        md_emit_fail(&b->e, MD_CORRUPT, "a picture of rank %d", rank);
        return;
    }
    in[0] =
        first ? md_tfl_x(b, 0) : md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST);
    for (uint32_t i = 1; i < 5; i++)
        in[i] = md_tfl_x(b, i);
    in[0] = md_emit_op(&b->e, "BatchNormalization", in, 5,
                       EMIT_ATTRS(EMIT_F("epsilon", md_fb_f32(o, 0, 1e-4f))));
    md_tfl_set(b, 0, in[0], first ? MD_TFL_LAST : MD_TFL_FIRST);
    for (uint32_t i = 1; i < 3; i++)
        md_tfl_set(b, i, in[2 + i], MD_TFL_LAST);
}
