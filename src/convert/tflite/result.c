/* What becomes of an operator: its results, and the activations fused to it. */
#include <math.h>

#include "convert/tflite/build.h"

/* ActivationFunctionType of the schema. */
enum {
    ACT_NONE,
    ACT_RELU,
    ACT_RELU_N1_TO_1,
    ACT_RELU6,
    ACT_TANH,
    ACT_SIGN_BIT
};

void md_tfl_set(md_tfl_build *b, uint32_t o, md_value_id id, md_tfl_layout l)
{
    md_tfl_put(b, md_tfl_out(b, o), id, false, l);
}

void md_tfl_set_code(md_tfl_build *b, uint32_t o, md_value_id id,
                     md_tfl_layout l)
{
    md_tfl_put(b, md_tfl_out(b, o), id, true, l);
}

void md_tfl_share(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_value *y = md_tfl_out(b, 0);
    const md_tflite_tensor *t;

    if (!x || !y || b->e.status != MD_OK)
        return;
    t = y->t;
    *y = *x;
    y->t = t;
    y->made = MD_VALUE_NONE;
}

bool md_tfl_same_codes(const md_tfl_build *b, uint32_t i)
{
    const md_tfl_value *x = md_tfl_in(b, i);
    const md_tfl_value *y = md_tfl_out(b, 0);

    if (!x || !y || x->t->dtype != y->t->dtype ||
        md_tfl_is_quantized(x) != md_tfl_is_quantized(y))
        return false;
    if (!md_tfl_is_quantized(x))
        return true;
    return x->t->scale.n == 1 && y->t->scale.n == 1 &&
           md_tfl_scale_of(x) == md_tfl_scale_of(y) &&
           md_tfl_zero_of(x) == md_tfl_zero_of(y);
}

static md_value_id clip(md_tfl_build *b, md_value_id x, double lo, double hi)
{
    return md_emit_op(&b->e, "Clip",
                      (md_value_id[]){ x, md_emit_float(&b->e, lo),
                                       md_emit_float(&b->e, hi) },
                      3, NULL);
}

/* Do the codes of the result end at lo and hi anyway? */
static bool is_clamped(const md_tfl_build *b, double lo, double hi)
{
    const md_tfl_value *v = md_tfl_out(b, 0);
    double scale;
    double zero;

    if (!v || !md_tfl_is_quantized(v) || v->t->scale.n != 1)
        return false;
    scale = md_tfl_scale_of(v);
    zero = (double)md_tfl_zero_of(v);
    return ((double)md_dtype_int_min(v->t->dtype) - zero) * scale >=
               lo - scale / 2 &&
           ((double)md_dtype_int_max(v->t->dtype) - zero) * scale <=
               hi + scale / 2;
}

md_value_id md_tfl_activate(md_tfl_build *b, md_value_id x, int activation)
{
    switch (activation) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return is_clamped(b, 0, INFINITY) ? x : md_emit_op1(&b->e, "Relu", x);
    case ACT_RELU_N1_TO_1:
        return is_clamped(b, -1, 1) ? x : clip(b, x, -1, 1);
    case ACT_RELU6:
        return is_clamped(b, 0, 6) ? x : clip(b, x, 0, 6);
    case ACT_TANH:
        return md_emit_op1(&b->e, "Tanh", x);
    default:
        md_emit_fail(&b->e, MD_UNSUPPORTED, "fused activation %d", activation);
        return MD_VALUE_NONE;
    }
}

md_value_id md_tfl_moved(md_tfl_build *b, uint32_t i, md_tfl_layout l,
                         bool *codes)
{
    *codes = md_tfl_same_codes(b, i);
    return *codes ? md_tfl_code(b, md_tfl_in(b, i), l)
                  : md_tfl_real(b, md_tfl_in(b, i), l);
}

void md_tfl_set_moved(md_tfl_build *b, uint32_t o, md_value_id id,
                      md_tfl_layout l, bool codes)
{
    if (codes)
        md_tfl_set_code(b, o, id, l);
    else
        md_tfl_set(b, o, id, l);
}
