#include "ops/lower/common.h"

#include <string.h>

#include "base/size.h"

bool md_lower__may_be(const md_lower *lo, uint32_t i, md_dtype dtype, int rank)
{
    const md_type *t = i < lo->node->n_in ? lo->in[i] : NULL;

    return t && t->kind == MD_KIND_TENSOR && t->dtype == dtype &&
           (rank < 0 || !t->has_rank || t->rank == rank);
}

bool md_lower__is(const md_lower *lo, uint32_t i, md_dtype dtype, int rank)
{
    return md_lower__may_be(lo, i, dtype, rank) && lo->in[i]->has_rank;
}

const md_tensor *md_lower__const(const md_lower *lo, uint32_t i, md_dtype dtype)
{
    const md_tensor *t = i < lo->node->n_in ? lo->cin[i] : NULL;

    return t && t->dtype == dtype ? t : NULL;
}

int64_t md_lower__dim(const md_lower *lo, uint32_t i, int axis)
{
    const md_type *t = lo->in[i];

    if (!t || !t->has_rank || axis >= t->rank || !md_dim_is_const(t->dim[axis]))
        return -1;
    return t->dim[axis].k;
}

float md_lower__scalar_f(const md_lower *lo, uint32_t i, float otherwise)
{
    const md_tensor *t = md_lower__const(lo, i, MD_DTYPE_F32);

    return t && md_tensor_n(t) == 1 ? ((const float *)t->data)[0] : otherwise;
}

int32_t md_lower__scalar_i(const md_lower *lo, uint32_t i, int32_t otherwise)
{
    const md_tensor *t = i < lo->node->n_in ? lo->cin[i] : NULL;

    return t && md_tensor_n(t) == 1 ? (int32_t)md_tensor_get_i64(t, 0)
                                    : otherwise;
}

int64_t md_lower__ints_at(const md_node *n, const char *name, uint32_t i,
                          int64_t otherwise)
{
    uint32_t count;
    const int64_t *v = md_node_attr_is(n, name, &count);

    return i < count ? v[i] : otherwise;
}

/* Padding before the first pixel of one axis under auto_pad or pads. */
static int64_t pad_before(const md_node *n, uint32_t axis, int64_t in,
                          int64_t out, int64_t window, int64_t stride)
{
    const char *mode = md_node_attr_s(n, "auto_pad", "NOTSET");
    int64_t total;

    if (strcmp(mode, "VALID") == 0)
        return 0;
    if (strncmp(mode, "SAME", 4) != 0)
        return md_lower__ints_at(n, "pads", axis, 0);
    total = md_max_i64((out - 1) * stride + window - in, 0);
    return strcmp(mode, "SAME_LOWER") == 0 ? total - total / 2 : total / 2;
}

md_conv_shape md_lower__window(const md_node *n, const md_shape *x,
                               const md_shape *y, int64_t kh, int64_t kw)
{
    md_conv_shape s = {
        .n = x->dim[0],
        .ic = x->dim[1],
        .ih = x->dim[2],
        .iw = x->dim[3],
        .oc = y->dim[1],
        .oh = y->dim[2],
        .ow = y->dim[3],
        .kh = kh,
        .kw = kw,
        .stride_h = md_lower__ints_at(n, "strides", 0, 1),
        .stride_w = md_lower__ints_at(n, "strides", 1, 1),
        .dilation_h = md_lower__ints_at(n, "dilations", 0, 1),
        .dilation_w = md_lower__ints_at(n, "dilations", 1, 1),
    };

    s.pad_top =
        pad_before(n, 0, s.ih, s.oh, (kh - 1) * s.dilation_h + 1, s.stride_h);
    s.pad_left =
        pad_before(n, 1, s.iw, s.ow, (kw - 1) * s.dilation_w + 1, s.stride_w);
    return s;
}

md_status md_lower__pack(const md_lower *lo, void *out, size_t size,
                         bool *ready, md_error *err)
{
    unsigned char *p = NULL;
    size_t all;

    *ready = false;
    memset(out, 0, sizeof(void *)); /* out is the address of a T * */
    if (!md_add_size(&all, size, MD_CACHE_LINE))
        return md_fail_nomem(err, SIZE_MAX);
    if (lo->keeper)
        MD_TRY(lo->keeper->take(lo->keeper->ctx, lo, (void **)&p, all, ready,
                                err));
    else
        p = md_malloc_aligned(lo->alloc, all);
    if (!p)
        return md_fail_nomem(err, all);
    if (!*ready)
        memset(p + size, 0, MD_CACHE_LINE);
    memcpy(out, &p, sizeof(void *));
    return MD_OK;
}

float *md_lower__padded(const md_lower *lo, const float *from, int64_t n)
{
    size_t size = (size_t)md_div_up(n, MD_BLOCK) * MD_BLOCK * sizeof(float);
    float *p = md_malloc_aligned(lo->alloc, size ? size : sizeof(float));

    if (p) {
        memset(p, 0, size);
        if (from)
            memcpy(p, from, (size_t)n * sizeof(float));
    }
    return p;
}

md_status md_lower__state(md_lower *lo, void *out, size_t size, md_error *err)
{
    void *p = md_arena_calloc(lo->arena, 1, size);

    if (!p)
        return md_fail_nomem(err, size);
    memcpy(out, &p, sizeof(p)); /* out is the address of a T * */
    lo->state = p;
    return MD_OK;
}

md_status md_step__args(md_step *st, md_arena *arena, void *out, size_t size,
                        md_error *err)
{
    void *p = md_arena_calloc(arena, 1, size);

    if (!p)
        return md_fail_nomem(err, size);
    memcpy(out, &p, sizeof(p));
    st->args = p;
    return MD_OK;
}

int64_t md_step__chunks(int64_t cost, int64_t max, int width)
{
    enum {
        WORTH_NS = 4000, /* a chunk shorter than this is not handed over */
        PER_THREAD = 4   /* pieces per thread, so that a slow one evens out */
    };
    int64_t n = cost / WORTH_NS;

    if (width <= 1 || n <= 1 || max <= 1)
        return 1;
    n = md_min_i64(md_min_i64(n, (int64_t)width * PER_THREAD), max);
    return n < width ? n : n / width * width; /* as many for each thread */
}

md_epilogue md_step__epilogue(const md_step *st, const float *bias)
{
    md_epilogue ep = MD_EPILOGUE_INIT;

    ep.bias = bias;
    if (st->fused) {
        ep.act = st->fused->act;
        ep.a = st->fused->a;
        ep.b = st->fused->b;
        if (st->fused->residual != MD_VALUE_NONE)
            ep.residual = st->in[st->node->n_in - 1];
    }
    return ep;
}

bool md_lower__takes_bf16(md_lower_bf16 *out, md_lower *lo)
{
    *out = (md_lower_bf16){ .kernel = md_gemm_bf16_select(lo->cpu),
                            .cast = md_cast_bf16_select(lo->cpu),
                            .finish = md_finish_f32_select(lo->cpu) };
    if (lo->precision != MD_PRECISION_BF16) {
        lo->why = lo->why_fp32;
        return false;
    }
    if (out->kernel->required == MD_CPU_NONE) {
        lo->why = "this CPU has no bf16 products";
        return false;
    }
    return true;
}

int md_lower__residual_input(const md_node *n)
{
    const md_fused *f = n->fused;

    return f && f->residual != MD_VALUE_NONE ? (int)n->n_in - 1 : -1;
}
