/* Operators that make tensors of shapes, counts and places. */
#include "convert/tflite/build.h"

enum {
    GRID_MAX = 1 << 22 /* places in a table of indices */
};

void md_tfl_emit_shape(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    int64_t order[MD_RANK_MAX];
    md_value_id x =
        md_emit_op1(&b->e, "Shape", md_tfl_code(b, md_tfl_in(b, 0), l));

    for (int i = 0; i < rank; i++)
        order[i] = md_tfl_axis(l, rank, i);
    if (l == MD_TFL_FIRST)
        x = md_emit_op2(&b->e, "Gather", x, md_emit_ints(&b->e, order, rank));
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

void md_tfl_emit_rank(md_tfl_build *b)
{
    md_tfl_set(b, 0, md_emit_int(&b->e, md_tfl_rank_in(b, 0)), MD_TFL_LAST);
}

void md_tfl_emit_fill(md_tfl_build *b)
{
    bool codes = md_tfl_same_codes(b, 1);
    md_value_id v =
        codes ? md_tfl_code(b, md_tfl_in(b, 1), MD_TFL_LAST) : md_tfl_x(b, 1);

    md_tfl_set_moved(b, 0, md_emit_op2(&b->e, "Expand", v, md_tfl_list(b, 0)),
                     MD_TFL_LAST, codes);
}

void md_tfl_emit_range(md_tfl_build *b)
{
    md_value_id in[3];

    for (uint32_t i = 0; i < 3; i++)
        in[i] = md_emit_reshape(&b->e, md_tfl_x(b, i), NULL, 0);
    md_tfl_set(b, 0, md_emit_op(&b->e, "Range", in, 3, NULL), MD_TFL_LAST);
}

void md_tfl_emit_broadcast_to(md_tfl_build *b)
{
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);

    md_tfl_set_moved(b, 0, md_emit_op2(&b->e, "Expand", x, md_tfl_list(b, 1)),
                     MD_TFL_LAST, codes);
}

/* The shape that two shapes broadcast to: that of something broadcast. */
void md_tfl_emit_broadcast_args(md_tfl_build *b)
{
    md_value_id x =
        md_emit_op2(&b->e, "Expand", md_emit_number(&b->e, MD_DTYPE_BOOL, 0),
                    md_tfl_list(b, 0));

    x = md_emit_op2(&b->e, "Expand", x, md_tfl_list(b, 1));
    md_tfl_set(b, 0, md_emit_op1(&b->e, "Shape", x), MD_TFL_LAST);
}

/* A constant 0, 1, 2, ... of n elements that lies along `axis` of rank. */
static md_value_id count(md_tfl_build *b, int64_t n, int axis, int rank)
{
    md_shape shape = { rank - axis, { n } };
    md_tensor t = MD_TENSOR_INIT;

    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_I64, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    for (int64_t i = 0; i < n; i++)
        ((int64_t *)t.data)[i] = i;
    return md_emit_const(&b->e, t);
}

/* indices, depth, on, off; unlike ONNX's, indices below 0 are nowhere. */
void md_tfl_emit_one_hot(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0) + 1;
    int32_t given = md_fb_i32(&b->op->options, 0, -1);
    int axis = md_tfl_norm_axis(b, given, rank);
    int64_t depth = 0;
    uint32_t n = 0;
    md_value_id x;

    if (!md_tfl_read_ints(b, 1, &depth, 1, &n) || n != 1)
        return;
    if (depth < 0 || depth > GRID_MAX) {
        md_emit_fail(&b->e, MD_CORRUPT, "depth %lld", (long long)depth);
        return;
    }
    x = md_emit_unsqueeze(&b->e, md_tfl_list(b, 0), axis);
    x = md_emit_op2(&b->e, "Equal", x, count(b, depth, axis, rank));
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "Where",
                          (md_value_id[]){ x, md_tfl_x(b, 2), md_tfl_x(b, 3) },
                          3, NULL),
               MD_TFL_LAST);
}

void md_tfl_emit_where(md_tfl_build *b)
{
    md_value_id x = md_emit_op1(&b->e, "NonZero", md_tfl_x(b, 0));

    md_tfl_set(b, 0, md_emit_transpose(&b->e, x, (const int64_t[]){ 1, 0 }, 2),
               MD_TFL_LAST);
}

/* Ones on the diagonal, as booleans [n, n]. */
static md_value_id diagonal(md_tfl_build *b, int64_t n)
{
    return md_emit_op2(&b->e, "Equal", count(b, n, 0, 2), count(b, n, 1, 2));
}

void md_tfl_emit_matrix_diag(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t n = rank > 0 ? md_tfl_size(b, md_tfl_in(b, 0), rank - 1) : -1;
    md_value_id x = md_tfl_x(b, 0);

    if (n < 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a size that is free");
        return;
    }
    x = md_emit_op(
        &b->e, "Where",
        (md_value_id[]){
            diagonal(b, n), md_emit_unsqueeze(&b->e, x, -1),
            md_emit_number(&b->e, md_emit_type(&b->e, x)->dtype, 0) },
        3, NULL);
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

void md_tfl_emit_matrix_set_diag(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t n = rank > 1 ? md_tfl_size(b, md_tfl_in(b, 0), rank - 1) : -1;

    if (n < 0 || n != md_tfl_size(b, md_tfl_in(b, 0), rank - 2)) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "matrices that are not square");
        return;
    }
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "Where",
                          (md_value_id[]){
                              diagonal(b, n),
                              md_emit_unsqueeze(&b->e, md_tfl_x(b, 1), -1),
                              md_tfl_x(b, 0) },
                          3, NULL),
               MD_TFL_LAST);
}

/* Values in the order of their first place, and where each element went. */
void md_tfl_emit_unique(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);
    md_value_id out[3];

    md_emit_op_n(&b->e, out, 3, "Unique", &x, 1,
                 EMIT_ATTRS(EMIT_I("sorted", 0)));
    md_tfl_set(b, 0, out[0], MD_TFL_LAST);
    md_tfl_set(b, 1, out[2], MD_TFL_LAST);
}

/* --- made up --- */

void md_tfl_emit_random(md_tfl_build *b)
{
    const char *op = md_tfl_row_now(b)->onnx;
    float seed = (float)(md_fb_i64(&b->op->options, 0, 0) % 1000000);
    md_value_id x = md_emit_op2(&b->e, "Expand", md_emit_float(&b->e, 0),
                                md_tfl_list(b, 0));

    md_tfl_set(b, 0,
               md_emit_op(&b->e, op, &x, 1,
                          seed != 0 ? EMIT_ATTRS(EMIT_F("seed", seed)) : NULL),
               MD_TFL_LAST);
}

void md_tfl_emit_multinomial(md_tfl_build *b)
{
    float seed = (float)(md_fb_i64(&b->op->options, 0, 0) % 1000000);
    md_value_id x = md_tfl_x(b, 0);
    int64_t n = 0;
    uint32_t n_n = 0;

    if (!md_tfl_read_ints(b, 1, &n, 1, &n_n) || n_n != 1)
        return;
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "Multinomial", &x, 1,
                          EMIT_ATTRS(EMIT_I("sample_size", n),
                                     EMIT_I("dtype", MD_DTYPE_I64),
                                     EMIT_F("seed", seed))),
               MD_TFL_LAST);
}
