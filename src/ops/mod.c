/* Remainder: of the sign of the divisor, or with fmod = 1 of the dividend.
 * x mod 0 is 0 for integers, so that a model cannot trap. */
#include <math.h>

#include "ops/common/elementwise.h"

static int64_t rest(int64_t x, int64_t y)
{
    return y == 0 || y == -1 ? 0 : x % y;
}

static int64_t modulo(int64_t x, int64_t y)
{
    int64_t r = rest(x, y);

    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

MD_ROW(row_fmod, double, fmod(x, y))
MD_ROW(row_i64, int64_t, modulo(x, y))
MD_ROW(row_rest, int64_t, rest(x, y))
MD_ROW(row_u64, uint64_t, y ? x % y : 0)

static const md_binary divisor_sign = {
    .types = MD_TYPES_NUMBER,
    .i = row_i64,
    .u = row_u64,
};

static const md_binary dividend_sign = {
    .types = MD_TYPES_NUMBER,
    .f = row_fmod,
    .i = row_rest,
    .u = row_u64,
};

/* Floats have the dividend's sign only. */
static md_status infer(const md_infer *c, md_error *err)
{
    int64_t rule = md_node_attr_i(c->node, "fmod", 0);
    md_dtype dtype;

    MD_TRY(md_binary__infer(c, &divisor_sign, err));
    dtype = c->in[0]->dtype ? c->in[0]->dtype : c->in[1]->dtype;
    if (rule != 0 && rule != 1)
        return md_fail(err, MD_INVALID, "fmod is %lld, 0 or 1 expected",
                       (long long)rule);
    if (rule == 0 && dtype && md_dtype_is_float(dtype))
        return md_fail(err, MD_INVALID, "fmod is 0, 1 expected for %s",
                       md_dtype_name(dtype));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    bool fmod_rule = md_node_attr_i(x->node, "fmod", 0) != 0;

    return md_binary__run(x, fmod_rule ? &dividend_sign : &divisor_sign, infer,
                          err);
}

const md_op md_op_mod = {
    .domain = "",
    .name = "Mod",
    .since = 10,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
