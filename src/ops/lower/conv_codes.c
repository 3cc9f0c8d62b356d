#include "ops/lower/conv_codes.h"

#include <string.h>

#include "base/attr.h"
#include "ops/lower/codes.h"

enum { /* inputs */
    IN_X,
    IN_W,
    IN_W_ZERO = 3,
    IN_X_SCALE,
    IN_W_SCALE
};

static bool has(const md_lower *lo, uint32_t i)
{
    return i < lo->node->n_in && lo->in[i];
}

md_status md_conv_codes__check(const md_lower *lo, md_error *err)
{
    if ((!md_lower__is(lo, IN_X, MD_DTYPE_U8, -1) &&
         !md_lower__is(lo, IN_X, MD_DTYPE_I8, -1)) ||
        !lo->cin[IN_W])
        return md_fail(err, MD_UNSUPPORTED, "needs constant weights");
    return MD_OK;
}

bool md_conv_codes__is_depthwise(const md_lower *lo)
{
    const md_shape *w = &lo->cin[IN_W]->shape;
    const int64_t group = md_node_attr_i(lo->node, "group", 1);

    return group > 1 && w->dim[0] == group && w->dim[1] == 1 &&
           (!has(lo, IN_W_ZERO) || lo->cin[IN_W_ZERO]);
}

bool md_conv_codes__is_central(const md_lower *lo)
{
    const bool is_signed = lo->cin[IN_W]->dtype == MD_DTYPE_I8;
    const md_tensor *z = has(lo, IN_W_ZERO) ? lo->cin[IN_W_ZERO] : NULL;

    if (!has(lo, IN_W_ZERO))
        return is_signed;
    for (int64_t i = 0; z && i < md_tensor_n(z); i++) {
        if (md_tensor_get_i64(z, i) != (is_signed ? 0 : 128))
            return false;
    }
    return z != NULL;
}

bool md_conv_codes__scales(const md_node *n)
{
    return strcmp(n->op, "ConvIntegerToFloat") == 0;
}

md_conv_codes_param md_conv_codes__param(const md_step *st, int64_t c)
{
    const float xs = *(const float *)st->in[IN_X_SCALE];
    const float *ws = st->in[IN_W_SCALE];
    const bool one = md_shape_n(&st->in_shape[IN_W_SCALE]) == 1;
    const float *bias = st->fused ? st->fused->bias : NULL;

    return (md_conv_codes_param){ xs * ws[one ? 0 : c], bias ? bias[c] : 0.0f };
}

void md_conv_codes__finish(const md_step *st, const md_unary_f32_kernel *unary,
                           int64_t at, const int32_t *sums, int64_t n,
                           const md_conv_codes_param *p)
{
    const md_epilogue ep = md_step__epilogue(st, NULL);
    const float scale = p->scale, bias = p->bias;
    float *y = (float *)st->out[0] + at;

    if (ep.residual) { /* which y may be */
        const float *residual = ep.residual + at;

        MD_SIMD
        for (int64_t i = 0; i < n; i++)
            y[i] = ((float)sums[i] * scale + bias) + residual[i];
    } else {
        MD_SIMD
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)sums[i] * scale + bias;
    }
    if (ep.act != MD_ACT_NONE)
        unary->act(y, y, (size_t)n, ep.act, ep.a, ep.b);
}
