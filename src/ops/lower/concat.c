/*
 * Concat and Split by copies of rows.  A chunk is some rows of the whole, or a
 * piece of its only one, so that memory is met as it lies, however many parts
 * there are.  Along the channels of blocked values they stay blocked when parts
 * are whole blocks.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/reorder.h"
#include "ops/lower/common.h"

typedef struct state {
    int axis;
    bool blocked;
} state;

/* Parts of the whole: inputs of a Concat, outputs of a Split. */
typedef struct args {
    int64_t rows;
    int64_t whole;   /* bytes of a row of the whole */
    int64_t *size;   /* by part: bytes of its rows */
    int64_t *offset; /* by part: where they lie in the row */
    uint32_t n;      /* parts */
    int64_t step;    /* rows of a chunk, or bytes of the only one */
} args;

/* May the parts be cut out of blocks?  Each but the last is whole blocks. */
static bool whole_blocks(const md_type *const *parts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!parts[i] || parts[i]->rank != 4 ||
            !md_dim_is_const(parts[i]->dim[1]) ||
            (i + 1 < n && parts[i]->dim[1].k % MD_BLOCK != 0))
            return false;
    }
    return true;
}

static md_status lower(md_lower *lo, int64_t axis, const md_type *whole,
                       state **out, md_error *err)
{
    if (!whole || whole->dtype == MD_DTYPE_NONE ||
        md_dtype_bits(whole->dtype) % 8 != 0 || whole->dtype == MD_DTYPE_STRING)
        return md_fail(err, MD_UNSUPPORTED, "needs elements of whole bytes");
    if (whole->has_rank ? whole->rank == 0 : axis < 0)
        return md_fail(err, MD_UNSUPPORTED, "needs an axis");
    MD_TRY(md_lower__state(lo, (void *)out, sizeof(**out), err));
    lo->kernel = "copy_rows";
    (*out)->axis = (int)axis; /* in whatever rank; inference checks it */
    if (!whole->has_rank)
        return MD_OK;
    return md_axis_normalize(&(*out)->axis, axis, whole->rank, err);
}

static md_status lower_concat(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    bool any = false, all = true;
    state *s;

    MD_TRY(lower(lo, md_node_attr_i(n, "axis", 1), lo->out[0], &s, err));
    for (uint32_t i = 0; i < n->n_in; i++) {
        any |= lo->have[i] == MD_LAYOUT_NC16;
        all &= lo->cin[i] == NULL;
    }
    if (!any || !all || s->axis != 1 || lo->out[0]->rank != 4 ||
        !whole_blocks(lo->in, n->n_in))
        return MD_OK;
    s->blocked = true;
    for (uint32_t i = 0; i < n->n_in; i++)
        lo->want[i] = MD_LAYOUT_NC16;
    lo->give[0] = MD_LAYOUT_NC16;
    return MD_OK;
}

static md_status lower_split(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    state *s;

    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!lo->out[i])
            return md_fail(err, MD_UNSUPPORTED, "a part is absent");
    }
    MD_TRY(lower(lo, md_node_attr_i(n, "axis", 0), lo->in[0], &s, err));
    if (lo->have[0] != MD_LAYOUT_NC16 || s->axis != 1 ||
        !whole_blocks(lo->out, n->n_out))
        return MD_OK;
    s->blocked = true;
    lo->want[0] = MD_LAYOUT_NC16;
    for (uint32_t i = 0; i < n->n_out; i++)
        lo->give[i] = MD_LAYOUT_NC16;
    return MD_OK;
}

/* Rows, or the bytes of one, by chunks. */
static void cut(md_step *st, args *a, int64_t elem, int width)
{
    enum {
        BYTES_PER_NS = 8, /* of memory's pace, both ways */
    };
    const int64_t total = a->rows * a->whole;
    const int64_t n = a->rows == 1 ? a->whole / MD_CACHE_LINE + 1 : a->rows;

    if (total == 0) {
        st->n_chunks = 0;
        return;
    }
    st->n_chunks = md_step__chunks(total / BYTES_PER_NS, n, width);
    if (a->rows == 1)
        a->step = md_div_up(a->whole / elem, st->n_chunks) * elem;
    else
        a->step = md_div_up(a->rows, st->n_chunks);
}

/* `width` threads share it. */
static md_status plan(md_step *st, bool join, int width, md_arena *arena,
                      md_error *err)
{
    const md_shape *whole = join ? st->out_shape : st->in_shape;
    const md_shape *parts = join ? st->in_shape : st->out_shape;
    const uint32_t n = join ? st->node->n_in : st->node->n_out;
    const state *s = st->state;
    int64_t elem = md_dtype_bits(st->out_dtype[0]) / 8;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->size = md_arena_calloc(arena, n, sizeof(*a->size));
    a->offset = md_arena_calloc(arena, n, sizeof(*a->offset));
    if (!a->size || !a->offset)
        return md_fail_nomem(err, n * sizeof(*a->size));
    a->n = n;
    a->rows = md_shape_span(whole, 0, s->axis);
    for (uint32_t i = 0; i < n; i++) {
        int64_t along = parts[i].dim[s->axis];

        if (s->blocked)
            along = md_div_up(along, MD_BLOCK) * MD_BLOCK;
        a->offset[i] = a->whole;
        a->size[i] =
            along * elem * md_shape_span(whole, s->axis + 1, whole->rank);
        a->whole += a->size[i];
    }
    cut(st, a, elem, width);
    return MD_OK;
}

static md_status plan_concat(md_step *st, int width, md_arena *arena,
                             md_error *err)
{
    return plan(st, true, width, arena, err);
}

static md_status plan_split(md_step *st, int width, md_arena *arena,
                            md_error *err)
{
    return plan(st, false, width, arena, err);
}

/* `rows` rows of part i from row `at` on; of each the bytes [from, to). */
static void move(const md_step *st, bool join, uint32_t i, int64_t at,
                 int64_t rows, int64_t from, int64_t to)
{
    const args *a = st->args;
    char *whole = join ? st->out[0] : st->in[0];
    char *part = join ? st->in[i] : st->out[i];

    whole += at * a->whole + a->offset[i] + from;
    part += at * a->size[i] + from;
    if (join)
        md_copy_rows(whole, a->whole, part, a->size[i], rows,
                     (size_t)(to - from));
    else
        md_copy_rows(part, a->size[i], whole, a->whole, rows,
                     (size_t)(to - from));
}

static void move_chunk(const md_step *st, bool join, int64_t chunk)
{
    enum {
        BLOCK = 16 << 10 /* bytes of rows that all parts are moved of at once */
    };
    const args *a = st->args;
    const bool one = a->rows == 1;
    const int64_t from = chunk * a->step;
    const int64_t to = md_min_i64(from + a->step, one ? a->whole : a->rows);
    const int64_t block = md_max_i64(1, BLOCK / a->whole);

    for (uint32_t i = 0; i < a->n && one; i++) {
        const int64_t lo = md_max_i64(from - a->offset[i], 0);
        const int64_t hi = md_min_i64(to - a->offset[i], a->size[i]);

        if (lo < hi)
            move(st, join, i, 0, 1, lo, hi);
    }
    for (int64_t at = from; at < to && !one; at += block) {
        for (uint32_t i = 0; i < a->n; i++)
            move(st, join, i, at, md_min_i64(block, to - at), 0, a->size[i]);
    }
}

static void run_concat(const md_step *st, int64_t chunk, void *scratch)
{
    (void)scratch;
    move_chunk(st, true, chunk);
}

static void run_split(const md_step *st, int64_t chunk, void *scratch)
{
    (void)scratch;
    move_chunk(st, false, chunk);
}

const md_fast md_fast_concat = { lower_concat, plan_concat, run_concat, NULL,
                                 NULL };
const md_fast md_fast_split = { lower_split, plan_split, run_split, NULL,
                                NULL };
