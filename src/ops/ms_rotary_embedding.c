/*
 * com.microsoft's RotaryEmbedding: the first rotary_embedding_dim elements of
 * each head's row turned in pairs by the angles of its position.
 *
 * Input [B,S,N*H] or [B,N,S,H]; position_ids [1]: the first position, or
 * [B,S]; caches [max, R/2].
 */
#include "ops/common/rotate.h"

enum { /* inputs */
    IN_X,
    IN_POSITIONS,
    IN_COS,
    IN_SIN
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* Head sizes follow from num_heads, from rank 4, or from the caches. */
static md_status find_size(const md_infer *c, int64_t *heads, int64_t *size,
                           md_error *err)
{
    const md_type *x = c->in[IN_X], *cache = c->in[IN_COS];
    int64_t given = md_node_attr_i(c->node, "num_heads", 0);
    md_dim row = x->dim[x->rank - 1];

    *heads = *size = -1;
    if (given < 0 || given > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 0 expected",
                       (long long)given);
    if (!md_dim_is_const(row))
        return MD_OK;
    if (x->rank == 4) {
        *heads = md_dim_is_const(x->dim[1]) ? x->dim[1].k : -1;
        *size = row.k;
        return MD_OK;
    }
    *size = given > 0 ? row.k / given : -1;
    if (given == 0 && cache->has_rank && md_dim_is_const(cache->dim[1]))
        *size = 2 * cache->dim[1].k;
    if (*size < 0)
        return MD_OK;
    if (*size == 0 ? row.k != 0 : row.k % *size != 0)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into heads of %lld",
                       (long long)row.k, (long long)*size);
    *heads = *size ? row.k / *size : given;
    return MD_OK;
}

static md_status check(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_X, TYPES, err));
    MD_TRY(md_infer__need(c, IN_POSITIONS, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, IN_X, 3, 4, err));
    MD_TRY(md_infer__rank(c, IN_POSITIONS, 0, 2, err));
    for (uint32_t i = IN_COS; i <= IN_SIN; i++) {
        MD_TRY(md_infer__need(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, IN_X, i, err));
        MD_TRY(md_infer__rank(c, i, 2, 2, err));
    }
    if (md_node_attr_i(c->node, "rotary_embedding_dim", 0) > 0 &&
        md_node_attr_i(c->node, "num_heads", 0) <= 0 && c->in[IN_X]->has_rank &&
        c->in[IN_X]->rank == 3)
        return md_fail(err, MD_INVALID,
                       "rotary_embedding_dim is given without num_heads");
    return MD_OK;
}

static md_status check_positions(const md_infer *c, md_error *err)
{
    const md_type *p = c->in[IN_POSITIONS], *x = c->in[IN_X];

    if (!p->has_rank)
        return MD_OK;
    if (p->rank < 2)
        return md_infer__length(c, p, MD_DIM(1), "position_ids", err);
    MD_TRY(md_infer__must_equal(c, p->dim[0], x->dim[0],
                                "axis 0 of position_ids", err));
    return md_infer__must_equal(c, p->dim[1], x->dim[x->rank == 4 ? 2 : 1],
                                "axis 1 of position_ids", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t heads, size, turn;

    MD_TRY(check(c, err));
    md_infer__give(c, 0, c->in[IN_X]);
    if (!c->in[IN_X]->has_rank)
        return MD_OK;
    MD_TRY(find_size(c, &heads, &size, err));
    MD_TRY(check_positions(c, err));
    turn = md_node_attr_i(c->node, "rotary_embedding_dim", 0);
    if (turn < 0 || turn % 2 || (size >= 0 && turn > size))
        return md_fail(err, MD_INVALID,
                       "rotary_embedding_dim is %lld, even and at most %lld "
                       "expected",
                       (long long)turn, (long long)size);
    return md_rotate__check_caches(c, IN_COS, IN_SIN, turn ? turn : size, err);
}

/* Rows of all heads: row r is of element r / n. */
typedef struct job {
    md_rotate r;
    const md_tensor *positions;
    int64_t heads, n;
    bool given; /* a position for each row, not that of the first */
} job;

static md_status turn_row(const job *j, int64_t row, md_error *err)
{
    const int64_t *p = j->positions->data;
    int64_t b = row / j->n, i = row % j->n;

    return md_rotate__row(&j->r, j->heads, b, i, j->given ? p[row] : p[0] + i,
                          err);
}

static void turn_part(void *ctx, int64_t from, int64_t to)
{
    for (int64_t row = from; row < to; row++)
        (void)turn_row(ctx, row, NULL); /* its position was looked at */
}

/* The positions are in the caches: MD_INVALID. */
static md_status look_at_positions(const job *j, int64_t rows, md_error *err)
{
    const int64_t *p = j->positions->data;

    for (int64_t row = 0; row < rows; row++)
        MD_TRY(md_rotate__check_position(
            &j->r, j->given ? p[row] : p[0] + row % j->n, err));
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[IN_X], *p = x->in[IN_POSITIONS];
    bool first = in->shape.rank == 4;
    int64_t size, n = in->shape.dim[first ? 2 : 1];
    int64_t rows = in->shape.dim[0] * n;
    job j = { .r = { .cos = x->in[IN_COS],
                     .sin = x->in[IN_SIN],
                     .interleaved =
                         md_node_attr_i(x->node, "interleaved", 0) != 0,
                     .kernel = md_rotate_f32_select(x->cpu),
                     .scale = md_node_attr_f(x->node, "scale", 1.0f) },
              .positions = p,
              .n = n,
              .given = p->shape.rank == 2 };
    md_rotate *r = &j.r;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_size(&c, &j.heads, &size, err));
    r->turn = 2 * r->cos->shape.dim[1];
    r->in = first ? md_heads__first(in, j.heads, n, size)
                  : md_heads__last(in, j.heads, n, size);
    r->out = r->in;
    r->out.t = out;
    MD_TRY(look_at_positions(&j, rows, err));
    if (md_rotate__is_plain(r)) {
        md_exec__share(x, rows, 20.0 + 0.5 * (double)(j.heads * size),
                       turn_part, &j);
        return MD_OK;
    }
    MD_TRY(md_rotate__begin(r, ar, err));
    for (int64_t row = 0; row < rows; row++)
        MD_TRY(turn_row(&j, row, err));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_rotary_embedding = {
    .domain = "com.microsoft",
    .name = "RotaryEmbedding",
    .since = 1,
    .in_min = 4,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
