/*
 * Sums of products over the indices that an equation names.
 *
 * Each letter and each axis of an ellipsis (counted from the right) is a
 * label; the letters come first, in the order of ASCII.
 */
#include <ctype.h>
#include <string.h>

#include "ops/common/util.h"

enum {
    N_LETTERS = 52,
    N_LABELS = N_LETTERS + MD_RANK_MAX
};

/* The labels of one operand's axes. */
typedef struct term {
    int n;
    int label[MD_RANK_MAX];
} term;

typedef struct equation {
    const char *at;       /* what is still to be read */
    int count[N_LABELS];  /* how often a label occurs on the left */
    md_dim dim[N_LABELS]; /* where it occurs */
    int n_ellipsis;       /* axes of the longest ellipsis */
    term out;
} equation;

static int letter(char c)
{
    return c >= 'a' ? c - 'a' + 26 : c - 'A';
}

static void skip_spaces(equation *e)
{
    e->at += strspn(e->at, " ");
}

/* Take an ellipsis of `rank` axes less the term's letters, which follow. */
static md_status take_ellipsis(equation *e, term *t, int rank, md_error *err)
{
    int n = rank - t->n;

    for (const char *p = e->at + 3; *p && *p != ',' && *p != '-'; p++)
        n -= isalpha((unsigned char)*p) != 0;
    if (strncmp(e->at, "...", 3) != 0)
        return md_fail(err, MD_INVALID,
                       "equation: a letter or '...' expected at '%.20s'",
                       e->at);
    e->at += 3;
    for (int i = n; i-- > 0 && t->n < MD_RANK_MAX;)
        t->label[t->n++] = N_LETTERS + i;
    e->n_ellipsis = n > e->n_ellipsis ? n : e->n_ellipsis;
    return MD_OK;
}

/* A term of this rank; -1 for the output, whose letters are all it has. */
static md_status take_term(equation *e, term *t, int rank, md_error *err)
{
    bool ellipsis = false;

    *t = (term){ 0 };
    for (skip_spaces(e); *e->at && *e->at != ',' && *e->at != '-';
         skip_spaces(e)) {
        if (isalpha((unsigned char)*e->at)) {
            if (t->n == MD_RANK_MAX)
                return md_fail(err, MD_UNSUPPORTED,
                               "equation: a term of more than %d axes",
                               MD_RANK_MAX);
            t->label[t->n++] = letter(*e->at++);
            continue;
        }
        if (ellipsis)
            return md_fail(err, MD_INVALID,
                           "equation: two ellipses in a term, or '%.20s'",
                           e->at);
        ellipsis = true;
        if (rank >= 0) {
            MD_TRY(take_ellipsis(e, t, rank, err));
        } else {
            int letters = t->n;

            for (const char *p = e->at; *p; p++)
                letters += isalpha((unsigned char)*p) != 0;
            MD_TRY(take_ellipsis(e, t, letters + e->n_ellipsis, err));
        }
    }
    return MD_OK;
}

/* One more axis with this label. */
static md_status meet(const md_infer *c, equation *e, int label, md_dim d,
                      md_error *err)
{
    md_dim *have = &e->dim[label];

    if (e->count[label]++ == 0 || md_dim_equal(*have, d)) {
        *have = d;
        return MD_OK;
    }
    if (label < N_LETTERS) {
        if (md_dim_is_const(*have) && md_dim_is_const(d))
            return md_fail(err, MD_INVALID,
                           "equation: index '%c' is %lld and %lld",
                           label < 26 ? 'A' + label : 'a' + label - 26,
                           (long long)have->k, (long long)d.k);
        *have = md_dim_is_const(d) ? d : *have;
        return MD_OK;
    }
    if (md_dim_is_const(*have) && have->k == 1)
        *have = d;
    else if (md_dim_is_const(d) && d.k == 1)
        return MD_OK;
    else if (md_dim_is_const(*have) && md_dim_is_const(d))
        return md_fail(err, MD_INVALID,
                       "dimensions %lld and %lld do not broadcast",
                       (long long)have->k, (long long)d.k);
    else if (md_dim_is_const(d))
        *have = d;
    else if (!md_dim_is_const(*have))
        return md_infer__fresh(c, have, err);
    return MD_OK;
}

/* Without "->": the ellipsis, then the letters that occur once. */
static void imply_output(equation *e)
{
    e->out.n = 0;
    for (int i = e->n_ellipsis; i-- > 0 && e->out.n < MD_RANK_MAX;)
        e->out.label[e->out.n++] = N_LETTERS + i;
    for (int l = 0; l < N_LETTERS && e->out.n < MD_RANK_MAX; l++) {
        if (e->count[l] == 1)
            e->out.label[e->out.n++] = l;
    }
}

static md_status take_output(equation *e, md_error *err)
{
    uint64_t seen = 0;

    if (!*e->at) {
        imply_output(e);
        return MD_OK;
    }
    if (strncmp(e->at, "->", 2) != 0)
        return md_fail(err, MD_INVALID, "equation: '->' expected at '%.20s'",
                       e->at);
    e->at += 2;
    MD_TRY(take_term(e, &e->out, -1, err));
    if (*e->at)
        return md_fail(err, MD_INVALID, "equation: the end expected at '%.20s'",
                       e->at);
    for (int i = 0; i < e->out.n; i++) {
        int l = e->out.label[i];

        if (e->count[l] == 0 || seen >> l & 1)
            return md_fail(err, MD_INVALID,
                           "equation: axis %d of the output is %s", i,
                           e->count[l] ? "named twice" : "in no input");
        seen |= UINT64_C(1) << l;
    }
    return MD_OK;
}

/* Read the equation for inputs of known rank; terms (may be NULL) has room
 * for each input's. */
static md_status read_equation(equation *e, term *terms, const md_infer *c,
                               md_error *err)
{
    *e = (equation){ .at = md_node_attr_s(c->node, "equation", "") };
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        int rank = c->in[i]->rank;
        term t;

        if (i > 0 && *e->at++ != ',')
            return md_fail(err, MD_INVALID,
                           "equation has %u terms, %u expected", (unsigned)i,
                           (unsigned)c->node->n_in);
        MD_TRY(take_term(e, &t, rank, err));
        if (t.n != rank)
            return md_fail(err, MD_INVALID,
                           "input %u has rank %d, its term names %d axes",
                           (unsigned)i, rank, t.n);
        for (int d = 0; d < rank; d++)
            MD_TRY(meet(c, e, t.label[d], c->in[i]->dim[d], err));
        if (terms)
            terms[i] = t;
    }
    if (*e->at == ',')
        return md_fail(err, MD_INVALID,
                       "equation has more than the %u terms expected",
                       (unsigned)c->node->n_in);
    return take_output(e, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };
    bool known = true;
    equation e;

    if (!md_node_attr(c->node, "equation"))
        return md_fail(err, MD_INVALID, "Einsum lacks equation");
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_NUMBER, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        t.dtype = t.dtype ? t.dtype : c->in[i]->dtype;
        known = known && c->in[i]->has_rank;
    }
    if (known) {
        MD_TRY(read_equation(&e, NULL, c, err));
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
    int64_t out_dim[MD_RANK_MAX], sum_dim[N_LABELS];
    int64_t (*out_stride)[MD_RANK_MAX]; /* [n_in] */
    int64_t (*sum_stride)[N_LABELS];
} loops;

static void add_operand(loops *l, uint32_t i, const term *t, const int *place,
                        const md_shape *s)
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
    int place[N_LABELS];
    md_infer c;
    equation e;
    term *terms;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    *l = (loops){ .n_in = x->node->n_in };
    MD_TRY(md_exec__scratch(&terms, ar, l->n_in, sizeof(*terms), err));
    MD_TRY(md_exec__scratch(&l->out_stride, ar, l->n_in, sizeof(*l->out_stride),
                            err));
    MD_TRY(md_exec__scratch(&l->sum_stride, ar, l->n_in, sizeof(*l->sum_stride),
                            err));
    MD_TRY(read_equation(&e, terms, &c, err));
    memset(place, -1, sizeof(place));
    for (; l->n_out < e.out.n; l->n_out++) {
        place[e.out.label[l->n_out]] = l->n_out;
        l->out_dim[l->n_out] = e.dim[e.out.label[l->n_out]].k;
    }
    for (int i = 0; i < N_LABELS; i++) {
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
    int64_t k[N_LABELS] = { 0 };
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

const md_op md_op_einsum = {
    .domain = "",
    .name = "Einsum",
    .since = 12,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
