/*
 * com.microsoft's DynamicTimeWarping: a cheap way through a table of costs from
 * its first to its last place, by steps of one down, right or both.  As Whisper
 * aligns words, a step is down or both only where that is cheaper than either
 * of the others; so where these two cost the same, it is right.
 */
#include <math.h>

#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I32, .has_rank = true, .rank = 2 };
    const md_type *x = c->in[0];

    MD_TRY(md_infer__need(c, 0, MD_T(F32), err));
    MD_TRY(md_infer__rank(c, 0, 2, 3, err));
    if (x->has_rank && x->rank == 3)
        MD_TRY(md_infer__must_equal(c, x->dim[0], MD_DIM(1),
                                    "the first of three axes", err));
    for (int d = x->rank - 2; x->has_rank && d < x->rank; d++) {
        if (md_dim_is_const(x->dim[d]) && x->dim[d].k < 1)
            return md_fail(err, MD_INVALID, "an empty table of costs");
    }
    t.dim[0] = MD_DIM(2);
    MD_TRY(md_infer__fresh(c, &t.dim[1], err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

enum {
    BOTH,
    DOWN,
    RIGHT
};

/* cost[r][c] of the way from (0, 0), and its last step. */
static void spread(float *cost, uint8_t *step, const float *x, int64_t rows,
                   int64_t columns)
{
    for (int64_t i = 0; i < rows * columns; i++) {
        int64_t r = i / columns, c = i % columns;
        float both = r && c ? cost[i - columns - 1] : i ? INFINITY : 0.0f;
        float down = r ? cost[i - columns] : INFINITY;
        float right = c ? cost[i - 1] : INFINITY;

        step[i] = RIGHT;
        if (both < down && both < right)
            step[i] = BOTH;
        else if (down < both && down < right)
            step[i] = DOWN;
        cost[i] = x[i] + (step[i] == BOTH   ? both
                          : step[i] == DOWN ? down
                                            : right);
    }
}

static md_status walk(md_exec *x, const md_infer *c, md_arena *ar,
                      md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    int64_t rows = s->dim[s->rank - 2], columns = s->dim[s->rank - 1], n = 0;
    int32_t *path;
    md_tensor *out;
    uint8_t *step;
    float *cost;

    (void)c;
    MD_TRY(md_exec__scratch(&cost, ar, rows * columns, sizeof(*cost), err));
    MD_TRY(md_exec__scratch(&step, ar, rows * columns, sizeof(*step), err));
    MD_TRY(
        md_exec__scratch(&path, ar, 2 * (rows + columns), sizeof(*path), err));
    spread(cost, step, x->in[0]->data, rows, columns);
    for (int64_t i = rows - 1, j = columns - 1; i >= 0 && j >= 0; n++) {
        int how = i + j ? step[i * columns + j] : BOTH;

        path[2 * n] = (int32_t)i;
        path[2 * n + 1] = (int32_t)j;
        i -= how != RIGHT;
        j -= how != DOWN;
    }
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_I32, &(md_shape){ 2, { 2, n } }, &out,
                          err));
    for (int64_t i = 0; i < n && out; i++) {
        ((int32_t *)out->data)[i] = path[2 * (n - 1 - i)];
        ((int32_t *)out->data)[n + i] = path[2 * (n - 1 - i) + 1];
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, walk, err);
}

const md_op md_op_ms_dynamic_time_warping = {
    .domain = "com.microsoft",
    .name = "DynamicTimeWarping",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
