/*
 * GELU spelled out by exporters becomes one node:
 *   0.5 * x * (1 + erf(x / sqrt(2)))   (Hendrycks, Gimpel 2016)
 * in any order of the outer products, with x / c or x * (1 / c).
 */
#include <math.h>
#include <string.h>

#include "engine/pass.h"
#include "tensor/float.h"

/* Is a the constant b, as float32 has it or as half a float does? */
static bool near(float a, float b)
{
    return fabsf(a - b) <= 1e-5f * fabsf(b) ||
           a == md_f16_to_f32(md_f32_to_f16(b)) ||
           a == md_bf16_to_f32(md_f32_to_bf16(b));
}

/* One operand of a commutative node is a scalar near `want`: the other one,
 * else MD_VALUE_NONE. */
static md_value_id other_than(const md_graph *g, const md_node *n, float want)
{
    float v;

    if (!n)
        return MD_VALUE_NONE;
    if (md_pass__scalar(g, n->in[0], &v) && near(v, want))
        return n->in[1];
    if (md_pass__scalar(g, n->in[1], &v) && near(v, want))
        return n->in[0];
    return MD_VALUE_NONE;
}

/* x of x / sqrt(2) or x * sqrt(0.5). */
static md_value_id scaled_input(const md_graph *g, md_value_id id)
{
    const md_node *div = md_pass__def(g, id, "Div");
    float v;

    if (div && md_pass__scalar(g, div->in[1], &v) && near(v, sqrtf(2.0f)))
        return div->in[0];
    return other_than(g, md_pass__def(g, id, "Mul"), sqrtf(0.5f));
}

/* x when value id is 1 + erf(x / sqrt(2)). */
static md_value_id erf_input(const md_graph *g, md_value_id id)
{
    md_value_id e = other_than(g, md_pass__def(g, id, "Add"), 1.0f);
    const md_node *erf = md_pass__def(g, e, "Erf");

    return erf ? scaled_input(g, erf->in[0]) : MD_VALUE_NONE;
}

/* x when a * b is x * (1 + erf(..)). */
static md_value_id product_input(const md_graph *g, const md_node *mul)
{
    if (!mul)
        return MD_VALUE_NONE;
    for (int i = 0; i < 2; i++) {
        md_value_id x = erf_input(g, mul->in[i]);

        if (x != MD_VALUE_NONE && x == mul->in[1 - i])
            return x;
    }
    return MD_VALUE_NONE;
}

/* x when value id is 0.5 * x. */
static md_value_id halved(const md_graph *g, md_value_id id)
{
    return other_than(g, md_pass__def(g, id, "Mul"), 0.5f);
}

/* x when n computes GELU(x). */
static md_value_id gelu_input(const md_graph *g, const md_node *n)
{
    md_value_id rest = other_than(g, n, 0.5f);

    if (rest != MD_VALUE_NONE) /* 0.5 * (x * (1 + erf)) */
        return product_input(g, md_pass__def(g, rest, "Mul"));
    for (int i = 0; i < 2; i++) { /* (0.5 * x) * (1 + erf) */
        md_value_id x = erf_input(g, n->in[i]);

        if (x != MD_VALUE_NONE && x == halved(g, n->in[1 - i]))
            return x;
    }
    for (int i = 0; i < 2; i++) { /* x * (0.5 * (1 + erf)) */
        md_value_id e = halved(g, n->in[i]);
        md_value_id x = e == MD_VALUE_NONE ? e : erf_input(g, e);

        if (x != MD_VALUE_NONE && x == n->in[1 - i])
            return x;
    }
    return MD_VALUE_NONE;
}

/* Factors of one element but of more dimensions than x give the result
 * theirs. */
static bool same_rank(const md_type *a, const md_type *b)
{
    return a->has_rank && b->has_rank && a->rank == b->rank;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];
        md_value_id x;

        if (n->dead || n->domain[0] || strcmp(n->op, "Mul") != 0)
            continue;
        x = gelu_input(g, n);
        if (x == MD_VALUE_NONE || g->values[x].type.dtype != MD_DTYPE_F32 ||
            !same_rank(&g->values[x].type, &g->values[n->out[0]].type))
            continue;
        n->op = "Gelu";
        n->in[0] = x;
        n->n_in = 1;
        n->n_attr = 0;
        MD_TRY(md_pass__resolve(g, n, err));
    }
    return MD_OK;
}

const md_pass md_pass_gelu = { "gelu", "x*(1+erf(x/sqrt 2))/2 to Gelu", run };
