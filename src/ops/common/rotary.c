#include "ops/common/rotary.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* Head sizes follow from num_heads, from rank 4, or from the caches. */
static md_status find_size(const md_infer *c, int64_t *heads, int64_t *size,
                           md_error *err)
{
    const md_type *x = c->in[MD_ROTARY_X], *cache = c->in[MD_ROTARY_COS];
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
    MD_TRY(md_infer__need(c, MD_ROTARY_X, TYPES, err));
    MD_TRY(md_infer__need(c, MD_ROTARY_POSITIONS, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, MD_ROTARY_X, 3, 4, err));
    for (uint32_t i = MD_ROTARY_COS; i <= MD_ROTARY_SIN; i++) {
        MD_TRY(md_infer__need(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, MD_ROTARY_X, i, err));
        MD_TRY(md_infer__rank(c, i, 2, 2, err));
    }
    if (md_node_attr_i(c->node, "rotary_embedding_dim", 0) > 0 &&
        md_node_attr_i(c->node, "num_heads", 0) <= 0 &&
        c->in[MD_ROTARY_X]->has_rank && c->in[MD_ROTARY_X]->rank == 3)
        return md_fail(err, MD_INVALID,
                       "rotary_embedding_dim is given without num_heads");
    return MD_OK;
}

md_status md_rotary__infer(const md_infer *c, int64_t *turn, md_error *err)
{
    int64_t heads, size, given;

    *turn = -1;
    MD_TRY(check(c, err));
    md_infer__give(c, 0, c->in[MD_ROTARY_X]);
    if (!c->in[MD_ROTARY_X]->has_rank)
        return MD_OK;
    MD_TRY(find_size(c, &heads, &size, err));
    given = md_node_attr_i(c->node, "rotary_embedding_dim", 0);
    if (given < 0 || given % 2 || (size >= 0 && given > size))
        return md_fail(err, MD_INVALID,
                       "rotary_embedding_dim is %lld, even and at most %lld "
                       "expected",
                       (long long)given, (long long)size);
    *turn = given ? given : size;
    return md_rotate__check_caches(c, MD_ROTARY_COS, MD_ROTARY_SIN, *turn, err);
}

int md_rotary__axis(int rank)
{
    return rank == 4 ? 2 : 1;
}

/* Rows of all heads: row r is of element r / n. */
typedef struct job {
    md_rotate r;
    const int64_t *positions;
    int64_t heads, n;
} job;

static md_status turn_row(const job *j, int64_t row, md_error *err)
{
    return md_rotate__row(&j->r, j->heads, row / j->n, row % j->n,
                          j->positions ? j->positions[row] : row, err);
}

static void turn_part(void *ctx, int64_t from, int64_t to)
{
    for (int64_t row = from; row < to; row++)
        (void)turn_row(ctx, row, NULL); /* its position was looked at */
}

md_status md_rotary__run(md_exec *x, md_tensor *out, const md_tensor *cos,
                         const md_tensor *sin, const int64_t *positions,
                         md_arena *ar, md_error *err)
{
    const md_tensor *in = x->in[MD_ROTARY_X];
    int64_t size, n = in->shape.dim[md_rotary__axis(in->shape.rank)];
    int64_t rows = in->shape.dim[0] * n;
    job j = { .r = { .cos = cos,
                     .sin = sin,
                     .turn = 2 * cos->shape.dim[1],
                     .interleaved =
                         md_node_attr_i(x->node, "interleaved", 0) != 0,
                     .kernel = md_rotate_f32_select(x->cpu),
                     .scale = md_node_attr_f(x->node, "scale", 1.0f) },
              .positions = positions,
              .n = n };
    md_rotate *r = &j.r;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_size(&c, &j.heads, &size, err));
    r->in = in->shape.rank == 4 ? md_heads__first(in, j.heads, n, size)
                                : md_heads__last(in, j.heads, n, size);
    r->out = r->in;
    r->out.t = out;
    for (int64_t row = 0; row < rows && positions; row++)
        MD_TRY(md_rotate__check_position(r, positions[row], err));
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
