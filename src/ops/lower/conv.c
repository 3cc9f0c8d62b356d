/* Conv in float32: conv_f32 on NC16. */
#include <string.h>

#include "base/size.h"
#include "kernels/conv_f32.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_conv_f32_kernel *kernel;
    int64_t groups, oc, kh, kw;
    float *packed;
    float *bias;
} state;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->packed);
    md_free(alloc, s->bias);
}

static md_status make_bias(float **out, const md_lower *lo, int64_t oc,
                           md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 2, MD_DTYPE_F32);

    if (!b)
        return MD_OK;
    *out = md_lower__padded(lo, b->data, oc);
    return *out ? MD_OK : md_fail_nomem(err, (unsigned long long)oc * 4);
}

static md_status pack(state *s, const md_lower *lo, const md_tensor *w,
                      md_error *err)
{
    const md_conv_shape shape = { .n = 1,
                                  .ic = w->shape.dim[1] * s->groups,
                                  .oc = s->oc,
                                  .kh = s->kh,
                                  .kw = s->kw };
    size_t size;

    if (!md_conv_f32_packed_size(&size, &shape, s->groups))
        return md_fail_nomem(err, SIZE_MAX);
    s->packed = md_malloc_aligned(lo->alloc, size + MD_CACHE_LINE);
    if (!s->packed)
        return md_fail_nomem(err, size);
    md_conv_f32_pack(s->packed, w->data, &shape, s->groups);
    return make_bias(&s->bias, lo, s->oc, err);
}

static md_status check(const md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    int64_t groups = md_node_attr_i(lo->node, "group", 1);

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, 4) || !w || w->shape.rank != 4)
        return md_fail(err, MD_UNSUPPORTED,
                       "needs 2-D float32 with constant weights");
    if (lo->node->n_in > 2 && lo->in[2] &&
        !md_lower__const(lo, 2, MD_DTYPE_F32))
        return md_fail(err, MD_UNSUPPORTED, "the bias is no constant");
    if (groups < 1 || w->shape.dim[0] % groups != 0)
        return md_fail(err, MD_UNSUPPORTED, "%lld groups", (long long)groups);
    if (groups > 1 && (w->shape.dim[1] % MD_BLOCK != 0 ||
                       w->shape.dim[0] / groups % MD_BLOCK != 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "channels of a group are no multiple of %d", MD_BLOCK);
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    md_status st;
    state *s;

    MD_TRY(check(lo, err));
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->groups = md_node_attr_i(lo->node, "group", 1);
    s->oc = w->shape.dim[0];
    s->kh = w->shape.dim[2];
    s->kw = w->shape.dim[3];
    s->kernel = md_conv_f32_select(lo->cpu);
    lo->kernel = s->kernel->name;
    lo->want[0] = MD_LAYOUT_NC16;
    lo->give[0] = MD_LAYOUT_NC16;
    if (md_lower__residual_input(lo->node) >= 0)
        lo->want[lo->node->n_in - 1] = MD_LAYOUT_NC16;
    st = pack(s, lo, w, err);
    if (st != MD_OK)
        release(s, lo->alloc);
    return st;
}

typedef struct args {
    md_conv_f32_args conv;
    md_conv_f32_grid grid;
} args;

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->conv = (md_conv_f32_args){
        .shape = md_lower__window(st->node, &st->in_shape[0], &st->out_shape[0],
                                  s->kh, s->kw),
        .groups = s->groups,
        .w = s->packed,
    };
    if (!md_conv_f32_split(&a->grid, s->kernel, &a->conv.shape, s->groups,
                           width))
        return md_fail_nomem(err, SIZE_MAX);
    st->n_chunks = a->grid.n_chunks;
    st->scratch_size = a->grid.scratch_size;
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    md_conv_f32_args c = a->conv;

    c.x = st->in[0];
    c.y = st->out[0];
    c.ep = md_step__epilogue(st, s->bias);
    md_conv_f32_run(s->kernel, &c, &a->grid, chunk, scratch);
}

const md_fast md_fast_conv = { lower, plan, run, release,
                               md_lower__residual_input };
