/*
 * com.microsoft's EngramGate: a value for all branches of a token, each with a
 * gate of its own, sigmoid(sign(d) * sqrt(max(|d|, 1e-6))) where d is the product
 * of key and query by their root mean squares, over the root of their size.
 */
#include <math.h>
#include <stdio.h>

#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F16))

static md_status last_axis(md_compose *m, const char *op, md_part x,
                           md_part *out, md_error *err)
{
    static const int64_t last = -1;
    md_part axes;

    MD_TRY(md_compose_ints(m, &last, 1, &axes, err));
    return md_compose_binary(m, op, x, axes, out, err);
}

/* x by its root mean square, times the scale that is input i. */
static md_status normalize(md_compose *m, md_part x, uint32_t i, md_part *out,
                           md_error *err)
{
    md_part square, epsilon, scale;

    MD_TRY(md_compose_binary(m, "Mul", x, x, &square, err));
    MD_TRY(last_axis(m, "ReduceMean", square, &square, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_F32,
                             md_node_attr_f(m->node, "epsilon", 1e-5f),
                             &epsilon, err));
    MD_TRY(md_compose_binary(m, "Add", square, epsilon, &square, err));
    MD_TRY(md_compose_unary(m, "Sqrt", square, &square, err));
    MD_TRY(md_compose_binary(m, "Div", x, square, out, err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, i), MD_DTYPE_F32, &scale, err));
    return md_compose_binary(m, "Mul", *out, scale, out, err);
}

/* For keys [B, S, C, H]: values [B, S, H], scales [C, H]. */
static md_status check_sizes(const md_compose *m, uint32_t i, md_error *err)
{
    static const int values[] = { 0, 1, 3 }, scales[] = { 2, 3 };
    const int *of = i == 2 ? values : scales, n = i == 2 ? 3 : 2;
    const md_type *key = &m->part[md_compose_in(m, 0)].type, *t;
    char what[32];

    if (md_compose_in(m, i) == MD_PART_NONE)
        return MD_OK;
    t = &m->part[md_compose_in(m, i)].type;
    snprintf(what, sizeof(what), "a dimension of input %u", (unsigned)i);
    if (!key->has_rank || !t->has_rank)
        return MD_OK;
    for (int d = 0; d < n; d++)
        MD_TRY(md_compose_equal(m, t->dim[d], key->dim[of[d]], what, err));
    return MD_OK;
}

/* All inputs have one element type. */
static md_status check_type(const md_compose *m, uint32_t i, md_error *err)
{
    md_part p = md_compose_in(m, i);
    md_dtype first = m->part[md_compose_in(m, 0)].type.dtype;
    md_dtype dtype = p == MD_PART_NONE ? MD_DTYPE_NONE : m->part[p].type.dtype;

    if (dtype == MD_DTYPE_NONE || first == MD_DTYPE_NONE || dtype == first)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "inputs 0 and %u have element types %s and %s", (unsigned)i,
                   md_dtype_name(first), md_dtype_name(dtype));
}

static md_status check(const md_compose *m, md_error *err)
{
    for (uint32_t i = 0; i < 6; i++) {
        int rank = i < 2 ? 4 : i == 2 ? 3 : 2;

        MD_TRY(md_compose_check(m, i, TYPES, rank, rank, err));
        if (i >= 2)
            MD_TRY(check_sizes(m, i, err));
        MD_TRY(check_type(m, i, err));
    }
    if (md_compose_wants(m, 1) && md_compose_in(m, 5) == MD_PART_NONE)
        return md_fail(err, MD_INVALID, "gated_value_normed without its scale");
    return md_compose_same(m, 0, 1, err);
}

/* The product of normalized keys and queries, over the root of their size. */
static md_status product(md_compose *m, md_part *out, md_error *err)
{
    const md_type *t = &m->part[md_compose_in(m, 0)].type;
    md_part k, q, root;

    if (!t->has_rank || !md_dim_is_const(t->dim[3])) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED,
                       "the size of a branch is not known");
    }
    MD_TRY(md_compose_cast(m, md_compose_in(m, 0), MD_DTYPE_F32, &k, err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, 1), MD_DTYPE_F32, &q, err));
    MD_TRY(normalize(m, k, 3, &k, err));
    MD_TRY(normalize(m, q, 4, &q, err));
    MD_TRY(md_compose_binary(m, "Mul", k, q, &k, err));
    MD_TRY(last_axis(m, "ReduceSum", k, &k, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_F32, sqrt((double)t->dim[3].k), &root,
                             err));
    return md_compose_binary(m, "Div", k, root, out, err);
}

static md_status gate_of(md_compose *m, md_part d, md_part *out, md_error *err)
{
    md_part sign, size, least;

    MD_TRY(md_compose_unary(m, "Sign", d, &sign, err));
    MD_TRY(md_compose_unary(m, "Abs", d, &size, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_F32, 1e-6, &least, err));
    MD_TRY(md_compose_binary(m, "Max", size, least, &size, err));
    MD_TRY(md_compose_unary(m, "Sqrt", size, &size, err));
    MD_TRY(md_compose_binary(m, "Mul", sign, size, &size, err));
    return md_compose_unary(m, "Sigmoid", size, out, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    static const int64_t branch = 2;
    md_dtype type = m->part[md_compose_in(m, 0)].type.dtype;
    md_part d, gate, v, axes, y;

    MD_TRY(check(m, err));
    MD_TRY(product(m, &d, err));
    MD_TRY(gate_of(m, d, &gate, err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, 2), MD_DTYPE_F32, &v, err));
    MD_TRY(md_compose_ints(m, &branch, 1, &axes, err));
    MD_TRY(md_compose_binary(m, "Unsqueeze", v, axes, &v, err));
    MD_TRY(md_compose_binary(m, "Mul", gate, v, &v, err));
    MD_TRY(md_compose_cast(m, v, type, &y, err));
    md_compose_give(m, 0, y);
    if (!md_compose_wants(m, 1))
        return MD_OK;
    MD_TRY(normalize(m, v, 5, &y, err));
    MD_TRY(md_compose_cast(m, y, type, &y, err));
    md_compose_give(m, 1, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_engram_gate = {
    .domain = "com.microsoft",
    .name = "EngramGate",
    .since = 1,
    .in_min = 5,
    .in_max = 6,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
