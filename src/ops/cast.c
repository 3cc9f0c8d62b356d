/* Conversion between element types; a string can be read but not written, as
 * an output has no room for new text. */
#include <stdlib.h>
#include <string.h>

#include "ops/common/util.h"
#include "tensor/float.h"

enum {
    NUMBER_TEXT = 40
};

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t to = md_node_attr_i(c->node, "to", 0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    if (to < 1 || to >= MD_DTYPE_N || !md_dtype_is_valid((int)to) ||
        to == MD_DTYPE_C64 || to == MD_DTYPE_C128)
        return md_fail(err, MD_INVALID, "to is %lld, an element type expected",
                       (long long)to);
    md_infer__like(c, 0, 0, (md_dtype)to);
    return MD_OK;
}

/* Decimal text (also inf and nan) of a string element. */
static md_status parse(double *out, md_str s, md_error *err)
{
    char text[NUMBER_TEXT], *end;

    if (s.n > 0 && s.n < sizeof(text)) {
        memcpy(text, s.p, s.n);
        text[s.n] = '\0';
        *out = strtod(text, &end);
        if (*end == '\0')
            return MD_OK;
    }
    return md_fail(err, MD_INVALID, "string '%.*s' is not a number",
                   (int)(s.n < NUMBER_TEXT ? s.n : NUMBER_TEXT), s.p);
}

static md_status from_strings(md_tensor *out, const md_tensor *in,
                              md_error *err)
{
    int64_t n = md_tensor_n(in);

    for (int64_t i = 0; i < n; i++) {
        double v = 0.0;

        MD_TRY(parse(&v, ((const md_str *)in->data)[i], err));
        md_tensor_set_f64(out, i, v);
    }
    return MD_OK;
}

static bool is_f8(md_dtype t)
{
    return MD_TYPES_F8 >> t & 1 || t == MD_DTYPE_F8E8M0;
}

static void convert(md_tensor *out, const md_tensor *in, bool saturate)
{
    int64_t n = md_tensor_n(in);

    for (int64_t i = 0; i < n; i++) {
        if (is_f8(out->dtype))
            ((uint8_t *)out->data)[i] = md_f32_to_f8(
                out->dtype, (float)md_tensor_get_f64(in, i), saturate);
        else if (md_dtype_is_float(in->dtype) || md_dtype_is_float(out->dtype))
            md_tensor_set_f64(out, i, md_tensor_get_f64(in, i));
        else
            md_tensor_set_i64(out, i, md_tensor_get_i64(in, i));
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];

    (void)ar;
    if (in->dtype == out->dtype) {
        md_move_all(out, in);
        return MD_OK;
    }
    if (out->dtype == MD_DTYPE_STRING)
        return md_fail(err, MD_UNSUPPORTED, "Cast from %s to string",
                       md_dtype_name(in->dtype));
    if (in->dtype == MD_DTYPE_STRING)
        return from_strings(out, in, err);
    convert(out, in, md_node_attr_i(x->node, "saturate", 1) != 0);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_cast = {
    .domain = "",
    .name = "Cast",
    .since = 7,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
