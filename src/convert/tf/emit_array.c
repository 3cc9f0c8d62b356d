/* Operators that move elements, and lists of tensors. */
#include <string.h>

#include "base/size.h"
#include "convert/tf/emit.h"
#include "convert/tf/lower.h"

enum {
    BAND_MAX = 1 << 22 /* places in a table of indices */
};

static md_value_id scalar(md_tfl_build *b, md_value_id x)
{
    return md_emit_reshape(&b->e, x, NULL, 0);
}

/* A table of options for TensorFlow Lite's emitter of the same: integers. */
static bool set_options(md_tfl_build *b, md_tflite_op *op, const int64_t *v,
                        uint32_t n)
{
    md_tf_lower w = { .arena = b->e.arena, .err = b->e.err };
    md_tf_field f[4] = { { .kind = MD_TF_FIELD_NONE } };

    for (uint32_t i = 0; i < n; i++)
        f[i] = (md_tf_field){ .kind = MD_TF_FIELD_INT, .i = v[i] };
    return md_emit_ok(&b->e, md_tf_make_options(&op->options, &w, f, n));
}

/* Let `emit` see the inputs [from, from + n) and these options. */
static void emit_as(md_tfl_build *b, md_tfl_emit_fn *emit, uint32_t from,
                    uint32_t n, const int64_t *v, uint32_t n_v)
{
    const md_tflite_op *op = b->op;
    md_tflite_op other = *op;

    other.in += from;
    other.n_in = n;
    if (!set_options(b, &other, v, n_v))
        return;
    b->op = &other;
    emit(b);
    b->op = op;
}

/* The axis is the last input, or the first one. */
void md_tf_emit_concat(md_tfl_build *b)
{
    bool first = md_tfl_row_now(b)->onnx[0] != '\0';
    uint32_t n = b->op->n_in - 1;
    int64_t axis = 0;
    uint32_t got = 0;

    if (md_tfl_read_ints(b, first ? 0 : n, &axis, 1, &got) && got == 1)
        emit_as(b, md_tfl_emit_concat, first ? 1 : 0, n, &axis, 1);
}

/* params, indices, axis; batch_dims 1 */
void md_tf_emit_gather(md_tfl_build *b)
{
    int64_t v[] = { 0, md_fb_i32(&b->op->options, 1, 0) };
    uint32_t n = 0;

    if (md_tfl_read_ints(b, 2, v, 1, &n) && n == 1)
        emit_as(b, md_tfl_emit_gather, 0, 2, v, 2);
}

void md_tf_emit_shape_n(md_tfl_build *b)
{
    for (uint32_t i = 0; i < b->op->n_in && i < b->op->n_out; i++)
        md_tfl_set(b, i, md_emit_op1(&b->e, "Shape", md_tfl_x(b, i)),
                   MD_TFL_LAST);
}

void md_tf_emit_size(md_tfl_build *b)
{
    md_value_id x = md_emit_op1(&b->e, "Shape", md_tfl_x(b, 0));

    md_tfl_set(b, 0,
               md_emit_op(&b->e, "ReduceProd", &x, 1,
                          EMIT_ATTRS(EMIT_I("keepdims", 0))),
               MD_TFL_LAST);
}

/* x, shift, axis: what leaves at the end comes in at the beginning. */
void md_tf_emit_roll(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t shift[MD_RANK_MAX];
    int64_t axes[MD_RANK_MAX];
    uint32_t n = 0;
    uint32_t n_axes = 0;
    md_value_id x = md_tfl_x(b, 0);

    if (!md_tfl_read_ints(b, 1, shift, MD_RANK_MAX, &n) ||
        !md_tfl_read_ints(b, 2, axes, MD_RANK_MAX, &n_axes))
        return;
    if (n != n_axes) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u shifts of %u axes", n, n_axes);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        int axis = md_tfl_norm_axis(b, axes[i], rank);
        int64_t size = md_tfl_size(b, md_tfl_in(b, 0), axis);
        int64_t at = -shift[i];
        md_value_id part[2];

        if (size > 0)
            at = ((at % size) + size) % size;
        if (at == 0)
            continue;
        part[0] = md_emit_op(
            &b->e, "Slice",
            (md_value_id[]){ x, md_emit_ints(&b->e, &at, 1),
                             md_emit_ints(&b->e, (int64_t[]){ INT64_MAX }, 1),
                             md_emit_ints(&b->e, (int64_t[]){ axis }, 1) },
            4, NULL);
        part[1] = md_emit_op(
            &b->e, "Slice",
            (md_value_id[]){ x, md_emit_ints(&b->e, (int64_t[]){ 0 }, 1),
                             md_emit_ints(&b->e, &at, 1),
                             md_emit_ints(&b->e, (int64_t[]){ axis }, 1) },
            4, NULL);
        x = md_emit_op(&b->e, "Concat", part, 2,
                       EMIT_ATTRS(EMIT_I("axis", axis)));
    }
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

void md_tf_emit_invert_permutation(md_tfl_build *b)
{
    md_value_id x = md_tfl_list(b, 0);
    md_value_id n = scalar(b, md_emit_op1(&b->e, "Shape", x));
    md_value_id all = md_emit_op(
        &b->e, "Range",
        (md_value_id[]){ md_emit_int(&b->e, 0), n, md_emit_int(&b->e, 1) }, 3,
        NULL);

    md_tfl_set(b, 0,
               md_emit_op(&b->e, "ScatterElements",
                          (md_value_id[]){ all, x, all }, 3, NULL),
               MD_TFL_LAST);
}

/* start, stop, num: start + i * (stop - start) / (num - 1) */
void md_tf_emit_lin_space(md_tfl_build *b)
{
    md_value_id from = scalar(b, md_tfl_x(b, 0));
    md_dtype dtype = md_emit_type(&b->e, from)->dtype;
    md_value_id n = scalar(b, md_tfl_list(b, 2));
    md_value_id steps = md_emit_op2(
        &b->e, "Max", md_emit_op2(&b->e, "Sub", n, md_emit_int(&b->e, 1)),
        md_emit_int(&b->e, 1));
    md_value_id by = md_emit_op2(&b->e, "Sub", scalar(b, md_tfl_x(b, 1)), from);
    md_value_id i = md_emit_op(
        &b->e, "Range",
        (md_value_id[]){ md_emit_int(&b->e, 0), n, md_emit_int(&b->e, 1) }, 3,
        NULL);

    by = md_emit_op2(&b->e, "Div", by, md_emit_cast(&b->e, steps, dtype));
    i = md_emit_op2(&b->e, "Mul", md_emit_cast(&b->e, i, dtype), by);
    md_tfl_set(b, 0, md_emit_op2(&b->e, "Add", from, i), MD_TFL_LAST);
}

/* --- matrices --- */

/* input, lower, upper: what lies at most so far from the diagonal (negative:
 * any distance), zeros elsewhere. */
void md_tf_emit_band_part(md_tfl_build *b)
{
    int64_t far[2] = { 0 };
    md_value_id x = md_tfl_x(b, 0);

    for (uint32_t i = 0; i < 2; i++) {
        uint32_t n = 0;

        if (!md_tfl_read_ints(b, i + 1, &far[i], 1, &n) || n != 1)
            return;
    }
    if (far[0] >= 0)
        x = md_emit_op(&b->e, "Trilu",
                       (md_value_id[]){ x, md_emit_int(&b->e, -far[0]) }, 2,
                       EMIT_ATTRS(EMIT_I("upper", 1)));
    if (far[1] >= 0)
        x = md_emit_op(&b->e, "Trilu",
                       (md_value_id[]){ x, md_emit_int(&b->e, far[1]) }, 2,
                       EMIT_ATTRS(EMIT_I("upper", 0)));
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

/* Rows 0, 1, 2... as [n, 1] where `row`, else columns [n]. */
static md_value_id count(md_tfl_build *b, int64_t n, bool row)
{
    md_shape shape = { row ? 2 : 1, { n, 1 } };
    md_tensor t = MD_TENSOR_INIT;

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_I64, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    for (int64_t i = 0; i < n; i++)
        ((int64_t *)t.data)[i] = i;
    return md_emit_const(&b->e, t);
}

/* Only the main diagonal: k, where it is given, is 0. */
static bool is_main_diagonal(md_tfl_build *b)
{
    int64_t k[2] = { 0, 0 };
    uint32_t n = 0;

    if (b->op->n_in < 3 || !md_tfl_in(b, 1))
        return true;
    if (!md_tfl_read_ints(b, 1, k, 2, &n))
        return false;
    if (k[0] != 0 || (n > 1 && k[1] != 0))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "diagonals besides the main one");
    return b->e.status == MD_OK;
}

/* Where row and column are the same, summed over the columns. */
void md_tf_emit_diag_part(md_tfl_build *b)
{
    static const int64_t last = -1;
    int rank = md_tfl_rank_in(b, 0);
    md_value_id x = md_tfl_x(b, 0);
    int64_t rows = rank > 1 ? md_tfl_size(b, md_tfl_in(b, 0), rank - 2) : -1;
    int64_t columns = rank > 1 ? md_tfl_size(b, md_tfl_in(b, 0), rank - 1) : -1;
    md_value_id same;

    if (!is_main_diagonal(b))
        return;
    if (rows < 0 || rows > columns || columns > BAND_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "sizes that are free");
        return;
    }
    same = md_emit_op2(&b->e, "Equal", count(b, rows, true),
                       count(b, columns, false));
    x = md_emit_op(
        &b->e, "Where",
        (md_value_id[]){
            same, x, md_emit_number(&b->e, md_emit_type(&b->e, x)->dtype, 0) },
        3, NULL);
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "ReduceSum",
                          (md_value_id[]){ x, md_emit_ints(&b->e, &last, 1) },
                          2, EMIT_ATTRS(EMIT_I("keepdims", 0))),
               MD_TFL_LAST);
}

void md_tf_emit_diag(md_tfl_build *b)
{
    if (md_tfl_rank_in(b, 0) != 1) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "rank %d", md_tfl_rank_in(b, 0));
        return;
    }
    md_tfl_emit_matrix_diag(b);
}

/* diagonal, k, rows, columns, padding; rows and columns may be -1 */
void md_tf_emit_diag_v3(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t n = rank > 0 ? md_tfl_size(b, md_tfl_in(b, 0), rank - 1) : -1;

    for (uint32_t i = 2; i < 4; i++) {
        int64_t size = -1;
        uint32_t got = 0;

        if (!md_tfl_read_ints(b, i, &size, 1, &got))
            return;
        if (size >= 0 && size != n)
            md_emit_fail(&b->e, MD_UNSUPPORTED, "a matrix that is not square");
    }
    if (is_main_diagonal(b))
        md_tfl_emit_matrix_diag(b);
}

/* --- by index --- */

/* tensor, indices, updates */
void md_tf_emit_tensor_scatter(md_tfl_build *b)
{
    const char *how = md_tfl_row_now(b)->onnx;
    md_value_id v = md_tfl_x(b, 2);

    if (strcmp(how, "sub") == 0) {
        v = md_emit_op1(&b->e, "Neg", v);
        how = "add";
    }
    md_tfl_set(
        b, 0,
        md_emit_op(&b->e, "ScatterND",
                   (md_value_id[]){ md_tfl_x(b, 0), md_tfl_list(b, 1), v }, 3,
                   how[0] ? EMIT_ATTRS(EMIT_S("reduction", how)) : NULL),
        MD_TFL_LAST);
}

/* predictions [n, classes], targets [n], k: is the target's among the k
 * largest?  Those that are larger are counted. */
void md_tf_emit_in_top_k(md_tfl_build *b)
{
    static const int64_t last = -1;
    md_value_id x = md_tfl_x(b, 0);
    md_value_id at = md_emit_unsqueeze(&b->e, md_tfl_list(b, 1), -1);
    md_value_id own =
        md_emit_op(&b->e, "GatherElements", (md_value_id[]){ x, at }, 2,
                   EMIT_ATTRS(EMIT_I("axis", 1)));
    md_value_id n = md_emit_cast(&b->e, md_emit_op2(&b->e, "Greater", x, own),
                                 MD_DTYPE_I64);

    n = md_emit_op(&b->e, "ReduceSum",
                   (md_value_id[]){ n, md_emit_ints(&b->e, &last, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, md_emit_op2(&b->e, "Less", n, md_tfl_list(b, 2)),
               MD_TFL_LAST);
}

/* k 0 */
void md_tf_emit_old_top_k(md_tfl_build *b)
{
    int64_t k = md_fb_i32(&b->op->options, 0, 0);
    md_value_id in[] = { md_tfl_x(b, 0), md_emit_ints(&b->e, &k, 1) };
    md_value_id out[2];

    md_emit_op_n(&b->e, out, 2, "TopK", in, 2, EMIT_ATTRS(EMIT_I("axis", -1)));
    md_tfl_set(b, 0, out[0], MD_TFL_LAST);
    md_tfl_set(b, 1, out[1], MD_TFL_LAST);
}

/* input [n] or [batch, n], size, weights [] : how often each number is there;
 * binary_output 0: whether. */
void md_tf_emit_bincount(md_tfl_build *b)
{
    bool binary = md_fb_bool(&b->op->options, 0, false);
    const md_tfl_value *weights = md_tfl_in(b, 2);
    int rank = md_tfl_rank_in(b, 0);
    int64_t size = 0;
    int64_t axis = rank - 1;
    uint32_t n = 0;
    md_value_id x = md_emit_unsqueeze(&b->e, md_tfl_list(b, 0), -1);
    md_dtype dtype = weights ? weights->t->dtype : MD_DTYPE_NONE;

    if (!md_tfl_read_ints(b, 1, &size, 1, &n) || n != 1)
        return;
    if (size < 0 || size > BAND_MAX) {
        md_emit_fail(&b->e, MD_CORRUPT, "%lld places", (long long)size);
        return;
    }
    if (rank < 1 || dtype == MD_DTYPE_NONE || md_tfl_size(b, weights, 0) != 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "weights");
        return;
    }
    x = md_emit_cast(
        &b->e, md_emit_op2(&b->e, "Equal", x, count(b, size, false)), dtype);
    x = md_emit_op(&b->e, binary ? "ReduceMax" : "ReduceSum",
                   (md_value_id[]){ x, md_emit_ints(&b->e, &axis, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

/* exclusive 0, reverse 1; ONNX's CumProd is of opset 26: the product of what
 * a triangle lets through, by logarithms it is not, since of any sign. */
void md_tf_emit_cumprod(md_tfl_build *b)
{
    static const int64_t last = -1;
    const md_fb_table *o = &b->op->options;
    bool exclusive = md_fb_bool(o, 0, false);
    bool reverse = md_fb_bool(o, 1, false);
    int rank = md_tfl_rank_in(b, 0);
    int64_t given = 0;
    int64_t perm[MD_RANK_MAX];
    int64_t size;
    uint32_t n = 0;
    int axis;
    md_value_id seen;
    md_value_id x = md_tfl_x(b, 0);

    if (!md_tfl_read_ints(b, 1, &given, 1, &n) || n != 1)
        return;
    axis = md_tfl_norm_axis(b, given, rank);
    size = md_tfl_size(b, md_tfl_in(b, 0), axis);
    if (size < 0 || size > 2048 || rank >= MD_RANK_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "%lld elements", (long long)size);
        return;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i == axis ? rank - 1 : i == rank - 1 ? axis : i;
    seen = md_emit_op2(&b->e,
                       reverse ? exclusive ? "Less" : "LessOrEqual"
                               : (exclusive ? "Greater" : "GreaterOrEqual"),
                       count(b, size, true), count(b, size, false));
    x = md_emit_unsqueeze(&b->e, md_emit_transpose(&b->e, x, perm, rank), -2);
    x = md_emit_op(
        &b->e, "Where",
        (md_value_id[]){
            seen, x, md_emit_number(&b->e, md_emit_type(&b->e, x)->dtype, 1) },
        3, NULL);
    x = md_emit_op(&b->e, "ReduceProd",
                   (md_value_id[]){ x, md_emit_ints(&b->e, &last, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 0, md_emit_transpose(&b->e, x, perm, rank), MD_TFL_LAST);
}

/* --- lists: a tensor with the elements along axis 0 --- */

void md_tf_emit_list_get(md_tfl_build *b)
{
    md_value_id in[] = { md_tfl_x(b, 0), scalar(b, md_tfl_list(b, 1)) };

    md_tfl_set(b, 0, md_emit_op(&b->e, "Gather", in, 2, NULL), MD_TFL_LAST);
}

void md_tf_emit_list_gather(md_tfl_build *b)
{
    md_value_id in[] = { md_tfl_x(b, 0), md_tfl_list(b, 1) };

    md_tfl_set(b, 0, md_emit_op(&b->e, "Gather", in, 2, NULL), MD_TFL_LAST);
}

void md_tf_emit_list_length(md_tfl_build *b)
{
    md_value_id x = md_tfl_x(b, 0);

    x = md_emit_op(&b->e, "Shape", &x, 1,
                   EMIT_ATTRS(EMIT_I("start", 0), EMIT_I("end", 1)));
    md_tfl_set(b, 0, scalar(b, x), MD_TFL_LAST);
}
