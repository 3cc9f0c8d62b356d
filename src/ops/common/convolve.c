#include "ops/common/convolve.h"

#include "base/size.h"

static md_status check_channels(const md_infer *c, const md_type *x,
                                const md_type *w, int64_t group, md_error *err)
{
    md_dim channels, unused;

    if (group < 1 || group > INT32_MAX)
        return md_fail(err, MD_INVALID, "group is %lld, at least 1 expected",
                       (long long)group);
    MD_TRY(md_dim__mul(c, &channels, w->dim[1], MD_DIM(group), err));
    if (md_dim_is_const(channels) && md_dim_is_const(x->dim[1]) &&
        channels.k != x->dim[1].k)
        return md_fail(err, MD_INVALID,
                       "the input has %lld channels, the weight takes %lld "
                       "(group %lld)",
                       (long long)x->dim[1].k, (long long)channels.k,
                       (long long)group);
    MD_TRY(md_infer__must_equal(c, channels, x->dim[1], "input channels", err));
    if (md_dim_is_const(w->dim[0]) && w->dim[0].k % group != 0)
        return md_fail(err, MD_INVALID,
                       "%lld output channels are not divisible by group %lld",
                       (long long)w->dim[0].k, (long long)group);
    return md_dim__derive(c, &unused, MD_EXPR_EXACT, w->dim[0], MD_DIM(group),
                          err);
}

/* Kernel sizes from the weight; false when one is not known. */
static bool kernel_of(int64_t *k, const md_type *w)
{
    for (int i = 2; i < w->rank; i++) {
        if (!md_dim_is_const(w->dim[i]) || i - 2 >= MD_SPATIAL_MAX)
            return false;
        k[i - 2] = w->dim[i].k;
    }
    return true;
}

md_status md_convolve__infer(const md_infer *c, uint32_t x, uint32_t w,
                             md_dtype dtype, md_error *err)
{
    md_type t = { .dtype = dtype };
    const md_type *tx = c->in[x], *tw = c->in[w];
    int64_t kernel[MD_SPATIAL_MAX] = { 0 };
    md_window win;

    MD_TRY(md_infer__rank(c, x, 3, 2 + MD_SPATIAL_MAX, err));
    if (!tx->has_rank) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    MD_TRY(md_infer__rank(c, w, tx->rank, tx->rank, err));
    MD_TRY(md_infer__fresh_type(c, &t, dtype, tx->rank, err));
    t.dim[0] = tx->dim[0];
    if (tw->has_rank) {
        MD_TRY(check_channels(c, tx, tw, md_node_attr_i(c->node, "group", 1),
                              err));
        t.dim[1] = tw->dim[0];
    }
    if (tw->has_rank && kernel_of(kernel, tw)) {
        for (int i = 0; i < tx->rank - 2; i++) {
            if (kernel[i] < 1 || kernel[i] > INT32_MAX)
                return md_fail(err, MD_INVALID,
                               "the weight's axis %d has size %lld", i + 2,
                               (long long)kernel[i]);
        }
        MD_TRY(md_window__parse(&win, c->node, tx->rank - 2, kernel, err));
        for (int i = 0; i < win.n; i++)
            MD_TRY(
                md_window__out(c, &win, i, tx->dim[2 + i], &t.dim[2 + i], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_convolve__sizes(md_convolve *out, const md_node *node,
                             const md_shape *x, const md_shape *w,
                             md_error *err)
{
    md_convolve v = { .n = x->dim[0],
                      .c = x->dim[1],
                      .oc = w->dim[0],
                      .group = md_node_attr_i(node, "group", 1) };

    MD_TRY(md_window__parse(&v.w, node, x->rank - 2, w->dim + 2, err));
    for (int i = 0; i < v.w.n; i++) {
        md_dim o;

        MD_TRY(md_window__out(NULL, &v.w, i, MD_DIM(x->dim[2 + i]), &o, err));
        v.out[i] = o.k;
    }
    for (int i = MD_SPATIAL_MAX; i-- > 0;)
        v.out[i] = i >= MD_SPATIAL_MAX - v.w.n
                       ? v.out[i - (MD_SPATIAL_MAX - v.w.n)]
                       : 1;
    md_window__sizes(v.in, x);
    md_window__widen(&v.w);
    *out = v;
    return MD_OK;
}

bool md_convolve__gives(const md_convolve *v, const md_shape *y)
{
    int64_t out[MD_SPATIAL_MAX];

    if (y->rank < 3 || y->rank > 2 + MD_SPATIAL_MAX || y->dim[0] != v->n ||
        y->dim[1] != v->oc)
        return false;
    md_window__sizes(out, y);
    for (int i = 0; i < MD_SPATIAL_MAX; i++) {
        if (out[i] != v->out[i])
            return false;
    }
    return true;
}

/*
 * One plane: y[oz][oy][ox] += w * x at each tap.  Tap by tap, so that the
 * inner loop runs along rows of both.
 */
#define PLANE(name, T)                                                         \
    static void name(const md_convolve *v, T *y, const T *x, const T *w)       \
    {                                                                          \
        const md_window *k = &v->w;                                            \
        int64_t lo[3], hi[3], at[3], tap = 0;                                  \
                                                                               \
        for (int64_t kz = 0; kz < k->kernel[0]; kz++) {                        \
            md_window__range(k, 0, kz, v->in[0], v->out[0], &lo[0], &hi[0],    \
                             &at[0]);                                          \
            for (int64_t ky = 0; ky < k->kernel[1]; ky++) {                    \
                md_window__range(k, 1, ky, v->in[1], v->out[1], &lo[1],        \
                                 &hi[1], &at[1]);                              \
                for (int64_t kx = 0; kx < k->kernel[2]; kx++) {                \
                    md_window__range(k, 2, kx, v->in[2], v->out[2], &lo[2],    \
                                     &hi[2], &at[2]);                          \
                    name##_tap(v, y, x, w[tap++], lo, hi, at);                 \
                }                                                              \
            }                                                                  \
        }                                                                      \
    }

#define TAP(name, T)                                                           \
    static void name##_tap(const md_convolve *v, T *y, const T *x, T w,        \
                           const int64_t *lo, const int64_t *hi,               \
                           const int64_t *at)                                  \
    {                                                                          \
        int64_t sx = v->w.stride[2];                                           \
                                                                               \
        for (int64_t oz = lo[0]; oz < hi[0]; oz++) {                           \
            int64_t iz = at[0] + oz * v->w.stride[0];                          \
                                                                               \
            for (int64_t oy = lo[1]; oy < hi[1]; oy++) {                       \
                int64_t iy = at[1] + oy * v->w.stride[1];                      \
                T *o = y + (oz * v->out[1] + oy) * v->out[2];                  \
                const T *row = x + (iz * v->in[1] + iy) * v->in[2];            \
                                                                               \
                for (int64_t ox = lo[2]; ox < hi[2]; ox++)                     \
                    o[ox] += w * row[at[2] + ox * sx];                         \
            }                                                                  \
        }                                                                      \
    }

#define CONVOLVE(scope, name, T, plane)                                        \
    TAP(plane, T)                                                              \
    PLANE(plane, T)                                                            \
    scope void name(const md_convolve *v, T *y, const T *x, const T *w)        \
    {                                                                          \
        int64_t cg = v->c / v->group, og = v->oc / v->group;                   \
        int64_t in = v->in[0] * v->in[1] * v->in[2];                           \
        int64_t out = v->out[0] * v->out[1] * v->out[2];                       \
        int64_t taps = v->w.kernel[0] * v->w.kernel[1] * v->w.kernel[2];       \
                                                                               \
        for (int64_t n = 0; n < v->n; n++) {                                   \
            for (int64_t o = 0; o < v->oc; o++) {                              \
                for (int64_t i = 0; i < cg; i++)                               \
                    plane(v, y + (n * v->oc + o) * out,                        \
                          x + (n * v->c + o / og * cg + i) * in,               \
                          w + (o * cg + i) * taps);                            \
            }                                                                  \
        }                                                                      \
    }

CONVOLVE(, md_convolve__f32, float, plane_f32)
CONVOLVE(, md_convolve__f64, double, plane_f64)

/* Integers wrap, as the fast kernels do, instead of being undefined. */
CONVOLVE(static, convolve_u32, uint32_t, plane_u32)

void md_convolve__i32(const md_convolve *v, int32_t *y, const int32_t *x,
                      const int32_t *w)
{
    convolve_u32(v, (uint32_t *)y, (const uint32_t *)x, (const uint32_t *)w);
}

int64_t md_convolve__macs(const md_shape *w, const md_shape *out)
{
    int64_t macs = md_shape_n(out);

    for (int i = 1; i < w->rank; i++) {
        if (!md_mul_i64(&macs, macs, w->dim[i]))
            return INT64_MAX;
    }
    return macs;
}
