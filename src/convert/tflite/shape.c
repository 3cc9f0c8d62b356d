/* Operators that give elements another shape, or axes another order. */
#include "base/size.h"
#include "convert/tflite/build.h"

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
    md_tfl_set_moved(b, 0, id, MD_TFL_FIRST, codes);
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
    id = md_tfl_moved(b, 0, MD_TFL_LAST, &codes);
    if (is_complex(b) && known && t.rank < MD_RANK_MAX)
        t.dim[t.rank++] = 2;
    else if (is_complex(b))
        known = false;
    if (known)
        id = md_emit_reshape(&b->e, id, t.dim, t.rank);
    else if (is_complex(b))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "complex numbers of any shape");
    else
        id = md_emit_op2(&b->e, "Reshape", id, md_tfl_list(b, 1));
    md_tfl_set_moved(b, 0, id, MD_TFL_LAST, codes);
}

/* --- axes of size 1 --- */

void md_tfl_emit_squeeze(md_tfl_build *b)
{
    md_fb_vector v = md_fb_vec(&b->op->options, 0, 4);
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
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
    x = md_tfl_moved(b, 0, l, &codes);
    x = n == 0 ? md_emit_op1(&b->e, "Identity", x)
               : md_emit_op2(&b->e, "Squeeze", x, md_emit_ints(&b->e, axes, n));
    md_tfl_set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_expand_dims(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank_in(b, 0);
    int64_t axis = 0;
    uint32_t n = 0;
    bool codes;
    md_value_id x;

    if (!md_tfl_read_ints(b, 1, &axis, 1, &n) || n != 1)
        return;
    axis = md_tfl_norm_axis(b, axis, rank + 1);
    if (axis == 0 || axis == rank)
        l = MD_TFL_LAST;
    x = md_tfl_moved(b, 0, l, &codes);
    x = md_emit_unsqueeze(&b->e, x, l == MD_TFL_FIRST ? axis + 1 : axis);
    md_tfl_set_moved(b, 0, x, l, codes);
}

void md_tfl_emit_transpose(md_tfl_build *b)
{
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    md_tfl_layout to = MD_TFL_LAST;
    int rank = md_tfl_rank_in(b, 0);
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
        x = md_tfl_moved(b, 0, l, &codes);
        md_tfl_set_moved(b, 0, x, MD_TFL_FIRST, codes);
        return;
    }
    for (int i = 0; i < rank; i++) {
        int at = md_tfl_axis(to, rank, i);

        order[at] = md_tfl_axis(l, rank, (int)perm[i]);
    }
    x = md_emit_transpose(&b->e, md_tfl_moved(b, 0, l, &codes), order, rank);
    md_tfl_set_moved(b, 0, x, to, codes);
}
