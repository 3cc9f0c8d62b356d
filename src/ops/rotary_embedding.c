/* Pairs of elements of each head, turned by the angle of their position. */
#include "ops/common/rotate.h"

enum { /* inputs */
    IN_X,
    IN_COS,
    IN_SIN,
    IN_POSITIONS
};

enum {
    CHUNK = 64 /* rows that one thread turns at a time */
};

/* Sizes of x as [batch, heads, length, size]. */
typedef struct sizes {
    md_dim batch, heads, length, size;
} sizes;

static md_status find_sizes(const md_infer *c, sizes *out, md_error *err)
{
    int64_t heads = md_node_attr_i(c->node, "num_heads", 0);
    const md_type *x = c->in[IN_X];

    if (x->rank == 4) {
        *out = (sizes){ x->dim[0], x->dim[1], x->dim[2], x->dim[3] };
        return MD_OK;
    }
    if (heads < 1)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected for an input "
                       "of rank 3",
                       (long long)heads);
    *out = (sizes){ x->dim[0], MD_DIM(heads), x->dim[1], MD_DIM(0) };
    if (!md_dim_is_const(x->dim[2]))
        return md_infer__fresh(c, &out->size, err);
    if (x->dim[2].k % heads)
        return md_fail(err, MD_INVALID,
                       "rows of %lld do not divide into %lld heads",
                       (long long)x->dim[2].k, (long long)heads);
    out->size = MD_DIM(x->dim[2].k / heads);
    return MD_OK;
}

/* Half of the elements that turn: the rows of the caches. */
static md_status find_half(const md_infer *c, const sizes *s, md_dim *out,
                           md_error *err)
{
    int64_t turned = md_node_attr_i(c->node, "rotary_embedding_dim", 0);

    if (turned < 0 || turned % 2)
        return md_fail(err, MD_INVALID,
                       "rotary_embedding_dim is %lld, an even number expected",
                       (long long)turned);
    if (turned > 0 && md_dim_is_const(s->size) && turned > s->size.k)
        return md_fail(err, MD_INVALID,
                       "rotary_embedding_dim is %lld, at most %lld expected",
                       (long long)turned, (long long)s->size.k);
    if (turned > 0) {
        *out = MD_DIM(turned / 2);
        return MD_OK;
    }
    if (!md_dim_is_const(s->size))
        return md_infer__fresh(c, out, err);
    if (s->size.k % 2)
        return md_fail(err, MD_INVALID,
                       "heads have %lld elements, an even number expected",
                       (long long)s->size.k);
    *out = MD_DIM(s->size.k / 2);
    return MD_OK;
}

/* cos and sin: [positions, half], or [batch, length, half] without positions. */
static md_status check_caches(const md_infer *c, const sizes *s, md_error *err)
{
    bool has_positions = md_infer_has(c, IN_POSITIONS);
    md_dim half;

    MD_TRY(find_half(c, s, &half, err));
    for (uint32_t i = IN_COS; i <= IN_SIN; i++) {
        const md_type *t = c->in[i];

        if (!t->has_rank)
            continue;
        MD_TRY(md_infer__must_equal(c, t->dim[t->rank - 1], half,
                                    "the last axis of a cache", err));
        if (has_positions)
            continue;
        MD_TRY(md_infer__must_equal(c, t->dim[0], s->batch,
                                    "the batch of a cache", err));
        MD_TRY(md_infer__must_equal(c, t->dim[1], s->length,
                                    "the length of a cache", err));
    }
    if (has_positions && c->in[IN_POSITIONS]->has_rank) {
        const md_type *t = c->in[IN_POSITIONS];

        MD_TRY(md_infer__must_equal(c, t->dim[0], s->batch,
                                    "the batch of position_ids", err));
        MD_TRY(md_infer__must_equal(c, t->dim[1], s->length,
                                    "the length of position_ids", err));
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    uint32_t types = MD_T(F32) | MD_T(F16) | MD_T(BF16);
    int rank = md_infer_has(c, IN_POSITIONS) ? 2 : 3;
    sizes s;

    MD_TRY(md_infer__need(c, IN_X, types, err));
    MD_TRY(md_infer__rank(c, IN_X, 3, 4, err));
    for (uint32_t i = IN_COS; i <= IN_SIN; i++) {
        MD_TRY(md_infer__need(c, i, types, err));
        MD_TRY(md_infer__same_dtype(c, IN_X, i, err));
        MD_TRY(md_infer__rank(c, i, rank, rank, err));
    }
    if (c->in[IN_COS]->has_rank && c->in[IN_SIN]->has_rank)
        MD_TRY(md_infer__must_equal(c, c->in[IN_SIN]->dim[0],
                                    c->in[IN_COS]->dim[0],
                                    "the length of sin_cache", err));
    MD_TRY(md_infer__may(c, IN_POSITIONS, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, IN_POSITIONS, 2, 2, err));
    if (c->in[IN_X]->has_rank) {
        MD_TRY(find_sizes(c, &s, err));
        MD_TRY(check_caches(c, &s, err));
    }
    md_infer__give(c, 0, c->in[IN_X]);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

typedef struct rotation {
    const md_tensor *x, *positions;
    const float *cos, *sin; /* [..., half] */
    md_tensor *out;
    int64_t heads, length, size, half, n_rows;
    bool packed; /* heads of one position lie behind one another */
    bool interleaved;
    const md_rotate_f32_kernel *kernel;
    float *buffers; /* 2 * size for each thread */
} rotation;

/* Row r of x, in the order in which they lie: its place among the angles. */
static int64_t angle_of(const rotation *w, int64_t r)
{
    int64_t batch = r / (w->heads * w->length);
    int64_t at = w->packed ? r / w->heads : batch * w->length + r % w->length;

    return w->positions ? ((const int64_t *)w->positions->data)[at] : at;
}

static void turn_rows(void *ctx, int64_t chunk, int worker)
{
    const rotation *w = ctx;
    float *in = w->buffers + (int64_t)worker * 2 * w->size, *out = in + w->size;
    int64_t end = md_min_i64(w->n_rows, (chunk + 1) * CHUNK);

    for (int64_t r = chunk * CHUNK; r < end; r++) {
        int64_t at = angle_of(w, r) * w->half;
        const float *from = in;
        float *to = out;

        if (w->x->dtype == MD_DTYPE_F32) {
            from = (const float *)w->x->data + r * w->size;
            to = (float *)w->out->data + r * w->size;
        } else {
            md_load_f32(in, w->x, r * w->size, w->size);
        }
        md_rotate__turn(w->kernel,
                        &(md_rotate_f32_args){ .y = to,
                                               .x = from,
                                               .c = w->cos + at,
                                               .s = w->sin + at,
                                               .rows = 1,
                                               .half = w->half,
                                               .pairs = w->interleaved },
                        w->size);
        if (w->x->dtype != MD_DTYPE_F32)
            md_store_f32(w->out, r * w->size, out, w->size);
    }
}

static md_status check_positions(const md_exec *x, md_error *err)
{
    const md_tensor *t = x->in[IN_POSITIONS];
    int64_t n = x->in[IN_COS]->shape.dim[0];

    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        int64_t v = ((const int64_t *)t->data)[i];

        if (v < 0 || v >= n)
            return md_fail(err, MD_INVALID,
                           "position %lld is out of range for %lld positions",
                           (long long)v, (long long)n);
    }
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *caches = &x->in[IN_COS]->shape;
    rotation w = { .x = x->in[IN_X],
                   .out = out,
                   .half = caches->dim[caches->rank - 1],
                   .packed = out->shape.rank == 3,
                   .kernel = md_rotate_f32_select(x->cpu),
                   .interleaved =
                       md_node_attr_i(x->node, "interleaved", 0) != 0 };
    sizes s;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_sizes(&c, &s, err));
    w.heads = s.heads.k;
    w.length = s.length.k;
    w.size = s.size.k;
    w.n_rows = md_tensor_n(out) / w.size;
    if (md_exec_has(x, IN_POSITIONS)) {
        w.positions = x->in[IN_POSITIONS];
        MD_TRY(check_positions(x, err));
    }
    MD_TRY(md_exec__as_f32(&w.cos, x->in[IN_COS], ar, err));
    MD_TRY(md_exec__as_f32(&w.sin, x->in[IN_SIN], ar, err));
    MD_TRY(md_exec__scratch(&w.buffers, ar,
                            (int64_t)md_pool_width(x->pool) * 2 * w.size,
                            sizeof(*w.buffers), err));
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, md_div_up(w.n_rows, CHUNK),
                turn_rows, &w);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_rotary_embedding = {
    .domain = "",
    .name = "RotaryEmbedding",
    .since = 23,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
