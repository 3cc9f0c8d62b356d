#include <string.h>

#include "ops/common/convert.h"
#include "ops/common/data.h"
#include "ops/grad.h"

/* Before opset 6 the type has a name, which is that of the enumeration. */
static int64_t target(const md_node *n, int64_t opset)
{
    static const struct {
        const char *name;
        md_dtype type;
    } rows[] = {
        { "FLOAT", MD_DTYPE_F32 },   { "UINT8", MD_DTYPE_U8 },
        { "INT8", MD_DTYPE_I8 },     { "UINT16", MD_DTYPE_U16 },
        { "INT16", MD_DTYPE_I16 },   { "INT32", MD_DTYPE_I32 },
        { "INT64", MD_DTYPE_I64 },   { "BOOL", MD_DTYPE_BOOL },
        { "FLOAT16", MD_DTYPE_F16 }, { "DOUBLE", MD_DTYPE_F64 },
        { "UINT32", MD_DTYPE_U32 },  { "UINT64", MD_DTYPE_U64 },
    };
    const char *name = md_node_attr_s(n, "to", "");

    if (opset >= 6)
        return md_node_attr_i(n, "to", 0);
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(name, rows[i].name) == 0)
            return rows[i].type;
    }
    return 0;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t to = target(c->node, c->opset);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_convert__check_attrs(c->node, err));
    if (to < 1 || to >= MD_DTYPE_N || !md_dtype_is_valid((int)to) ||
        to == MD_DTYPE_C64 || to == MD_DTYPE_C128)
        return c->opset < 6
                   ? md_fail(err, MD_INVALID,
                             "to is '%s', the name of an element type expected",
                             md_node_attr_s(c->node, "to", ""))
                   : md_fail(err, MD_INVALID,
                             "to is %lld, an element type expected",
                             (long long)to);
    md_infer__like(c, 0, 0, (md_dtype)to);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, md_convert__compute, err);
}

static void grad(md_grad *g)
{
    md_dtype to = md_grad_type(g, md_grad_in(g, 0))->dtype;

    md_grad_give(g, 0, md_grad_cast(g, md_grad_of(g, 0), to));
}

const md_op md_op_cast = {
    .domain = "",
    .name = "Cast",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__cast,
    .grad = grad,
};
