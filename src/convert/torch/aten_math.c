/* Element by element: functions, arithmetic with PyTorch's promotion of
 * types, comparisons, activations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert/torch/build.h"

static bool is_float(const md_torch_call *c, md_value_id x)
{
    return md_dtype_is_float(md_torch_dtype_of(c, x));
}

/* Argument i; integers become float32, as functions have it. */
static md_value_id as_float(md_torch_call *c, uint32_t i)
{
    md_value_id x = md_torch_x(c, i);

    return is_float(c, x) ? x : md_emit_cast(c->e, x, MD_DTYPE_F32);
}

static md_value_id like(md_torch_call *c, md_value_id x, double v)
{
    return md_emit_number(c->e, md_torch_dtype_of(c, x), v);
}

/* --- one tensor --- */

void md_torch_emit_unary(md_torch_call *c)
{
    md_torch_ret(c, md_emit_op1(c->e, c->row->onnx, md_torch_x(c, 0)));
}

/* Integers are whole already. */
void md_torch_emit_unary_whole(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, is_float(c, x) ? md_emit_op1(c->e, c->row->onnx, x) : x);
}

void md_torch_emit_unary_float(md_torch_call *c)
{
    md_torch_ret(c, md_emit_op1(c->e, c->row->onnx, as_float(c, 0)));
}

/* Functions one after another; "+1", "-1" and "*v" are with numbers. */
void md_torch_emit_chain(md_torch_call *c)
{
    md_value_id x = as_float(c, 0);
    const char *p = c->row->onnx;

    while (*p) {
        size_t n = strcspn(p, " ");
        char step[32];

        memcpy(step, p, n < 31 ? n : 31);
        step[n < 31 ? n : 31] = '\0';
        if (step[0] == '*')
            x = md_emit_op2(c->e, "Mul", x, like(c, x, strtod(step + 1, NULL)));
        else if (step[0] == '+' || step[0] == '-')
            x = md_emit_op2(c->e, "Add", x, like(c, x, strtod(step, NULL)));
        else
            x = md_emit_op1(c->e, step, x);
        p += n + (p[n] == ' ');
    }
    if (strcmp(c->row->name, "log_sigmoid_forward") == 0)
        md_torch_ret_n(c, (md_value_id[]){ x, x }, 2);
    else
        md_torch_ret(c, x);
}

void md_torch_emit_bitwise_not(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, md_emit_op1(c->e,
                                md_torch_dtype_of(c, x) == MD_DTYPE_BOOL
                                    ? "Not"
                                    : "BitwiseNot",
                                x));
}

void md_torch_emit_logical_not(md_torch_call *c)
{
    md_torch_ret(
        c, md_emit_op1(c->e, "Not",
                       md_emit_cast(c->e, md_torch_x(c, 0), MD_DTYPE_BOOL)));
}

void md_torch_emit_square(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, md_emit_op2(c->e, "Mul", x, x));
}

static md_value_id truncated(md_torch_call *c, md_value_id x)
{
    if (!is_float(c, x))
        return x;
    return md_emit_op2(c->e, "Mul", md_emit_op1(c->e, "Sign", x),
                       md_emit_op1(c->e, "Floor", md_emit_op1(c->e, "Abs", x)));
}

void md_torch_emit_trunc(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id t = truncated(c, x);

    md_torch_ret(c, c->row->onnx[0] ? md_emit_op2(c->e, "Sub", x, t) : t);
}

void md_torch_emit_is_odd(md_torch_call *c)
{
    md_value_id x = as_float(c, 0);
    md_value_id nan;

    if (c->row->onnx[0] == 'I') {
        md_torch_ret(c, md_emit_op1(c->e, c->row->onnx, x));
        return;
    }
    nan = md_emit_op1(c->e, "IsNaN", x);
    md_torch_ret(c, md_emit_op1(c->e, "Not",
                                md_emit_op2(c->e, "Or", nan,
                                            md_emit_op1(c->e, "IsInf", x))));
}

void md_torch_emit_nan_to_num(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    double most = md_torch_dtype_of(c, x) == MD_DTYPE_F16 ? 65504.0
                  : md_torch_dtype_of(c, x) == MD_DTYPE_F64
                      ? 1.7976931348623157e308
                      : 3.4028234663852886e38;
    double v[3] = { 0, most, -most };
    md_value_id positive;

    if (!is_float(c, x)) {
        md_torch_ret(c, x);
        return;
    }
    for (uint32_t i = 0; i < 3; i++)
        v[i] = md_torch_given(c, i + 1) ? md_torch_f(c, i + 1) : v[i];
    positive = md_emit_op2(c->e, "Equal", x, like(c, x, INFINITY));
    x = md_emit_op(
        c->e, "Where",
        (md_value_id[]){ md_emit_op1(c->e, "IsNaN", x), like(c, x, v[0]), x },
        3, NULL);
    x = md_emit_op(c->e, "Where",
                   (md_value_id[]){ positive, like(c, x, v[1]), x }, 3, NULL);
    md_torch_ret(c,
                 md_emit_op(c->e, "Where",
                            (md_value_id[]){ md_emit_op2(c->e, "Equal", x,
                                                         like(c, x, -INFINITY)),
                                             like(c, x, v[2]), x },
                            3, NULL));
}

/* --- two tensors --- */

static md_value_id operand(md_torch_call *c, uint32_t i, md_dtype type)
{
    return md_torch_operand(c, &c->arg[i], type);
}

static bool is_one(const md_tv *v)
{
    return !v->computed && (v->kind == MD_TV_FLOAT ? v->v.f == 1 : v->v.i == 1);
}

/* Of numbers alone: what the numbers' own rows give. */
void md_torch_emit_arith(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    const char *op = c->row->onnx;
    md_value_id a, b;

    if (type == MD_DTYPE_BOOL && strcmp(op, "Mul") == 0)
        op = "And";
    else if (type == MD_DTYPE_BOOL && strcmp(op, "Add") == 0)
        op = "Or";
    a = operand(c, 0, type);
    b = operand(c, 1, type);
    if (strcmp(op, "Rsub") == 0) {
        md_value_id t = a;

        a = b;
        b = t;
        op = "Sub";
        if (!is_one(&c->arg[2]))
            b = md_emit_op2(c->e, "Mul", b, md_tv_as(c->b, &c->arg[2], type));
    } else if ((op[0] == 'A' || op[0] == 'S') && strcmp(op, "And") != 0 &&
               !is_one(&c->arg[2])) {
        b = md_emit_op2(c->e, "Mul", b, md_tv_as(c->b, &c->arg[2], type));
    }
    md_torch_ret(c, md_emit_op2(c->e, op, a, b));
}

static md_value_id floor_div(md_torch_call *c, md_value_id a, md_value_id b)
{
    md_emit *e = c->e;

    if (is_float(c, a))
        return md_emit_op1(e, "Floor", md_emit_op2(e, "Div", a, b));
    return md_emit_op2(
        e, "Div", md_emit_op2(e, "Sub", a, md_emit_op2(e, "Mod", a, b)), b);
}

void md_torch_emit_div(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    const char *mode = c->row->onnx[0] ? c->row->onnx : "";
    md_value_id a, b;

    if (!mode[0] && strstr(c->row->args, "rounding_mode"))
        mode = md_torch_s(c, 2);
    if (!mode[0] && !md_dtype_is_float(type) && type != MD_DTYPE_C64) {
        if (c->b->old_div && type != MD_DTYPE_BOOL)
            mode = "trunc";
        else
            type = MD_DTYPE_F32;
    }
    a = operand(c, 0, type);
    b = operand(c, 1, type);
    if (strcmp(mode, "floor") == 0)
        md_torch_ret(c, floor_div(c, a, b));
    else if (mode[0] == 't')
        md_torch_ret(c, truncated(c, md_emit_op2(c->e, "Div", a, b)));
    else
        md_torch_ret(c, md_emit_op2(c->e, "Div", a, b));
}

/* ONNX's Mod has the divisor's sign for integers; of floats it knows C's
 * fmod alone. */
void md_torch_emit_remainder(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    md_value_id a = operand(c, 0, type);
    md_value_id b = operand(c, 1, type);
    bool c_like = c->row->onnx[0] == 't';

    if (c_like || !md_dtype_is_float(type)) {
        md_torch_ret(c, md_emit_op(c->e, "Mod", (md_value_id[]){ a, b }, 2,
                                   EMIT_ATTRS(EMIT_I("fmod", c_like))));
        return;
    }
    md_torch_ret(c,
                 md_emit_op2(c->e, "Sub", a,
                             md_emit_op2(c->e, "Mul", floor_div(c, a, b), b)));
}

void md_torch_emit_pow(md_torch_call *c)
{
    md_dtype type =
        c->row->onnx[0] ? MD_DTYPE_F64 : md_torch_promote(c, c->arg, 2);
    const md_tv *p = &c->arg[1];
    md_value_id x = operand(c, 0, type);

    if (md_tv_is_number(p) && !p->computed) {
        double v = p->kind == MD_TV_FLOAT ? p->v.f : (double)p->v.i;

        if (v == 2 || v == 0.5 || v == 1) {
            md_torch_ret(c, v == 2     ? md_emit_op2(c->e, "Mul", x, x)
                            : v == 0.5 ? md_emit_op1(c->e, "Sqrt", x)
                                       : x);
            return;
        }
    }
    md_torch_ret(c, md_emit_op2(c->e, "Pow", x, operand(c, 1, type)));
}

void md_torch_emit_binary(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    const char *op = c->row->onnx;

    if (type == MD_DTYPE_BOOL)
        op = strcmp(op, "Max") == 0 ? "Or" : "And";
    md_torch_ret(
        c, md_emit_op2(c->e, op, operand(c, 0, type), operand(c, 1, type)));
}

void md_torch_emit_compare(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    const char *op = c->row->onnx;
    bool not = strcmp(op, "NotEqual") == 0;
    bool order = !not &&strcmp(op, "Equal") != 0;
    md_value_id x;

    if (type == MD_DTYPE_BOOL && order)
        type = MD_DTYPE_I32;
    x = md_emit_op2(c->e, not ? "Equal" : op, operand(c, 0, type),
                    operand(c, 1, type));
    md_torch_ret(c, not ? md_emit_op1(c->e, "Not", x) : x);
}

void md_torch_emit_logical(md_torch_call *c)
{
    md_torch_ret(c,
                 md_emit_op2(c->e, c->row->onnx, operand(c, 0, MD_DTYPE_BOOL),
                             operand(c, 1, MD_DTYPE_BOOL)));
}

void md_torch_emit_bitwise(md_torch_call *c)
{
    static const char *const ops[][2] = { { "And", "BitwiseAnd" },
                                          { "Or", "BitwiseOr" },
                                          { "Xor", "BitwiseXor" } };
    md_dtype type = md_torch_promote(c, c->arg, 2);
    const char *op = c->row->onnx;

    for (size_t i = 0; type != MD_DTYPE_BOOL && i < MD_COUNT(ops); i++) {
        if (strcmp(ops[i][0], c->row->onnx) == 0)
            op = ops[i][1];
    }
    md_torch_ret(
        c, md_emit_op2(c->e, op, operand(c, 0, type), operand(c, 1, type)));
}

/* BitShift is of unsigned integers; those to the left have the same bits. */
void md_torch_emit_shift(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    md_value_id by = md_emit_op2(c->e, "Pow", md_emit_number(c->e, type, 2),
                                 operand(c, 1, type));
    md_value_id x = operand(c, 0, type);

    md_torch_ret(c, c->row->onnx[0] == 'L' ? md_emit_op2(c->e, "Mul", x, by)
                                           : floor_div(c, x, by));
}

/* atan(y / x), turned where x is negative; at x = 0 the quotient is what
 * gives pi / 2, and 0 / 0 is 0. */
void md_torch_emit_atan2(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    md_emit *e = c->e;
    md_value_id y, x, angle, turn, zero;

    type = md_dtype_is_float(type) ? type : MD_DTYPE_F32;
    y = operand(c, 0, type);
    x = operand(c, 1, type);
    zero = md_emit_number(e, type, 0);
    angle = md_emit_op1(e, "Atan", md_emit_op2(e, "Div", y, x));
    turn = md_emit_op(e, "Where",
                      (md_value_id[]){ md_emit_op2(e, "Less", y, zero),
                                       md_emit_number(e, type, -M_PI),
                                       md_emit_number(e, type, M_PI) },
                      3, NULL);
    angle =
        md_emit_op(e, "Where",
                   (md_value_id[]){ md_emit_op2(e, "Less", x, zero),
                                    md_emit_op2(e, "Add", angle, turn), angle },
                   3, NULL);
    md_torch_ret(
        c,
        md_emit_op(e, "Where",
                   (md_value_id[]){
                       md_emit_op2(e, "And", md_emit_op2(e, "Equal", x, zero),
                                   md_emit_op2(e, "Equal", y, zero)),
                       zero, angle },
                   3, NULL));
}

void md_torch_emit_hypot(md_torch_call *c)
{
    md_value_id a = md_torch_x(c, 0);
    md_value_id b = md_torch_x(c, 1);

    md_torch_ret(
        c, md_emit_op1(c->e, "Sqrt",
                       md_emit_op2(c->e, "Add", md_emit_op2(c->e, "Mul", a, a),
                                   md_emit_op2(c->e, "Mul", b, b))));
}

/* max + log1p(exp(-|a - b|)) */
void md_torch_emit_logaddexp(md_torch_call *c)
{
    md_value_id a = md_torch_x(c, 0);
    md_value_id b = md_torch_x(c, 1);
    md_value_id d = md_emit_op1(
        c->e, "Neg", md_emit_op1(c->e, "Abs", md_emit_op2(c->e, "Sub", a, b)));

    md_torch_ret(c, md_emit_op2(c->e, "Add", md_emit_op2(c->e, "Max", a, b),
                                md_emit_op1(c->e, "Softplus", d)));
}

void md_torch_emit_xlogy(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 2);
    md_value_id x, y, zero;

    type = md_dtype_is_float(type) ? type : MD_DTYPE_F32;
    x = operand(c, 0, type);
    y = md_emit_op1(c->e, "Log", operand(c, 1, type));
    zero = md_emit_number(c->e, type, 0);
    md_torch_ret(
        c, md_emit_op(c->e, "Where",
                      (md_value_id[]){ md_emit_op2(c->e, "Equal", x, zero),
                                       zero, md_emit_op2(c->e, "Mul", x, y) },
                      3, NULL));
}

void md_torch_emit_lerp(md_torch_call *c)
{
    md_value_id a = md_torch_x(c, 0);
    md_value_id d = md_emit_op2(c->e, "Sub", md_torch_x(c, 1), a);

    md_torch_ret(
        c, md_emit_op2(c->e, "Add", a,
                       md_emit_op2(c->e, "Mul", d,
                                   operand(c, 2, md_torch_dtype_of(c, a)))));
}

void md_torch_emit_addc(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg, 3);
    md_value_id x = md_emit_op2(c->e, c->row->onnx, operand(c, 1, type),
                                operand(c, 2, type));

    if (!is_one(&c->arg[3]))
        x = md_emit_op2(c->e, "Mul", x, md_tv_as(c->b, &c->arg[3], type));
    md_torch_ret(c, md_emit_op2(c->e, "Add", operand(c, 0, type), x));
}

/* --- bounds and choices --- */

static bool is_scalar(const md_torch_call *c, md_value_id x)
{
    return x == MD_VALUE_NONE ||
           (md_torch_type(c, x)->has_rank && md_torch_type(c, x)->rank == 0);
}

/* Clip where the bounds are scalars, else Max and Min. */
static md_value_id clip(md_torch_call *c, md_value_id x, md_value_id lo,
                        md_value_id hi)
{
    if (is_scalar(c, lo) && is_scalar(c, hi))
        return md_emit_op(c->e, "Clip", (md_value_id[]){ x, lo, hi },
                          hi == MD_VALUE_NONE ? 2 : 3, NULL);
    if (lo != MD_VALUE_NONE)
        x = md_emit_op2(c->e, "Max", x, lo);
    return hi == MD_VALUE_NONE ? x : md_emit_op2(c->e, "Min", x, hi);
}

void md_torch_emit_clamp(md_torch_call *c)
{
    static const char *const only[] = { "min", "max" };
    uint32_t n = c->row->onnx[0] ? 2 : 3;
    md_tv given[3];
    uint32_t n_given = 0;
    md_value_id bound[2] = { MD_VALUE_NONE, MD_VALUE_NONE };
    md_dtype type;

    for (uint32_t i = 0; i < n; i++) {
        if (md_torch_given(c, i))
            given[n_given++] = c->arg[i];
    }
    type = md_torch_promote(c, given, n_given);
    for (uint32_t i = 1; i < n; i++) {
        uint32_t which = n == 3 ? i - 1 : strcmp(c->row->onnx, only[1]) == 0;

        if (md_torch_given(c, i))
            bound[which] = operand(c, i, type);
    }
    md_torch_ret(c, clip(c, operand(c, 0, type), bound[0], bound[1]));
}

void md_torch_emit_bounded(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, clip(c, x, like(c, x, 0), like(c, x, 6)));
}

void md_torch_emit_where(md_torch_call *c)
{
    md_dtype type = md_torch_promote(c, c->arg + 1, 2);

    md_torch_ret(c, md_emit_op(c->e, "Where",
                               (md_value_id[]){ operand(c, 0, MD_DTYPE_BOOL),
                                                operand(c, 1, type),
                                                operand(c, 2, type) },
                               3, NULL));
}

void md_torch_emit_masked_fill(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, md_emit_op(c->e, "Where",
                               (md_value_id[]){
                                   operand(c, 1, MD_DTYPE_BOOL),
                                   operand(c, 2, md_torch_dtype_of(c, x)), x },
                               3, NULL));
}

/* --- activations --- */

void md_torch_emit_hardsigmoid(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, md_emit_op(c->e, "HardSigmoid", &x, 1,
                               EMIT_ATTRS(EMIT_F("alpha", 1.0f / 6),
                                          EMIT_F("beta", 0.5f))));
}

void md_torch_emit_silu(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c,
                 md_emit_op2(c->e, "Mul", x, md_emit_op1(c->e, "Sigmoid", x)));
}

/* x * (1 + erf(x / sqrt(2))) / 2, for the self-check. */
static md_value_id gelu_erf(md_torch_call *c, md_value_id x)
{
    md_value_id e = md_emit_op1(
        c->e, "Erf", md_emit_op2(c->e, "Mul", x, like(c, x, M_SQRT1_2)));

    e = md_emit_op2(c->e, "Add", e, like(c, x, 1));
    return md_emit_op2(c->e, "Mul", md_emit_op2(c->e, "Mul", x, e),
                       like(c, x, 0.5));
}

void md_torch_emit_gelu(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    const char *how = md_torch_s(c, 1);

    md_torch_ret(c, c->b->plain && strcmp(how, "none") == 0
                        ? gelu_erf(c, x)
                        : md_emit_op(c->e, "Gelu", &x, 1,
                                     EMIT_ATTRS(EMIT_S("approximate", how))));
}

/* softplus(beta x) / beta, and x where beta x is above the threshold: there
 * the function is x within float32. */
void md_torch_emit_softplus(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id y = x;
    double beta = md_torch_f(c, 1);
    double threshold = md_torch_f(c, 2);

    if (beta != 1)
        y = md_emit_op2(c->e, "Mul", y, like(c, x, beta));
    y = md_emit_op1(c->e, "Softplus", y);
    if (beta != 1)
        y = md_emit_op2(c->e, "Div", y, like(c, x, beta));
    if (threshold < 20)
        y = md_emit_op(
            c->e, "Where",
            (md_value_id[]){
                md_emit_op2(c->e, "Greater", x, like(c, x, threshold / beta)),
                x, y },
            3, NULL);
    md_torch_ret(c, y);
}

void md_torch_emit_slope(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(
        c, md_emit_op(c->e, c->row->onnx, &x, 1,
                      EMIT_ATTRS(EMIT_F("alpha", (float)md_torch_f(c, 1)))));
}

/* scale * (x > 0 ? x : alpha * (exp(input_scale * x) - 1)) */
void md_torch_emit_elu(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    float alpha = (float)md_torch_f(c, 1);
    double scale = md_torch_f(c, 2);

    if (md_torch_f(c, 3) != 1)
        md_emit_fail(c->e, MD_UNSUPPORTED, "input_scale %g", md_torch_f(c, 3));
    x = md_emit_op(c->e, "Elu", &x, 1, EMIT_ATTRS(EMIT_F("alpha", alpha)));
    if (scale != 1)
        x = md_emit_op2(c->e, "Mul", x, like(c, x, scale));
    md_torch_ret(c, x);
}

void md_torch_emit_rrelu(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    double mean = (md_torch_f(c, 1) + md_torch_f(c, 2)) / 2;

    if (md_torch_b(c, 3))
        md_emit_fail(c->e, MD_UNSUPPORTED, "in training");
    md_torch_ret(c, md_emit_op(c->e, "LeakyRelu", &x, 1,
                               EMIT_ATTRS(EMIT_F("alpha", (float)mean))));
}

void md_torch_emit_arith_prelu(md_torch_call *c)
{
    md_torch_ret(
        c, md_emit_op2(c->e, "PRelu", md_torch_x(c, 0), md_torch_x(c, 1)));
}

/* One slope, or one per channel on axis 1. */
void md_torch_emit_prelu(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id w = md_torch_x(c, 1);
    int rank = md_torch_rank(c, x);
    int64_t shape[MD_RANK_MAX] = { -1, 1, 1, 1, 1, 1, 1, 1 };

    if (md_torch_size(c, w, 0) != 1 && rank > 2)
        w = md_emit_reshape(c->e, w, shape, rank - 1);
    md_torch_ret(c, md_emit_op2(c->e, "PRelu", x, w));
}

void md_torch_emit_threshold(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_dtype type = md_torch_dtype_of(c, x);

    md_torch_ret(c,
                 md_emit_op(c->e, "Where",
                            (md_value_id[]){ md_emit_op2(c->e, "Greater", x,
                                                         operand(c, 1, type)),
                                             x, operand(c, 2, type) },
                            3, NULL));
}

void md_torch_emit_shrink(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    float lambd = (float)md_torch_f(c, 1);
    float bias = c->row->onnx[0] == 's' ? lambd : 0;

    md_torch_ret(c, md_emit_op(c->e, "Shrink", &x, 1,
                               EMIT_ATTRS(EMIT_F("lambd", lambd),
                                          EMIT_F("bias", bias))));
}

void md_torch_emit_tanhshrink(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(c, md_emit_op2(c->e, "Sub", x, md_emit_op1(c->e, "Tanh", x)));
}

void md_torch_emit_glu(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int axis = md_torch_axis(c, md_torch_i(c, 1), md_torch_rank(c, x));
    md_value_id half[2];

    md_emit_op_n(c->e, half, 2, "Split", &x, 1,
                 EMIT_ATTRS(EMIT_I("axis", axis), EMIT_I("num_outputs", 2)));
    md_torch_ret(c, md_emit_op2(c->e, "Mul", half[0],
                                md_emit_op1(c->e, "Sigmoid", half[1])));
}

/* sin(pi x) / (pi x), 1 at 0 */
void md_torch_emit_sinc(md_torch_call *c)
{
    md_value_id x = as_float(c, 0);
    md_value_id p = md_emit_op2(c->e, "Mul", x, like(c, x, M_PI));
    md_value_id y = md_emit_op2(c->e, "Div", md_emit_op1(c->e, "Sin", p), p);

    md_torch_ret(c, md_emit_op(c->e, "Where",
                               (md_value_id[]){
                                   md_emit_op2(c->e, "Equal", x, like(c, x, 0)),
                                   like(c, x, 1), y },
                               3, NULL));
}

void md_torch_emit_logit(md_torch_call *c)
{
    md_value_id x = as_float(c, 0);

    if (md_torch_given(c, 1))
        x = clip(c, x, like(c, x, md_torch_f(c, 1)),
                 like(c, x, 1 - md_torch_f(c, 1)));
    md_torch_ret(c, md_emit_op1(c->e, "Log",
                                md_emit_op2(c->e, "Div", x,
                                            md_emit_op2(c->e, "Sub",
                                                        like(c, x, 1), x))));
}
