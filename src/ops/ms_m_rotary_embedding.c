/*
 * com.microsoft's MRotaryEmbedding: RotaryEmbedding where a token has three
 * positions, in time, height and width (Qwen2-VL): each angle is that of one of
 * them, by mrope_section.
 *
 * position_ids [3,B,S].
 */
#include "ops/common/rotary.h"

enum {
    N_STREAMS = 3,
    SECTIONED = 0, /* mrope_layout: one behind the other ... */
    INTERLEAVED    /* ... or by turns, and what is left of the first */
};

static md_status check_sections(const md_infer *c, int64_t turn, md_error *err)
{
    const md_attr *a = md_node_attr(c->node, "mrope_section");
    int64_t layout = md_node_attr_i(c->node, "mrope_layout", SECTIONED);
    int64_t left = turn / 2;

    if (!a || a->n != N_STREAMS)
        return md_fail(err, MD_INVALID,
                       "mrope_section has %u elements, %d expected",
                       a ? (unsigned)a->n : 0u, N_STREAMS);
    for (int i = 0; i < N_STREAMS; i++) {
        if (a->v.is[i] < 0 || a->v.is[i] > INT32_MAX)
            return md_fail(err, MD_INVALID,
                           "mrope_section has %lld, at least 0 expected",
                           (long long)a->v.is[i]);
        left -= a->v.is[i];
    }
    if (turn >= 0 && left != 0)
        return md_fail(err, MD_INVALID,
                       "mrope_section adds up to %lld, %lld expected",
                       (long long)(turn / 2 - left), (long long)(turn / 2));
    if (layout != SECTIONED && layout != INTERLEAVED)
        return md_fail(err, MD_INVALID, "mrope_layout is %lld, 0 or 1 expected",
                       (long long)layout);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *p = c->in[MD_ROTARY_POSITIONS], *x = c->in[MD_ROTARY_X];
    int64_t turn;

    MD_TRY(md_rotary__infer(c, &turn, err));
    MD_TRY(check_sections(c, turn, err));
    MD_TRY(md_infer__rank(c, MD_ROTARY_POSITIONS, 3, 3, err));
    if (md_node_attr_i(c->node, "num_heads", 0) < 1 &&
        ((x->has_rank && x->rank == 3) ||
         md_node_attr_i(c->node, "rotary_embedding_dim", 0) > 0))
        return md_fail(err, MD_INVALID, "num_heads is missing");
    if (!p->has_rank || !x->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, p->dim[0], MD_DIM(N_STREAMS),
                                "axis 0 of position_ids", err));
    MD_TRY(md_infer__must_equal(c, p->dim[1], x->dim[0],
                                "axis 1 of position_ids", err));
    return md_infer__must_equal(c, p->dim[2], x->dim[md_rotary__axis(x->rank)],
                                "axis 2 of position_ids", err);
}

/* Which of the three positions angle i has. */
static int stream_of(const md_node *n, int64_t i)
{
    const int64_t *size = md_node_attr(n, "mrope_section")->v.is;

    if (md_node_attr_i(n, "mrope_layout", SECTIONED) == INTERLEAVED)
        return i < N_STREAMS * size[i % N_STREAMS] ? (int)(i % N_STREAMS) : 0;
    return i < size[0] ? 0 : i < size[0] + size[1] ? 1 : 2;
}

/* Columns of a cache at the positions of each token: [rows][half] of float32. */
static void gather(float *to, const md_tensor *cache, const int64_t *positions,
                   int64_t rows, const int *stream)
{
    int64_t half = cache->shape.dim[1];

    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < half; i++)
            md_load_f32(to + row * half + i, cache,
                        positions[stream[i] * rows + row] * half + i, 1);
    }
}

static md_status check_positions(const int64_t *positions, int64_t n,
                                 int64_t most, md_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        if (positions[i] < 0 || positions[i] >= most)
            return md_fail(err, MD_INVALID,
                           "position %lld is outside the cache, 0 to %lld "
                           "expected",
                           (long long)positions[i], (long long)most - 1);
    }
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const int64_t *positions = x->in[MD_ROTARY_POSITIONS]->data;
    const md_shape *s = &x->in[MD_ROTARY_X]->shape;
    const md_shape *cache = &x->in[MD_ROTARY_COS]->shape;
    int64_t rows = s->dim[0] * s->dim[md_rotary__axis(s->rank)];
    int64_t half = cache->dim[1];
    md_tensor angle[2];
    int *stream;

    MD_TRY(check_positions(positions, N_STREAMS * rows, cache->dim[0], err));
    MD_TRY(md_exec__scratch(&stream, ar, half, sizeof(*stream), err));
    for (int64_t i = 0; i < half; i++)
        stream[i] = stream_of(x->node, i);
    for (uint32_t k = 0; k < 2; k++) {
        angle[k] = (md_tensor){ .dtype = MD_DTYPE_F32,
                                .shape = { 2, { rows, half } } };
        MD_TRY(md_exec__scratch(&angle[k].data, ar, rows * half, sizeof(float),
                                err));
        gather(angle[k].data, x->in[MD_ROTARY_COS + k], positions, rows,
               stream);
    }
    return md_rotary__run(x, out, &angle[0], &angle[1], NULL, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_m_rotary_embedding = {
    .domain = "com.microsoft",
    .name = "MRotaryEmbedding",
    .since = 1,
    .in_min = 4,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
