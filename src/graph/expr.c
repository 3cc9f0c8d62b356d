#include "graph/expr.h"

#include <string.h>

#include "base/hash.h"
#include "base/size.h"

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* a (kind) b of numbers; false when there is no such number. */
static bool apply(int64_t *out, md_expr_kind kind, int64_t a, int64_t b)
{
    switch (kind) {
    case MD_EXPR_ADD:
        return md_add_i64(out, a, b);
    case MD_EXPR_MUL:
        return md_mul_i64(out, a, b);
    case MD_EXPR_DIV:
    case MD_EXPR_MOD:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *out = floor_div(a, b);
        if (kind == MD_EXPR_MOD)
            *out = a - b * *out;
        return true;
    case MD_EXPR_MIN:
        *out = a < b ? a : b;
        return true;
    case MD_EXPR_MAX:
        *out = a > b ? a : b;
        return true;
    case MD_EXPR_BROADCAST:
        *out = a == 1 ? b : a;
        return a == b || a == 1 || b == 1;
    case MD_EXPR_EXACT:
        *out = b > 0 ? a / b : 0;
        return b > 0 && a % b == 0;
    case MD_EXPR_AT_LEAST:
        *out = a;
        return a >= b;
    case MD_EXPR_EQUAL:
        *out = a;
        return a == b;
    case MD_EXPR_WRAP:
        *out = a;
        return a >= 0 || md_add_i64(out, a, b);
    default:
        return false;
    }
}

bool md_dim_natural(const md_model *m, md_dim d)
{
    return d.k >= 0 &&
           (d.sym == 0 || (d.scale >= 0 && m->exprs[d.sym].natural));
}

static bool natural(const md_model *m, md_expr_kind kind, md_dim a, md_dim b)
{
    bool na = md_dim_natural(m, a), nb = md_dim_natural(m, b);

    switch (kind) {
    case MD_EXPR_MAX:
        return na || nb;
    case MD_EXPR_AT_LEAST:
    case MD_EXPR_EQUAL:
        return na || nb;
    case MD_EXPR_MOD:
        return nb;
    case MD_EXPR_EXACT:
        return na;
    case MD_EXPR_WRAP:
        return false;
    default:
        return na && nb;
    }
}

/* Where an expression is in the index, or the empty slot for it. */
static uint32_t find_slot(const md_model *m, const md_expr *e)
{
    uint64_t words[7] = { e->kind,  (uint64_t)e->a.k, (uint64_t)e->a.scale,
                          e->a.sym, (uint64_t)e->b.k, (uint64_t)e->b.scale,
                          e->b.sym };
    uint32_t mask = m->cap_expr_slots - 1;
    uint32_t i = (uint32_t)md_hash(words, sizeof(words)) & mask;

    for (; m->expr_slots[i]; i = (i + 1) & mask) {
        const md_expr *have = &m->exprs[m->expr_slots[i]];

        if (have->kind == e->kind && md_dim_equal(have->a, e->a) &&
            md_dim_equal(have->b, e->b))
            break;
    }
    return i;
}

static md_status reserve(md_model *m, md_error *err)
{
    uint32_t cap = m->cap_expr_slots ? m->cap_expr_slots * 2 : 64;
    uint32_t *slots;

    if (m->n_derived + 1 < m->cap_expr_slots / 2)
        return MD_OK;
    slots = md_arena_calloc(&m->arena, cap, sizeof(*slots));
    if (!slots)
        return md_fail_nomem(err, cap * sizeof(*slots));
    m->expr_slots = slots;
    m->cap_expr_slots = cap;
    for (uint32_t i = 1; i < m->n_symbols; i++) {
        if (m->exprs[i].kind != MD_EXPR_FREE)
            slots[find_slot(m, &m->exprs[i])] = i;
    }
    return MD_OK;
}

/* The symbol that stands for a (kind) b, made when it is new. */
static md_status intern(md_dim *out, md_model *m, md_expr_kind kind, md_dim a,
                        md_dim b, md_error *err)
{
    const md_expr e = {
        .kind = kind, .natural = natural(m, kind, a, b), .a = a, .b = b
    };
    uint32_t slot, sym;

    MD_TRY(reserve(m, err));
    slot = find_slot(m, &e);
    if (m->expr_slots[slot] == 0) {
        if (m->n_symbols >= MD_EXPRS_MAX)
            return md_fail(err, MD_TOO_LARGE,
                           "more than %d sizes that depend on others",
                           MD_EXPRS_MAX);
        MD_TRY(md_model_symbol(&sym, m, NULL, err));
        m->exprs[sym] = e;
        m->expr_slots[slot] = sym;
        m->n_derived++;
    }
    sym = m->expr_slots[slot];
    if (!m->exprs[sym].by)
        m->exprs[sym].by = m->asking;
    *out = (md_dim){ .scale = 1, .sym = sym };
    return MD_OK;
}

/* d * mul + add when that fits. */
static bool affine(md_dim *out, md_dim d, int64_t mul, int64_t add)
{
    md_dim r = { .sym = d.sym };

    if (!md_mul_i64(&r.k, d.k, mul) || !md_add_i64(&r.k, r.k, add) ||
        !md_mul_i64(&r.scale, d.scale, mul))
        return false;
    if (r.scale == 0)
        r.sym = 0;
    *out = r;
    return true;
}

/* d / by when both parts of d divide. */
static bool divide(md_dim *out, md_dim d, int64_t by)
{
    if (by == 0 || by == -1 || d.k % by != 0 || d.scale % by != 0)
        return false;
    *out = (md_dim){ d.k / by, d.scale / by, d.sym };
    return true;
}

static int order(md_dim a, md_dim b)
{
    if (a.sym != b.sym)
        return a.sym < b.sym ? -1 : 1;
    if (a.scale != b.scale)
        return a.scale < b.scale ? -1 : 1;
    return a.k < b.k ? -1 : a.k > b.k;
}

enum {
    PARTS_MAX = 16 /* terms of a sum, factors of a product */
};

/* A sum or a product taken apart. */
typedef struct parts {
    int n;
    md_dim d[PARTS_MAX];
    int64_t k; /* the constant beside them */
    bool full; /* there are more */
} parts;

static void add_part(parts *p, md_dim d)
{
    if (p->n == PARTS_MAX)
        p->full = true;
    else
        p->d[p->n++] = d;
}

/* The terms of d; a sum is scale * (a + b) only with scale 1. */
static void terms(parts *p, const md_model *m, md_dim d)
{
    while (d.sym && d.scale == 1 && m->exprs[d.sym].kind == MD_EXPR_ADD) {
        const md_expr *e = &m->exprs[d.sym];
        md_dim last = e->b;

        p->full |=
            !md_add_i64(&p->k, p->k, d.k) || !md_add_i64(&p->k, p->k, last.k);
        last.k = 0;
        add_part(p, last);
        d = e->a;
    }
    p->full |= !md_add_i64(&p->k, p->k, d.k);
    d.k = 0;
    if (d.sym)
        add_part(p, d);
}

static void sort_parts(parts *p)
{
    for (int i = 1; i < p->n; i++) {
        md_dim d = p->d[i];
        int at = i;

        for (; at > 0 && order(p->d[at - 1], d) > 0; at--)
            p->d[at] = p->d[at - 1];
        p->d[at] = d;
    }
}

/* Sums are chains ((x + y) + z) of terms in order of symbols, so that equal
 * ones are one; k stays outside. */
static md_status add(md_dim *out, md_model *m, md_dim a, md_dim b,
                     md_error *err)
{
    parts p = { 0 };
    int n = 0;

    terms(&p, m, a);
    terms(&p, m, b);
    if (p.full)
        return intern(out, m, MD_EXPR_ADD, a, b, err);
    sort_parts(&p);
    for (int i = 0; i < p.n; i++) {
        if (n > 0 && p.d[n - 1].sym == p.d[i].sym) {
            if (!md_add_i64(&p.d[n - 1].scale, p.d[n - 1].scale, p.d[i].scale))
                return md_fail(err, MD_TOO_LARGE, "a dimension overflows");
            n -= p.d[n - 1].scale == 0;
        } else {
            p.d[n++] = p.d[i];
        }
    }
    *out = n > 0 ? p.d[0] : MD_DIM(0);
    for (int i = 1; i < n; i++)
        MD_TRY(intern(out, m, MD_EXPR_ADD, *out, p.d[i], err));
    if (!affine(out, *out, 1, p.k))
        return md_fail(err, MD_TOO_LARGE, "a dimension overflows");
    return MD_OK;
}

/* The factors of d; k is their constant. */
static void factors(parts *p, const md_model *m, md_dim d)
{
    for (;;) {
        const md_expr *e = &m->exprs[d.sym];

        if (d.sym == 0) {
            p->full |= !md_mul_i64(&p->k, p->k, d.k);
            return;
        }
        if (d.k == 0) {
            p->full |= !md_mul_i64(&p->k, p->k, d.scale);
            d.scale = 1;
        }
        if (d.k != 0 || e->kind != MD_EXPR_MUL) {
            add_part(p, d);
            return;
        }
        add_part(p, e->b);
        d = e->a;
    }
}

/* Products are chains in order too; the constant is the scale. */
static md_status multiply_out(md_dim *out, md_model *m, parts *p, md_error *err)
{
    sort_parts(p);
    *out = p->n > 0 ? p->d[0] : MD_DIM(1);
    for (int i = 1; i < p->n; i++)
        MD_TRY(intern(out, m, MD_EXPR_MUL, *out, p->d[i], err));
    if (!affine(out, *out, p->k, 0))
        return md_fail(err, MD_TOO_LARGE, "a dimension overflows");
    return MD_OK;
}

static md_status mul(md_dim *out, md_model *m, md_dim a, md_dim b,
                     md_error *err)
{
    parts p = { .k = 1 };

    factors(&p, m, a);
    factors(&p, m, b);
    if (p.full)
        return intern(out, m, MD_EXPR_MUL, a, b, err);
    return multiply_out(out, m, &p, err);
}

/* Take the factors of b out of a; false when one is not there.  What is
 * divided by must not be 0, which the caller makes sure of. */
static bool cancel(parts *pa, const md_model *m, md_dim a, md_dim b)
{
    parts pb = { .k = 1 };

    *pa = (parts){ .k = 1 };
    factors(pa, m, a);
    factors(&pb, m, b);
    if (pa->full || pb.full || pb.k == 0 || pb.k == -1 || pa->k % pb.k != 0)
        return false;
    pa->k /= pb.k;
    for (int i = 0; i < pb.n; i++) {
        int at = 0;

        while (at < pa->n && !md_dim_equal(pa->d[at], pb.d[i]))
            at++;
        if (at == pa->n)
            return false;
        pa->d[at] = pa->d[--pa->n];
    }
    return true;
}

/* Of a quotient, one that needs no symbol; false when there is none. */
static md_status quotient(md_dim *out, bool *done, md_model *m,
                          md_expr_kind kind, md_dim a, md_dim b, md_error *err)
{
    md_dim unused;
    parts p;

    *done = true;
    if (b.sym == 0 && divide(out, a, b.k))
        return MD_OK;
    if (b.sym != 0 && cancel(&p, m, a, b)) {
        /* The value counts only where b is not 0; that is noted. */
        MD_TRY(intern(&unused, m, kind, a, b, err));
        return multiply_out(out, m, &p, err);
    }
    *done = false;
    return MD_OK;
}

/* Is d min(x, c) with a constant c above 0?  Where that broadcasts with x it
 * gives x. */
static bool cuts(const md_model *m, md_dim d, md_dim x)
{
    const md_expr *e = &m->exprs[d.sym];

    return d.k == 0 && d.scale == 1 && e->kind == MD_EXPR_MIN &&
           ((md_dim_equal(e->a, x) && e->b.sym == 0 && e->b.k > 0) ||
            (md_dim_equal(e->b, x) && e->a.sym == 0 && e->a.k > 0));
}

/* A symbol may stand for 1, so of two different ones nothing is known yet;
 * against a constant above 1 the constant wins.  That they fit is noted. */
static md_status broadcast(md_dim *out, md_model *m, md_dim a, md_dim b,
                           md_error *err)
{
    if (md_dim_equal(a, b) || (b.sym == 0 && b.k == 1)) {
        *out = a;
        return MD_OK;
    }
    if (a.sym == 0 && a.k == 1) {
        *out = b;
        return MD_OK;
    }
    MD_TRY(intern(out, m, MD_EXPR_BROADCAST, a, b, err));
    if (a.sym == 0 || cuts(m, b, a))
        *out = a;
    else if (b.sym == 0 || cuts(m, a, b))
        *out = b;
    return MD_OK;
}

/* a and b that differ by a constant only: a - b in *by. */
static bool differ_by(int64_t *by, md_dim a, md_dim b)
{
    return a.sym == b.sym && (a.sym == 0 || a.scale == b.scale) &&
           md_sub_i64(by, a.k, b.k);
}

/* A result that needs no symbol. */
static md_status simplify(md_dim *out, bool *done, md_model *m,
                          md_expr_kind kind, md_dim a, md_dim b, md_error *err)
{
    int64_t by = 0;

    *done = true;
    switch (kind) {
    case MD_EXPR_DIV:
    case MD_EXPR_EXACT:
        return quotient(out, done, m, kind, a, b, err);
    case MD_EXPR_MIN:
    case MD_EXPR_MAX:
        if (differ_by(&by, a, b))
            *out = (by <= 0) == (kind == MD_EXPR_MIN) ? a : b;
        else if (b.sym == 0 && b.k <= 0 && md_dim_natural(m, a))
            *out = kind == MD_EXPR_MIN ? b : a;
        else if (a.sym == 0 && a.k <= 0 && md_dim_natural(m, b))
            *out = kind == MD_EXPR_MIN ? a : b;
        else
            *done = false;
        return MD_OK;
    case MD_EXPR_AT_LEAST:
        *out = a;
        *done = (differ_by(&by, a, b) && by >= 0) ||
                (b.sym == 0 && b.k <= 0 && md_dim_natural(m, a));
        return MD_OK;
    case MD_EXPR_EQUAL:
        *out = a;
        *done = md_dim_equal(a, b);
        return MD_OK;
    case MD_EXPR_WRAP:
        *out = a;
        *done = md_dim_natural(m, a);
        if (!*done && a.sym == 0) { /* always counts from the end */
            *done = true;
            return add(out, m, b, a, err);
        }
        return MD_OK;
    default:
        *done = false;
        return MD_OK;
    }
}

md_status md_dim_derive(md_dim *out, md_model *m, md_expr_kind kind, md_dim a,
                        md_dim b, md_error *err)
{
    bool commutes = kind == MD_EXPR_MIN || kind == MD_EXPR_MAX ||
                    kind == MD_EXPR_BROADCAST || kind == MD_EXPR_EQUAL;
    bool done;

    if (a.sym == 0 && b.sym == 0) {
        *out = MD_DIM(0);
        if (apply(&out->k, kind, a.k, b.k))
            return MD_OK;
        return md_fail(err, MD_INVALID, "sizes %lld and %lld do not fit",
                       (long long)a.k, (long long)b.k);
    }
    if (kind == MD_EXPR_ADD)
        return add(out, m, a, b, err);
    if (kind == MD_EXPR_MUL)
        return mul(out, m, a, b, err);
    if (kind == MD_EXPR_BROADCAST)
        return order(a, b) <= 0 ? broadcast(out, m, a, b, err)
                                : broadcast(out, m, b, a, err);
    MD_TRY(simplify(out, &done, m, kind, a, b, err));
    if (done)
        return MD_OK;
    if (commutes && order(a, b) > 0) {
        md_dim t = a;

        a = b;
        b = t;
    }
    return intern(out, m, kind, a, b, err);
}

bool md_dim_value(int64_t *out, md_dim d, const md_sym *sym)
{
    int64_t v;

    *out = d.k;
    return d.sym == 0 ||
           (sym[d.sym].state == MD_SYM_KNOWN &&
            md_mul_i64(&v, sym[d.sym].v, d.scale) && md_add_i64(out, v, d.k));
}

bool md_model_solve(const md_model *m, md_sym *sym)
{
    bool all = true;

    for (uint32_t i = 1; i < m->n_symbols; i++) {
        const md_expr *e = &m->exprs[i];
        int64_t a, b;

        if (e->kind == MD_EXPR_FREE)
            continue;
        if ((e->a.sym && sym[e->a.sym].state == MD_SYM_OPEN) ||
            (e->b.sym && sym[e->b.sym].state == MD_SYM_OPEN)) {
            sym[i].state = MD_SYM_OPEN;
            continue;
        }
        sym[i].state = md_dim_value(&a, e->a, sym) &&
                               md_dim_value(&b, e->b, sym) &&
                               apply(&sym[i].v, e->kind, a, b)
                           ? MD_SYM_KNOWN
                           : MD_SYM_NONE;
        all = all && sym[i].state == MD_SYM_KNOWN;
    }
    return all;
}

/* Has symbol i no value, though what it is made of has? */
static bool breaks(const md_model *m, const md_sym *sym, uint32_t i, int64_t *a,
                   int64_t *b)
{
    const md_expr *e = &m->exprs[i];

    return e->kind != MD_EXPR_FREE && sym[i].state == MD_SYM_NONE &&
           md_dim_value(a, e->a, sym) && md_dim_value(b, e->b, sym);
}

md_status md_model_check(const md_model *m, const md_sym *sym, md_error *err)
{
    uint32_t first = 0;
    int64_t a, b;

    for (uint32_t i = 1; i < m->n_symbols; i++) {
        const md_expr *e = &m->exprs[i];

        if (!breaks(m, sym, i, &a, &b))
            continue;
        if (e->kind != MD_EXPR_BROADCAST && e->kind != MD_EXPR_EQUAL)
            return MD_OK; /* what came of it says little */
        if (first == 0 && e->by)
            first = i;
    }
    if (first == 0)
        return MD_OK;
    (void)breaks(m, sym, first, &a, &b);
    return md_fail(err, MD_INVALID,
                   "node '%s' (%s): sizes %lld and %lld do not fit",
                   md_graph_label(m->graph, m->exprs[first].by),
                   m->exprs[first].by->op, (long long)a, (long long)b);
}
