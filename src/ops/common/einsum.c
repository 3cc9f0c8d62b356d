#include "ops/common/einsum.h"

#include <ctype.h>
#include <string.h>

typedef struct reader {
    const char *at; /* what is still to be read */
    int n_ellipsis; /* axes of the longest ellipsis */
    md_einsum eq;
} reader;

static int letter(char c)
{
    return c >= 'a' ? c - 'a' + 26 : c - 'A';
}

static void skip_spaces(reader *e)
{
    e->at += strspn(e->at, " ");
}

/* Take an ellipsis of `rank` axes less the term's letters, which follow. */
static md_status take_ellipsis(reader *e, md_einsum_term *t, int rank,
                               md_error *err)
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
        t->label[t->n++] = MD_EINSUM_LETTERS + i;
    e->n_ellipsis = n > e->n_ellipsis ? n : e->n_ellipsis;
    return MD_OK;
}

/* A term of this rank; -1 for the output, whose letters are all it has. */
static md_status take_term(reader *e, md_einsum_term *t, int rank,
                           md_error *err)
{
    bool ellipsis = false;

    *t = (md_einsum_term){ 0 };
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

static md_status refuse(int label, md_dim a, md_dim b, md_error *err)
{
    if (label < MD_EINSUM_LETTERS)
        return md_fail(err, MD_INVALID, "equation: index '%c' is %lld and %lld",
                       label < 26 ? 'A' + label : 'a' + label - 26,
                       (long long)a.k, (long long)b.k);
    return md_fail(err, MD_INVALID, "dimensions %lld and %lld do not broadcast",
                   (long long)a.k, (long long)b.k);
}

/* One more axis with this label; 1 spreads over what the others have. */
static md_status meet(const md_infer *c, reader *e, int label, md_dim d,
                      md_error *err)
{
    md_dim *have = &e->eq.dim[label];

    if (e->eq.count[label]++ == 0 || md_dim_equal(*have, d)) {
        *have = d;
        return MD_OK;
    }
    if (md_dim_is_const(*have) && have->k == 1)
        *have = d;
    else if (md_dim_is_const(d) && d.k == 1)
        return MD_OK;
    else if (md_dim_is_const(*have) && md_dim_is_const(d))
        return refuse(label, *have, d, err);
    else
        return md_dim__derive(c, have, MD_EXPR_BROADCAST, *have, d, err);
    return MD_OK;
}

/* The axes of input i; those of one letter are as long as each other: a
 * diagonal. */
static md_status meet_all(const md_infer *c, reader *e, const md_einsum_term *t,
                          uint32_t i, md_error *err)
{
    const md_dim *dim = c->in[i]->dim;

    for (int d = 0; d < t->n; d++) {
        for (int k = 0; k < d; k++) {
            if (t->label[k] != t->label[d])
                continue;
            if (md_dim_is_const(dim[k]) && md_dim_is_const(dim[d]) &&
                dim[k].k != dim[d].k)
                return refuse(t->label[d], dim[k], dim[d], err);
            MD_TRY(md_infer__must_equal(c, dim[k], dim[d], "an index", err));
        }
        MD_TRY(meet(c, e, t->label[d], dim[d], err));
    }
    return MD_OK;
}

/* Without "->": the ellipsis, then the letters that occur once. */
static void imply_output(reader *e)
{
    e->eq.out.n = 0;
    for (int i = e->n_ellipsis; i-- > 0 && e->eq.out.n < MD_RANK_MAX;)
        e->eq.out.label[e->eq.out.n++] = MD_EINSUM_LETTERS + i;
    for (int l = 0; l < MD_EINSUM_LETTERS && e->eq.out.n < MD_RANK_MAX; l++) {
        if (e->eq.count[l] == 1)
            e->eq.out.label[e->eq.out.n++] = l;
    }
}

static md_status take_output(reader *e, md_error *err)
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
    MD_TRY(take_term(e, &e->eq.out, -1, err));
    if (*e->at)
        return md_fail(err, MD_INVALID, "equation: the end expected at '%.20s'",
                       e->at);
    for (int i = 0; i < e->eq.out.n; i++) {
        int l = e->eq.out.label[i];

        if (e->eq.count[l] == 0 || seen >> l & 1)
            return md_fail(err, MD_INVALID,
                           "equation: axis %d of the output is %s", i,
                           e->eq.count[l] ? "named twice" : "in no input");
        seen |= UINT64_C(1) << l;
    }
    return MD_OK;
}

md_status md_einsum__read(md_einsum *out, md_einsum_term *terms,
                          const md_infer *c, md_error *err)
{
    reader r = { .at = md_node_attr_s(c->node, "equation", "") };
    reader *e = &r;

    for (uint32_t i = 0; i < c->node->n_in; i++) {
        int rank = c->in[i]->rank;
        md_einsum_term t;

        if (i > 0 && *e->at++ != ',')
            return md_fail(err, MD_INVALID,
                           "equation has %u terms, %u expected", (unsigned)i,
                           (unsigned)c->node->n_in);
        MD_TRY(take_term(e, &t, rank, err));
        if (t.n != rank)
            return md_fail(err, MD_INVALID,
                           "input %u has rank %d, its term names %d axes",
                           (unsigned)i, rank, t.n);
        MD_TRY(meet_all(c, e, &t, i, err));
        if (terms)
            terms[i] = t;
    }
    if (*e->at == ',')
        return md_fail(err, MD_INVALID,
                       "equation has more than the %u terms expected",
                       (unsigned)c->node->n_in);
    MD_TRY(take_output(e, err));
    *out = r.eq;
    return MD_OK;
}
