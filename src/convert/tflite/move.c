/* Operators that move elements, and those about shapes. */
#include <string.h>

#include "base/size.h"
#include "convert/tflite/build.h"

enum {
    LIST_MAX = 2 * MD_RANK_MAX,
    SPLIT_MAX = 1024,  /* outputs */
    GRID_MAX = 1 << 22 /* places in a table of indices */
};

/* Elements to be moved: codes where both ends mean the same by them. */
static md_value_id moved(md_tfl_build *b, uint32_t i, md_tfl_layout l,
                         bool *codes)
{
    *codes = md_tfl_same_codes(b, i);
    return *codes ? md_tfl_code(b, md_tfl_in(b, i), l)
                  : md_tfl_real(b, md_tfl_in(b, i), l);
}

static void set_moved(md_tfl_build *b, uint32_t o, md_value_id id,
                      md_tfl_layout l, bool codes)
{
    if (codes)
        md_tfl_set_code(b, o, id, l);
    else
        md_tfl_set(b, o, id, l);
}

/* Input i as a list of int64. */
static md_value_id list(md_tfl_build *b, uint32_t i)
{
    return md_emit_cast(&b->e, md_tfl_x(b, i), MD_DTYPE_I64);
}

static int rank_of(md_tfl_build *b, uint32_t i)
{
    return md_tfl_in(b, i) ? md_tfl_rank(b, md_tfl_in(b, i)) : 0;
}

static bool is_complex(const md_tfl_build *b)
{
    const md_tfl_value *x = md_tfl_in(b, 0);

    return x && x->t->dtype == MD_DTYPE_C64;
}

/* --- RESHAPE --- */

typedef struct target {
    int rank;
    int64_t dim[MD_RANK_MAX]; /* -1: one that follows from the others */
    int n_free;
} target;

static bool equal_dims(const md_tfl_build *b, md_dim d, int axis)
{
    md_dim mine = md_tfl_dim(b, md_tfl_in(b, 0), axis);

    return d.sym != 0 && mine.sym != 0 && md_dim_equal(d, mine);
}

/* The shape wanted, where all but one size are known; false: ask at run time. */
static bool read_target(md_tfl_build *b, target *t)
{
    md_fb_vector v = md_fb_vec(&b->op->options, 0, 4);
    md_dim dim[MD_RANK_MAX];
    uint32_t n = 0;

    *t = (target){ .rank = 0 };
    if (!md_tfl_in(b, 1)) {
        n = v.n;
        if (n > MD_RANK_MAX) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "rank %u", n);
            return false;
        }
        for (uint32_t i = 0; i < n; i++)
            dim[i] = MD_DIM(md_fb_vec_i32(&v, i));
    } else if (!md_tfl_read_dims(b, 1, dim, MD_RANK_MAX, &n)) {
        return false;
    }
    t->rank = (int)n;
    for (uint32_t i = 0; i < n; i++) {
        if (md_dim_is_const(dim[i]) && dim[i].k < -1) {
            md_emit_fail(&b->e, MD_CORRUPT, "to a size of %lld",
                         (long long)dim[i].k);
            return false;
        }
        t->dim[i] = md_dim_is_const(dim[i]) ? dim[i].k : -1;
        t->n_free += t->dim[i] < 0;
    }
    /* Of several unknown sizes those that stay can be told. */
    for (uint32_t i = 0; i < n && t->n_free > 1; i++) {
        if (t->dim[i] < 0 && equal_dims(b, dim[i], (int)i)) {
            t->dim[i] = 0;
            t->n_free--;
        }
    }
    return t->n_free <= 1;
}

/* A picture [n, s.., c] channels first: to [n, all], or to other s. */
static bool reshape_first(md_tfl_build *b, const target *t, bool codes)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    md_tfl_value *y = md_tfl_out(b, 0);
    int rank = md_tfl_rank(b, x);
    int64_t c = md_tfl_size(b, x, rank - 1);
    int64_t n = md_tfl_size(b, x, 0);
    int64_t to[MD_RANK_MAX];
    int64_t hw = 1;
    int64_t out = 1;
    md_value_id id;

    for (int i = 1; i < rank - 1; i++) {
        int64_t d = md_tfl_size(b, x, i);

        if (d < 0 || !md_mul_i64(&hw, hw, d))
            return false;
    }
    if (c < 1 || hw < 1 || t->rank < 2)
        return false;
    /* The first axis stays when the others take as much as before. */
    for (int i = 1; i < t->rank; i++) {
        if (t->dim[i] < 1 || !md_mul_i64(&out, out, t->dim[i]))
            return false;
    }
    if (out != hw * c || (n >= 0 && t->dim[0] > 0 && t->dim[0] != n))
        return false;
    if (t->rank > 2 && t->dim[t->rank - 1] != c)
        return false;
    id = codes ? md_tfl_code(b, x, MD_TFL_FIRST)
               : md_tfl_real(b, x, MD_TFL_FIRST);
    to[0] = 0;
    to[1] = t->rank == 2 ? c * hw : c;
    for (int i = 1; i < t->rank - 1; i++)
        to[i + 1] = t->dim[i];
    id = md_emit_reshape(&b->e, id, to, t->rank);
    if (t->rank == 2 && hw > 1 && c > 1) {
        y->flat_c = c;
        y->flat_hw = hw;
    }
    set_moved(b, 0, id, MD_TFL_FIRST, codes);
    return true;
}

void md_tfl_emit_reshape(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    bool codes = md_tfl_same_codes(b, 0);
    bool known;
    md_value_id id;
    target t;

    if (!x || !md_tfl_out(b, 0))
        return;
    known = read_target(b, &t);
    if (known && md_tfl_pick(b, 0, 1) == MD_TFL_FIRST && !is_complex(b) &&
        reshape_first(b, &t, codes))
        return;
    id = moved(b, 0, MD_TFL_LAST, &codes);
    if (is_complex(b) && known && t.rank < MD_RANK_MAX)
        t.dim[t.rank++] = 2;
    else if (is_complex(b))
        known = false;
    if (known)
        id = md_emit_reshape(&b->e, id, t.dim, t.rank);
    else if (is_complex(b))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "complex numbers of any shape");
    else
        id = md_emit_op2(&b->e, "Reshape", id, list(b, 1));
    set_moved(b, 0, id, MD_TFL_LAST, codes);
}

/* --- axes of size 1 --- */

void md_tfl_emit_squeeze(md_tfl_build *b)
{
    md_fb_vector v = md_fb_vec(&b->op->options, 0, 4);
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = rank_of(b, 0);
    int64_t axes[MD_RANK_MAX];
    int n = 0;
    bool spatial = true;
    bool codes;
    md_value_id x;

    for (int i = 0; v.n == 0 && i < rank; i++) {
        if (md_tfl_size(b, md_tfl_in(b, 0), i) == 1)
            axes[n++] = i;
    }
    for (uint32_t i = 0; i < v.n && n < MD_RANK_MAX; i++)
        axes[n++] = md_tfl_norm_axis(b, md_fb_vec_i32(&v, i), rank);
    for (int i = 0; i < n; i++)
        spatial = spatial && axes[i] > 0 && axes[i] < rank - 1;
    if (!spatial)
        l = MD_TFL_LAST;
    for (int i = 0; i < n; i++)
        axes[i] = md_tfl_axis(l, rank, (int)axes[i]);
    x = moved(b, 0, l, &codes);
    x = n == 0 ? md_emit_op1(&b->e, "Identity", x)
               : md_emit_op2(&b->e, "Squeeze", x, md_emit_ints(&b->e, axes, n));
    set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_expand_dims(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = rank_of(b, 0);
    int64_t axis = 0;
    uint32_t n = 0;
    bool codes;
    md_value_id x;

    if (!md_tfl_read_ints(b, 1, &axis, 1, &n) || n != 1)
        return;
    axis = md_tfl_norm_axis(b, axis, rank + 1);
    if (axis == 0 || axis == rank)
        l = MD_TFL_LAST;
    x = moved(b, 0, l, &codes);
    x = md_emit_unsqueeze(&b->e, x, l == MD_TFL_FIRST ? axis + 1 : axis);
    set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_transpose(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    md_tfl_layout to = MD_TFL_LAST;
    int rank = rank_of(b, 0);
    int64_t perm[MD_RANK_MAX];
    int64_t order[MD_RANK_MAX];
    int turn[MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    bool first = rank >= 3;
    md_value_id x;

    if (!md_tfl_read_ints(b, 1, perm, MD_RANK_MAX, &n))
        return;
    if ((int)n != rank) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u axes for rank %d", n, rank);
        return;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = md_tfl_norm_axis(b, perm[i], rank);
    /* Axes 0 and the last stay: so does the layout. */
    if (l == MD_TFL_FIRST && perm[0] == 0 && perm[rank - 1] == rank - 1)
        to = MD_TFL_FIRST;
    /* [n, c, h, w] to [n, h, w, c] is another name for what is there. */
    md_tfl_turn(turn, MD_TFL_FIRST, rank);
    for (int i = 0; i < rank; i++)
        first = first && turn[perm[i]] == i;
    if (l == MD_TFL_LAST && first && !b->plain) {
        x = moved(b, 0, l, &codes);
        set_moved(b, 0, x, MD_TFL_FIRST, codes);
        return;
    }
    for (int i = 0; i < rank; i++) {
        int at = md_tfl_axis(to, rank, i);

        order[at] = md_tfl_axis(l, rank, (int)perm[i]);
    }
    x = md_emit_transpose(&b->e, moved(b, 0, l, &codes), order, rank);
    set_moved(b, 0, x, to, codes);
}

/* --- slices --- */

/* starts, ends and steps for the axes in `axes`. */
static md_value_id slice(md_tfl_build *b, md_value_id x, const int64_t *from,
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
    int rank = rank_of(b, 0);
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
    x = moved(b, 0, l, &codes);
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
        x = m > 0 ? slice(b, x, from, to, step, axes, m)
                  : md_emit_op1(&b->e, "Identity", x);
    } else {
        /* A size below 0 is all that is left. */
        ends = md_emit_op2(&b->e, "Add", list(b, 1), list(b, 2));
        ends =
            md_emit_op(&b->e, "Where",
                       (md_value_id[]){ md_emit_op2(&b->e, "Less", list(b, 2),
                                                    md_emit_int(&b->e, 0)),
                                        md_emit_int(&b->e, INT64_MAX), ends },
                       3, NULL);
        x = md_emit_op(&b->e, "Slice", (md_value_id[]){ x, list(b, 1), ends },
                       3, NULL);
    }
    set_moved(b, 0, x, l, codes);
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
    int rank = rank_of(b, 0);
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
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);
    md_value_id from = list(b, 1);
    md_value_id to = list(b, 2);

    if (md_fb_u32(o, 2, 0) || md_fb_u32(o, 3, 0) || md_fb_bool(o, 5, false) ||
        (int)n > rank_of(b, 0)) {
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
    set_moved(b, 0, x, MD_TFL_LAST, codes);
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
    int rank = rank_of(b, 0);
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
    x = moved(b, 0, l, &codes);
    x = slice(b, x, s.from, s.to, s.step, s.axes, s.n);
    if (s.n_gone > 0)
        x = md_emit_op2(&b->e, "Squeeze", x,
                        md_emit_ints(&b->e, s.gone, s.n_gone));
    if (s.n_fresh > 0)
        x = md_emit_op2(&b->e, "Unsqueeze", x,
                        md_emit_ints(&b->e, s.fresh, s.n_fresh));
    if (s.n == 0 && s.n_fresh == 0)
        x = md_emit_op1(&b->e, "Identity", x);
    set_moved(b, 0, x, l, codes);
}

/* --- apart and together --- */

/* Split input i along `axis` of the file into the operator's outputs. */
static void split(md_tfl_build *b, uint32_t i, int64_t axis,
                  const int64_t *sizes)
{
    uint32_t n = b->op->n_out;
    md_tfl_layout l = md_tfl_pick(b, i, i + 1);
    int rank = rank_of(b, i);
    md_value_id out[SPLIT_MAX];
    md_value_id in[2];
    bool codes = true;
    int at;

    if (n > SPLIT_MAX) {
        md_emit_fail(&b->e, MD_TOO_LARGE, "into %u parts", n);
        return;
    }
    for (uint32_t o = 0; o < n; o++) {
        const md_tfl_value *y = md_tfl_out(b, o);

        codes = codes && y && md_tfl_same_codes(b, i) &&
                md_tfl_scale_of(y) == md_tfl_scale_of(md_tfl_out(b, 0)) &&
                md_tfl_zero_of(y) == md_tfl_zero_of(md_tfl_out(b, 0));
    }
    at = md_tfl_axis(l, rank, md_tfl_norm_axis(b, axis, rank));
    in[0] = codes ? md_tfl_code(b, md_tfl_in(b, i), l)
                  : md_tfl_real(b, md_tfl_in(b, i), l);
    if (sizes) {
        in[1] = md_emit_ints(&b->e, sizes, n);
        md_emit_op_n(&b->e, out, n, "Split", in, 2,
                     EMIT_ATTRS(EMIT_I("axis", at)));
    } else {
        md_emit_op_n(&b->e, out, n, "Split", in, 1,
                     EMIT_ATTRS(EMIT_I("axis", at), EMIT_I("num_outputs", n)));
    }
    for (uint32_t o = 0; o < n; o++)
        set_moved(b, o, out[o], l, codes);
}

void md_tfl_emit_split(md_tfl_build *b)
{
    int64_t axis = 0;
    uint32_t n = 0;

    if (md_tfl_read_ints(b, 0, &axis, 1, &n) && n == 1)
        split(b, 1, axis, NULL);
}

void md_tfl_emit_split_v(md_tfl_build *b)
{
    int64_t sizes[SPLIT_MAX];
    int64_t axis = 0;
    int64_t rest;
    uint32_t n = 0;
    uint32_t n_axis = 0;

    if (!md_tfl_read_ints(b, 2, &axis, 1, &n_axis) || n_axis != 1 ||
        !md_tfl_read_ints(b, 1, sizes, SPLIT_MAX, &n))
        return;
    if (n != b->op->n_out) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u sizes for %u parts", n,
                     b->op->n_out);
        return;
    }
    rest = md_tfl_size(b, md_tfl_in(b, 0),
                       md_tfl_norm_axis(b, axis, rank_of(b, 0)));
    for (uint32_t i = 0; i < n; i++)
        rest -= sizes[i] < 0 ? 0 : sizes[i];
    for (uint32_t i = 0; i < n; i++) {
        if (sizes[i] < 0 && rest < 0)
            md_emit_fail(&b->e, MD_UNSUPPORTED, "a part of any size");
        sizes[i] = sizes[i] < 0 ? rest : sizes[i];
    }
    split(b, 0, axis, sizes);
}

void md_tfl_emit_unpack(md_tfl_build *b)
{
    int rank = rank_of(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 1, 0), rank);
    bool codes;
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);

    for (uint32_t o = 0; o < b->op->n_out; o++)
        set_moved(b, o,
                  md_emit_op(&b->e, "Gather",
                             (md_value_id[]){ x, md_emit_int(&b->e, o) }, 2,
                             EMIT_ATTRS(EMIT_I("axis", axis))),
                  MD_TFL_LAST, codes);
}

/* All inputs, each as codes when all mean by them what the output does. */
static md_value_id *all_inputs(md_tfl_build *b, md_tfl_layout l, bool *codes)
{
    uint32_t n = b->op->n_in;
    md_value_id *in = md_emit_alloc(&b->e, n, sizeof(*in));

    *codes = true;
    for (uint32_t i = 0; i < n; i++)
        *codes = *codes && md_tfl_same_codes(b, i);
    for (uint32_t i = 0; in && i < n; i++)
        in[i] = *codes ? md_tfl_code(b, md_tfl_in(b, i), l)
                       : md_tfl_real(b, md_tfl_in(b, i), l);
    return in;
}

void md_tfl_emit_concat(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, b->op->n_in);
    int rank = rank_of(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 0, 0), rank);
    int activation = md_fb_i8(&b->op->options, 1, 0);
    bool codes;
    md_value_id *in = all_inputs(b, l, &codes);
    md_value_id x;

    if (!in)
        return;
    x = md_emit_op(&b->e, "Concat", in, b->op->n_in,
                   EMIT_ATTRS(EMIT_I("axis", md_tfl_axis(l, rank, axis))));
    if (activation != 0 && !codes)
        x = md_tfl_activate(b, x, activation);
    set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_pack(md_tfl_build *b)
{
    int rank = rank_of(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 1, 0), rank + 1);
    bool codes;
    md_value_id *in = all_inputs(b, MD_TFL_LAST, &codes);

    for (uint32_t i = 0; in && i < b->op->n_in; i++)
        in[i] = md_emit_unsqueeze(&b->e, in[i], axis);
    if (in)
        set_moved(b, 0,
                  b->op->n_in == 1
                      ? in[0]
                      : md_emit_op(&b->e, "Concat", in, b->op->n_in,
                                   EMIT_ATTRS(EMIT_I("axis", axis))),
                  MD_TFL_LAST, codes);
}

/* --- pads and copies --- */

/* paddings [rank, 2] to ONNX's begins and ends in layout l. */
static md_value_id read_pads(md_tfl_build *b, md_tfl_layout l)
{
    int rank = rank_of(b, 0);
    int64_t given[2 * MD_RANK_MAX];
    int64_t pads[2 * MD_RANK_MAX];
    uint32_t n = 0;

    if (!md_tfl_read_ints(b, 1, given, 2 * MD_RANK_MAX, &n))
        return MD_VALUE_NONE;
    if ((int)n != 2 * rank) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u pads for rank %d", n, rank);
        return MD_VALUE_NONE;
    }
    for (int i = 0; i < rank; i++) {
        const int64_t *pair = given + 2 * (size_t)i;
        int at = md_tfl_axis(l, rank, i);

        pads[at] = pair[0];
        pads[rank + at] = pair[1];
    }
    return md_emit_ints(&b->e, pads, 2 * (int64_t)rank);
}

void md_tfl_emit_pad(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    md_value_id in[3] = { md_tfl_real(b, md_tfl_in(b, 0), l), read_pads(b, l),
                          MD_VALUE_NONE };
    uint32_t n = 2;

    if (md_tfl_in(b, 2)) {
        in[2] = md_emit_reshape(&b->e, md_tfl_x(b, 2), NULL, 0);
        n = 3;
    }
    md_tfl_set(b, 0, md_emit_op(&b->e, "Pad", in, n, NULL), l);
}

/* mode 0: REFLECT, 1: SYMMETRIC (the edge twice), which ONNX has not: mirrored
 * slices beside the tensor. */
void md_tfl_emit_mirror_pad(md_tfl_build *b)
{
    bool symmetric = md_fb_i8(&b->op->options, 0, 0) == 1;
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = rank_of(b, 0);
    int64_t given[2 * MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    md_value_id x = moved(b, 0, l, &codes);

    if (!symmetric) {
        x = md_emit_op(&b->e, "Pad", (md_value_id[]){ x, read_pads(b, l) }, 2,
                       EMIT_ATTRS(EMIT_S("mode", "reflect")));
        set_moved(b, 0, x, l, codes);
        return;
    }
    if (!md_tfl_read_ints(b, 1, given, 2 * MD_RANK_MAX, &n) ||
        (int)n != 2 * rank)
        return;
    for (int i = 0; i < rank; i++) {
        int64_t at = md_tfl_axis(l, rank, i);
        int64_t low = given[2 * (size_t)i];
        int64_t high = given[2 * (size_t)i + 1];
        md_value_id parts[3];
        uint32_t m = 0;

        if (low > 0)
            parts[m++] =
                slice(b, x, (int64_t[]){ low - 1 }, (int64_t[]){ INT64_MIN },
                      (int64_t[]){ -1 }, &at, 1);
        parts[m++] = x;
        if (high > 0)
            parts[m++] =
                slice(b, x, (int64_t[]){ -1 }, (int64_t[]){ -high - 1 },
                      (int64_t[]){ -1 }, &at, 1);
        if (m > 1)
            x = md_emit_op(&b->e, "Concat", parts, m,
                           EMIT_ATTRS(EMIT_I("axis", at)));
    }
    set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_tile(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = rank_of(b, 0);
    md_dim given[MD_RANK_MAX];
    int64_t times[MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    bool known =
        md_tfl_read_dims(b, 1, given, MD_RANK_MAX, &n) && (int)n == rank;
    md_value_id x;

    for (uint32_t i = 0; known && i < n; i++) {
        known = md_dim_is_const(given[i]);
        times[md_tfl_axis(l, rank, (int)i)] = given[i].k;
    }
    if (!known)
        l = MD_TFL_LAST;
    x = moved(b, 0, l, &codes);
    x = md_emit_op2(&b->e, "Tile", x,
                    known ? md_emit_ints(&b->e, times, rank) : list(b, 1));
    set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_reverse(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = rank_of(b, 0);
    int64_t axes[MD_RANK_MAX], from[MD_RANK_MAX], to[MD_RANK_MAX],
        step[MD_RANK_MAX];
    uint32_t n = 0;
    bool codes;
    md_value_id x = moved(b, 0, l, &codes);

    if (!md_tfl_read_ints(b, 1, axes, MD_RANK_MAX, &n))
        return;
    for (uint32_t i = 0; i < n; i++) {
        axes[i] = md_tfl_axis(l, rank, md_tfl_norm_axis(b, axes[i], rank));
        from[i] = -1;
        to[i] = INT64_MIN;
        step[i] = -1;
    }
    x = n == 0 ? md_emit_op1(&b->e, "Identity", x)
               : slice(b, x, from, to, step, axes, (int)n);
    set_moved(b, 0, x, l, codes);
}

/* seq_dim 0, batch_dim 1 */
void md_tfl_emit_reverse_sequence(md_tfl_build *b)
{
    int rank = rank_of(b, 0);
    int time = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 0, 0), rank);
    int batch = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 1, 0), rank);
    int64_t perm[MD_RANK_MAX], back[MD_RANK_MAX];
    int at = 2;
    bool codes;
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);

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
    x = md_emit_op(&b->e, "ReverseSequence", (md_value_id[]){ x, list(b, 1) },
                   2,
                   EMIT_ATTRS(EMIT_I("batch_axis", 0), EMIT_I("time_axis", 1)));
    set_moved(b, 0, md_emit_transpose(&b->e, x, back, rank), MD_TFL_LAST,
              codes);
}

/* --- by index --- */

/* Rows along `axis`, chosen for each of the first `batch` axes on its own: the
 * axis comes behind those, and what lay between goes back in front of the
 * indices' axes. */
static md_value_id gather_batch(md_tfl_build *b, md_value_id x, md_value_id at,
                                int axis, int batch)
{
    int rank = rank_of(b, 0);
    int fresh = rank_of(b, 1) - batch;
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
    int rank = rank_of(b, 0);
    int axis = md_tfl_norm_axis(b, md_fb_i32(&b->op->options, 0, 0), rank);
    int32_t batch = md_fb_i32(&b->op->options, 1, 0);
    bool codes;
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);
    md_value_id at = md_tfl_x(b, 1);

    if (md_emit_type(&b->e, at)->dtype != MD_DTYPE_I32)
        at = md_emit_cast(&b->e, at, MD_DTYPE_I64);
    if (batch < 0)
        batch += rank_of(b, 1);
    if (batch == 0)
        x = md_emit_op(&b->e, "Gather", (md_value_id[]){ x, at }, 2,
                       EMIT_ATTRS(EMIT_I("axis", axis)));
    else
        x = gather_batch(b, x, at, axis, (int)batch);
    set_moved(b, 0, x, MD_TFL_LAST, codes);
}

void md_tfl_emit_gather_nd(md_tfl_build *b)
{
    bool codes;
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);

    set_moved(b, 0,
              md_emit_op(&b->e, "GatherND", (md_value_id[]){ x, list(b, 1) }, 2,
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
    md_value_id zero = md_emit_op2(&b->e, "Expand",
                                   md_emit_number(&b->e, dtype, 0), list(b, 2));
    md_value_id in[] = { zero, list(b, 0), v };

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
    int rank = rank_of(b, 0);
    md_value_id at = list(b, 0);
    md_value_id v = md_tfl_x(b, 2);
    md_value_id all = md_emit_op2(&b->e, "Expand", md_tfl_x(b, 3), list(b, 1));
    md_value_id n;

    if (rank == 0)
        at = md_emit_reshape(&b->e, at, (const int64_t[]){ 1, 1 }, 2);
    else if (rank == 1)
        at = md_emit_unsqueeze(&b->e, at, -1);
    if (rank_of(b, 2) == 0) {
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

    if (b->e.status != MD_OK || !ids || rank_of(b, 0) != 1 ||
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
    md_value_id ids = list(b, 1);
    md_dtype dtype = md_emit_type(&b->e, x)->dtype;
    bool floats = md_dtype_is_float(dtype);
    int n_ids = rank_of(b, 1);
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
        n = list(b, 2);
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
    int rank = rank_of(b, 0);
    int64_t dim[MD_RANK_MAX];
    int64_t room[MD_RANK_MAX];
    md_shape shape = { rank + 1, { 0 } };
    md_tensor grid = MD_TENSOR_INIT;
    int64_t n = 1;
    bool codes;
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);
    md_value_id v =
        codes ? md_tfl_code(b, md_tfl_in(b, 1), MD_TFL_LAST) : md_tfl_x(b, 1);
    md_value_id at;

    if (rank != rank_of(b, 1) || rank >= MD_RANK_MAX) {
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
    at = md_emit_op2(&b->e, "Max", list(b, 2), md_emit_int(&b->e, 0));
    at = md_emit_op2(&b->e, "Min", at, md_emit_ints(&b->e, room, rank));
    at = md_emit_op2(&b->e, "Add", md_emit_const(&b->e, grid), at);
    set_moved(
        b, 0,
        md_emit_op(&b->e, "ScatterND", (md_value_id[]){ x, at, v }, 3, NULL),
        MD_TFL_LAST, codes);
}

/* --- shapes --- */

void md_tfl_emit_shape(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = rank_of(b, 0);
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
    md_tfl_set(b, 0, md_emit_int(&b->e, rank_of(b, 0)), MD_TFL_LAST);
}

void md_tfl_emit_fill(md_tfl_build *b)
{
    bool codes = md_tfl_same_codes(b, 1);
    md_value_id v =
        codes ? md_tfl_code(b, md_tfl_in(b, 1), MD_TFL_LAST) : md_tfl_x(b, 1);

    set_moved(b, 0, md_emit_op2(&b->e, "Expand", v, list(b, 0)), MD_TFL_LAST,
              codes);
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
    md_value_id x = moved(b, 0, MD_TFL_LAST, &codes);

    set_moved(b, 0, md_emit_op2(&b->e, "Expand", x, list(b, 1)), MD_TFL_LAST,
              codes);
}

/* The shape that two shapes broadcast to: that of something broadcast. */
void md_tfl_emit_broadcast_args(md_tfl_build *b)
{
    md_value_id x = md_emit_op2(
        &b->e, "Expand", md_emit_number(&b->e, MD_DTYPE_BOOL, 0), list(b, 0));

    x = md_emit_op2(&b->e, "Expand", x, list(b, 1));
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
    int rank = rank_of(b, 0) + 1;
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
    x = md_emit_unsqueeze(&b->e, list(b, 0), axis);
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
    int rank = rank_of(b, 0);
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
    int rank = rank_of(b, 0);
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
    md_value_id x =
        md_emit_op2(&b->e, "Expand", md_emit_float(&b->e, 0), list(b, 0));

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
