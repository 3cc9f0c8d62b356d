/* Indices of the elements that are not 0, one column each, in row-major
 * order: how many there are depends on data. */
#include <string.h>

#include "ops/common/util.h"

/* Which of n <= MD_CHUNK elements are not 0. */
static void find_set(uint8_t *set, const md_tensor *t, int64_t at, int64_t n)
{
    double f64[MD_CHUNK];
    int64_t i64[MD_CHUNK];

    if (md_dtype_bits(t->dtype) == 8) { /* no float type of 8 bits comes here */
        memcpy(set, (const char *)t->data + at, (size_t)n);
        return;
    }
    if (md_dtype_is_float(t->dtype)) {
        md_load_f64(f64, t, at, n);
        for (int64_t i = 0; i < n; i++)
            set[i] = f64[i] != 0.0;
        return;
    }
    md_load_i64(i64, t, at, n);
    for (int64_t i = 0; i < n; i++)
        set[i] = i64[i] != 0;
}

static int64_t count_set(const md_tensor *t)
{
    int64_t all = md_tensor_n(t), count = 0;
    uint8_t set[MD_CHUNK];

    for (int64_t at = 0; at < all; at += MD_CHUNK) {
        int64_t n = md_min_i64(MD_CHUNK, all - at);

        find_set(set, t, at, n);
        for (int64_t i = 0; i < n; i++)
            count += set[i] != 0;
    }
    return count;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I64 };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER | MD_T(BOOL), err));
    if (c->in[0]->has_rank) {
        t.has_rank = true;
        t.rank = 2;
        t.dim[0] = MD_DIM(c->in[0]->rank);
        MD_TRY(md_infer__fresh(c, &t.dim[1], err));
    }
    if (c->cin[0]) {
        t.dim[1] = MD_DIM(count_set(c->cin[0]));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* The columns of those among n elements from column `from` of a row on, whose
 * other indices are known; returns the number of the next column. */
static int64_t put_columns(md_tensor *out, int64_t column, const uint8_t *set,
                           const int64_t *index, int64_t from, int64_t n)
{
    int64_t columns = out->shape.dim[1], *to = out->data, first = column;
    int last = (int)out->shape.dim[0] - 1;

    for (int64_t i = 0; i < n && column < columns; i++) {
        to[last * columns + column] = from + i; /* or the next one does */
        column += set[i] != 0;
    }
    for (int d = 0; d < last; d++)
        for (int64_t i = first; i < column; i++)
            to[d * columns + i] = index[d];
    return column;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    const md_shape *s = &in->shape;
    int64_t row = s->dim[s->rank - 1], at = 0, column = 0;
    int64_t index[MD_RANK_MAX] = { 0 };
    uint8_t set[MD_CHUNK];

    (void)ar;
    (void)err;
    do {
        for (int64_t from = 0; from < row; from += MD_CHUNK) {
            int64_t n = md_min_i64(MD_CHUNK, row - from);

            find_set(set, in, at + from, n);
            column = put_columns(out, column, set, index, from, n);
        }
        at += row;
    } while (md_step_index(index, s->dim, s->rank - 1));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_non_zero = {
    .domain = "",
    .name = "NonZero",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
