/* Operators that read and write elements by index. */
#include <string.h>

#include "base/size.h"
#include "convert/tflite/build.h"

enum {
    GRID_MAX = 1 << 22 /* places in a table of indices */
};

/* Rows along `axis`, chosen for each of the first `batch` axes on its own: the
 * axis comes behind those, and what lay between goes back in front of the
 * indices' axes. */
static md_value_id gather_batch(md_tfl_build *b, md_value_id x, md_value_id at,
                                int axis, int batch)
{
    int rank = md_tfl_rank_in(b, 0);
    int fresh = md_tfl_rank_in(b, 1) - batch;
    int between = axis - batch;
    int64_t perm[MD_RANK_MAX], back[MD_RANK_MAX];

    if (between < 0 || fresh < 0 || rank + fresh - 1 > MD_RANK_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "axis %d with %d batch axes", axis,
                     batch);
        return MD_VALUE_NONE;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i <= batch ? i : i <= axis ? i - 1 : i;
    perm[batch] = axis;
    for (int i = 0; i < rank + fresh - 1; i++)
        back[i] = i;
    for (int i = 0; i < between; i++)
        back[batch + i] = batch + fresh + i;
    for (int i = 0; i < fresh; i++)
        back[axis + i] = batch + i;
    at = md_emit_unsqueeze(&b->e, md_emit_cast(&b->e, at, MD_DTYPE_I64), -1);
    x = md_emit_transpose(&b->e, x, perm, rank);
    x = md_emit_op(&b->e, "GatherND", (md_value_id[]){ x, at }, 2,
                   EMIT_ATTRS(EMIT_I("batch_dims", batch)));
    return md_emit_transpose(&b->e, x, back, rank + fresh - 1);
}

/* axis 0, batch_dims 1 */
void md_tfl_emit_gather(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 0, 0), rank);
    int32_t batch = md_fb_i32(&b->op->options, 1, 0);
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);
    md_value_id at = md_tfl_x(b, 1);

    if (md_emit_type(&b->e, at)->dtype != MD_DTYPE_I32)
        at = md_emit_cast(&b->e, at, MD_DTYPE_I64);
    if (batch < 0)
        batch += md_tfl_rank_in(b, 1);
    if (batch == 0)
        x = md_emit_op(&b->e, "Gather", (md_value_id[]){ x, at }, 2,
                       EMIT_ATTRS(EMIT_I("axis", axis)));
    else
        x = gather_batch(b, x, at, axis, (int)batch);
    md_tfl_set_moved(b, 0, x, MD_TFL_LAST, codes);
}

void md_tfl_emit_gather_nd(md_tfl_build *b)
{
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);

    md_tfl_set_moved(b, 0,
                     md_emit_op(&b->e, "GatherND",
                                (md_value_id[]){ x, md_tfl_list(b, 1) }, 2,
                                NULL),
                     MD_TFL_LAST, codes);
}

void md_tfl_emit_embedding(md_tfl_build *b)
{
    md_value_id in[] = { md_tfl_x(b, 1), md_tfl_x(b, 0) };

    md_tfl_set(b, 0, md_emit_op(&b->e, "Gather", in, 2, NULL), MD_TFL_LAST);
}

/* indices, updates, shape; what comes twice is added. */
void md_tfl_emit_scatter_nd(md_tfl_build *b)
{
    md_value_id v = md_tfl_x(b, 1);
    md_dtype dtype = md_emit_type(&b->e, v)->dtype;
    md_value_id zero = md_emit_op2(
        &b->e, "Expand", md_emit_number(&b->e, dtype, 0), md_tfl_list(b, 2));
    md_value_id in[] = { zero, md_tfl_list(b, 0), v };

    md_tfl_set(b, 0,
               md_emit_op(&b->e, "ScatterND", in, 3,
                          dtype == MD_DTYPE_BOOL
                              ? NULL
                              : EMIT_ATTRS(EMIT_S("reduction", "add"))),
               MD_TFL_LAST);
}

/* indices, shape, values, default */
void md_tfl_emit_sparse_to_dense(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    md_value_id at = md_tfl_list(b, 0);
    md_value_id v = md_tfl_x(b, 2);
    md_value_id all =
        md_emit_op2(&b->e, "Expand", md_tfl_x(b, 3), md_tfl_list(b, 1));
    md_value_id n;

    if (rank == 0)
        at = md_emit_reshape(&b->e, at, (const int64_t[]){ 1, 1 }, 2);
    else if (rank == 1)
        at = md_emit_unsqueeze(&b->e, at, -1);
    if (md_tfl_rank_in(b, 2) == 0) {
        n = md_emit_op(&b->e, "Shape", &at, 1,
                       EMIT_ATTRS(EMIT_I("start", 0), EMIT_I("end", 1)));
        v = md_emit_op2(&b->e, "Expand", v, n);
    }
    md_tfl_set(
        b, 0,
        md_emit_op(&b->e, "ScatterND", (md_value_id[]){ all, at, v }, 3, NULL),
        MD_TFL_LAST);
}

/* Few elements with ids that are known, as in shapes: element by element, so
 * that sizes stay known.  False: there are others. */
static bool segment_few(md_tfl_build *b, const char *op, double first)
{
    enum {
        FEW = 16
    };
    md_value_id parts[FEW];
    md_value_id x = md_tfl_x(b, 0);
    const md_tensor *ids = md_emit_cdata(&b->e, md_tfl_x(b, 1));
    const md_tensor *count =
        b->op->n_in > 2 ? md_emit_cdata(&b->e, md_tfl_x(b, 2)) : NULL;
    int64_t n = count ? md_tensor_get_i64(count, 0) : 0;

    if (b->e.status != MD_OK || !ids || md_tfl_rank_in(b, 0) != 1 ||
        md_tensor_n(ids) > FEW || n < 1 || n > FEW ||
        md_tensor_n(ids) != md_tfl_size(b, md_tfl_in(b, 0), 0))
        return false;
    for (int64_t i = 0; i < n; i++)
        parts[i] = MD_VALUE_NONE;
    for (int64_t k = 0; k < md_tensor_n(ids); k++) {
        int64_t i = md_tensor_get_i64(ids, k);
        md_value_id one =
            md_emit_op2(&b->e, "Gather", x, md_emit_ints(&b->e, &k, 1));

        if (i >= 0 && i < n)
            parts[i] = parts[i] == MD_VALUE_NONE
                           ? one
                           : md_emit_op2(&b->e, op, parts[i], one);
    }
    for (int64_t i = 0; i < n; i++) {
        if (parts[i] == MD_VALUE_NONE)
            parts[i] = md_emit_unsqueeze(
                &b->e,
                md_emit_number(&b->e, md_emit_type(&b->e, x)->dtype, first), 0);
    }
    x = n == 1 ? parts[0]
               : md_emit_op(&b->e, "Concat", parts, (uint32_t)n,
                            EMIT_ATTRS(EMIT_I("axis", 0)));
    md_tfl_set(b, 0, x, MD_TFL_LAST);
    return true;
}

/* ONNX's operator of two for a reduction of ScatterND. */
static const char *operator_of(const char *how)
{
    static const char *const name[][2] = {
        { "add", "Add" }, { "mul", "Mul" }, { "max", "Max" }, { "min", "Min" }
    };

    for (size_t i = 0; i < MD_COUNT(name); i++) {
        if (strcmp(name[i][0], how) == 0)
            return name[i][1];
    }
    return "";
}

/* data, ids[, count]: rows with the same id are put together. */
void md_tfl_emit_segment(md_tfl_build *b)
{
    const char *how = md_tfl_row_now(b)->onnx;
    md_value_id x = md_tfl_x(b, 0);
    md_value_id ids = md_tfl_list(b, 1);
    md_dtype dtype = md_emit_type(&b->e, x)->dtype;
    bool floats = md_dtype_is_float(dtype);
    int n_ids = md_tfl_rank_in(b, 1);
    double first = 0;
    md_value_id n;
    md_value_id rest;
    md_value_id all;

    if (how[0] == 'm' && how[1] == 'u')
        first = 1;
    else if (how[0] == 'm' && how[1] == 'a')
        first =
            floats ? -3.4028234663852886e38 : (double)md_dtype_int_min(dtype);
    else if (how[0] == 'm')
        first =
            floats ? 3.4028234663852886e38 : (double)md_dtype_int_max(dtype);
    if (segment_few(b, operator_of(how), first))
        return;
    if (b->op->n_in > 2)
        n = md_tfl_list(b, 2);
    else /* sorted: the last one is the largest */
        n = md_emit_op2(
            &b->e, "Add",
            md_emit_op2(&b->e, "Gather", ids, md_emit_int(&b->e, -1)),
            md_emit_int(&b->e, 1));
    n = md_emit_reshape(&b->e, n, (const int64_t[]){ 1 }, 1);
    rest =
        md_emit_op(&b->e, "Shape", &x, 1, EMIT_ATTRS(EMIT_I("start", n_ids)));
    /* One row more, for ids below 0, which do not count. */
    all = md_emit_op(
        &b->e, "Concat",
        (md_value_id[]){ md_emit_op2(&b->e, "Add", n, md_emit_int(&b->e, 1)),
                         rest },
        2, EMIT_ATTRS(EMIT_I("axis", 0)));
    all =
        md_emit_op2(&b->e, "Expand", md_emit_number(&b->e, dtype, first), all);
    ids = md_emit_op(
        &b->e, "Where",
        (md_value_id[]){ md_emit_op2(&b->e, "Less", ids, md_emit_int(&b->e, 0)),
                         n, ids },
        3, NULL);
    x = md_emit_op(&b->e, "ScatterND",
                   (md_value_id[]){ all, md_emit_unsqueeze(&b->e, ids, -1), x },
                   3, EMIT_ATTRS(EMIT_S("reduction", how)));
    x = md_emit_op(
        &b->e, "Slice",
        (md_value_id[]){ x, md_emit_ints(&b->e, (const int64_t[]){ 0 }, 1), n,
                         md_emit_ints(&b->e, (const int64_t[]){ 0 }, 1) },
        4, NULL);
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

/* operand, update, starts: the places of the update as one table, to which the
 * start is added, kept so that it fits. */
void md_tfl_emit_update_slice(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int64_t dim[MD_RANK_MAX];
    int64_t room[MD_RANK_MAX];
    md_shape shape = { rank + 1, { 0 } };
    md_tensor grid = MD_TENSOR_INIT;
    int64_t n = 1;
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);
    md_value_id v =
        codes ? md_tfl_code(b, md_tfl_in(b, 1), MD_TFL_LAST) : md_tfl_x(b, 1);
    md_value_id at;

    if (rank != md_tfl_rank_in(b, 1) || rank >= MD_RANK_MAX) {
        md_emit_fail(&b->e, MD_CORRUPT, "an update of another rank");
        return;
    }
    for (int i = 0; i < rank; i++) {
        int64_t whole = md_tfl_size(b, md_tfl_in(b, 0), i);

        dim[i] = md_tfl_size(b, md_tfl_in(b, 1), i);
        room[i] = whole - dim[i];
        shape.dim[i] = dim[i];
        if (dim[i] < 0 || room[i] < 0 || !md_mul_i64(&n, n, dim[i]) ||
            n > GRID_MAX) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "sizes that are free");
            return;
        }
    }
    shape.dim[rank] = rank;
    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&grid, MD_DTYPE_I64, &shape,
                                           b->e.model->alloc, b->e.err)))
        return;
    for (int64_t i = 0; i < n; i++) {
        int64_t left = i;

        for (int k = rank - 1; k >= 0; k--) {
            ((int64_t *)grid.data)[i * rank + k] = left % shape.dim[k];
            left /= shape.dim[k];
        }
    }
    at = md_emit_op2(&b->e, "Max", md_tfl_list(b, 2), md_emit_int(&b->e, 0));
    at = md_emit_op2(&b->e, "Min", at, md_emit_ints(&b->e, room, rank));
    at = md_emit_op2(&b->e, "Add", md_emit_const(&b->e, grid), at);
    md_tfl_set_moved(
        b, 0,
        md_emit_op(&b->e, "ScatterND", (md_value_id[]){ x, at, v }, 3, NULL),
        MD_TFL_LAST, codes);
}
