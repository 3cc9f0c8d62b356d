/* The same bits under another element type of the same width. */
#include "ops/common/util.h"

#define TYPES (MD_TYPES_ANY & ~MD_T(STRING))

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t to = md_node_attr_i(c->node, "to", 0);
    md_dtype from;

    MD_TRY(md_infer__need(c, 0, TYPES, err));
    from = c->in[0]->dtype;
    if (to < 1 || to >= MD_DTYPE_N || !(TYPES >> to & 1) ||
        !md_dtype_is_valid((int)to))
        return md_fail(err, MD_INVALID,
                       "to is %lld, an element type other than string expected",
                       (long long)to);
    if (from && md_dtype_bits(from) != md_dtype_bits((md_dtype)to))
        return md_fail(
            err, MD_INVALID, "%s has %u bits and %s %u, as many expected",
            md_dtype_name(from), md_dtype_bits(from),
            md_dtype_name((md_dtype)to), md_dtype_bits((md_dtype)to));
    md_infer__like(c, 0, 0, (md_dtype)to);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    (void)err;
    md_move_all(out, x->in[0]);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_bit_cast = {
    .domain = "",
    .name = "BitCast",
    .since = 26,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
