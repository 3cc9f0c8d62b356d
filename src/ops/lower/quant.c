/* QuantizeLinear and DequantizeLinear of 8-bit (and int32) tensors. */
#include <string.h>

#include "base/size.h"
#include "kernels/quantize.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_quantize_kernel *kernel;
    const float *scale;
    int32_t *zero; /* per axis entry */
    int64_t n_axis;
    int axis;
    md_qtype type;
    int32_t q_min, q_max;
    md_layout layout;
} state;

static bool to_qtype(md_qtype *out, md_dtype t)
{
    *out = t == MD_DTYPE_U8   ? MD_QTYPE_U8
           : t == MD_DTYPE_I8 ? MD_QTYPE_S8
                              : MD_QTYPE_S32;
    return t == MD_DTYPE_U8 || t == MD_DTYPE_I8 || t == MD_DTYPE_I32;
}

static md_status fill_zero(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *zp = lo->node->n_in > 2 ? lo->cin[2] : NULL;

    s->zero = md_arena_calloc(lo->arena, (size_t)s->n_axis, sizeof(int32_t));
    if (!s->zero)
        return md_fail_nomem(err, (size_t)s->n_axis * sizeof(int32_t));
    for (int64_t i = 0; zp && i < s->n_axis; i++)
        s->zero[i] = (int32_t)md_tensor_get_i64(zp, i);
    return MD_OK;
}

/* Common to both directions; q is the quantized side's type. */
static md_status lower(md_lower *lo, md_dtype q, md_error *err)
{
    const md_tensor *scale = md_lower__const(lo, 1, MD_DTYPE_F32);
    const md_tensor *zp = lo->node->n_in > 2 ? lo->cin[2] : NULL;
    int64_t axis = md_node_attr_i(lo->node, "axis", 1);
    md_qtype type;
    state *s;

    if (!to_qtype(&type, q) || !scale || scale->shape.rank > 1 ||
        md_tensor_n(scale) == 0 || md_node_attr_i(lo->node, "block_size", 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs 8 bits and constant scales without blocks");
    if (lo->node->n_in > 2 && lo->in[2] &&
        (!zp || md_tensor_n(zp) != md_tensor_n(scale)))
        return md_fail(err, MD_UNSUPPORTED, "the zero point is no constant");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_quantize_select(lo->cpu);
    s->scale = scale->data;
    s->n_axis = md_tensor_n(scale);
    s->type = type;
    s->q_min = (int32_t)md_dtype_int_min(q);
    s->q_max = (int32_t)md_dtype_int_max(q);
    if (s->n_axis > 1) {
        MD_TRY(md_axis_normalize(&s->axis, axis, lo->in[0]->rank, err));
        if (s->axis == lo->in[0]->rank - 1)
            return md_fail(err, MD_UNSUPPORTED,
                           "each element of a row has its own scale");
    } else if (lo->have[0] == MD_LAYOUT_NC16 && q != MD_DTYPE_I32) {
        lo->want[0] = MD_LAYOUT_NC16;
        lo->give[0] = MD_LAYOUT_NC16;
        s->layout = MD_LAYOUT_NC16;
    }
    lo->kernel = s->kernel->name;
    return fill_zero(s, lo, err);
}

static md_status lower_quantize(md_lower *lo, md_error *err)
{
    int64_t in = md_node_attr_i(lo->node, "precision", MD_DTYPE_NONE);

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1) || in == MD_DTYPE_F16 ||
        in == MD_DTYPE_BF16)
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    return lower(lo, lo->out[0]->dtype, err);
}

static md_status lower_dequantize(md_lower *lo, md_error *err)
{
    if (!lo->in[0]->has_rank || lo->out[0]->dtype != MD_DTYPE_F32)
        return md_fail(err, MD_UNSUPPORTED, "gives no float32");
    return lower(lo, lo->in[0]->dtype, err);
}

typedef struct args {
    md_quantize_args q;
    int64_t total;   /* elements in memory */
    int64_t step;    /* of a chunk, when there is one scale */
    int64_t entries; /* of the axis in a chunk, when there are several */
} args;

/* Elements that lie in memory count: channels are padded in NC16.  Padding
 * lanes of an 8-bit result hold the zero point, which no reader uses. */
static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    enum {
        STEP = 1 << 14
    };
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    int64_t total = md_shape_n(x);
    args *a;

    if (s->layout == MD_LAYOUT_NC16)
        total = md_div_up(x->dim[1], MD_BLOCK) * MD_BLOCK * x->dim[0] *
                x->dim[2] * x->dim[3];
    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->q = (md_quantize_args){ .kernel = s->kernel,
                               .outer = 1,
                               .axis = 1,
                               .inner = total,
                               .scale = s->scale,
                               .zero = s->zero,
                               .type = s->type,
                               .q_min = s->q_min,
                               .q_max = s->q_max };
    a->total = total;
    if (s->n_axis > 1) {
        a->q.outer = md_shape_span(x, 0, s->axis);
        a->q.axis = s->n_axis;
        a->q.inner = md_shape_span(x, s->axis + 1, x->rank);
        st->n_chunks =
            md_step__chunks(total / 4, a->q.outer * s->n_axis, width);
        a->entries = md_max_i64(
            1, md_min_i64(s->n_axis, a->q.outer * s->n_axis / st->n_chunks));
        st->n_chunks = a->q.outer * md_div_up(s->n_axis, a->entries);
        return MD_OK;
    }
    st->n_chunks = md_step__chunks(total / 4, md_div_up(total, STEP), width);
    a->step = md_div_up(total, st->n_chunks);
    return MD_OK;
}

/* The part of chunk `i` as a run of its own; false when it is empty. */
static bool part(md_quantize_args *q, const args *a, int64_t i, int64_t *at)
{
    *q = a->q;
    if (a->entries) {
        int64_t per = md_div_up(q->axis, a->entries);
        int64_t first = i % per * a->entries;

        *at = (i / per * q->axis + first) * q->inner;
        q->outer = 1;
        q->axis = md_min_i64(q->axis - first, a->entries);
        q->scale += first;
        q->zero += first;
        return true;
    }
    *at = i * a->step;
    q->inner = md_min_i64(a->total - *at, a->step);
    return q->inner > 0;
}

static int64_t qsize(md_qtype t)
{
    return t == MD_QTYPE_S32 ? 4 : 1;
}

static void run_quantize(const md_step *st, int64_t chunk, void *scratch)
{
    md_quantize_args q;
    int64_t at;

    (void)scratch;
    if (part(&q, st->args, chunk, &at))
        md_quantize_run(&q, (uint8_t *)st->out[0] + at,
                        (const float *)st->in[0] + at);
}

static void run_dequantize(const md_step *st, int64_t chunk, void *scratch)
{
    md_quantize_args q;
    int64_t at;

    (void)scratch;
    if (part(&q, st->args, chunk, &at))
        md_dequantize_run(&q, (float *)st->out[0] + at,
                          (const uint8_t *)st->in[0] + at * qsize(q.type));
}

const md_fast md_fast_quantize = { lower_quantize, plan, run_quantize, NULL,
                                   NULL };
const md_fast md_fast_dequantize = { lower_dequantize, plan, run_dequantize,
                                     NULL, NULL };
