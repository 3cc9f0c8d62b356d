/*
 * Attention (ai.onnx), MultiHeadAttention and GroupQueryAttention
 * (com.microsoft), and QkvAttention, in float32: a chunk is a head of keys with the heads of queries that share it.
 * Keys and values are packed once for it; then rows of scores come and go in
 * scratch, a block of queries at a time.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/binary_f32.h"
#include "kernels/gemm_f32.h"
#include "kernels/gemv_f32.h"
#include "kernels/softmax_f32.h"
#include "kernels/unary_f32.h"
#include "ops/common/mask_index.h"
#include "ops/lower/common.h"

enum {
    ROWS = 64, /* queries of a block */
    DIRECT = 8 /* queries of a head of keys that are no reason to pack these */
};

enum { /* inputs of GroupQueryAttention */
    IN_LENGTHS = 5,
    IN_COS = 7,
    IN_SIN,
    IN_POSITIONS,
    IN_SINK = 11,
};

typedef struct state {
    md_attend_fn *describe;
    bool grouped;     /* GroupQueryAttention: lengths are read in a run */
    bool turns;       /* its queries and new keys by their positions */
    bool interleaved; /* pairs are neighbours */
    const md_gemm_f32_kernel *gemm;
    const md_gemv_f32_kernel *gemv;
    const md_softmax_f32_kernel *softmax;
    const md_binary_f32_kernel *binary;
    const md_unary_f32_kernel *unary;
    bool strict;
} state;

typedef struct args {
    md_attend a; /* its tensors are headers in `tensor` */
    md_attend_mask mask;
    md_tensor *tensor; /* the node's inputs, then its outputs; no data */
    const md_tensor *present[2];
    int64_t present_at[2], n_present; /* first element; rows of a head */
    int64_t *n_past, *n_all;          /* those of `a`: grouped, of this run */
    bool direct;                      /* keys and values are not packed */
    size_t k_size, v_size;            /* bytes of these when packed */
    bool copies[2]; /* keys, values: they come from two places or with a
                            * bias, and there is no present to hold them */
} args;

/* --- lowering ---------------------------------------------------------- */

static bool is_wanted(const md_node *n, uint32_t i)
{
    return i < n->n_out && n->out[i] != MD_VALUE_NONE;
}

/* All floats are float32, and what holds integers is a mask. */
static bool all_f32(const md_lower *lo)
{
    for (uint32_t i = 0; i < lo->node->n_in; i++) {
        md_dtype t = lo->in[i] ? lo->in[i]->dtype : MD_DTYPE_F32;

        if (t != MD_DTYPE_F32 && t != MD_DTYPE_I32 && t != MD_DTYPE_BOOL &&
            t != MD_DTYPE_I64)
            return false;
    }
    return true;
}

static md_attend_fn *describe_of(const md_node *n)
{
    if (strcmp(n->domain, "modeld") == 0)
        return md_qkv_attention__attend;
    if (strcmp(n->op, "GroupQueryAttention") == 0)
        return md_group_query_attention__attend;
    if (strcmp(n->domain, "com.microsoft") == 0)
        return md_multi_head_attention__attend;
    return md_attention__attend;
}

/* A past with room whose length is an input, and beams. */
static bool has_buffer(const md_lower *lo)
{
    const md_node *n = lo->node;
    uint32_t length = n->domain[0] == 'm' ? 4 : 8;

    if (!n->domain[0])
        return false;
    return (n->n_in > length && lo->in[length]) || (n->n_in > 9 && lo->in[9]);
}

/* Of what GroupQueryAttention has beside the others. */
static md_status check_grouped(const md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;

    for (uint32_t i = IN_SINK; i < n->n_in; i++) {
        if (lo->in[i])
            return md_fail(err, MD_UNSUPPORTED,
                           "a sink, norms or lengths of queries");
    }
    if (md_node_attr_i(n, "smooth_softmax", -1) == 1)
        return md_fail(err, MD_UNSUPPORTED, "smooth_softmax");
    if (!is_wanted(n, 0) || !is_wanted(n, 1) || !is_wanted(n, 2))
        return md_fail(err, MD_UNSUPPORTED, "the present is not wanted");
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    bool grouped = strcmp(lo->node->op, "GroupQueryAttention") == 0;
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1) || !all_f32(lo))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    if (is_wanted(lo->node, 3))
        return md_fail(err, MD_UNSUPPORTED, "scores are an output");
    if (grouped)
        MD_TRY(check_grouped(lo, err));
    else if (has_buffer(lo))
        return md_fail(err, MD_UNSUPPORTED, "a past with room or beams");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->describe = describe_of(lo->node);
    s->grouped = grouped;
    s->turns = grouped && md_node_attr_i(lo->node, "do_rotary", 0) != 0;
    s->interleaved = md_node_attr_i(lo->node, "rotary_interleaved", 0) != 0;
    s->gemm = md_gemm_f32_select(lo->cpu);
    s->gemv = md_gemv_f32_select(lo->cpu);
    s->softmax = md_softmax_f32_select(lo->cpu);
    s->binary = md_binary_f32_select(lo->cpu);
    s->unary = md_unary_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    lo->kernel = s->gemm->name;
    return MD_OK;
}

/* --- planning ---------------------------------------------------------- */

/* The node as `describe` wants to see it: headers without data. */
static md_status make_headers(args *a, const md_step *st, md_exec *x,
                              md_tensor ***out, md_arena *arena, md_error *err)
{
    const md_node *n = st->node;
    const md_tensor **in = md_arena_calloc(arena, n->n_in + 1u, sizeof(*in));

    a->tensor =
        md_arena_calloc(arena, n->n_in + n->n_out + 1u, sizeof(*a->tensor));
    *out = md_arena_calloc(arena, n->n_out + 4u, sizeof(**out));
    if (!in || !a->tensor || !*out)
        return md_fail_nomem(err, n->n_in * sizeof(*in));
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == MD_VALUE_NONE)
            continue;
        a->tensor[i] =
            (md_tensor){ .dtype = st->in_dtype[i], .shape = st->in_shape[i] };
        in[i] = &a->tensor[i];
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == MD_VALUE_NONE)
            continue;
        a->tensor[n->n_in + i] =
            (md_tensor){ .dtype = st->out_dtype[i], .shape = st->out_shape[i] };
        (*out)[i] = &a->tensor[n->n_in + i];
    }
    *x = (md_exec){ .node = n, .in = in, .alloc = arena->alloc };
    return MD_OK;
}

/* Where past and new keys and values come together. */
static void place_present(args *a, const state *s, md_tensor *const *out)
{
    bool joined = s->describe == md_qkv_attention__attend;
    int64_t heads = a->a.n_batch * a->a.kv_heads;

    a->n_present = a->a.n_keys;
    a->present[0] = out[1];
    a->present[1] = joined ? out[1] : out[2];
    if (joined)
        a->present_at[1] = heads * a->n_present * a->a.k.size;
    for (int i = 0; i < 2; i++) {
        const md_heads *h = i == 0 ? &a->a.k : &a->a.v;

        a->copies[i] =
            !a->present[i] && (a->a.past_k.t != NULL || h->bias != NULL);
    }
}

/* Floats of scratch: packed keys and values, copies of them, and for a block
 * of queries these, their scores, and rows of what is added to scores. */
static bool scratch_size(size_t *size, args *a)
{
    int64_t n = a->a.n_keys, k = a->a.k.size, v = a->a.v.size;
    int64_t floats = n * (k + v + 1) + ROWS * (k + n) + MD_BLOCK;

    if (!a->direct && (!md_gemm_f32_packed_size(&a->k_size, k, n) ||
                       !md_gemm_f32_packed_size(&a->v_size, n, v)))
        return false;
    a->k_size = md_round_up(a->k_size, MD_CACHE_LINE);
    a->v_size = md_round_up(a->v_size, MD_CACHE_LINE);
    return md_mul_size(size, (size_t)floats, sizeof(float)) &&
           md_add_size(size, *size, a->k_size) &&
           md_add_size(size, *size, a->v_size);
}

static int64_t position_of(const md_step *st, int64_t b, int64_t i)
{
    const args *a = st->args;
    const int64_t *given =
        IN_POSITIONS < st->node->n_in ? st->in[IN_POSITIONS] : NULL;

    return given ? given[b * a->a.n_q + i] : a->a.n_past[b] + i;
}

/* The data of a header. */
static float *data_of(const md_step *st, const md_tensor *t)
{
    const args *a = st->args;
    size_t i = (size_t)(t - a->tensor);

    return i < st->node->n_in ? st->in[i] : st->out[i - st->node->n_in];
}

static md_status check_ends(const md_step *st, md_error *err)
{
    const args *a = st->args;
    md_tensor keys = *a->mask.keys;

    keys.data = data_of(st, a->mask.keys);
    return md_mask_index__check_ends(&keys, a->a.n_batch, err);
}

/* Past and all keys of each element, as seqlens_k says in this run. */
static md_status check_lengths(const md_step *st, md_error *err)
{
    const state *s = st->state;
    args *a = st->args;
    const int32_t *given = st->in[IN_LENGTHS];
    int64_t past = a->a.past_k.t ? a->a.past_k.t->shape.dim[2] : 0;

    for (int64_t b = 0; b < a->a.n_batch; b++) {
        int64_t n = (int64_t)given[b] + 1, now = md_min_i64(n, a->a.n_q);

        if (n < 0 || n > a->n_present || n - now > past)
            return md_fail(err, MD_INVALID,
                           "seqlens_k is %lld with %lld keys of the past and "
                           "%lld new ones",
                           (long long)n - 1, (long long)past,
                           (long long)a->a.n_q);
        a->n_all[b] = n;
        a->n_past[b] = n - now;
        for (int64_t i = 0; s->turns && i < now; i++) {
            int64_t at = position_of(st, b, i);
            int64_t most = st->in_shape[IN_COS].dim[0];

            if (at < 0 || at >= most)
                return md_fail(err, MD_INVALID,
                               "position %lld is outside the cache, 0 to %lld "
                               "expected",
                               (long long)at, (long long)most - 1);
        }
    }
    return MD_OK;
}

/* The lengths are the plan's own where runs change them. */
static md_status own_lengths(args *a, md_arena *arena, md_error *err)
{
    size_t n = (size_t)a->a.n_batch;

    a->n_past = md_arena_calloc(arena, 2 * n + 1, sizeof(*a->n_past));
    if (!a->n_past)
        return md_fail_nomem(err, n);
    a->n_all = a->n_past + n;
    for (size_t b = 0; b < n; b++) {
        a->n_past[b] = a->a.n_past[b];
        a->n_all[b] = a->a.n_all[b];
    }
    a->a.n_past = a->n_past;
    a->a.n_all = a->n_all;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    md_tensor **out;
    md_exec x;
    args *a;

    (void)width;
    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    MD_TRY(make_headers(a, st, &x, &out, arena, err));
    MD_TRY(s->describe(&a->a, &a->mask, &x, out, arena, err));
    MD_TRY(own_lengths(a, arena, err));
    place_present(a, s, out);
    st->n_chunks = a->a.n_batch * a->a.kv_heads;
    a->direct =
        a->a.n_q * a->a.q_heads <= DIRECT * a->a.kv_heads; /* may be 0 */
    if (s->grouped)
        st->check = check_lengths;
    else if (a->mask.keys && s->describe == md_qkv_attention__attend)
        st->check = check_ends;
    if (!scratch_size(&st->scratch_size, a))
        return md_fail_nomem(err, SIZE_MAX);
    return MD_OK;
}

/* --- running ----------------------------------------------------------- */

/* One chunk at work. */
typedef struct job {
    const md_step *st;
    const state *s;
    const args *a;
    md_attend at; /* the same with masks that have data */
    md_attend_mask mask;
    md_tensor data[3];             /* of the mask */
    int64_t b, h;                  /* head of keys */
    int64_t n_past, n;             /* keys of the element */
    float *k, *v;                  /* packed */
    md_gemv_f32_args keys, values; /* or as they lie */
    float *rows[2];                /* copies of keys and values */
    float *query, *scores, *base;
} job;

static const float *row_at(const job *j, const md_heads *h, int64_t head,
                           int64_t row)
{
    return data_of(j->st, h->t) + h->at + j->b * h->batch + head * h->head +
           row * h->row;
}

static void copy_row(const job *j, float *to, const md_heads *h, int64_t head,
                     int64_t row)
{
    const float *from = row_at(j, h, head, row);

    if (h->bias)
        j->s->binary->run(to, from,
                          data_of(j->st, h->bias) + h->bias_at + head * h->size,
                          (size_t)h->size, 1, 1,
                          &(md_binary_op){ MD_BINARY_ADD, MD_ACT_NONE, 0, 0 });
    else
        memcpy(to, from, (size_t)h->size * sizeof(*to));
}

/* n rows to where they lie one after the other. */
static void copy_rows(const job *j, float *to, const md_heads *h, int64_t head,
                      int64_t n)
{
    if (!h->bias && h->row == h->size && n > 0) {
        memcpy(to, row_at(j, h, head, 0), (size_t)(n * h->size) * sizeof(*to));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        copy_row(j, to + i * h->size, h, head, i);
}

/* Turn a row in place by the angles of new position i. */
static void turn(const job *j, float *v, int64_t i)
{
    int64_t half = j->st->in_shape[IN_COS].dim[1];
    int64_t at = position_of(j->st, j->b, i) * half;
    const float *c = (const float *)j->st->in[IN_COS] + at;
    const float *s = (const float *)j->st->in[IN_SIN] + at;
    int64_t step = j->s->interleaved ? 2 : 1;
    int64_t apart = j->s->interleaved ? 1 : half;

    for (int64_t k = 0; k < half; k++) {
        float x = v[k * step], y = v[k * step + apart];

        v[k * step] = x * c[k] - y * s[k];
        v[k * step + apart] = y * c[k] + x * s[k];
    }
}

/* Keys or values of the head where they lie in one place: their rows and the
 * step between them. */
static const float *gather(const job *j, bool values, int64_t *step)
{
    const args *a = j->a;
    const md_heads *now = values ? &a->a.v : &a->a.k;
    const md_heads *past = values ? &a->a.past_v : &a->a.past_k;
    const md_tensor *present = a->present[values];
    int64_t n_past = md_min_i64(j->n_past, j->n);
    float *to = j->rows[values];

    if (!present && !a->copies[values]) {
        *step = now->row;
        return row_at(j, now, j->h, 0);
    }
    *step = now->size;
    if (present)
        to = data_of(j->st, present) + a->present_at[values] +
             (j->b * a->a.kv_heads + j->h) * a->n_present * now->size;
    copy_rows(j, to, past, j->h, n_past);
    copy_rows(j, to + n_past * now->size, now, j->h, j->n - n_past);
    for (int64_t i = n_past; j->s->turns && !values && i < j->n; i++)
        turn(j, to + i * now->size, i - n_past);
    if (present && j->n < a->n_present)
        memset(to + j->n * now->size, 0,
               (size_t)((a->n_present - j->n) * now->size) * sizeof(*to));
    return to;
}

static void multiply(const job *j, float *c, int64_t ldc, const float *a,
                     int64_t lda, const float *b, int64_t m, int64_t n,
                     int64_t k)
{
    j->s->gemm->run(&(md_gemm_f32_args){ .m = m,
                                         .n = n,
                                         .k = k,
                                         .a = a,
                                         .lda = lda,
                                         .b = b,
                                         .c = c,
                                         .ldc = ldc,
                                         .ep = MD_EPILOGUE_INIT,
                                         .strict = j->s->strict },
                    0, m, 0, n);
}

static md_gemv_f32_args rows_of(const job *j, bool values)
{
    const md_attend *a = &j->a->a;
    md_gemv_f32_args r = { .n = j->n, .size = values ? a->v.size : a->k.size };

    r.rows = gather(j, values, &r.step);
    return r;
}

/* Only keys that count: what is packed lies by how many there are, and a past
 * may have room for more. */
static void pack(job *j)
{
    j->keys = rows_of(j, false);
    j->values = rows_of(j, true);
    if (j->a->direct)
        return;
    j->s->gemm->pack_b(j->k,
                       &(md_gemm_f32_b){ .b = j->keys.rows,
                                         .rs = 1,
                                         .cs = j->keys.step,
                                         .k = j->keys.size,
                                         .n = j->n },
                       0, j->n);
    j->s->gemm->pack_b(j->v,
                       &(md_gemm_f32_b){ .b = j->values.rows,
                                         .rs = j->values.step,
                                         .cs = 1,
                                         .k = j->n,
                                         .n = j->values.size },
                       0, j->values.size);
}

/* Scores [m][n] of queries [m][lda], and what they make of values. */
static void score(const job *j, const float *q, int64_t lda, int64_t m)
{
    md_gemv_f32_args g = j->keys;

    if (!j->a->direct) {
        multiply(j, j->scores, j->n, q, lda, j->k, m, j->n, g.size);
        return;
    }
    for (int64_t i = 0; i < m; i++) {
        g.x = q + i * lda;
        g.y = j->scores + i * j->n;
        j->s->gemv->dot(&g);
    }
}

static void mix(const job *j, float *y, int64_t ldy, int64_t m)
{
    md_gemv_f32_args g = j->values;

    if (!j->a->direct) {
        multiply(j, y, ldy, j->scores, j->n, j->v, m, g.size, j->n);
        return;
    }
    for (int64_t i = 0; i < m; i++) {
        g.x = j->scores + i * j->n;
        g.y = y + i * ldy;
        j->s->gemv->sum(&g);
    }
}

/* scores * scale, and softcap. */
static void scale(const job *j, float *v, int64_t n)
{
    const md_attend *a = &j->a->a;
    bool cap = a->softcap > 0.0;
    float f = (float)(cap ? a->scale / a->softcap : a->scale);
    const md_binary_op mul = { MD_BINARY_MUL, MD_ACT_NONE, 0, 0 };

    j->s->binary->run(v, v, &f, (size_t)n, 1, 0, &mul);
    if (!cap)
        return;
    f = (float)a->softcap;
    j->s->unary->act(v, v, (size_t)n, MD_ACT_TANH, 0, 0);
    j->s->binary->run(v, v, &f, (size_t)n, 1, 0, &mul);
}

/* A mask that is the same for all heads and queries becomes floats once. */
static bool is_base(const md_attend_mask *m)
{
    return m->keys && m->keys->shape.rank <= 2;
}

static void make_base(const job *j)
{
    for (int64_t i = 0; is_base(&j->mask) && i < j->n; i++)
        j->base[i] = (float)md_attend__filter(&j->at, j->b, 0, i);
}

/* Add the bias's row, or take out the keys where it is false. */
static void add_bias(const job *j, float *v, int64_t h, int64_t i)
{
    const md_attend_mask *m = &j->mask;
    const int64_t *s = m->stride;
    int64_t n = md_min_i64(m->n_bias, j->n);
    int64_t at = m->bias_at + j->b * s[0] + h * s[1] + i * s[2];

    if (m->bias->dtype == MD_DTYPE_F32) {
        j->s->binary->run(v, v, (const float *)m->bias->data + at, (size_t)n, 1,
                          s[3] != 0,
                          &(md_binary_op){ MD_BINARY_ADD, MD_ACT_NONE, 0, 0 });
    } else {
        const uint8_t *keep = (const uint8_t *)m->bias->data + at;

        for (int64_t k = 0; k < n; k++)
            v[k] = keep[k * s[3]] ? v[k] : -INFINITY;
    }
    for (int64_t k = n; k < j->n; k++)
        v[k] = -INFINITY;
}

/* What the mask does to the scores of query i; false when nothing is left. */
static bool mask_row(const job *j, float *v, int64_t h, int64_t i)
{
    const md_attend_mask *m = &j->mask;
    int64_t n = j->n, last = md_attend__last(&j->at, j->b, i), k = 0;
    int64_t first = m->window > 0 ? j->n_past + i - m->window + 1 : 0;

    if (is_base(m)) {
        j->s->binary->run(v, v, j->base, (size_t)n, 1, 1,
                          &(md_binary_op){ MD_BINARY_ADD, MD_ACT_NONE, 0, 0 });
    } else if (m->keys) {
        for (; k < n; k++)
            v[k] += (float)md_attend__filter(&j->at, j->b, i, k);
    }
    if (m->bias)
        add_bias(j, v, h, i);
    for (k = md_max_i64(last + 1, 0); k < n; k++)
        v[k] = -INFINITY;
    for (k = 0; k < md_min_i64(first, n); k++)
        v[k] = -INFINITY;
    for (k = 0; k < n && v[k] == -INFINITY;)
        k++;
    return k < n;
}

/* Rows [i0, i1) of queries of head h. */
static void attend(const job *j, int64_t h, int64_t i0, int64_t i1)
{
    const md_attend *a = &j->a->a;
    int64_t m = i1 - i0, n = j->n, size = a->k.size, lda = a->q.row;
    const float *q = row_at(j, &a->q, h, i0);
    float *y = data_of(j->st, a->y.t) + a->y.at + j->b * a->y.batch +
               h * a->y.head + i0 * a->y.row;

    if (a->q.bias || j->s->turns) {
        for (int64_t i = 0; i < m; i++) {
            copy_row(j, j->query + i * size, &a->q, h, i0 + i);
            if (j->s->turns && j->n_past + i0 + i < n)
                turn(j, j->query + i * size, i0 + i);
        }
        q = j->query;
        lda = size;
    }
    score(j, q, lda, m);
    scale(j, j->scores, m * n);
    for (int64_t i = 0; i < m; i++) {
        float *v = j->scores + i * n;

        if (mask_row(j, v, h, i0 + i))
            j->s->softmax->run(v, v, 1, n, 1, false);
        else
            memset(v, 0, (size_t)n * sizeof(*v));
    }
    mix(j, y, a->y.row, m);
}

/* The mask's tensors with their data. */
static void bind_mask(job *j)
{
    const md_tensor **const t[] = { &j->mask.keys, &j->mask.bias,
                                    &j->mask.lengths };

    j->at = j->a->a;
    j->mask = j->a->mask;
    for (int i = 0; i < 3; i++) {
        if (!*t[i])
            continue;
        j->data[i] = **t[i];
        j->data[i].data = data_of(j->st, *t[i]);
        *t[i] = &j->data[i];
    }
    j->at.mask = &j->mask;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const md_attend *at = &a->a;
    int64_t n = at->n_keys, group = at->q_heads / at->kv_heads;
    char *p = scratch;
    job j = { .st = st, .s = st->state, .a = a };

    bind_mask(&j);
    j.b = chunk / at->kv_heads;
    j.h = chunk % at->kv_heads;
    j.n_past = at->n_past[j.b];
    j.n = at->n_all[j.b];
    j.k = (float *)p;
    j.v = (float *)(p + a->k_size);
    j.scores = (float *)(p + a->k_size + a->v_size);
    j.query = j.scores + ROWS * n;
    j.base = j.query + ROWS * at->k.size;
    j.rows[0] = j.base + n;
    j.rows[1] = j.rows[0] + n * at->k.size;
    pack(&j);
    make_base(&j);
    for (int64_t g = 0; g < group && a->a.y.t; g++) {
        for (int64_t i = 0; i < at->n_q; i += ROWS)
            attend(&j, j.h * group + g, i, md_min_i64(i + ROWS, at->n_q));
    }
}

const md_fast md_fast_attention = { lower, plan, run, NULL, NULL };
