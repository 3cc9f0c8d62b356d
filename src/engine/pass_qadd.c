/*
 * QLinearAdd into the QLinearConv that gives one of its operands: the sums
 * become codes, which are added to the other operand's at once.  That one must
 * be computed before the convolution.
 */
#include <string.h>

#include "engine/pass.h"

enum {
    OPERANDS = 2,
    RESIDUAL_AT = 9 /* behind QLinearConv's own inputs */
};

/* An operand of QLinearAdd and what stands beside it. */
typedef struct operand {
    md_value_id q, scale, zero;
} operand;

static operand operand_of(const md_node *add, int side)
{
    const md_value_id *in = add->in + (ptrdiff_t)3 * side;

    return (operand){ in[0], in[1], in[2] };
}

static bool is_add(const md_graph *g, const md_node *n)
{
    static const uint32_t constants[] = { 1, 2, 4, 5, 6, 7 };

    if (n->dead || strcmp(n->domain, "com.microsoft") != 0 ||
        strcmp(n->op, "QLinearAdd") != 0 || n->n_in < 8)
        return false;
    for (size_t i = 0; i < MD_COUNT(constants); i++) {
        if (!md_pass__is_scalar(g, n->in[constants[i]]))
            return false;
    }
    return true;
}

static float number(const md_graph *g, md_value_id id)
{
    return (float)md_tensor_get_f64(g->values[id].cdata, 0);
}

static int32_t code(const md_graph *g, md_value_id id)
{
    return (int32_t)md_tensor_get_i64(g->values[id].cdata, 0);
}

static bool has_residual(const md_node *n)
{
    const md_fused *f = n->fused;

    return f && f->residual != MD_VALUE_NONE;
}

/* The convolution that gives x, can take up its only user and comes after
 * `other`; NULL: none. */
static md_node *host_of(const md_graph *g, const md_pass_links *at, operand x,
                        operand other)
{
    md_node *conv = md_pass__def(g, x.q, "QLinearConv");

    if (!conv || has_residual(conv) || !md_pass__only_user(g, at, x.q) ||
        !md_pass__is_scalar(g, conv->in[7]) ||
        code(g, conv->in[7]) != code(g, x.zero))
        return NULL;
    if (g->values[other.q].cdata || at->position[other.q] >= at->position[x.q])
        return NULL;
    if (!md_pass__same_type(&g->values[x.q].type, &g->values[other.q].type))
        return NULL;
    return conv;
}

static md_status take_up(md_graph *g, md_pass_links *at, md_node *conv,
                         md_node *add, int side, md_error *err)
{
    const operand own = operand_of(add, side), res = operand_of(add, 1 - side);
    const float scale = number(g, add->in[6]);
    md_fused *f = md_arena_calloc(&g->model->arena, 1, sizeof(*f));
    md_code_add *c = md_arena_calloc(&g->model->arena, 1, sizeof(*c));

    if (!f || !c)
        return md_fail_nomem(err, sizeof(*f) + sizeof(*c));
    if (conv->fused)
        memcpy(f, conv->fused, sizeof(*f));
    c->own_zero = code(g, own.zero);
    c->res_zero = code(g, res.zero);
    c->own_mult = number(g, own.scale) / scale;
    c->res_mult = number(g, res.scale) / scale;
    c->zero = code(g, add->in[7]);
    md_fused_clamp(add->fused, scale, c->zero, g->values[own.q].type.dtype,
                   &c->q_min, &c->q_max);
    f->residual = res.q;
    f->codes = c;
    conv->fused = f;
    if (conv->n_in < RESIDUAL_AT)
        MD_TRY(md_node_set_input(g, conv, RESIDUAL_AT - 1, MD_VALUE_NONE, err));
    MD_TRY(md_node_set_input(g, conv, RESIDUAL_AT, res.q, err));
    md_pass__take_over(g, at, conv, add);
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    md_pass_links at;
    md_status s = md_pass_links_init(&at, g, err);

    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes && s == MD_OK; i++) {
        md_node *add = g->nodes[i];

        if (!is_add(g, add))
            continue;
        for (int side = 0; side < OPERANDS; side++) {
            md_node *conv = host_of(g, &at, operand_of(add, side),
                                    operand_of(add, 1 - side));

            if (!conv)
                continue;
            s = take_up(g, &at, conv, add, side, err);
            break;
        }
    }
    md_pass_links_release(&at, g);
    return s;
}

const md_pass md_pass_qadd = { "qadd", "QLinearAdd into QLinearConv", run };
