/*
 * modeld's own, a part of com.microsoft's SparseAttention: which keys a query
 * may see by blocks, as what is added to scores, 0 or -inf: [B, N, S, total],
 * with one head for all where there is one layout.
 *
 * The layouts [L, M, M] of blocks are given by the columns of their rows
 * (CSR): block_row_indices [L, M + 1], block_col_indices [L, most]; head h has
 * layout h modulo L.  Of query and past_key only the shapes are read.
 */
#include <math.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_QUERY,
    IN_PAST,
    IN_ROWS,
    IN_COLUMNS,
    IN_TOTAL,
    IN_LENGTHS
};

enum {
    BLOCK_MAX = 1 << 16 /* keys of a block */
};

static md_status check_attrs(const md_node *n, md_error *err)
{
    int64_t block = md_node_attr_i(n, "sparse_block_size", 0);
    int64_t heads = md_node_attr_i(n, "num_heads", 0);

    if (block < 1 || block > BLOCK_MAX)
        return md_fail(err, MD_INVALID,
                       "sparse_block_size is %lld, 1 to %d expected",
                       (long long)block, BLOCK_MAX);
    if (heads < 1 || heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected",
                       (long long)heads);
    return MD_OK;
}

static md_status check_inputs(const md_infer *c, md_error *err)
{
    const md_type *q = c->in[IN_QUERY];

    MD_TRY(md_infer__need(c, IN_QUERY, MD_T(F32) | MD_T(F16), err));
    MD_TRY(md_infer__rank(c, IN_QUERY, 3, 3, err));
    MD_TRY(md_infer__rank(c, IN_PAST, 4, 4, err));
    for (uint32_t i = IN_ROWS; i <= IN_LENGTHS; i++)
        MD_TRY(md_infer__need(c, i, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, IN_ROWS, 2, 2, err));
    MD_TRY(md_infer__rank(c, IN_COLUMNS, 2, 2, err));
    MD_TRY(md_infer__length(c, c->in[IN_TOTAL], MD_DIM(1),
                            "total_sequence_length", err));
    if (!q->has_rank)
        return MD_OK;
    return md_infer__length(c, c->in[IN_LENGTHS], q->dim[0],
                            "key_total_sequence_lengths", err);
}

/* One head where all have one layout. */
static md_status find_heads(const md_infer *c, md_dim *out, md_error *err)
{
    const md_type *rows = c->in[IN_ROWS], *columns = c->in[IN_COLUMNS];

    if (!rows->has_rank)
        return MD_OK;
    if (columns->has_rank)
        MD_TRY(md_infer__must_equal(c, columns->dim[0], rows->dim[0],
                                    "the number of layouts", err));
    if (md_dim_equal(rows->dim[0], MD_DIM(1)))
        *out = MD_DIM(1);
    else if (md_dim_is_const(rows->dim[0]))
        *out = MD_DIM(md_node_attr_i(c->node, "num_heads", 0));
    return MD_OK;
}

static md_status find_total(const md_infer *c, md_dim *out, md_error *err)
{
    const md_tensor *total = c->cin[IN_TOTAL];

    if (!total || md_tensor_n(total) != 1)
        return MD_OK;
    *out = MD_DIM(md_tensor_get_i64(total, 0));
    if (out->k < 0)
        return md_fail(err, MD_INVALID,
                       "total_sequence_length is %lld, at least 0 expected",
                       (long long)out->k);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *q = c->in[IN_QUERY];
    md_type y;

    MD_TRY(check_attrs(c->node, err));
    MD_TRY(check_inputs(c, err));
    MD_TRY(md_infer__fresh_type(c, &y, md_infer__dtype(c, IN_QUERY), 4, err));
    if (q->has_rank) {
        y.dim[0] = q->dim[0];
        y.dim[2] = q->dim[1];
    }
    MD_TRY(find_heads(c, &y.dim[1], err));
    MD_TRY(find_total(c, &y.dim[3], err));
    md_infer__give(c, 0, &y);
    return MD_OK;
}

typedef struct layouts {
    const int32_t *rows, *columns; /* [n][n_blocks + 1], [n][most] */
    int64_t n, n_blocks, most, block;
} layouts;

/* The columns of a row, [*from, *to) of its layout's. */
static md_status find_columns(const layouts *l, int64_t layout, int64_t row,
                              int64_t *from, int64_t *to, md_error *err)
{
    const int32_t *rows = l->rows + layout * (l->n_blocks + 1);
    const int32_t *columns = l->columns + layout * l->most;

    if (row >= l->n_blocks)
        return md_fail(err, MD_INVALID,
                       "a query in block %lld, block_row_indices has %lld",
                       (long long)row, (long long)l->n_blocks);
    *from = rows[row];
    *to = rows[row + 1];
    if (*from < 0 || *to < *from || *to > l->most)
        return md_fail(err, MD_INVALID,
                       "block_row_indices has %lld and %lld, an ascending pair "
                       "from 0 to %lld expected",
                       (long long)*from, (long long)*to, (long long)l->most);
    for (int64_t i = *from; i < *to; i++) {
        if (columns[i] < 0 || columns[i] >= l->n_blocks)
            return md_fail(err, MD_INVALID,
                           "block_col_indices has %d, 0 to %lld expected",
                           (int)columns[i], (long long)l->n_blocks - 1);
    }
    return MD_OK;
}

/* What is added to the scores of n keys for a query at `at`. */
static md_status fill(const layouts *l, float *v, int64_t n, int64_t layout,
                      int64_t at, md_error *err)
{
    int64_t from = 0, to = 0;

    for (int64_t j = 0; j < n; j++)
        v[j] = -INFINITY;
    MD_TRY(find_columns(l, layout, at / l->block, &from, &to, err));
    for (int64_t i = from; i < to; i++) {
        int64_t first = l->columns[layout * l->most + i] * l->block;

        for (int64_t j = first; j < first + l->block && j < n; j++)
            v[j] = 0.0f;
    }
    return MD_OK;
}

static md_status check_lengths(const md_exec *x, int64_t n_q, int64_t total,
                               md_error *err)
{
    const md_tensor *t = x->in[IN_LENGTHS];
    int64_t room = x->in[IN_PAST]->shape.dim[2];

    if (total > room)
        return md_fail(err, MD_INVALID,
                       "total_sequence_length is %lld, the cache has %lld",
                       (long long)total, (long long)room);
    for (int64_t b = 0; b < md_tensor_n(t); b++) {
        int64_t n = md_tensor_get_i64(t, b);

        if (n < 1 || n > total || (n < n_q && n_q < total))
            return md_fail(err, MD_INVALID,
                           "key_total_sequence_lengths has %lld, %lld to %lld "
                           "expected",
                           (long long)n, (long long)(n_q < total ? n_q : 1),
                           (long long)total);
    }
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape, *rows = &x->in[IN_ROWS]->shape;
    int64_t n_q = s->dim[2], total = s->dim[3];
    layouts l = { .rows = x->in[IN_ROWS]->data,
                  .columns = x->in[IN_COLUMNS]->data,
                  .n = rows->dim[0],
                  .n_blocks = rows->dim[1] - 1,
                  .most = x->in[IN_COLUMNS]->shape.dim[1],
                  .block = md_node_attr_i(x->node, "sparse_block_size", 0) };
    float *v;

    if (l.n < 1)
        return md_fail(err, MD_INVALID, "no layout of blocks");
    MD_TRY(check_lengths(x, n_q, total, err));
    MD_TRY(md_exec__scratch(&v, ar, total, sizeof(*v), err));
    for (int64_t r = 0; r < s->dim[0] * s->dim[1] * n_q; r++) {
        int64_t head = r / n_q % s->dim[1], b = r / n_q / s->dim[1];
        int64_t n = md_tensor_get_i64(x->in[IN_LENGTHS], b);
        int64_t past = n > n_q ? n - n_q : 0;

        MD_TRY(fill(&l, v, total, head % l.n, past + r % n_q, err));
        md_store_f32(out, r * total, v, total);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_block_bias = {
    .domain = "modeld",
    .name = "BlockBias",
    .since = 1,
    .in_min = 6,
    .in_max = 6,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
