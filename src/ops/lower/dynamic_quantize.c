/* DynamicQuantizeLinear: the range of all parts, then each part by it. */
#include "base/size.h"
#include "ops/lower/common.h"
#include "ops/lower/range.h"

typedef struct state {
    const md_quantize_kernel *quantize;
} state;

static md_status lower(md_lower *lo, md_error *err)
{
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "the rank is not known");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->quantize = md_quantize_select(lo->cpu);
    lo->kernel = s->quantize->name;
    return MD_OK;
}

/* Its arguments are the number of parts. */
static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    int64_t *n_parts;

    MD_TRY(md_step__args(st, arena, (void *)&n_parts, sizeof(*n_parts), err));
    *n_parts = md_range__n_parts(md_shape_n(&st->in_shape[0]), width);
    st->shared_size = (size_t)*n_parts * sizeof(md_range);
    st->n_chunks = st->n_more[0] = *n_parts;
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const int64_t n_parts = *(const int64_t *)st->args;
    const int64_t n = md_shape_n(&st->in_shape[0]);
    float scale;
    uint8_t zero;

    (void)scratch;
    if (st->phase == 0) {
        md_range__find(s->quantize, st->shared, st->in[0], n, n_parts, chunk);
        return;
    }
    if (st->out[0])
        md_range__quantize(s->quantize, st->out[0], st->in[0], n, st->shared,
                           n_parts, chunk);
    if (chunk > 0)
        return;
    md_range__params(&scale, &zero, st->shared, n_parts);
    if (st->out[1])
        *(float *)st->out[1] = scale;
    if (st->out[2])
        *(uint8_t *)st->out[2] = zero;
}

const md_fast md_fast_dynamic_quantize = { lower, plan, run, NULL, NULL };
