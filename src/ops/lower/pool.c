/*
 * MaxPool, AveragePool and the global pools on NC16: float32, and 8-bit
 * maxima; QLinearGlobalAveragePool on 8 bits.  What is not 2-D, and global
 * pools of what lies in rows, goes to pool_rows.c.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/pool2d.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_pool2d_kernel *kernel;
    const md_requant_s8_kernel *requant;
    bool average, count_pad, global;
    int64_t kh, kw; /* not for global */
    md_pool2d_type type;
    float mult; /* 8-bit averages */
    int32_t x_zero;
    md_requant rq;
} state;

static bool pool_type(md_pool2d_type *out, md_dtype t)
{
    *out = t == MD_DTYPE_F32  ? MD_POOL2D_F32
           : t == MD_DTYPE_U8 ? MD_POOL2D_U8
                              : MD_POOL2D_S8;
    return t == MD_DTYPE_F32 || t == MD_DTYPE_U8 || t == MD_DTYPE_I8;
}

static md_status make_state(state **out, md_lower *lo, md_error *err)
{
    state *s;
    md_pool2d_type type;

    if (!lo->in[0]->has_rank || lo->in[0]->rank != 4 ||
        !pool_type(&type, lo->in[0]->dtype))
        return md_fail(err, MD_UNSUPPORTED, "needs 2-D float32 or 8 bits");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->type = type;
    s->kernel = md_pool2d_select(lo->cpu);
    s->requant = md_requant_s8_select(lo->cpu);
    lo->kernel = s->kernel->name;
    lo->want[0] = MD_LAYOUT_NC16;
    *out = s;
    return MD_OK;
}

static md_status lower_window(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    uint32_t rank;
    const int64_t *k = md_node_attr_is(n, "kernel_shape", &rank);
    bool average = n->op[0] == 'A';
    state *s;

    if (rank != 2 ||
        (lo->have[0] == MD_LAYOUT_ROW && lo->in[0]->dtype == MD_DTYPE_F32)) {
        lo->fast = &md_fast_pool_rows;
        return lo->fast->lower(lo, err);
    }
    if (n->n_out > 1 && n->out[1] != MD_VALUE_NONE)
        return md_fail(err, MD_UNSUPPORTED, "indices are read");
    if (average && lo->in[0]->dtype != MD_DTYPE_F32)
        return md_fail(err, MD_UNSUPPORTED, "average of integers");
    MD_TRY(make_state(&s, lo, err));
    s->average = average;
    s->count_pad = md_node_attr_i(n, "count_include_pad", 0) != 0;
    s->kh = k[0];
    s->kw = k[1];
    lo->give[0] = MD_LAYOUT_NC16;
    return MD_OK;
}

/* The result [n,c,1,1] is written row-major: whatever follows reads rows. */
static md_status lower_global(md_lower *lo, md_error *err)
{
    state *s;

    if (lo->have[0] == MD_LAYOUT_ROW) {
        lo->fast = &md_fast_global_pool_rows;
        return lo->fast->lower(lo, err);
    }
    MD_TRY(make_state(&s, lo, err));
    s->global = true;
    s->average = strcmp(lo->node->op, "GlobalAveragePool") == 0;
    return MD_OK;
}

static md_status lower_qglobal(md_lower *lo, md_error *err)
{
    float ys = md_lower__scalar_f(lo, 3, 0.0f);
    float xs = md_lower__scalar_f(lo, 1, 0.0f);
    state *s;

    if (lo->in[0]->dtype == MD_DTYPE_F32 || xs == 0.0f || ys == 0.0f ||
        !lo->cin[2] || !lo->cin[4] ||
        md_node_attr_i(lo->node, "channels_last", 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs 8 bits, constant scales, channels first");
    MD_TRY(make_state(&s, lo, err));
    s->global = true;
    s->average = true;
    s->mult = xs / ys;
    s->x_zero = md_lower__scalar_i(lo, 2, 0);
    s->rq.out = MD_QOUT_Q8;
    s->rq.zero = md_lower__scalar_i(lo, 4, 0);
    md_fused_clamp(lo->fused, ys, s->rq.zero, lo->out[0]->dtype, &s->rq.q_min,
                   &s->rq.q_max);
    return MD_OK;
}

/* Padding behind the last pixel of one axis: under auto_pad SAME what windows
 * reach beyond it, `reach`. */
static int64_t pad_after(const md_node *n, uint32_t axis, int64_t reach)
{
    const char *mode = md_node_attr_s(n, "auto_pad", "NOTSET");

    if (strncmp(mode, "SAME", 4) == 0)
        return md_max_i64(reach, 0);
    return strcmp(mode, "VALID") == 0
               ? 0
               : md_lower__ints_at(n, "pads", 2 + axis, 0);
}

static void pad_ends(md_pool2d_args *p, const md_node *n)
{
    const md_conv_shape *s = &p->shape;

    p->pad_bottom =
        pad_after(n, 0,
                  (s->oh - 1) * s->stride_h + (s->kh - 1) * s->dilation_h + 1 -
                      s->pad_top - s->ih);
    p->pad_right =
        pad_after(n, 1,
                  (s->ow - 1) * s->stride_w + (s->kw - 1) * s->dilation_w + 1 -
                      s->pad_left - s->iw);
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0], *y = &st->out_shape[0];
    md_pool2d_args *p;

    (void)width;
    MD_TRY(md_step__args(st, arena, (void *)&p, sizeof(*p), err));
    *p = (md_pool2d_args){ .kernel = s->kernel,
                           .requant = s->requant,
                           .average = s->average,
                           .count_pad = s->count_pad,
                           .type = s->type,
                           .y_rows = s->global,
                           .mult = s->mult,
                           .x_zero = s->x_zero,
                           .rq = s->rq };
    if (s->global)
        p->shape = (md_conv_shape){ .n = x->dim[0],
                                    .ic = x->dim[1],
                                    .ih = x->dim[2],
                                    .iw = x->dim[3],
                                    .oc = x->dim[1],
                                    .oh = 1,
                                    .ow = 1,
                                    .kh = x->dim[2],
                                    .kw = x->dim[3],
                                    .stride_h = 1,
                                    .stride_w = 1,
                                    .dilation_h = 1,
                                    .dilation_w = 1 };
    else
        p->shape = md_lower__window(st->node, x, y, s->kh, s->kw);
    pad_ends(p, st->node);
    st->n_chunks = md_pool2d_n_chunks(p);
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    md_pool2d_args p = *(const md_pool2d_args *)st->args;

    (void)scratch;
    p.x = st->in[0];
    p.y = st->out[0];
    md_pool2d_run(&p, chunk);
}

const md_fast md_fast_pool = { lower_window, plan, run, NULL, NULL };
const md_fast md_fast_global_pool = { lower_global, plan, run, NULL, NULL };
const md_fast md_fast_qlinear_global_pool = { lower_qglobal, plan, run, NULL,
                                              NULL };
