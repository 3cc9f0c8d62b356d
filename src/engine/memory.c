#include "engine/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum {
    MEETS_MAX = 64, /* on average: more are not listed */
    FEW = 256,      /* sorted without heaps */
    ROUNDS = 16     /* over pieces as they come */
};

#define NOT_PLACED SIZE_MAX /* all bytes 0xff */

/* A part of the block that is taken. */
typedef struct md_piece {
    size_t begin, end;
} md_piece;

/* ---- what does not depend on sizes ---- */

/* first[k + 1] counts k; make each the place where k begins. */
static void sum_up(uint32_t *first, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        first[k + 1] += first[k];
}

static md_status list_members(md_packing *p, md_arena *ar, md_error *err)
{
    uint32_t *next = md_arena_alloc(ar, (p->n_kinds + 1u) * sizeof(*next));

    p->first = md_arena_calloc(ar, p->n_kinds + 1u, sizeof(*p->first));
    p->members = md_arena_alloc(ar, (p->n + 1u) * sizeof(*p->members));
    if (!next || !p->first || !p->members)
        return md_fail_nomem(err, p->n * sizeof(*p->members));
    for (uint32_t i = 0; i < p->n; i++)
        p->first[p->buffers[i].kind + 1]++;
    sum_up(p->first, p->n_kinds);
    memcpy(next, p->first, p->n_kinds * sizeof(*next));
    for (uint32_t i = 0; i < p->n; i++)
        p->members[next[p->buffers[i].kind]++] = i;
    return MD_OK;
}

/* Buffers in the order in which they begin, and those alive then. */
typedef struct sweep {
    const md_buffer *buffers;
    uint32_t n, n_alive;
    uint32_t *order, *alive;
} sweep;

static md_status sweep_init(sweep *w, const md_packing *p, md_arena *ar,
                            md_error *err)
{
    uint32_t last = 0;
    uint32_t *next;

    for (uint32_t i = 0; i < p->n; i++)
        last = p->buffers[i].from > last ? p->buffers[i].from : last;
    *w = (sweep){ .buffers = p->buffers, .n = p->n };
    w->order = md_arena_alloc(ar, (p->n + 1u) * sizeof(*w->order));
    w->alive = md_arena_alloc(ar, (p->n + 1u) * sizeof(*w->alive));
    next = md_arena_calloc(ar, last + (size_t)2, sizeof(*next));
    if (!w->order || !w->alive || !next)
        return md_fail_nomem(err, p->n * sizeof(*w->order));
    for (uint32_t i = 0; i < p->n; i++)
        next[p->buffers[i].from + 1]++;
    sum_up(next, last + 1);
    for (uint32_t i = 0; i < p->n; i++)
        w->order[next[p->buffers[i].from]++] = i;
    return MD_OK;
}

/* Forget who ended before buffer i begins. */
static void drop_dead(sweep *w, uint32_t i)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < w->n_alive; k++) {
        if (w->buffers[w->alive[k]].to >= w->buffers[i].from)
            w->alive[n++] = w->alive[k];
    }
    w->n_alive = n;
}

/* False: there are too many. */
static bool count_meets(sweep *w, uint32_t *count)
{
    size_t sum = 0;

    for (uint32_t k = 0; k < w->n; k++) {
        uint32_t i = w->order[k];

        drop_dead(w, i);
        sum += 2 * (size_t)w->n_alive;
        if (sum > (size_t)MEETS_MAX * w->n)
            return false;
        count[i] += w->n_alive;
        for (uint32_t a = 0; a < w->n_alive; a++)
            count[w->alive[a]]++;
        w->alive[w->n_alive++] = i;
    }
    w->n_alive = 0;
    return true;
}

static void fill_meets(sweep *w, uint32_t *next, uint32_t *meets)
{
    for (uint32_t k = 0; k < w->n; k++) {
        uint32_t i = w->order[k];

        drop_dead(w, i);
        for (uint32_t a = 0; a < w->n_alive; a++) {
            meets[next[i]++] = w->alive[a];
            meets[next[w->alive[a]]++] = i;
        }
        w->alive[w->n_alive++] = i;
    }
}

static md_status list_meets(md_packing *p, md_arena *ar, md_error *err)
{
    uint32_t *meet = md_arena_calloc(ar, p->n + 1u, sizeof(*meet));
    uint32_t *next = md_arena_alloc(ar, (p->n + 1u) * sizeof(*next));
    sweep w;

    if (!meet || !next)
        return md_fail_nomem(err, p->n * sizeof(*meet));
    MD_TRY(sweep_init(&w, p, ar, err));
    if (!count_meets(&w, meet + 1))
        return MD_OK;
    sum_up(meet, p->n);
    memcpy(next, meet, p->n * sizeof(*next));
    p->meets = md_arena_alloc(ar, (meet[p->n] + (size_t)1) * sizeof(*next));
    if (!p->meets)
        return md_fail_nomem(err, meet[p->n] * sizeof(*next));
    p->meet = meet;
    fill_meets(&w, next, p->meets);
    return MD_OK;
}

md_status md_packing_init(md_packing *p, const md_buffer *buffers, uint32_t n,
                          uint32_t n_kinds, bool lists, md_arena *ar,
                          md_error *err)
{
    *p = (md_packing){ .buffers = buffers, .n = n, .n_kinds = n_kinds };
    MD_TRY(list_members(p, ar, err));
    return lists ? list_meets(p, ar, err) : MD_OK;
}

/* ---- for some sizes ---- */

md_status md_places_init(md_places *out, const md_packing *p, md_arena *ar,
                         md_error *err)
{
    *out = (md_places){ 0 };
    out->size = md_arena_calloc(ar, p->n_kinds + 1u, sizeof(*out->size));
    out->offset = md_arena_calloc(ar, p->n + 1u, sizeof(*out->offset));
    out->pieces = md_arena_alloc(ar, (p->n + 1u) * sizeof(*out->pieces));
    out->order = md_arena_alloc(ar, (p->n_kinds + 1u) * sizeof(*out->order));
    out->next = md_arena_alloc(ar, (p->n_kinds + 1u) * sizeof(*out->next));
    if (!out->size || !out->offset || !out->pieces || !out->order || !out->next)
        return md_fail_nomem(err, p->n * sizeof(*out->pieces));
    for (uint32_t k = 0; k < p->n_kinds; k++)
        out->order[k] = k;
    return MD_OK;
}

static bool is_before(const md_places *s, uint32_t a, uint32_t b)
{
    return s->size[a] != s->size[b] ? s->size[a] > s->size[b] : a < b;
}

static void sift(md_places *s, uint32_t root, uint32_t n)
{
    for (uint32_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        uint32_t moved = s->order[root];

        if (child + 1 < n && is_before(s, s->order[child], s->order[child + 1]))
            child++;
        if (!is_before(s, moved, s->order[child]))
            return;
        s->order[root] = s->order[child];
        s->order[child] = moved;
        root = child;
    }
}

/* Largest first.  The order for the sizes before is a good one to start from:
 * few kinds are sorted by insertion. */
static void sort_kinds(md_places *s, uint32_t n)
{
    for (uint32_t i = 1; i < n && n <= FEW; i++) {
        uint32_t kind = s->order[i], at = i;

        for (; at > 0 && is_before(s, kind, s->order[at - 1]); at--)
            s->order[at] = s->order[at - 1];
        s->order[at] = kind;
    }
    if (n <= FEW)
        return;
    for (uint32_t i = n / 2; i-- > 0;)
        sift(s, i, n);
    for (uint32_t i = n; i-- > 1;) {
        uint32_t last = s->order[0];

        s->order[0] = s->order[i];
        s->order[i] = last;
        sift(s, 0, i);
    }
}

static md_piece piece_of(const md_places *s, const md_packing *p, uint32_t i)
{
    size_t end = s->offset[i] + s->size[p->buffers[i].kind];

    return (md_piece){ s->offset[i], md_round_up(end, MD_CACHE_LINE) };
}

static int by_begin(const void *pa, const void *pb)
{
    const md_piece *a = pa, *b = pb;

    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* What the buffers that buffer i meets occupy. */
static uint32_t find_pieces(md_places *s, const md_packing *p, uint32_t i)
{
    const md_buffer *b = &p->buffers[i];
    uint32_t n = 0;

    if (p->meets) {
        for (uint32_t k = p->meet[i]; k < p->meet[i + 1]; k++) {
            if (s->offset[p->meets[k]] != NOT_PLACED)
                s->pieces[n++] = piece_of(s, p, p->meets[k]);
        }
        return n;
    }
    for (uint32_t k = 0; k < p->n; k++) {
        const md_buffer *o = &p->buffers[k];

        if (s->offset[k] != NOT_PLACED && o->from <= b->to && b->from <= o->to)
            s->pieces[n++] = piece_of(s, p, k);
    }
    return n;
}

/* Whoever is in the way of a place moves it to behind himself, until nobody
 * is: no lower one is free.  Pieces mostly lie in few layers, so that a few
 * rounds do, whatever their number; where these do not, it may take as many
 * rounds as there are pieces, but one and a last look once they are sorted. */
static size_t lowest_gap(md_piece *pieces, uint32_t n, size_t size)
{
    size_t at = 0;
    bool moved = true;

    for (uint32_t round = 0; moved; round++) {
        moved = false;
        if (round == ROUNDS && n > FEW)
            qsort(pieces, n, sizeof(*pieces), by_begin);
        for (uint32_t i = 0; i < n; i++) {
            if (pieces[i].begin < at + size && pieces[i].end > at) {
                at = pieces[i].end;
                moved = true;
            }
        }
    }
    return at;
}

static void place(md_places *s, const md_packing *p, uint32_t i, size_t size)
{
    s->offset[i] = lowest_gap(s->pieces, find_pieces(s, p, i), size);
    if (s->offset[i] + size > s->total)
        s->total = s->offset[i] + size;
}

/* Place the buffers of `n` kinds, all of one size, in the order of the
 * buffers: those that begin first are first. */
static void place_kinds(md_places *s, const md_packing *p,
                        const uint32_t *kinds, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        s->next[k] = p->first[kinds[k]];
    for (;;) {
        uint32_t least = UINT32_MAX, from = 0;

        for (uint32_t k = 0; k < n; k++) {
            if (s->next[k] < p->first[kinds[k] + 1] &&
                p->members[s->next[k]] < least) {
                least = p->members[s->next[k]];
                from = k;
            }
        }
        if (least == UINT32_MAX)
            return;
        s->next[from]++;
        place(s, p, least, s->size[kinds[0]]);
    }
}

md_status md_places_find(md_places *out, const md_packing *p, md_error *err)
{
    size_t sum = 0;

    out->total = 0;
    for (uint32_t k = 0; k < p->n_kinds; k++) {
        size_t count = p->first[k + 1] - p->first[k], all;

        if (out->size[k] > SIZE_MAX / 2 ||
            !md_mul_size(&all, count, out->size[k] + MD_CACHE_LINE) ||
            !md_add_size(&sum, sum, all))
            return md_fail(err, MD_TOO_LARGE,
                           "activations need more than 2^64 bytes");
    }
    memset(out->offset, 0xff, p->n * sizeof(*out->offset)); /* NOT_PLACED */
    sort_kinds(out, p->n_kinds);
    for (uint32_t k = 0, to; k < p->n_kinds; k = to) {
        size_t size = out->size[out->order[k]];

        for (to = k + 1; to < p->n_kinds && out->size[out->order[to]] == size;)
            to++;
        if (size > 0)
            place_kinds(out, p, out->order + k, to - k);
    }
    return MD_OK;
}
