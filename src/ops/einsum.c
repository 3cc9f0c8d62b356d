/* Sums of products over the indices that an equation names. */
#include <stdio.h>
#include <string.h>

#include "ops/common/einsum.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };
    bool known = true;
    md_einsum e;

    if (!md_node_attr(c->node, "equation"))
        return md_fail(err, MD_INVALID, "Einsum lacks equation");
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_NUMBER, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        t.dtype = t.dtype ? t.dtype : c->in[i]->dtype;
        known = known && c->in[i]->has_rank;
    }
    if (known) {
        MD_TRY(md_einsum__read(&e, NULL, c, err));
        t.has_rank = true;
        t.rank = e.out.n;
        for (int i = 0; i < t.rank; i++)
            t.dim[i] = e.dim[e.out.label[i]];
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* The loops: over the output's labels, then over those that are summed. */
typedef struct loops {
    uint32_t n_in;
    int n_out, n_sum;
    int64_t out_dim[MD_RANK_MAX], sum_dim[MD_EINSUM_LABELS];
    int64_t (*out_stride)[MD_RANK_MAX]; /* [n_in] */
    int64_t (*sum_stride)[MD_EINSUM_LABELS];
} loops;

static void add_operand(loops *l, uint32_t i, const md_einsum_term *t,
                        const int *place, const md_shape *s)
{
    int64_t stride[MD_RANK_MAX];

    md_shape_strides(stride, s);
    for (int d = 0; d < t->n; d++) {
        int at = place[t->label[d]];
        int64_t step = s->dim[d] == 1 ? 0 : stride[d];

        if (at < l->n_out)
            l->out_stride[i][at] += step;
        else
            l->sum_stride[i][at - l->n_out] += step;
    }
}

static md_status plan_loops(loops *l, md_exec *x, md_arena *ar, md_error *err)
{
    int place[MD_EINSUM_LABELS];
    md_infer c;
    md_einsum e;
    md_einsum_term *terms;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    *l = (loops){ .n_in = x->node->n_in };
    MD_TRY(md_exec__scratch(&terms, ar, l->n_in, sizeof(*terms), err));
    MD_TRY(md_exec__scratch(&l->out_stride, ar, l->n_in, sizeof(*l->out_stride),
                            err));
    MD_TRY(md_exec__scratch(&l->sum_stride, ar, l->n_in, sizeof(*l->sum_stride),
                            err));
    MD_TRY(md_einsum__read(&e, terms, &c, err));
    memset(place, -1, sizeof(place));
    for (; l->n_out < e.out.n; l->n_out++) {
        place[e.out.label[l->n_out]] = l->n_out;
        l->out_dim[l->n_out] = e.dim[e.out.label[l->n_out]].k;
    }
    for (int i = 0; i < MD_EINSUM_LABELS; i++) {
        if (e.count[i] == 0 || place[i] >= 0)
            continue;
        place[i] = l->n_out + l->n_sum;
        l->sum_dim[l->n_sum++] = e.dim[i].k;
    }
    for (uint32_t i = 0; i < l->n_in; i++)
        add_operand(l, i, &terms[i], place, &x->in[i]->shape);
    return MD_OK;
}

static int64_t offset(const int64_t *index, const int64_t *stride, int n)
{
    int64_t at = 0;

    for (int i = 0; i < n; i++)
        at += index[i] * stride[i];
    return at;
}

/* Floats in double, integers modulo 2^64. */
static void sum_element(const loops *l, const md_exec *x, md_tensor *out,
                        int64_t o, const int64_t *index)
{
    int64_t k[MD_EINSUM_LABELS] = { 0 };
    bool floats = md_dtype_is_float(out->dtype);
    uint64_t whole = 0;
    double sum = 0.0;

    for (int i = 0; i < l->n_sum; i++) {
        if (l->sum_dim[i] == 0) {
            md_tensor_set_i64(out, o, 0);
            return;
        }
    }
    do {
        uint64_t w = 1;
        double p = 1.0;

        for (uint32_t i = 0; i < l->n_in; i++) {
            int64_t at = offset(index, l->out_stride[i], l->n_out) +
                         offset(k, l->sum_stride[i], l->n_sum);

            if (floats)
                p *= md_tensor_get_f64(x->in[i], at);
            else
                w *= (uint64_t)md_tensor_get_i64(x->in[i], at);
        }
        sum += p;
        whole += w;
    } while (md_step_index(k, l->sum_dim, l->n_sum));
    if (floats)
        md_tensor_set_f64(out, o, sum);
    else
        md_tensor_set_i64(out, o, (int64_t)whole);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t index[MD_RANK_MAX] = { 0 }, o = 0;
    loops l;

    MD_TRY(plan_loops(&l, x, ar, err));
    do {
        sum_element(&l, x, out, o++, index);
    } while (md_step_index(index, l.out_dim, l.n_out));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* The labels of each operand and of the result, letters only. */
typedef struct labels {
    char of[MD_COMPOSE_INPUTS][MD_RANK_MAX + 1];
    char result[MD_RANK_MAX + 1];
} labels;

static bool take(char *to, const char **p)
{
    size_t n = 0;

    for (; **p && **p != ',' && **p != '-'; (*p)++) {
        if (**p == ' ')
            continue;
        if (**p == '.' || n == MD_RANK_MAX || memchr(to, **p, n))
            return false; /* the rest of the axes, or a diagonal */
        to[n++] = **p;
    }
    to[n] = '\0';
    return true;
}

static bool read_labels(labels *l, const md_node *n)
{
    const char *p = md_node_attr_s(n, "equation", "");

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (i == MD_COMPOSE_INPUTS || !take(l->of[i], &p))
            return false;
        p += *p == ',';
    }
    if (p[0] != '-' || p[1] != '>')
        return false;
    p += 2;
    return take(l->result, &p);
}

/* "ab,bc->ac" with the result in the place of operand i; false where an axis
 * of it is in no other term. */
static bool write_equation(char *to, size_t size, const labels *l, uint32_t n,
                           uint32_t i)
{
    to[0] = '\0';
    for (uint32_t k = 0; k < n; k++) {
        size_t at = strlen(to);

        snprintf(to + at, size - at, "%s%s", k ? "," : "",
                 k == i ? l->result : l->of[k]);
    }
    for (const char *p = l->of[i]; *p; p++) {
        if (!strchr(to, *p))
            return false;
    }
    snprintf(to + strlen(to), size - strlen(to), "->%s", l->of[i]);
    return true;
}

/* dx of one operand: dy times the others, summed over what is not its. */
static void grad(md_grad *g)
{
    uint32_t n = g->m.node->n_in;
    labels l;

    if (!read_labels(&l, g->m.node)) {
        md_grad_refuse(g, "an equation without ->, with ... or a diagonal");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        char equation[MD_COMPOSE_INPUTS * (MD_RANK_MAX + 2)] = "";
        md_compose_step s = { .op = "Einsum", .n_in = n };

        if (!md_grad_wants(g, i))
            continue;
        if (!write_equation(equation, sizeof(equation), &l, n, i)) {
            md_grad_refuse(g, "an axis that is summed in one operand only");
            return;
        }
        for (uint32_t k = 0; k < n; k++)
            s.in[k] = k == i ? md_grad_of(g, 0) : md_grad_in(g, k);
        s.attr[s.n_attr++] = (md_attr){ .name = "equation",
                                        .type = MD_ATTR_STRING,
                                        .v.s = { equation, strlen(equation) } };
        md_grad_give(g, i, md_grad_step(g, &s));
    }
}

const md_op md_op_einsum = {
    .domain = "",
    .name = "Einsum",
    .since = 12,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_einsum,
    .grad = grad,
};
