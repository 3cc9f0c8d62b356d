#include "ops/common/pool.h"

#include "base/size.h"

md_status md_pool__infer(const md_infer *c, md_dtype dtype, md_dtype second,
                         md_error *err)
{
    const md_type *in = c->in[0];
    md_type t = { .dtype = dtype };
    md_window w;

    MD_TRY(md_infer__rank(c, 0, 3, 2 + MD_SPATIAL_MAX, err));
    if (in->has_rank) {
        MD_TRY(md_window__parse(&w, c->node, in->rank - 2, NULL, err));
        for (int i = 0; i < w.n && w.auto_pad == MD_PAD_GIVEN; i++) {
            int64_t span = (w.kernel[i] - 1) * w.dilation[i] + 1;

            if (w.lo[i] >= span || w.hi[i] >= span)
                return md_fail(err, MD_INVALID,
                               "padding %lld of axis %d is not smaller than "
                               "the window of %lld",
                               (long long)md_max_i64(w.lo[i], w.hi[i]), i,
                               (long long)span);
        }
        t.has_rank = true;
        t.rank = in->rank;
        t.dim[0] = in->dim[0];
        t.dim[1] = in->dim[1];
        for (int i = 0; i < w.n; i++)
            MD_TRY(
                md_window__out(c, &w, i, in->dim[2 + i], &t.dim[2 + i], err));
    }
    md_infer__give(c, 0, &t);
    t.dtype = second;
    md_infer__give(c, 1, &t);
    return MD_OK;
}

md_status md_pool__infer_global(const md_infer *c, md_error *err)
{
    md_type t;

    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    t = *c->in[0];
    for (int i = 2; i < t.rank; i++)
        t.dim[i] = MD_DIM(1);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

double md_pool__p(const md_node *n, int64_t opset)
{
    if (opset < 2)
        return md_node_attr_f(n, "p", 2.0f);
    return (double)md_node_attr_i(n, "p", 2);
}

md_status md_pool__plan(md_pool_plan *p, const md_node *node,
                        const md_shape *in, const md_shape *out, md_error *err)
{
    md_dim unused;

    *p = (md_pool_plan){ .n_planes = in->dim[0] * in->dim[1],
                         .in_size = md_shape_span(in, 2, in->rank),
                         .out_size = md_shape_span(out, 2, out->rank) };
    MD_TRY(md_window__parse(&p->w, node, in->rank - 2, NULL, err));
    for (int i = 0; i < p->w.n; i++)
        MD_TRY(md_window__out(NULL, &p->w, i, MD_DIM(in->dim[2 + i]), &unused,
                              err));
    md_window__widen(&p->w);
    md_window__sizes(p->in, in);
    md_window__sizes(p->out, out);
    return MD_OK;
}

/* n / d, rounded down, n >= 0; nearly always d is 1. */
static int64_t divide(int64_t n, int64_t d)
{
    return d == 1 ? n : n / d;
}

void md_pool__spans(md_span out[MD_SPATIAL_MAX], const md_pool_plan *p,
                    int64_t o)
{
    for (int i = MD_SPATIAL_MAX; i-- > 0; o /= p->out[i]) {
        int64_t d = p->w.dilation[i];
        int64_t first = o % p->out[i] * p->w.stride[i] - p->w.lo[i];
        int64_t end = p->in[i] + p->w.hi[i];
        md_span s = { .first = first };

        s.lo = first < 0 ? divide(-first + d - 1, d) : 0;
        s.hi = first < p->in[i] ? divide(p->in[i] - 1 - first, d) + 1 : 0;
        s.hi = md_min_i64(s.hi, p->w.kernel[i]);
        s.padded = first < end ? divide(end - 1 - first, d) + 1 : 0;
        s.padded = md_min_i64(s.padded, p->w.kernel[i]);
        out[i] = s;
    }
}

bool md_pool__next(const md_pool_plan *p, const md_span *s,
                   int64_t k[MD_SPATIAL_MAX], int64_t *offset, bool *started)
{
    int i = MD_SPATIAL_MAX - 1;

    if (!*started) {
        *started = true;
        for (int d = 0; d < MD_SPATIAL_MAX; d++) {
            if (s[d].lo >= s[d].hi)
                return false;
            k[d] = s[d].lo;
        }
    } else {
        while (i >= 0 && ++k[i] >= s[i].hi) {
            k[i] = s[i].lo;
            i--;
        }
        if (i < 0)
            return false;
    }
    *offset = 0;
    for (int d = 0; d < MD_SPATIAL_MAX; d++)
        *offset = *offset * p->in[d] + s[d].first + k[d] * p->w.dilation[d];
    return true;
}

void md_pool__average(const md_pool_plan *p, const md_tensor *in,
                      bool count_pad, md_pool_emit *emit, void *ctx)
{
    for (int64_t i = 0; i < p->n_planes * p->out_size; i++) {
        int64_t base = i / p->out_size * p->in_size;
        int64_t k[MD_SPATIAL_MAX], at;
        md_span s[MD_SPATIAL_MAX];
        bool started = false;
        double sum = 0.0, n = 0.0;

        md_pool__spans(s, p, i % p->out_size);
        while (md_pool__next(p, s, k, &at, &started)) {
            double v;

            md_load_f64(&v, in, base + at, 1);
            sum += v;
            n += 1.0;
        }
        if (count_pad)
            n = (double)s[0].padded * (double)s[1].padded * (double)s[2].padded;
        emit(ctx, i, n > 0.0 ? sum / n : 0.0);
    }
}

md_part md_pool__spread(md_grad *g, md_part dy, md_part x, bool sum)
{
    static const char *const keep[] = {
        "auto_pad", "ceil_mode", "dilations",         "kernel_shape",
        "pads",     "strides",   "count_include_pad", NULL
    };

    return MD_GRAD_STEP(
        g, .domain = "modeld", .op = "PoolSpread", .in = { dy, x }, .n_in = 2,
        .attr = { MD_GIVE_I("sum", sum) }, .n_attr = 1, .keep = keep);
}
