/*
 * The different elements, or the different slices along an axis, and where
 * they are.  NaNs count as equal and as the largest, -0 is 0.
 *
 * Every element becomes words whose order is the element's.  Single words are
 * sorted by their bytes, and bytes that are all the same cost a count only;
 * anything else is merged.  Both keep the order of equal ones, so the first of
 * a group is its first occurrence.
 */
#include <math.h>
#include <string.h>

#include "ops/common/util.h"

enum { /* outputs */
    OUT_Y,
    OUT_INDICES,
    OUT_INVERSE,
    OUT_COUNTS,
    OUT_N
};

static md_status find_axis(const md_infer *c, int *axis, md_error *err)
{
    *axis = -1;
    if (!md_node_attr(c->node, "axis") || !c->in[0]->has_rank)
        return MD_OK;
    return md_axis_normalize(axis, md_node_attr_i(c->node, "axis", 0),
                             c->in[0]->rank, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t, list;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(find_axis(c, &axis, err));
    MD_TRY(md_infer__fresh_type(c, &list, MD_DTYPE_I64, 1, err));
    t = *c->in[0];
    if (axis >= 0)
        t.dim[axis] = list.dim[0];
    else if (!md_node_attr(c->node, "axis"))
        t = list;
    t.dtype = c->in[0]->dtype;
    md_infer__give(c, OUT_Y, &t);
    md_infer__give(c, OUT_INDICES, &list);
    md_infer__give(c, OUT_COUNTS, &list);
    MD_TRY(md_infer__fresh(c, &list.dim[0], err));
    if (c->in[0]->has_rank && axis >= 0)
        list.dim[0] = c->in[0]->dim[axis];
    else if (c->in[0]->has_rank && !md_node_attr(c->node, "axis"))
        MD_TRY(md_dim__span(c, &list.dim[0], c->in[0], 0, c->in[0]->rank, err));
    md_infer__give(c, OUT_INVERSE, &list);
    return MD_OK;
}

/* --- words ------------------------------------------------------------- */

/* Items are slices along an axis, or single elements: [outer, n, inner]. */
typedef struct items {
    const md_tensor *t;
    int64_t n, outer, inner;
    int64_t n_words; /* of an item; 0 for strings, which are read in place */
    uint64_t *word;  /* [n, n_words] */
} items;

/* In the order of the value; signed zeros are one, NaNs behind Inf. */
static uint64_t word_of_f64(double v)
{
    uint64_t bits;

    if (isnan(v))
        return UINT64_MAX;
    v += 0.0;
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static uint64_t word_of_f32(float v)
{
    uint32_t bits;

    if (isnan(v))
        return UINT32_MAX;
    v += 0.0f;
    memcpy(&bits, &v, sizeof(bits));
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

/* The word or words of element i. */
static void put_words(uint64_t *out, const md_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MD_DTYPE_C64:
        out[0] = word_of_f32(((const float *)t->data)[2 * i]);
        out[1] = word_of_f32(((const float *)t->data)[2 * i + 1]);
        break;
    case MD_DTYPE_C128:
        out[0] = word_of_f64(((const double *)t->data)[2 * i]);
        out[1] = word_of_f64(((const double *)t->data)[2 * i + 1]);
        break;
    case MD_DTYPE_F32:
        out[0] = word_of_f32(((const float *)t->data)[i]);
        break;
    default:
        if (md_dtype_is_float(t->dtype))
            out[0] = word_of_f64(md_tensor_get_f64(t, i));
        else if (md_dtype_is_signed(t->dtype))
            out[0] = (uint64_t)md_tensor_get_i64(t, i) ^ UINT64_C(1) << 63;
        else
            out[0] = (uint64_t)md_tensor_get_i64(t, i);
    }
}

static md_status make_words(items *s, md_arena *ar, md_error *err)
{
    md_dtype dtype = s->t->dtype;
    int64_t each = dtype == MD_DTYPE_C64 || dtype == MD_DTYPE_C128 ? 2 : 1;
    uint64_t *to;

    if (dtype == MD_DTYPE_STRING)
        return MD_OK;
    s->n_words = s->outer * s->inner * each;
    MD_TRY(md_exec__scratch(&s->word, ar, md_tensor_n(s->t),
                            (size_t)each * sizeof(*s->word), err));
    to = s->word;
    for (int64_t k = 0; k < s->n && s->n_words > 0; k++) {
        for (int64_t o = 0; o < s->outer; o++) {
            for (int64_t i = 0; i < s->inner; i++, to += each)
                put_words(to, s->t, (o * s->n + k) * s->inner + i);
        }
    }
    return MD_OK;
}

/* --- order ------------------------------------------------------------- */

static int compare_text(md_str a, md_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare(const items *s, int64_t a, int64_t b)
{
    const md_str *text = s->t->data;

    for (int64_t i = 0; i < s->n_words; i++) {
        uint64_t x = s->word[a * s->n_words + i];
        uint64_t y = s->word[b * s->n_words + i];

        if (x != y)
            return x < y ? -1 : 1;
    }
    if (s->t->dtype != MD_DTYPE_STRING)
        return 0;
    for (int64_t i = 0; i < s->outer * s->inner; i++) {
        int64_t o = i / s->inner * s->n, k = i % s->inner;
        int order = compare_text(text[(o + a) * s->inner + k],
                                 text[(o + b) * s->inner + k]);

        if (order)
            return order;
    }
    return 0;
}

/* Runs of `size` items of `from` into runs of twice that in `to`. */
static void merge(const items *s, const int64_t *from, int64_t *to,
                  int64_t size)
{
    for (int64_t at = 0; at < s->n; at += 2 * size) {
        int64_t a = at, mid = md_min_i64(at + size, s->n), b = mid;
        int64_t end = md_min_i64(mid + size, s->n);

        for (int64_t i = at; i < end; i++) {
            bool first =
                b == end || (a < mid && compare(s, from[a], from[b]) <= 0);

            to[i] = first ? from[a++] : from[b++];
        }
    }
}

/* By one byte of the word; false, with nothing moved, when all have the same
 * one. */
static bool sort_byte(const items *s, const int64_t *from, int64_t *to,
                      unsigned shift)
{
    int64_t count[256] = { 0 }, at = 0;

    for (int64_t i = 0; i < s->n; i++)
        count[s->word[i] >> shift & 255]++;
    if (count[s->word[0] >> shift & 255] == s->n)
        return false;
    for (int k = 0; k < 256; k++) {
        int64_t n = count[k];

        count[k] = at;
        at += n;
    }
    for (int64_t i = 0; i < s->n; i++)
        to[count[s->word[from[i]] >> shift & 255]++] = from[i];
    return true;
}

static md_status sort(const items *s, int64_t **out, md_arena *ar,
                      md_error *err)
{
    int64_t *a, *b;

    MD_TRY(md_exec__scratch(&a, ar, s->n, sizeof(*a), err));
    MD_TRY(md_exec__scratch(&b, ar, s->n, sizeof(*b), err));
    for (int64_t i = 0; i < s->n; i++)
        a[i] = i;
    for (unsigned shift = 0; s->n_words == 1 && s->n && shift < 64;
         shift += 8) {
        if (sort_byte(s, a, b, shift)) {
            int64_t *t = a;

            a = b;
            b = t;
        }
    }
    for (int64_t size = 1; s->n_words != 1 && size < s->n; size *= 2) {
        int64_t *t = a;

        merge(s, a, b, size);
        a = b;
        b = t;
    }
    *out = a;
    return MD_OK;
}

/* --- results ----------------------------------------------------------- */

/* Groups of equal items. */
typedef struct groups {
    int64_t n;
    int64_t *first, *count; /* of each group */
    int64_t *of;            /* each item's */
} groups;

static md_status group(groups *g, const items *s, md_arena *ar, md_error *err)
{
    int64_t *order;

    MD_TRY(sort(s, &order, ar, err));
    MD_TRY(md_exec__scratch(&g->first, ar, s->n, sizeof(*g->first), err));
    MD_TRY(md_exec__scratch(&g->count, ar, s->n, sizeof(*g->count), err));
    MD_TRY(md_exec__scratch(&g->of, ar, s->n, sizeof(*g->of), err));
    g->n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || compare(s, order[i - 1], order[i]) != 0)
            g->first[g->n++] = order[i];
        g->count[g->n - 1]++;
        g->of[order[i]] = g->n - 1;
    }
    return MD_OK;
}

/* The groups in the order of their first items. */
static md_status by_occurrence(groups *g, int64_t n_items, md_arena *ar,
                               md_error *err)
{
    int64_t *now, *first, *count, n = 0;

    MD_TRY(md_exec__scratch(&now, ar, g->n, sizeof(*now), err));
    MD_TRY(md_exec__scratch(&first, ar, g->n, sizeof(*first), err));
    MD_TRY(md_exec__scratch(&count, ar, g->n, sizeof(*count), err));
    for (int64_t i = 0; i < n_items; i++) {
        int64_t old = g->of[i];

        if (g->first[old] == i) {
            first[n] = i;
            count[n] = g->count[old];
            now[old] = n++;
        }
        g->of[i] = now[old];
    }
    g->first = first;
    g->count = count;
    return MD_OK;
}

static md_status give_list(md_exec *x, uint32_t i, const int64_t *v, int64_t n,
                           md_error *err)
{
    md_shape shape = { 1, { n } };
    md_tensor *out = NULL;

    if (i >= x->node->n_out)
        return MD_OK;
    MD_TRY(md_exec_output(x, i, MD_DTYPE_I64, &shape, &out, err));
    if (out)
        md_store_i64(out, 0, v, n);
    return MD_OK;
}

static md_status give(md_exec *x, const items *s, const groups *g, int axis,
                      md_error *err)
{
    md_shape shape = s->t->shape, part = { 2, { s->outer, s->inner } };
    md_tensor *out;

    if (axis < 0)
        shape = (md_shape){ 1, { 0 } };
    shape.dim[axis < 0 ? 0 : axis] = g->n;
    MD_TRY(md_exec_output(x, OUT_Y, s->t->dtype, &shape, &out, err));
    for (int64_t i = 0; out && i < g->n; i++) {
        md_place to = { .t = out,
                        .at = i * s->inner,
                        .stride = { g->n * s->inner, 1 } };
        md_place from = { .t = (md_tensor *)s->t,
                          .at = g->first[i] * s->inner,
                          .stride = { s->n * s->inner, 1 } };

        md_move(&to, &from, &part);
    }
    MD_TRY(give_list(x, OUT_INDICES, g->first, g->n, err));
    MD_TRY(give_list(x, OUT_INVERSE, g->of, s->n, err));
    return give_list(x, OUT_COUNTS, g->count, g->n, err);
}

static md_status compute(md_exec *x, const md_infer *c, md_arena *ar,
                         md_error *err)
{
    items s = { .t = x->in[0], .outer = 1, .inner = 1 };
    const md_shape *in = &x->in[0]->shape;
    groups g;
    int axis;

    MD_TRY(find_axis(c, &axis, err));
    s.n = md_tensor_n(s.t);
    if (axis >= 0) {
        s.n = in->dim[axis];
        s.outer = md_shape_span(in, 0, axis);
        s.inner = md_shape_span(in, axis + 1, in->rank);
    }
    MD_TRY(make_words(&s, ar, err));
    MD_TRY(group(&g, &s, ar, err));
    if (!md_node_attr_i(x->node, "sorted", 1))
        MD_TRY(by_occurrence(&g, s.n, ar, err));
    return give(x, &s, &g, axis, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, compute, err);
}

const md_op md_op_unique = {
    .domain = "",
    .name = "Unique",
    .since = 11,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 4,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
