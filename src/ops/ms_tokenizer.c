/*
 * com.microsoft's Tokenizer: strings cut into tokens, a row of them for each,
 * filled up to the longest row.  Tokens are what stands between matches of the
 * separators, or what matches tokenexp, each time the longest of what matches
 * first; a separator "" or tokenexp "." makes them single characters.  Where an
 * expression matches nothing at all, one character is passed over.
 */
#include <string.h>

#include "base/utf8.h"
#include "ops/common/regex.h"
#include "ops/common/util.h"

typedef struct cutter {
    md_regex **re; /* separators in order, or tokenexp alone */
    uint32_t n_re;
    bool letters; /* single characters */
    bool keeps;   /* what matches is a token */
    bool mark;
    size_t shortest; /* characters of a token, at least */
    md_str pad;
} cutter;

/* Tokens of one string. */
typedef struct pieces {
    md_str *list;
    size_t n, cap;
} pieces;

/* --- attributes ------------------------------------------------------------- */

static void release(cutter *k)
{
    for (uint32_t i = 0; i < k->n_re; i++)
        md_regex_free(k->re[i]);
}

static md_status compile(cutter *k, const md_str *list, uint32_t n,
                         const md_alloc *alloc, md_arena *ar, md_error *err)
{
    k->letters = n == 1 && (k->keeps ? list[0].n == 1 && list[0].p[0] == '.'
                                     : list[0].n == 0);
    if (k->keeps && list[0].n == 0)
        return md_fail(err, MD_INVALID, "tokenexp is empty");
    if (k->letters && k->shortest > 1)
        return md_fail(err, MD_INVALID,
                       "mincharnum is %zu where tokens are single characters",
                       k->shortest);
    MD_TRY(md_exec__scratch(&k->re, ar, n, sizeof(md_regex *), err));
    for (uint32_t i = 0; i < n && !k->letters; i++) {
        MD_TRY(md_regex_new(&k->re[i], list[i], alloc, err));
        k->n_re++;
    }
    return MD_OK;
}

/* *k is to be released even when this fails. */
static md_status read_attrs(cutter *k, const md_node *n, const md_alloc *alloc,
                            md_arena *ar, md_error *err)
{
    const md_attr *separators = md_node_attr(n, "separators");
    const md_attr *exp = md_node_attr(n, "tokenexp");
    const md_attr *pad = md_node_attr(n, "pad_value");
    int64_t shortest = md_node_attr_i(n, "mincharnum", 0);

    *k = (cutter){ .mark = md_node_attr_i(n, "mark", 0) != 0 };
    if (shortest < 1 || shortest > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "mincharnum is %lld, at least 1 expected",
                       (long long)shortest);
    if (!pad)
        return md_fail(err, MD_INVALID, "pad_value is missing");
    if (!md_node_attr(n, "mark"))
        return md_fail(err, MD_INVALID, "mark is missing");
    k->pad = pad->v.s;
    k->shortest = (size_t)shortest;
    k->keeps = exp != NULL;
    if (exp)
        return compile(k, &exp->v.s, 1, alloc, ar, err);
    if (!separators || separators->n == 0)
        return md_fail(err, MD_INVALID, "separators or tokenexp is missing");
    return compile(k, separators->v.ss, separators->n, alloc, ar, err);
}

/* --- cutting ------------------------------------------------------------------ */

static size_t letters_of(md_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static md_status add(const cutter *k, pieces *p, md_str s, md_arena *ar,
                     md_error *err)
{
    if (s.n == 0 || letters_of(s) < k->shortest)
        return MD_OK;
    if (p->n == p->cap) {
        size_t cap = 2 * p->cap + 8;
        md_str *list = md_arena_calloc(ar, cap, sizeof(*list));

        if (!list)
            return md_fail_nomem(err, cap * sizeof(*list));
        if (p->n)
            memcpy(list, p->list, p->n * sizeof(*list));
        p->list = list;
        p->cap = cap;
    }
    p->list[p->n++] = s;
    return MD_OK;
}

static size_t next_letter(md_str s, size_t at)
{
    at++;
    while (at < s.n && ((unsigned char)s.p[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/* What matches re in s, or (!keeps) what does not. */
static md_status cut(const cutter *k, pieces *p, md_regex *re, md_str s,
                     md_arena *ar, md_error *err)
{
    size_t at = 0, begin, end;

    while (at < s.n) {
        bool found;

        MD_TRY(md_regex_search(&found, &begin, &end, re, s, at, err));
        if (!found || begin == s.n)
            break;
        if (k->keeps)
            MD_TRY(add(k, p, (md_str){ s.p + begin, end - begin }, ar, err));
        else if (begin > at)
            MD_TRY(add(k, p, (md_str){ s.p + at, begin - at }, ar, err));
        at = end > begin ? end : next_letter(s, begin);
    }
    if (!k->keeps && at < s.n)
        MD_TRY(add(k, p, (md_str){ s.p + at, s.n - at }, ar, err));
    return MD_OK;
}

static md_status tokenize(const cutter *k, pieces *p, md_str s, md_arena *ar,
                          md_error *err)
{
    if (s.n && !md_utf8_valid(s.p, s.n))
        return md_fail(err, MD_INVALID, "a text that is not UTF-8");
    for (size_t at = 0, next; k->letters && at < s.n; at = next) {
        next = next_letter(s, at);
        MD_TRY(add(k, p, (md_str){ s.p + at, next - at }, ar, err));
    }
    if (k->letters)
        return MD_OK;
    MD_TRY(cut(k, p, k->re[0], s, ar, err));
    for (uint32_t i = 1; i < k->n_re; i++) {
        pieces finer = { 0 };

        for (size_t j = 0; j < p->n; j++)
            MD_TRY(cut(k, &finer, k->re[i], p->list[j], ar, err));
        *p = finer;
    }
    return MD_OK;
}

/* --- the operator -------------------------------------------------------------- */

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    cutter k;
    md_arena ar;
    md_status s = MD_OK;

    MD_TRY(md_infer__need(c, 0, MD_T(STRING), err));
    MD_TRY(md_infer__rank(c, 0, 1, 2, err));
    if (c->model) { /* at load; a run finds out by itself */
        md_arena_init(&ar, c->model->alloc, 0);
        s = read_attrs(&k, c->node, c->model->alloc, &ar, err);
        release(&k);
        md_arena_release(&ar);
    }
    t = *c->in[0];
    if (s == MD_OK && t.has_rank) {
        /* Nothing is added to what has no strings. */
        t.has_rank = md_dim_is_const(t.dim[t.rank - 1]);
        if (t.has_rank && t.dim[t.rank - 1].k != 0)
            s = md_infer__fresh(c, &t.dim[t.rank++], err);
    }
    md_infer__give(c, 0, &t);
    return s;
}

static void fill(const cutter *k, md_str *row, size_t n, const pieces *p)
{
    size_t i = 0;

    if (k->mark)
        row[i++] = (md_str){ "\x02", 1 };
    if (p->n)
        memcpy(row + i, p->list, p->n * sizeof(*row));
    i += p->n;
    if (k->mark)
        row[i++] = (md_str){ "\x03", 1 };
    while (i < n)
        row[i++] = k->pad;
}

static md_status cut_all(md_exec *x, const cutter *k, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    md_shape shape = in->shape;
    int64_t n = md_tensor_n(in);
    size_t most = 0;
    pieces *all;
    md_tensor *out;

    MD_TRY(md_exec__scratch(&all, ar, n, sizeof(*all), err));
    for (int64_t i = 0; i < n; i++) {
        MD_TRY(tokenize(k, &all[i], ((const md_str *)in->data)[i], ar, err));
        most = all[i].n > most ? all[i].n : most;
    }
    most += most && k->mark ? 2 : 0;
    if (shape.dim[shape.rank - 1] != 0)
        shape.dim[shape.rank++] = (int64_t)most;
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_STRING, &shape, &out, err));
    for (int64_t i = 0; i < n && out && most; i++)
        fill(k, (md_str *)out->data + i * (int64_t)most, most, &all[i]);
    return MD_OK;
}

static md_status compute(md_exec *x, const md_infer *c, md_arena *ar,
                         md_error *err)
{
    cutter k = { 0 };
    md_status s;

    (void)c;
    s = read_attrs(&k, x->node, x->alloc, ar, err);
    if (s == MD_OK)
        s = cut_all(x, &k, ar, err);
    release(&k);
    return s;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, compute, err);
}

const md_op md_op_ms_tokenizer = {
    .domain = "com.microsoft",
    .name = "Tokenizer",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
