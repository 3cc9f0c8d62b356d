/* A shift by as many bits as the type has, or more, gives 0. */
#include <string.h>

#include "ops/common/elementwise.h"

static const md_binary left = {
    .types = MD_TYPES_UNSIGNED,
    .op = MD_VBINARY_SHL,
};

static const md_binary right = {
    .types = MD_TYPES_UNSIGNED,
    .op = MD_VBINARY_SHR,
};

static md_status infer(const md_infer *c, md_error *err)
{
    const char *to = md_node_attr_s(c->node, "direction", "");

    if (strcmp(to, "LEFT") != 0 && strcmp(to, "RIGHT") != 0)
        return md_fail(err, MD_INVALID,
                       "direction is '%s', LEFT or RIGHT expected", to);
    return md_binary__infer(c, &left, err);
}

static md_status run(md_exec *x, md_error *err)
{
    const char *to = md_node_attr_s(x->node, "direction", "");

    return md_binary__run(x, strcmp(to, "LEFT") == 0 ? &left : &right, infer,
                          err);
}

const md_op md_op_bit_shift = {
    .domain = "",
    .name = "BitShift",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
