/*
 * com.microsoft's RotaryEmbedding: the first rotary_embedding_dim elements of
 * each head's row turned in pairs by the angles of its position.
 *
 * position_ids [1]: the first position, or [B,S].
 */
#include "ops/common/rotary.h"

static md_status check_positions(const md_infer *c, md_error *err)
{
    const md_type *p = c->in[MD_ROTARY_POSITIONS], *x = c->in[MD_ROTARY_X];

    MD_TRY(md_infer__rank(c, MD_ROTARY_POSITIONS, 0, 2, err));
    if (!p->has_rank)
        return MD_OK;
    if (p->rank < 2)
        return md_infer__length(c, p, MD_DIM(1), "position_ids", err);
    if (!x->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, p->dim[0], x->dim[0],
                                "axis 0 of position_ids", err));
    return md_infer__must_equal(c, p->dim[1], x->dim[md_rotary__axis(x->rank)],
                                "axis 1 of position_ids", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t turn;

    MD_TRY(md_rotary__infer(c, &turn, err));
    return check_positions(c, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[MD_ROTARY_X]->shape;
    const md_tensor *p = x->in[MD_ROTARY_POSITIONS];
    const int64_t *given = p->data;
    int64_t n = s->dim[md_rotary__axis(s->rank)], rows = s->dim[0] * n, *from;

    MD_TRY(md_exec__scratch(&from, ar, rows, sizeof(*from), err));
    for (int64_t row = 0; row < rows; row++)
        from[row] = p->shape.rank == 2 ? given[row] : given[0] + row % n;
    return md_rotary__run(x, out, x->in[MD_ROTARY_COS], x->in[MD_ROTARY_SIN],
                          from, ar, err);
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
