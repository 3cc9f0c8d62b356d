/*
 * Conv in float32, into NC16, by one of five kernels: conv_stem_f32 for few
 * input channels (it reads them row-major), dwconv_f32 for one filter per
 * channel, conv_winograd for windows of 3 x 3 where it is faster, conv_f32 or
 * conv_bf16 for the rest.  What is not 2-D, has groups of odd sizes or no
 * constant weights goes to conv_rows.c.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/conv_bf16.h"
#include "kernels/conv_f32.h"
#include "kernels/conv_stem_f32.h"
#include "kernels/conv_winograd.h"
#include "kernels/dwconv_f32.h"
#include "ops/lower/common.h"

enum {
    STEM_CHANNELS_MAX = 8 /* above, padding to 16 channels wastes less */
};

typedef enum kind {
    DENSE,
    DENSE_BF16,
    WINOGRAD,
    STEM,
    DEPTHWISE,
} kind;

/* Why Winograd's filtering is used, by tile: conv_winograd.h. */
static const char *const why_winograd[MD_WINOGRAD_TILES] = {
    "error at most a plain float sum's; not for strict",
    "error 3 times a plain float sum's; not for strict",
};

typedef struct state {
    kind kind;
    union {
        const md_conv_f32_kernel *dense;
        md_lower_bf16 bf16;
        md_conv_winograd winograd;
        const md_conv_stem_f32_kernel *stem;
        const md_dwconv_f32_kernel *depthwise;
    } kernel;
    int64_t groups;
    md_conv_shape shape; /* channels and window; sizes come with the plan */
    uint8_t *finite; /* whether Winograd's transforms take the weights; NULL:
                          * nobody asked */
    void *packed;
    float *bias;
} state;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->finite);
    md_free(alloc, s->packed);
    md_free(alloc, s->bias);
}

static bool packed_size(size_t *size, const state *s)
{
    switch (s->kind) {
    case DENSE_BF16:
        return md_conv_bf16_packed_size(size, s->kernel.bf16.kernel, &s->shape);
    case WINOGRAD:
        return md_conv_winograd_packed_size(size, &s->kernel.winograd,
                                            &s->shape);
    case STEM:
        return md_conv_stem_f32_packed_size(size, &s->shape);
    case DEPTHWISE:
        return md_dwconv_f32_packed_size(size, &s->shape);
    default:
        return md_conv_f32_packed_size(size, &s->shape, s->groups);
    }
}

/* Packing a dense convolution, shared by blocks of output channels. */
typedef struct pack_job {
    const state *s;
    const float *w;
} pack_job;

static void pack_blocks(void *ctx, int64_t chunk, int worker)
{
    const pack_job *j = ctx;
    md_conv_shape part = j->s->shape;
    int64_t taps = part.kh * part.kw;
    int64_t from = chunk * MD_BLOCK;

    (void)worker;
    if (j->s->kind == DENSE_BF16) {
        md_conv_bf16_pack(j->s->packed, j->s->kernel.bf16.kernel,
                          j->s->kernel.bf16.cast, j->w, &part, chunk,
                          chunk + 1);
        return;
    }
    if (j->s->kind == WINOGRAD) {
        md_conv_winograd_pack(j->s->packed, &j->s->kernel.winograd, j->w, &part,
                              chunk, chunk + 1);
        return;
    }
    part.oc = md_min_i64(part.oc - from, MD_BLOCK);
    md_conv_f32_pack((float *)j->s->packed +
                         from * md_div_up(part.ic, MD_BLOCK) * MD_BLOCK * taps,
                     j->w + from * part.ic * taps, &part, 1);
}

static void pack_dense(const state *s, const md_lower *lo, const float *w)
{
    pack_job j = { s, w };

    if (s->groups == 1)
        md_pool_run(lo->pool, MD_POOL_WIDTH_MAX,
                    md_div_up(s->shape.oc, MD_BLOCK), pack_blocks, &j);
    else
        md_conv_f32_pack(s->packed, w, &s->shape, s->groups);
}

static void pack_weights(const state *s, const md_lower *lo, const float *w)
{
    if (s->kind == STEM)
        md_conv_stem_f32_pack(s->packed, w, &s->shape);
    else if (s->kind == DEPTHWISE)
        md_dwconv_f32_pack(s->packed, w, &s->shape);
    else
        pack_dense(s, lo, w);
}

static md_status pack(state *s, const md_lower *lo, const float *w,
                      md_error *err)
{
    const md_tensor *b = md_lower__const(lo, 2, MD_DTYPE_F32);
    size_t size;
    bool ready;

    if (!packed_size(&size, s))
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_lower__pack(lo, (void *)&s->packed, size, &ready, err));
    if (!ready)
        pack_weights(s, lo, w);
    if (b) {
        s->bias = md_lower__padded(lo, b->data, s->shape.oc);
        if (!s->bias)
            return md_fail_nomem(err, md_tensor_size(b));
    }
    return MD_OK;
}

/* 2-D float32 with constants, and groups that keep blocks of channels whole,
 * if there are several. */
static bool takes(const md_lower *lo)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    const int64_t groups = md_node_attr_i(lo->node, "group", 1);

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, 4) || !w || w->shape.rank != 4)
        return false;
    if (lo->node->n_in > 2 && lo->in[2] &&
        !md_lower__const(lo, 2, MD_DTYPE_F32))
        return false;
    return groups == 1 || (w->shape.dim[1] == 1 && w->shape.dim[0] == groups) ||
           (w->shape.dim[1] % MD_BLOCK == 0 &&
            w->shape.dim[0] / groups % MD_BLOCK == 0);
}

/* A constant dim of output 0, else 0. */
static int64_t out_dim(const md_lower *lo, int axis)
{
    const md_type *t = lo->out[0];

    return t && t->has_rank && t->rank == 4 && md_dim_is_const(t->dim[axis])
               ? t->dim[axis].k
               : 0;
}

static md_status look_at_weights(state *s, const md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    bool ready;

    MD_TRY(md_lower__pack(lo, (void *)&s->finite, 1, &ready, err));
    if (!ready)
        *s->finite = md_conv_winograd_takes(w->data, md_tensor_n(w));
    return MD_OK;
}

/* Whether windows of 3 x 3 go through Winograd's transforms instead of a
 * kernel of this speed.  lo->why says why or why not, unless there is more to
 * say about the precision. */
static md_status choose_winograd(bool *out, state *s, md_lower *lo,
                                 double speed, md_error *err)
{
    md_conv_shape shape = s->shape;
    const char *why = NULL;
    int tile = -1;

    *out = false;
    if (shape.kh != 3 || shape.kw != 3 || s->groups != 1 ||
        md_winograd_f32_select(lo->cpu)->required == MD_CPU_NONE)
        return MD_OK;
    shape.n = out_dim(lo, 0), shape.oh = out_dim(lo, 2);
    shape.ow = out_dim(lo, 3);
    if (md_lower__ints_at(lo->node, "strides", 0, 1) != 1 ||
        md_lower__ints_at(lo->node, "strides", 1, 1) != 1 ||
        md_lower__ints_at(lo->node, "dilations", 0, 1) != 1 ||
        shape.dilation_w != 1)
        why = "no winograd: stride or dilation is not 1";
    else if (lo->precision == MD_PRECISION_STRICT)
        why = "no winograd: precision is strict";
    else if ((tile = md_conv_winograd_choose(&shape, speed)) < 0)
        why = "no winograd: not faster for this shape";
    else
        MD_TRY(look_at_weights(s, lo, err));
    if (tile >= 0)
        why = *s->finite
                  ? why_winograd[tile]
                  : "no winograd: weights that are not finite, or nearly";
    if (!lo->why)
        lo->why = why;
    *out = tile >= 0 && *s->finite;
    if (*out)
        s->kernel.winograd = md_conv_winograd_select(lo->cpu, tile);
    return MD_OK;
}

static md_status choose_dense(state *s, md_lower *lo, md_error *err)
{
    md_lower_bf16 bf16;
    const bool is_bf16 = s->groups == 1 && md_lower__takes_bf16(&bf16, lo);
    bool winograd;

    MD_TRY(choose_winograd(&winograd, s, lo,
                           is_bf16 ? md_conv_bf16_speed(bf16.kernel) : 1, err));
    if (winograd) {
        s->kind = WINOGRAD;
        lo->kernel = s->kernel.winograd.tile->name;
    } else if (is_bf16) {
        s->kind = DENSE_BF16;
        s->kernel.bf16 = bf16;
        lo->kernel = bf16.kernel->name;
    } else {
        s->kind = DENSE;
        s->kernel.dense = md_conv_f32_select(lo->cpu);
        lo->kernel = s->kernel.dense->name;
    }
    return MD_OK;
}

/* Which kernel fits groups and channels. */
static md_status choose(state *s, md_lower *lo, md_error *err)
{
    const md_conv_shape *c = &s->shape;

    if (s->groups > 1 && c->oc == s->groups && c->ic == s->groups) {
        s->kind = DEPTHWISE;
        s->kernel.depthwise = md_dwconv_f32_select(lo->cpu);
        lo->kernel = s->kernel.depthwise->name;
    } else if (s->groups == 1 && c->ic <= STEM_CHANNELS_MAX &&
               lo->have[0] == MD_LAYOUT_ROW) {
        s->kind = STEM;
        s->kernel.stem = md_conv_stem_f32_select(lo->cpu);
        lo->kernel = s->kernel.stem->name;
        lo->why = lo->precision == MD_PRECISION_BF16
                      ? "few input channels: fp32"
                      : lo->why_fp32;
    } else {
        return choose_dense(s, lo, err);
    }
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    int residual = md_lower__residual_input(lo->node);
    md_status st;
    state *s;

    if (!takes(lo)) {
        lo->fast = &md_fast_conv_rows;
        return lo->fast->lower(lo, err);
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->groups = md_node_attr_i(lo->node, "group", 1);
    s->shape = (md_conv_shape){ .n = 1,
                                .ic = w->shape.dim[1] * s->groups,
                                .oc = w->shape.dim[0],
                                .kh = w->shape.dim[2],
                                .kw = w->shape.dim[3],
                                .dilation_w = md_lower__ints_at(
                                    lo->node, "dilations", 1, 1) };
    st = choose(s, lo, err);
    if (s->kind != STEM)
        lo->want[0] = MD_LAYOUT_NC16;
    if (residual >= 0)
        lo->want[residual] = MD_LAYOUT_NC16;
    lo->give[0] = MD_LAYOUT_NC16;
    if (st == MD_OK)
        st = pack(s, lo, w->data, err);
    if (st != MD_OK)
        release(s, lo->alloc);
    lo->packed[1] = st == MD_OK;
    return st;
}

typedef struct args {
    union {
        struct {
            md_conv_f32_args a;
            md_conv_f32_grid grid;
        } dense;
        md_conv_bf16_args bf16;
        struct {
            md_conv_winograd_args a;
            md_conv_winograd_grid grid;
        } winograd;
        struct {
            md_conv_stem_f32_args a;
            md_conv_stem_f32_grid grid;
        } stem;
        md_dwconv_f32_args depthwise;
    } u;
} args;

static bool plan_dense(md_step *st, args *a, const md_conv_shape *shape,
                       int width)
{
    const state *s = st->state;

    a->u.dense.a = (md_conv_f32_args){ .shape = *shape,
                                       .groups = s->groups,
                                       .w = s->packed };
    if (!md_conv_f32_split(&a->u.dense.grid, s->kernel.dense, shape, s->groups,
                           width))
        return false;
    st->n_chunks = a->u.dense.grid.n_chunks;
    st->scratch_size = a->u.dense.grid.scratch_size;
    return true;
}

static void plan_bf16(md_step *st, args *a, const md_conv_shape *shape)
{
    const state *s = st->state;

    a->u.bf16 = (md_conv_bf16_args){ .kernel = s->kernel.bf16.kernel,
                                     .cast = s->kernel.bf16.cast,
                                     .finish = s->kernel.bf16.finish,
                                     .shape = *shape,
                                     .w = s->packed };
    st->n_chunks = md_conv_bf16_n_chunks(&a->u.bf16);
    st->scratch_size = md_conv_bf16_scratch_size(&a->u.bf16);
}

static bool plan_winograd(md_step *st, args *a, const md_conv_shape *shape,
                          int width)
{
    const state *s = st->state;

    a->u.winograd.a = (md_conv_winograd_args){ .k = s->kernel.winograd,
                                               .shape = *shape,
                                               .w = s->packed };
    if (!md_conv_winograd_split(&a->u.winograd.grid, &a->u.winograd.a, width))
        return false;
    st->n_chunks = a->u.winograd.grid.n_chunks;
    st->scratch_size = a->u.winograd.grid.scratch_size;
    return true;
}

static bool plan_stem(md_step *st, args *a, const md_conv_shape *shape,
                      int width)
{
    const state *s = st->state;

    a->u.stem.a = (md_conv_stem_f32_args){
        .shape = *shape,
        .x_stride = { shape->ic * shape->ih * shape->iw, shape->ih * shape->iw,
                      shape->iw, 1 },
        .w = s->packed
    };
    if (!md_conv_stem_f32_split(&a->u.stem.grid, shape, width))
        return false;
    st->n_chunks = a->u.stem.grid.n_chunks;
    st->scratch_size = a->u.stem.grid.scratch_size;
    return true;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    md_conv_shape shape =
        md_lower__window(st->node, &st->in_shape[0], &st->out_shape[0],
                         s->shape.kh, s->shape.kw);
    bool fits = true;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    if (s->kind == DENSE) {
        fits = plan_dense(st, a, &shape, width);
    } else if (s->kind == DENSE_BF16) {
        plan_bf16(st, a, &shape);
    } else if (s->kind == WINOGRAD) {
        fits = plan_winograd(st, a, &shape, width);
    } else if (s->kind == STEM) {
        fits = plan_stem(st, a, &shape, width);
    } else {
        a->u.depthwise = (md_dwconv_f32_args){ .shape = shape, .w = s->packed };
        st->n_chunks = md_dwconv_f32_n_chunks(&shape, width);
    }
    return fits ? MD_OK : md_fail_nomem(err, SIZE_MAX);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    args a = *(const args *)st->args;

    if (s->kind == DENSE) {
        a.u.dense.a.x = st->in[0];
        a.u.dense.a.y = st->out[0];
        a.u.dense.a.ep = md_step__epilogue(st, s->bias);
        md_conv_f32_run(s->kernel.dense, &a.u.dense.a, &a.u.dense.grid, chunk,
                        scratch);
    } else if (s->kind == DENSE_BF16) {
        a.u.bf16.x = st->in[0];
        a.u.bf16.y = st->out[0];
        a.u.bf16.ep = md_step__epilogue(st, s->bias);
        md_conv_bf16_run(&a.u.bf16, chunk, scratch);
    } else if (s->kind == WINOGRAD) {
        a.u.winograd.a.x = st->in[0];
        a.u.winograd.a.y = st->out[0];
        a.u.winograd.a.ep = md_step__epilogue(st, s->bias);
        md_conv_winograd_run(&a.u.winograd.a, &a.u.winograd.grid, chunk,
                             scratch);
    } else if (s->kind == STEM) {
        a.u.stem.a.x = st->in[0];
        a.u.stem.a.y = st->out[0];
        a.u.stem.a.ep = md_step__epilogue(st, s->bias);
        md_conv_stem_f32_run(s->kernel.stem, &a.u.stem.a, &a.u.stem.grid, chunk,
                             scratch);
    } else {
        a.u.depthwise.x = st->in[0];
        a.u.depthwise.y = st->out[0];
        a.u.depthwise.ep = md_step__epilogue(st, s->bias);
        md_dwconv_f32_run(s->kernel.depthwise, &a.u.depthwise, chunk,
                          st->n_chunks);
    }
}

const md_fast md_fast_conv = { lower, plan, run, release,
                               md_lower__residual_input };
