/* Quantized programs: QuantizeLinear and DequantizeLinear with the program's
 * scales and zero points. */
#include "convert/torch/build.h"

static bool per_channel(const md_torch_call *c)
{
    return c->row->onnx[0] == 'c';
}

static md_value_id scale_of(md_torch_call *c)
{
    return md_torch_operand(c, &c->arg[1], MD_DTYPE_F32);
}

static md_value_id zero_of(md_torch_call *c, md_dtype t)
{
    if (!md_torch_given(c, 2))
        return MD_VALUE_NONE;
    return md_torch_operand(c, &c->arg[2], t);
}

static bool is_code(md_dtype t)
{
    return t == MD_DTYPE_I8 || t == MD_DTYPE_U8 || t == MD_DTYPE_I16 ||
           t == MD_DTYPE_U16 || t == MD_DTYPE_I32;
}

static md_dtype code_type(md_torch_call *c, uint32_t i)
{
    md_dtype t = md_torch_dtype(md_torch_i(c, i));

    if (!is_code(t))
        md_emit_fail(c->e, MD_UNSUPPORTED, "codes of %s", md_dtype_name(t));
    return t;
}

static int64_t axis_of(md_torch_call *c)
{
    return per_channel(c) ? md_torch_i(c, 3) : 1;
}

/* Codes end where their type does, or earlier. */
static md_value_id bounded(md_torch_call *c, md_value_id q, md_dtype t,
                           uint32_t at)
{
    int64_t lo = md_torch_i(c, at), hi = md_torch_i(c, at + 1);

    if (lo <= md_dtype_int_min(t) && hi >= md_dtype_int_max(t))
        return q;
    return md_emit_op(c->e, "Clip",
                      (md_value_id[]){ q, md_emit_number(c->e, t, (double)lo),
                                       md_emit_number(c->e, t, (double)hi) },
                      3, NULL);
}

void md_torch_emit_quantize(md_torch_call *c)
{
    uint32_t at = per_channel(c) ? 4 : 3;
    md_dtype t = code_type(c, at + 2);
    md_value_id in[3] = { md_torch_x(c, 0), scale_of(c), zero_of(c, t) };

    if (t == MD_DTYPE_I32) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "codes of int32");
        return;
    }
    md_torch_ret(c, bounded(c,
                            md_emit_op(c->e, "QuantizeLinear", in, 3,
                                       EMIT_ATTRS(EMIT_I("axis", axis_of(c)))),
                            t, at));
}

void md_torch_emit_dequantize(md_torch_call *c)
{
    uint32_t at = per_channel(c) ? 4 : 3;
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    md_value_id in[3] = { x, scale_of(c), zero_of(c, t) };

    if (c->e->status == MD_OK && !is_code(t))
        md_emit_fail(c->e, MD_UNSUPPORTED, "codes of %s", md_dtype_name(t));
    x = md_emit_op(c->e, "DequantizeLinear", in, in[2] == MD_VALUE_NONE ? 2 : 3,
                   EMIT_ATTRS(EMIT_I("axis", axis_of(c))));
    md_torch_ret(c, md_torch_to_arg(c, x, at + 3));
}

/* scale * (clamp(round(x / scale) + zero) - zero) */
void md_torch_emit_fake_quantize(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    double zero = md_torch_f(c, 2);
    md_value_id s = md_emit_number(e, t, md_torch_f(c, 1));

    x = md_emit_op1(e, "Round", md_emit_op2(e, "Div", x, s));
    x = md_emit_op(
        e, "Clip",
        (md_value_id[]){ x, md_emit_number(e, t, md_torch_f(c, 3) - zero),
                         md_emit_number(e, t, md_torch_f(c, 4) - zero) },
        3, NULL);
    md_torch_ret(c, md_emit_op2(e, "Mul", x, s));
}
