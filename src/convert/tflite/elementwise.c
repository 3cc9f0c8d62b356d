/* Operators that work element by element: either layout will do. */
#include <math.h>

#include "convert/tflite/build.h"

enum {
    RELU_0_TO_1 = 152
};

/* Input 0 as it lies, a flattened picture too. */
static md_value_id as_it_lies(md_tfl_build *b, md_tfl_layout *l)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_value *y = md_tfl_out(b, 0);

    *l = x && !b->plain && !md_tfl_is_const(b, x) && md_tfl_is_first(x)
             ? MD_TFL_FIRST
             : MD_TFL_LAST;
    if (*l == MD_TFL_FIRST && y) {
        const md_tfl_value *from = x;

        while (from->same)
            from = from->same;
        y->flat_c = from->flat_c;
        y->flat_hw = from->flat_hw;
    }
    return md_tfl_real(b, x, *l);
}

void md_tfl_emit_none(md_tfl_build *b)
{
    md_emit_fail(&b->e, MD_UNSUPPORTED, "%s", md_tfl_row_now(b)->onnx);
}

void md_tfl_emit_unary(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    md_tfl_set(b, 0, md_emit_op1(&b->e, md_tfl_row_now(b)->onnx, x), l);
}

void md_tfl_emit_relu(md_tfl_build *b)
{
    /* RELU, RELU_N1_TO_1 and RELU6 are 19 to 21, and 1 to 3 when fused. */
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    if (b->op->code == RELU_0_TO_1)
        x = md_emit_op(&b->e, "Clip",
                       (md_value_id[]){ x, md_emit_float(&b->e, 0),
                                        md_emit_float(&b->e, 1) },
                       3, NULL);
    else
        x = md_tfl_activate(b, x, b->op->code - 18);
    md_tfl_set(b, 0, x, l);
}

void md_tfl_emit_leaky_relu(md_tfl_build *b)
{
    float alpha = md_fb_f32(&b->op->options, 0, 0);
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    x = md_emit_op(&b->e, "LeakyRelu", &x, 1,
                   EMIT_ATTRS(EMIT_F("alpha", alpha)));
    md_tfl_set(b, 0, x, l);
}

void md_tfl_emit_gelu(md_tfl_build *b)
{
    bool tanh = md_fb_bool(&b->op->options, 0, false);
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    x = md_emit_op(&b->e, "Gelu", &x, 1,
                   EMIT_ATTRS(EMIT_S("approximate", tanh ? "tanh" : "none")));
    md_tfl_set(b, 0, x, l);
}

void md_tfl_emit_rsqrt(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    x = md_emit_op1(&b->e, "Reciprocal", md_emit_op1(&b->e, "Sqrt", x));
    md_tfl_set(b, 0, x, l);
}

void md_tfl_emit_square(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    md_tfl_set(b, 0, md_emit_op2(&b->e, "Mul", x, x), l);
}

void md_tfl_emit_cast(md_tfl_build *b)
{
    const md_tfl_value *y = md_tfl_out(b, 0);
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    if (y && y->t->dtype == MD_DTYPE_NONE)
        md_emit_fail(&b->e, MD_UNSUPPORTED, "to type %d", y->t->type);
    if (y)
        md_tfl_set(b, 0, md_emit_cast(&b->e, x, y->t->dtype), l);
}

void md_tfl_emit_bitcast(md_tfl_build *b)
{
    const md_tfl_value *y = md_tfl_out(b, 0);
    md_value_id x = md_tfl_code(b, md_tfl_in(b, 0), MD_TFL_LAST);

    if (!y || b->e.status != MD_OK)
        return;
    if (md_dtype_bits(md_emit_type(&b->e, x)->dtype) !=
        md_dtype_bits(y->t->dtype))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "between types of other sizes");
    /* BitCast is in opset 26, Cast of the same type in all. */
    if (b->e.status == MD_OK && md_emit_type(&b->e, x)->dtype != y->t->dtype &&
        !(md_dtype_is_integer(md_emit_type(&b->e, x)->dtype) &&
          md_dtype_is_integer(y->t->dtype)))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "between %s and %s",
                     md_dtype_name(md_emit_type(&b->e, x)->dtype),
                     md_dtype_name(y->t->dtype));
    md_tfl_set_code(b, 0, md_emit_cast(&b->e, x, y->t->dtype), MD_TFL_LAST);
}

/* One number for each row. */
static bool is_one_per_row(const md_tfl_build *b, const md_tfl_value *v)
{
    int rank = md_tfl_rank(b, v);

    return rank == 0 || md_tfl_size(b, v, rank - 1) == 1;
}

/* Flattened pictures with each other, or with what is the same for a row, as
 * they lie: so does the result. */
static bool pair_flat(md_tfl_build *b, md_value_id x[2])
{
    md_tfl_value *in[] = { md_tfl_in(b, 0), md_tfl_in(b, 1) };
    md_tfl_value *y = md_tfl_out(b, 0);
    const md_tfl_value *flat = NULL;

    if (!in[0] || !in[1] || !y)
        return false;
    flat = md_tfl_flat(in[0]) ? md_tfl_flat(in[0]) : md_tfl_flat(in[1]);
    for (int i = 0; flat && i < 2; i++) {
        const md_tfl_value *f = md_tfl_flat(in[i]);

        if (f ? f->flat_c != flat->flat_c || f->flat_hw != flat->flat_hw
              : md_tfl_rank(b, in[i]) > 2 || !is_one_per_row(b, in[i]))
            return false;
    }
    for (int i = 0; flat && i < 2; i++)
        x[i] = md_tfl_real(b, in[i], MD_TFL_FIRST);
    if (flat) {
        y->flat_c = flat->flat_c;
        y->flat_hw = flat->flat_hw;
    }
    return flat != NULL;
}

/* Inputs 0 and 1 so that they broadcast as in the file. */
static md_tfl_layout pair(md_tfl_build *b, md_value_id x[2])
{
    md_tfl_layout l = md_tfl_pick(b, 0, 2);
    int rank = 0;

    if (pair_flat(b, x))
        return MD_TFL_FIRST;

    for (uint32_t i = 0; i < 2; i++) {
        int r = md_tfl_in(b, i) ? md_tfl_rank(b, md_tfl_in(b, i)) : 0;

        rank = r > rank ? r : rank;
    }
    for (uint32_t i = 0; i < 2; i++)
        x[i] = md_tfl_spread(b, md_tfl_in(b, i), l, rank);
    return l;
}

/* Options of ADD, SUB, MUL and DIV; the others have none. */
static int activation(const md_tfl_build *b)
{
    return b->op->code == 0 || b->op->code == 18 || b->op->code == 41 ||
                   b->op->code == 42
               ? md_fb_i8(&b->op->options, 0, 0)
               : 0;
}

void md_tfl_emit_binary(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);
    md_value_id y = md_emit_op(&b->e, md_tfl_row_now(b)->onnx, x, 2, NULL);

    md_tfl_set(b, 0, md_tfl_activate(b, y, activation(b)), l);
}

void md_tfl_emit_not_equal(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);

    md_tfl_set(
        b, 0, md_emit_op1(&b->e, "Not", md_emit_op(&b->e, "Equal", x, 2, NULL)),
        l);
}

void md_tfl_emit_squared_difference(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);
    md_value_id d = md_emit_op(&b->e, "Sub", x, 2, NULL);

    md_tfl_set(b, 0, md_emit_op2(&b->e, "Mul", d, d), l);
}

/* floor(x / y) of integers: without the rest, whose sign is y's. */
static md_value_id floor_int(md_tfl_build *b, md_value_id x, md_value_id y)
{
    md_value_id rest = md_emit_op2(&b->e, "Mod", x, y);

    return md_emit_op2(&b->e, "Div", md_emit_op2(&b->e, "Sub", x, rest), y);
}

void md_tfl_emit_floor_div(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);

    if (md_dtype_is_integer(md_emit_type(&b->e, x[0])->dtype))
        md_tfl_set(b, 0, floor_int(b, x[0], x[1]), l);
    else
        md_tfl_set(
            b, 0,
            md_emit_op1(&b->e, "Floor", md_emit_op(&b->e, "Div", x, 2, NULL)),
            l);
}

/* Of floats: C's remainder, moved to the sign of y. */
static md_value_id floor_mod(md_tfl_build *b, const md_value_id x[2])
{
    md_value_id m =
        md_emit_op(&b->e, "Mod", x, 2, EMIT_ATTRS(EMIT_I("fmod", 1)));
    md_value_id zero = md_emit_float(&b->e, 0);
    md_value_id other =
        md_emit_op2(&b->e, "Xor", md_emit_op2(&b->e, "Less", m, zero),
                    md_emit_op2(&b->e, "Less", x[1], zero));
    md_value_id some =
        md_emit_op1(&b->e, "Not", md_emit_op2(&b->e, "Equal", m, zero));

    return md_emit_op(&b->e, "Where",
                      (md_value_id[]){ md_emit_op2(&b->e, "And", some, other),
                                       md_emit_op2(&b->e, "Add", m, x[1]), m },
                      3, NULL);
}

void md_tfl_emit_floor_mod(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);

    if (md_dtype_is_integer(md_emit_type(&b->e, x[0])->dtype))
        md_tfl_set(b, 0, md_emit_op(&b->e, "Mod", x, 2, NULL), l);
    else
        md_tfl_set(b, 0, floor_mod(b, x), l);
}

static md_value_id where(md_tfl_build *b, md_value_id c, md_value_id x,
                         md_value_id y)
{
    return md_emit_op(&b->e, "Where", (md_value_id[]){ c, x, y }, 3, NULL);
}

/* atan(y / x), turned by half a circle where x is negative. */
void md_tfl_emit_atan2(md_tfl_build *b)
{
    static const double pi = 3.14159265358979323846;
    md_value_id v[2];
    md_tfl_layout l = pair(b, v);
    md_value_id zero = md_emit_float(&b->e, 0);
    md_value_id low = md_emit_op2(&b->e, "Less", v[0], zero);
    md_value_id left = md_emit_op2(&b->e, "Less", v[1], zero);
    md_value_id at =
        md_emit_op1(&b->e, "Atan", md_emit_op(&b->e, "Div", v, 2, NULL));
    md_value_id half =
        where(b, low, md_emit_float(&b->e, -pi), md_emit_float(&b->e, pi));
    md_value_id none =
        md_emit_op2(&b->e, "And", md_emit_op2(&b->e, "Equal", v[0], zero),
                    md_emit_op2(&b->e, "Equal", v[1], zero));

    at = where(b, none, zero, at);
    md_tfl_set(b, 0, where(b, left, md_emit_op2(&b->e, "Add", at, half), at),
               l);
}

void md_tfl_emit_bitwise_xor(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);
    bool logical = md_emit_type(&b->e, x[0])->dtype == MD_DTYPE_BOOL;

    md_tfl_set(
        b, 0, md_emit_op(&b->e, logical ? "Xor" : "BitwiseXor", x, 2, NULL), l);
}

/* BitShift is for unsigned numbers: a signed one is divided by 2^y, down. */
void md_tfl_emit_right_shift(md_tfl_build *b)
{
    md_value_id x[2];
    md_tfl_layout l = pair(b, x);
    md_dtype dtype = md_emit_type(&b->e, x[0])->dtype;
    md_value_id by;

    if (!md_dtype_is_signed(dtype)) {
        md_tfl_set(b, 0,
                   md_emit_op(&b->e, "BitShift", x, 2,
                              EMIT_ATTRS(EMIT_S("direction", "RIGHT"))),
                   l);
        return;
    }
    by = md_emit_op2(&b->e, "Pow", md_emit_number(&b->e, MD_DTYPE_F64, 2),
                     md_emit_cast(&b->e, x[1], MD_DTYPE_F64));
    by = md_emit_cast(&b->e, by, MD_DTYPE_I64);
    by = floor_int(b, md_emit_cast(&b->e, x[0], MD_DTYPE_I64), by);
    md_tfl_set(b, 0, md_emit_cast(&b->e, by, dtype), l);
}

void md_tfl_emit_select(md_tfl_build *b)
{
    const md_tfl_value *c = md_tfl_in(b, 0);
    md_tfl_layout l = md_tfl_pick(b, 0, 3);
    md_value_id x[3];
    int rank = 0;

    for (uint32_t i = 0; i < 3; i++) {
        int r = md_tfl_in(b, i) ? md_tfl_rank(b, md_tfl_in(b, i)) : 0;

        rank = r > rank ? r : rank;
    }
    /* The first SELECT takes whole rows by a vector. */
    if (c && b->op->code == 64 && md_tfl_rank(b, c) == 1 && rank > 1) {
        int64_t axes[MD_RANK_MAX];

        for (int i = 1; i < rank; i++)
            axes[i - 1] = i;
        l = MD_TFL_LAST;
        x[0] = md_emit_op2(&b->e, "Unsqueeze", md_tfl_x(b, 0),
                           md_emit_ints(&b->e, axes, rank - 1));
    } else {
        x[0] = md_tfl_spread(b, md_tfl_in(b, 0), l, rank);
    }
    for (uint32_t i = 1; i < 3; i++)
        x[i] = md_tfl_spread(b, md_tfl_in(b, i), l, rank);
    md_tfl_set(b, 0, md_emit_op(&b->e, "Where", x, 3, NULL), l);
}

void md_tfl_emit_add_n(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, b->op->n_in);
    md_value_id sum = md_tfl_real(b, md_tfl_in(b, 0), l);

    for (uint32_t i = 1; i < b->op->n_in; i++)
        sum =
            md_emit_op2(&b->e, "Add", sum, md_tfl_real(b, md_tfl_in(b, i), l));
    if (b->op->n_in == 1)
        sum = md_emit_op1(&b->e, "Identity", sum);
    md_tfl_set(b, 0, sum, l);
}

void md_tfl_emit_prelu(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = x ? md_tfl_rank(b, x) : 0;
    md_value_id in[] = { md_tfl_real(b, x, l),
                         md_tfl_spread(b, md_tfl_in(b, 1), l, rank) };

    md_tfl_set(b, 0, md_emit_op(&b->e, "PRelu", in, 2, NULL), l);
}

void md_tfl_emit_zeros_like(md_tfl_build *b)
{
    const md_tfl_value *y = md_tfl_out(b, 0);
    md_value_id shape = md_emit_op1(&b->e, "Shape", md_tfl_x(b, 0));

    if (y)
        md_tfl_set(b, 0,
                   md_emit_op2(&b->e, "Expand",
                               md_emit_number(&b->e, y->t->dtype, 0), shape),
                   MD_TFL_LAST);
}

/* --- quantization --- */

void md_tfl_emit_dequantize(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_value *y = md_tfl_out(b, 0);

    if (!x || !y || md_tfl_is_quantized(y)) {
        md_emit_fail(&b->e, MD_CORRUPT, "its ends are not codes and numbers");
        return;
    }
    if (md_tfl_is_quantized(x))
        y->same = x; /* its numbers are made when somebody asks */
    else if (x->c)
        y->c = x->c; /* float16 weights */
    else
        md_tfl_set(b, 0, md_tfl_real(b, x, MD_TFL_LAST), MD_TFL_LAST);
}

void md_tfl_emit_densify(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_value *y = md_tfl_out(b, 0);

    if (!x || !y || !x->c)
        md_emit_fail(&b->e, MD_UNSUPPORTED, "of something computed");
    else
        y->c = x->c;
}

void md_tfl_emit_quantize(md_tfl_build *b)
{
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    if (md_tfl_same_codes(b, 0))
        md_tfl_set_code(b, 0, md_tfl_code(b, md_tfl_in(b, 0), l), l);
    else
        md_tfl_set(b, 0, x, l);
}

/* min 0, max 1, num_bits 2, narrow_range 3: TensorFlow's nudged range. */
void md_tfl_emit_fake_quant(md_tfl_build *b)
{
    double lo = (double)md_fb_f32(&b->op->options, 0, 0);
    double hi = (double)md_fb_f32(&b->op->options, 1, 0);
    int32_t bits = md_fb_i32(&b->op->options, 2, 8);
    double qmin = md_fb_bool(&b->op->options, 3, false);
    double qmax;
    double scale;
    double zero;
    md_tfl_layout l;
    md_value_id x = as_it_lies(b, &l);

    if (bits < 2 || bits > 16 || !(lo <= 0) || !(hi >= 0) || !(lo < hi)) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "%d bits of [%g, %g]", (int)bits,
                     lo, hi);
        return;
    }
    qmax = ldexp(1, bits) - 1;
    scale = (hi - lo) / (qmax - qmin);
    zero = fmin(fmax(floor(qmin - lo / scale + 0.5), qmin), qmax);
    lo = (qmin - zero) * scale;
    hi = (qmax - zero) * scale;
    /* floor((clip(x) - lo) / scale + 0.5) * scale + lo */
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
