/* The tensor of the one attribute that is given. */
#include <string.h>

#include "ops/common/util.h"

/* *out borrows the attribute. */
static md_status find(md_tensor *out, const md_node *n, md_error *err)
{
    int n_values = 0;

    for (uint32_t i = 0; i < n->n_attr; i++) {
        const md_attr *a = &n->attr[i];
        md_tensor t = { .shape = { 1, { a->n } } };

        if (strncmp(a->name, "value", 5) != 0)
            continue;
        if (n_values++)
            return md_fail(err, MD_INVALID,
                           "Constant has several values, '%s' too", a->name);
        switch (a->type) {
        case MD_ATTR_TENSOR:
            t = *a->v.t;
            break;
        case MD_ATTR_FLOAT:
            t = (md_tensor){ .dtype = MD_DTYPE_F32,
                             .shape = { 0 },
                             .data = (void *)&a->v.f };
            break;
        case MD_ATTR_INT:
            t = (md_tensor){ .dtype = MD_DTYPE_I64,
                             .shape = { 0 },
                             .data = (void *)&a->v.i };
            break;
        case MD_ATTR_STRING:
            t = (md_tensor){ .dtype = MD_DTYPE_STRING,
                             .shape = { 0 },
                             .data = (void *)&a->v.s };
            break;
        case MD_ATTR_FLOATS:
            t.dtype = MD_DTYPE_F32;
            t.data = (void *)a->v.fs;
            break;
        case MD_ATTR_INTS:
            t.dtype = MD_DTYPE_I64;
            t.data = (void *)a->v.is;
            break;
        case MD_ATTR_STRINGS:
            t.dtype = MD_DTYPE_STRING;
            t.data = (void *)a->v.ss;
            break;
        default:
            return md_fail(err, MD_UNSUPPORTED, "Constant with attribute '%s'",
                           a->name);
        }
        *out = t;
    }
    if (!n_values)
        return md_fail(err, MD_INVALID, "Constant lacks a value");
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    md_tensor v;

    MD_TRY(find(&v, c->node, err));
    t = md_type_of_tensor(v.dtype, &v.shape);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out;
    md_tensor v;

    MD_TRY(find(&v, x->node, err));
    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (out)
        md_move_all(out, &v);
    return MD_OK;
}

const md_op md_op_constant = {
    .domain = "",
    .name = "Constant",
    .since = 1,
    .in_min = 0,
    .in_max = 0,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
