/*
 * Concat and Split by copies of rows: a chunk is one part.  Along the channels
 * of blocked values they stay blocked when parts are whole blocks.
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
    if (!whole || !whole->has_rank || whole->rank == 0 ||
        md_dtype_bits(whole->dtype) % 8 != 0 || whole->dtype == MD_DTYPE_STRING)
        return md_fail(err, MD_UNSUPPORTED, "needs elements of whole bytes");
    MD_TRY(md_lower__state(lo, (void *)out, sizeof(**out), err));
    lo->kernel = "copy_rows";
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

static md_status plan(md_step *st, const md_shape *whole, const md_shape *parts,
                      uint32_t n, md_dtype dtype, md_arena *arena,
                      md_error *err)
{
    const state *s = st->state;
    int64_t elem = md_dtype_bits(dtype) / 8;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->size = md_arena_calloc(arena, n, sizeof(*a->size));
    a->offset = md_arena_calloc(arena, n, sizeof(*a->offset));
    if (!a->size || !a->offset)
        return md_fail_nomem(err, n * sizeof(*a->size));
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
    st->n_chunks = n;
    return MD_OK;
}

static md_status plan_concat(md_step *st, int width, md_arena *arena,
                             md_error *err)
{
    (void)width;
    return plan(st, &st->out_shape[0], st->in_shape, st->node->n_in,
                st->out_dtype[0], arena, err);
}

static md_status plan_split(md_step *st, int width, md_arena *arena,
                            md_error *err)
{
    (void)width;
    return plan(st, &st->in_shape[0], st->out_shape, st->node->n_out,
                st->out_dtype[0], arena, err);
}

static void run_concat(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;

    (void)scratch;
    md_copy_rows((char *)st->out[0] + a->offset[chunk], a->whole, st->in[chunk],
                 a->size[chunk], a->rows, (size_t)a->size[chunk]);
}

static void run_split(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;

    (void)scratch;
    md_copy_rows(st->out[chunk], a->size[chunk],
                 (const char *)st->in[0] + a->offset[chunk], a->whole, a->rows,
                 (size_t)a->size[chunk]);
}

const md_fast md_fast_concat = { lower_concat, plan_concat, run_concat, NULL,
                                 NULL };
const md_fast md_fast_split = { lower_split, plan_split, run_split, NULL,
                                NULL };
