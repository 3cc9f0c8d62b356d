#include "ops/common/attend.h"

#include <math.h>

md_heads md_heads__first(const md_tensor *t, int64_t heads, int64_t n,
                         int64_t size)
{
    return (md_heads){ .t = t,
                       .size = size,
                       .batch = heads * n * size,
                       .head = n * size,
                       .row = size };
}

md_heads md_heads__last(const md_tensor *t, int64_t heads, int64_t n,
                        int64_t size)
{
    return (md_heads){ .t = t,
                       .size = size,
                       .batch = heads * n * size,
                       .head = size,
                       .row = heads * size };
}

static int64_t place(const md_heads *h, int64_t b, int64_t head, int64_t row)
{
    return h->at + b * h->batch + head * h->head + row * h->row;
}

static void load(double *out, const md_heads *h, int64_t b, int64_t head,
                 int64_t row)
{
    int64_t at = place(h, b, head, row);

    if (h->turned) {
        for (int64_t i = 0; i < h->size; i++)
            out[i] = h->turned[at + i];
    } else {
        md_load_f64(out, h->t, at, h->size);
    }
    for (int64_t i = 0; h->bias && i < h->size; i++)
        out[i] += md_tensor_get_f64(h->bias, h->bias_at + head * h->size + i);
}

/* Row j of a head's keys or values. */
static void load_key(const md_attend *a, double *out, bool values, int64_t b,
                     int64_t head, int64_t j)
{
    int64_t n_past = a->n_past[b];

    if (j < n_past)
        load(out, values ? &a->past_v : &a->past_k,
             a->source ? a->source(a, b, j) : b, head, j);
    else
        load(out, values ? &a->v : &a->k, b, head, j - n_past);
}

/* The mask takes key j out. */
static bool is_masked(const md_attend *a, int64_t b, int64_t i, int64_t j)
{
    const int32_t *v = a->mask->keys->data;
    const int64_t *d = a->mask->keys->shape.dim;

    switch (a->mask->keys->shape.rank) {
    case 1:
        return j >= v[b] || (d[0] == 2 * a->n_batch && j < v[a->n_batch + b]);
    case 2:
        return j < d[1] && v[b * d[1] + j] <= 0;
    case 3:
        return v[(b * d[1] + i) * d[2] + j] <= 0;
    default:
        return v[(b * d[2] + a->n_past[b] + i) * d[3] + j] <= 0;
    }
}

double md_attend__filter(const md_attend *a, int64_t b, int64_t i, int64_t j)
{
    return is_masked(a, b, i, j) ? a->mask->filter : 0.0;
}

/* Keys of element b that are valid. */
static int64_t valid_keys(const md_attend *a, int64_t b)
{
    const md_tensor *t = a->mask ? a->mask->lengths : NULL;
    int64_t n = t ? md_tensor_get_i64(t, b) : a->n_all[b];

    return n < a->n_all[b] ? n : a->n_all[b];
}

int64_t md_attend__last(const md_attend *a, int64_t b, int64_t i)
{
    int64_t valid = valid_keys(a, b), last = valid - 1;

    if (a->mask && a->mask->causal) {
        int64_t at = a->n_past[b] + i;

        if (a->mask->lengths)
            at = i + md_tensor_get_i64(a->mask->lengths, b) - a->n_q;
        last = at < last ? at : last;
    }
    if (a->mask && a->mask->padded && a->n_past[b] + i >= a->n_all[b])
        last = -1;
    return last;
}

void md_attend__mask_row(const md_attend *a, double *out, int64_t b, int64_t h,
                         int64_t i)
{
    const md_attend_mask *m = a->mask;
    const int64_t *s = m->stride;
    int64_t last = md_attend__last(a, b, i);
    int64_t first = m->window > 0 ? a->n_past[b] + i - m->window + 1 : 0;

    for (int64_t j = 0; j < a->n_all[b]; j++) {
        double v = 0.0;

        if (j < first || j > last || (m->bias && j >= m->n_bias)) {
            out[j] = -INFINITY;
            continue;
        }
        if (m->bias) {
            v = md_tensor_get_f64(m->bias, m->bias_at + b * s[0] + h * s[1] +
                                               i * s[2] + j * s[3]);
            if (m->bias->dtype == MD_DTYPE_BOOL)
                v = v != 0.0 ? 0.0 : -INFINITY;
        }
        if (m->keys)
            v += md_attend__filter(a, b, i, j);
        out[j] = v;
    }
}

typedef struct room {
    double *keys, *values; /* [n_keys, size] of one head */
    double *scores, *bias; /* [n_keys] */
    double *query, *sum;
} room;

/* softmax of n scores; `extra` joins the sum unless it is -Inf.  All 0 where
 * nothing is left. */
static void softmax(double *v, int64_t n, double extra)
{
    double max = extra, sum;

    for (int64_t j = 0; j < n; j++)
        max = v[j] > max || isnan(v[j]) ? v[j] : max;
    if (max == -INFINITY) {
        for (int64_t j = 0; j < n; j++)
            v[j] = 0.0;
        return;
    }
    sum = exp(extra - max);
    for (int64_t j = 0; j < n; j++) {
        v[j] = exp(v[j] - max);
        sum += v[j];
    }
    for (int64_t j = 0; j < n; j++)
        v[j] /= sum;
}

static void show(const md_attend *a, const room *r, md_attend_stage stage,
                 int64_t b, int64_t h, int64_t i)
{
    if (a->qk && a->stage == stage)
        md_store_f64(a->qk, ((b * a->q_heads + h) * a->n_q + i) * a->n_keys,
                     r->scores, a->n_all[b]);
}

static double sink_of(const md_attend *a, int64_t h)
{
    if (a->sink)
        return md_tensor_get_f64(a->sink, h);
    return a->smooth ? 0.0 : -INFINITY;
}

static void score_row(const md_attend *a, const room *r, int64_t b, int64_t h,
                      int64_t i)
{
    int64_t n = a->n_all[b], size = a->k.size;

    load(r->query, &a->q, b, h, i);
    for (int64_t j = 0; j < n; j++) {
        double dot = 0.0;

        for (int64_t d = 0; d < size; d++)
            dot += r->query[d] * r->keys[j * size + d];
        r->scores[j] = dot * a->scale;
    }
    show(a, r, MD_ATTEND_SCALED, b, h, i);
    for (int64_t j = 0; a->softcap > 0.0 && j < n; j++)
        r->scores[j] = tanh(r->scores[j] / a->softcap) * a->softcap;
    show(a, r, MD_ATTEND_CAPPED, b, h, i);
    if (a->mask) {
        md_attend__mask_row(a, r->bias, b, h, i);
        for (int64_t j = 0; j < n; j++)
            r->scores[j] =
                r->bias[j] == -INFINITY ? -INFINITY : r->scores[j] + r->bias[j];
    }
    show(a, r, MD_ATTEND_BIASED, b, h, i);
    softmax(r->scores, n, sink_of(a, h));
    show(a, r, MD_ATTEND_SOFTMAX, b, h, i);
}

static void attend_row(const md_attend *a, const room *r, int64_t b, int64_t h,
                       int64_t i)
{
    int64_t size = a->v.size;
    md_tensor y;

    score_row(a, r, b, h, i);
    if (!a->y.t)
        return;
    for (int64_t d = 0; d < size; d++)
        r->sum[d] = 0.0;
    for (int64_t j = 0; j < a->n_all[b]; j++) {
        for (int64_t d = 0; d < size; d++)
            r->sum[d] += r->scores[j] * r->values[j * size + d];
    }
    y = *a->y.t;
    md_store_f64(&y, place(&a->y, b, h, i), r->sum, size);
}

md_status md_attend__run(const md_attend *a, md_arena *ar, md_error *err)
{
    int64_t group = a->q_heads / a->kv_heads;
    room r;

    MD_TRY(md_exec__scratch(&r.keys, ar, a->n_keys * a->k.size, sizeof(double),
                            err));
    MD_TRY(md_exec__scratch(&r.values, ar, a->n_keys * a->v.size,
                            sizeof(double), err));
    MD_TRY(md_exec__scratch(&r.scores, ar, a->n_keys, sizeof(double), err));
    MD_TRY(md_exec__scratch(&r.bias, ar, a->n_keys, sizeof(double), err));
    MD_TRY(md_exec__scratch(&r.query, ar, a->k.size, sizeof(double), err));
    MD_TRY(md_exec__scratch(&r.sum, ar, a->v.size, sizeof(double), err));
    for (int64_t at = 0; at < a->n_batch * a->q_heads; at++) {
        int64_t b = at / a->q_heads, h = at % a->q_heads;

        for (int64_t j = 0; h % group == 0 && j < a->n_all[b]; j++) {
            load_key(a, r.keys + j * a->k.size, false, b, h / group, j);
            load_key(a, r.values + j * a->v.size, true, b, h / group, j);
        }
        for (int64_t i = 0; i < a->n_q; i++)
            attend_row(a, &r, b, h, i);
    }
    return MD_OK;
}

/* A row as it is, or with its bias. */
static void move_row(md_tensor *out, int64_t to, const md_heads *h, int64_t b,
                     int64_t head, int64_t row)
{
    int64_t at = place(h, b, head, row);

    for (int64_t i = 0; i < h->size; i++) {
        if (h->bias)
            md_tensor_set_f64(
                out, to + i,
                md_tensor_get_f64(h->t, at + i) +
                    md_tensor_get_f64(h->bias,
                                      h->bias_at + head * h->size + i));
        else if (h->turned)
            md_tensor_set_f64(out, to + i, h->turned[at + i]);
        else
            md_tensor_set_from(out, to + i, h->t, at + i);
    }
}

void md_attend__present(const md_attend *a, md_tensor *out, int64_t at,
                        int64_t n, bool values)
{
    const md_heads *past = values ? &a->past_v : &a->past_k;
    const md_heads *now = values ? &a->v : &a->k;

    for (int64_t i = 0; out && i < a->n_batch * a->kv_heads * n; i++) {
        int64_t j = i % n, h = i / n % a->kv_heads, b = i / n / a->kv_heads;
        bool is_past = j < a->n_past[b];

        if (j < a->n_all[b])
            move_row(out, at + i * now->size, is_past ? past : now, b, h,
                     is_past ? j : j - a->n_past[b]);
    }
}
