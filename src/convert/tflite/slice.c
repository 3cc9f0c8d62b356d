/* Operators that take parts along axes, or turn them round. */
#include "convert/tflite/build.h"

enum {
    LIST_MAX = 2 * MD_RANK_MAX
};

md_value_id md_tfl_slice(md_tfl_build *b, md_value_id x, const int64_t *from,
                         const int64_t *to, const int64_t *step,
                         const int64_t *axes, int n)
{
    bool one = true;

    if (n == 0)
        return x;
    for (int i = 0; i < n; i++)
        one = one && step[i] == 1;
    return md_emit_op(
        &b->e, "Slice",
        (md_value_id[]){ x, md_emit_ints(&b->e, from, n),
                         md_emit_ints(&b->e, to, n),
                         md_emit_ints(&b->e, axes, n),
                         one ? MD_VALUE_NONE : md_emit_ints(&b->e, step, n) },
        one ? 4 : 5, NULL);
}

/* Where `mask` has the bit, v, else the element of x. */
static md_value_id masked(md_tfl_build *b, md_value_id x, uint32_t mask,
                          int64_t v, uint32_t n)
{
    md_shape shape = { 1, { n } };
    md_tensor t = MD_TENSOR_INIT;

    if (mask == 0 || b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_BOOL, &shape,
                                           b->e.model->alloc, b->e.err)))
        return x;
    for (uint32_t i = 0; i < n; i++)
        ((unsigned char *)t.data)[i] = mask >> i & 1;
    return md_emit_op(
        &b->e, "Where",
        (md_value_id[]){ md_emit_const(&b->e, t), md_emit_int(&b->e, v), x }, 3,
        NULL);
}

void md_tfl_emit_slice(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    md_dim begin[MD_RANK_MAX];
    md_dim size[MD_RANK_MAX];
    uint32_t n = 0;
    uint32_t n_size = 0;
    int64_t from[MD_RANK_MAX], to[MD_RANK_MAX], axes[MD_RANK_MAX],
        step[MD_RANK_MAX];
    bool known;
    bool codes;
    md_value_id x;
    md_value_id ends;

    known = md_tfl_read_dims(b, 1, begin, MD_RANK_MAX, &n);
    known = md_tfl_read_dims(b, 2, size, MD_RANK_MAX, &n_size) && known;
    for (uint32_t i = 0; known && i < n; i++)
        known =
            i < n_size && md_dim_is_const(begin[i]) && md_dim_is_const(size[i]);
    if (!known)
        l = MD_TFL_LAST;
    x = md_tfl_moved(b, 0, l, &codes);
    if (known && (int)n == rank) {
        int m = 0;

        for (int i = 0; i < rank; i++) {
            if (begin[i].k == 0 && size[i].k == -1)
                continue;
            from[m] = begin[i].k;
            to[m] = size[i].k < 0 ? INT64_MAX : begin[i].k + size[i].k;
            step[m] = 1;
            axes[m++] = md_tfl_axis(l, rank, i);
        }
        x = m > 0 ? md_tfl_slice(b, x, from, to, step, axes, m)
                  : md_emit_op1(&b->e, "Identity", x);
    } else {
        /* A size below 0 is all that is left. */
        ends = md_emit_op2(&b->e, "Add", md_tfl_list(b, 1), md_tfl_list(b, 2));
        ends = md_emit_op(
            &b->e, "Where",
            (md_value_id[]){ md_emit_op2(&b->e, "Less", md_tfl_list(b, 2),
                                         md_emit_int(&b->e, 0)),
                             md_emit_int(&b->e, INT64_MAX), ends },
            3, NULL);
        x = md_emit_op(&b->e, "Slice",
                       (md_value_id[]){ x, md_tfl_list(b, 1), ends }, 3, NULL);
    }
    md_tfl_set_moved(b, 0, x, l, codes);
}

/* What STRIDED_SLICE does to each axis of its input, and to its output. */
typedef struct strided {
    int64_t from[MD_RANK_MAX], to[MD_RANK_MAX], step[MD_RANK_MAX];
    int64_t axes[MD_RANK_MAX]; /* that are cut */
    int n;
    int64_t gone[MD_RANK_MAX]; /* axes of the input that vanish */
    int n_gone;
    int64_t fresh[LIST_MAX]; /* axes of the output that are new */
    int n_fresh;
} strided;

/* Begin, end and step of dimension i of the specification, on `axis`. */
static void cut(md_tfl_build *b, strided *s, const md_dim *begin,
                const md_dim *end, const int64_t *step, uint32_t i, int axis)
{
    const md_fb_table *o = &b->op->options;
    uint32_t bit = 1u << i;
    bool shrink = (md_fb_u32(o, 4, 0) & bit) != 0;
    bool whole = (md_fb_u32(o, 0, 0) & bit) && (md_fb_u32(o, 1, 0) & bit) &&
                 step[i] == 1 && !shrink;
    int64_t from = begin[i].k;
    int64_t to = end[i].k;

    if (whole)
        return;
    if (!shrink && (md_fb_u32(o, 0, 0) & bit))
        from = step[i] > 0 ? 0 : INT64_MAX;
    else if (!md_dim_is_const(begin[i]))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "from a place that is computed");
    if (md_fb_bool(o, 5, false)) /* end is counted from the beginning */
        to += from;
    if (shrink)
        to = from == -1 ? INT64_MAX : from + 1;
    else if (md_fb_u32(o, 1, 0) & bit)
        to = step[i] > 0 ? INT64_MAX : INT64_MIN;
    else if (!md_dim_is_const(end[i]) &&
             md_dim_equal(end[i], md_tfl_dim(b, md_tfl_in(b, 0), axis)))
        to = INT64_MAX;
    else if (!md_dim_is_const(end[i]))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "to a place that is computed");
    if (shrink)
        s->gone[s->n_gone++] = axis;
    s->from[s->n] = from;
    s->to[s->n] = to;
    s->step[s->n] = shrink ? 1 : step[i];
    s->axes[s->n++] = axis;
}

/* Goes through the specification: masks begin 0, end 1, ellipsis 2, new axis
 * 3, shrink 4. */
static void read_strided(md_tfl_build *b, strided *s, const md_dim *begin,
                         const md_dim *end, const int64_t *step, uint32_t n)
{
    uint32_t ellipsis = md_fb_u32(&b->op->options, 2, 0);
    uint32_t fresh = md_fb_u32(&b->op->options, 3, 0);
    uint32_t shrink = md_fb_u32(&b->op->options, 4, 0);
    int rank = md_tfl_rank_in(b, 0);
    int used = 0;
    int axis = 0;
    int out = 0;

    *s = (strided){ .n = 0 };
    for (uint32_t i = 0; i < n; i++)
        used += !(fresh >> i & 1) && !(ellipsis >> i & 1);
    for (uint32_t i = 0; i < n && b->e.status == MD_OK; i++) {
        if (ellipsis >> i & 1) {
            int skip = rank - used > 0 ? rank - used : 0;

            axis += skip;
            out += skip;
        } else if (fresh >> i & 1) {
            s->fresh[s->n_fresh++] = out++;
        } else if (axis >= rank) {
            md_emit_fail(&b->e, MD_CORRUPT, "more axes than rank %d", rank);
        } else {
            if (step[i] == 0)
                md_emit_fail(&b->e, MD_CORRUPT, "a stride of 0");
            cut(b, s, begin, end, step, i, axis++);
            out += !(shrink >> i & 1);
        }
    }
}

/* Places that are computed: one Slice, and a Gather for each axis that
 * vanishes. */
static void slice_at_run_time(md_tfl_build *b, const int64_t *step, uint32_t n)
{
    const md_fb_table *o = &b->op->options;
    uint32_t shrink = md_fb_u32(o, 4, 0);
    int64_t axes[MD_RANK_MAX];
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);
    md_value_id from = md_tfl_list(b, 1);
    md_value_id to = md_tfl_list(b, 2);

    if (md_fb_u32(o, 2, 0) || md_fb_u32(o, 3, 0) || md_fb_bool(o, 5, false) ||
        (int)n > md_tfl_rank_in(b, 0)) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "computed places and new axes");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        axes[i] = i;
        if (step[i] < 0 && (md_fb_u32(o, 0, 0) | md_fb_u32(o, 1, 0)))
            md_emit_fail(&b->e, MD_UNSUPPORTED, "computed places backwards");
    }
    from = masked(b, from, md_fb_u32(o, 0, 0), 0, n);
    to = masked(b, to, md_fb_u32(o, 1, 0) | shrink, INT64_MAX, n);
    x = md_emit_op(&b->e, "Slice",
                   (md_value_id[]){ x, masked(b, from, shrink, 0, n), to,
                                    md_emit_ints(&b->e, axes, n),
                                    md_emit_ints(&b->e, step, n) },
                   5, NULL);
    for (uint32_t i = n; i-- > 0;) {
        md_value_id at;

        if (!(shrink >> i & 1))
            continue;
        at = md_emit_op2(&b->e, "Gather", from, md_emit_int(&b->e, i));
        x = md_emit_op(&b->e, "Gather", (md_value_id[]){ x, at }, 2,
                       EMIT_ATTRS(EMIT_I("axis", i)));
    }
    md_tfl_set_moved(b, 0, x, MD_TFL_LAST, codes);
}

/* Are the places that count known? */
static bool are_known(md_tfl_build *b, const md_dim *begin, const md_dim *end,
                      uint32_t n)
{
    const md_fb_table *o = &b->op->options;

    for (uint32_t i = 0; i < n; i++) {
        bool shrink = md_fb_u32(o, 4, 0) >> i & 1;
        bool from = !shrink && (md_fb_u32(o, 0, 0) >> i & 1);
        bool to = shrink || (md_fb_u32(o, 1, 0) >> i & 1);

        if ((!from && !md_dim_is_const(begin[i])) ||
            (!to && !md_dim_is_const(end[i]) &&
             !md_dim_equal(end[i], md_tfl_dim(b, md_tfl_in(b, 0), (int)i))))
            return false;
    }
    return true;
}

void md_tfl_emit_strided_slice(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    md_dim begin[LIST_MAX], end[LIST_MAX];
    int64_t step[LIST_MAX];
    uint32_t n = 0, n_end = 0, n_step = 0;
    bool codes;
    md_value_id x;
    strided s;

    if (!md_tfl_read_ints(b, 3, step, LIST_MAX, &n_step))
        return;
    if (!md_tfl_read_dims(b, 1, begin, LIST_MAX, &n) ||
        !md_tfl_read_dims(b, 2, end, LIST_MAX, &n_end) ||
        !are_known(b, begin, end, n < n_end ? n : n_end)) {
        slice_at_run_time(b, step, n_step);
        return;
    }
    if (n != n_end || n != n_step) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u begins, %u ends, %u strides", n,
                     n_end, n_step);
        return;
    }
    read_strided(b, &s, begin, end, step, n);
    if (s.n_gone > 0 || s.n_fresh > 0)
        l = MD_TFL_LAST;
    for (int i = 0; i < s.n; i++)
        s.axes[i] = md_tfl_axis(l, rank, (int)s.axes[i]);
    x = md_tfl_moved(b, 0, l, &codes);
    x = md_tfl_slice(b, x, s.from, s.to, s.step, s.axes, s.n);
    if (s.n_gone > 0)
        x = md_emit_op2(&b->e, "Squeeze", x,
                        md_emit_ints(&b->e, s.gone, s.n_gone));
    if (s.n_fresh > 0)
        x = md_emit_op2(&b->e, "Unsqueeze", x,
                        md_emit_ints(&b->e, s.fresh, s.n_fresh));
    if (s.n == 0 && s.n_fresh == 0)
        x = md_emit_op1(&b->e, "Identity", x);
    md_tfl_set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_reverse(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    int64_t axes[MD_RANK_MAX], from[MD_RANK_MAX], to[MD_RANK_MAX],
        step[MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, l, &codes);

    if (!md_tfl_read_ints(b, 1, axes, MD_RANK_MAX, &n))
        return;
    for (uint32_t i = 0; i < n; i++) {
        axes[i] = md_tfl_axis(l, rank, md_tfl_norm_axis(b, axes[i], rank));
        from[i] = -1;
        to[i] = INT64_MIN;
        step[i] = -1;
    }
    x = n == 0 ? md_emit_op1(&b->e, "Identity", x)
               : md_tfl_slice(b, x, from, to, step, axes, (int)n);
    md_tfl_set_moved(b, 0, x, l, codes);
}

/* seq_dim 0, batch_dim 1 */
void md_tfl_emit_reverse_sequence(md_tfl_build *b)
{
    int rank = md_tfl_rank_in(b, 0);
    int time = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 0, 0), rank);
    int batch = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 1, 0), rank);
    int64_t perm[MD_RANK_MAX], back[MD_RANK_MAX];
    int at = 2;
    bool codes;
    md_value_id x = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);

    if (time == batch || rank < 2) {
        md_emit_fail(&b->e, MD_CORRUPT, "one axis for time and batch");
        return;
    }
    /* ONNX knows the axes 0 and 1 only. */
    perm[0] = batch;
    perm[1] = time;
    for (int i = 0; i < rank; i++) {
        if (i != batch && i != time)
            perm[at++] = i;
    }
    for (int i = 0; i < rank; i++)
        back[perm[i]] = i;
    x = md_emit_transpose(&b->e, x, perm, rank);
    x = md_emit_op(&b->e, "ReverseSequence",
                   (md_value_id[]){ x, md_tfl_list(b, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("batch_axis", 0), EMIT_I("time_axis", 1)));
    md_tfl_set_moved(b, 0, md_emit_transpose(&b->e, x, back, rank), MD_TFL_LAST,
                     codes);
}
