/* theta times the homogeneous coordinates of each place of a plane or volume,
 * x first. */
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *theta = c->in[0];
    md_ints size;
    md_type t = { 0 };
    int axes;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 3, 3, err));
    MD_TRY(md_infer__shape_input(c, 1, &size, err));
    t.dtype = theta->dtype;
    if (size.n >= 0) {
        if (size.n != 4 && size.n != 5)
            return md_fail(err, MD_INVALID,
                           "size has %d values, 4 or 5 expected", size.n);
        axes = size.n - 2;
        t.has_rank = true;
        t.rank = axes + 2;
        for (int i = 0; i < t.rank; i++)
            MD_TRY(md_infer__fresh(c, &t.dim[i], err));
        if (size.known) {
            t.dim[0] = MD_DIM(size.v[0]);
            for (int i = 0; i < axes; i++)
                t.dim[1 + i] = MD_DIM(size.v[2 + i]);
        }
        t.dim[t.rank - 1] = MD_DIM(axes);
        if (theta->has_rank) {
            MD_TRY(md_infer__must_equal(c, theta->dim[0], t.dim[0],
                                        "axis 0 of theta", err));
            MD_TRY(md_infer__must_equal(c, theta->dim[1], MD_DIM(axes),
                                        "axis 1 of theta", err));
            MD_TRY(md_infer__must_equal(c, theta->dim[2], MD_DIM(axes + 1),
                                        "axis 2 of theta", err));
        }
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Place i of n between -1 and 1: their centres, or the corners'. */
static double coordinate(int64_t i, int64_t n, bool corners)
{
    if (corners)
        return n > 1 ? -1.0 + 2.0 * (double)i / (double)(n - 1) : -1.0;
    return -1.0 + (2.0 * (double)i + 1.0) / (double)n;
}

/* v = base + terms of m places, of T; axes is a constant where this is used. */
#define ADD_BASE(T)                                                            \
    static MD_ALWAYS_INLINE void add_base_##T(T *v, const double *terms,       \
                                              const double *base, int64_t m,   \
                                              const int axes)                  \
    {                                                                          \
        const double x = base[0], y = base[1], z = base[2];                    \
                                                                               \
        MD_SIMD                                                                \
        for (int64_t i = 0; i < m; i++) {                                      \
            v[i * axes] = (T)(x + terms[i * axes]);                            \
            v[i * axes + 1] = (T)(y + terms[i * axes + 1]);                    \
            if (axes == 3)                                                     \
                v[i * axes + 2] = (T)(z + terms[i * axes + 2]);                \
        }                                                                      \
    }
ADD_BASE(float)
ADD_BASE(double)
#undef ADD_BASE

/* The rows of the grid: theta [axes, axes + 1] times (x, y, 1) or (x, y, z, 1),
 * of which all but x, in terms, are the same along a row. */
static void fill_row(md_tensor *out, int64_t at, int axes, const double *base,
                     const double *terms, int64_t n)
{
    double v[MD_CHUNK];
    int64_t step = MD_CHUNK / axes; /* places at a time */

    if (out->dtype == MD_DTYPE_F32) {
        float *y = (float *)out->data + at;

        if (axes == 2)
            add_base_float(y, terms, base, n, 2);
        else
            add_base_float(y, terms, base, n, 3);
        return;
    }
    for (int64_t from = 0; from < n; from += step) {
        int64_t m = md_min_i64(n - from, step);

        if (axes == 2)
            add_base_double(v, terms + from * axes, base, m, 2);
        else
            add_base_double(v, terms + from * axes, base, m, 3);
        md_store_f64(out, at + from * axes, v, m * axes);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool corners = md_node_attr_i(x->node, "align_corners", 0) != 0;
    const md_shape *s = &out->shape;
    int axes = s->rank - 2, n = axes * (axes + 1);
    int64_t index[MD_RANK_MAX] = { 0 }, at = 0, width = s->dim[axes];
    int64_t batch = -1; /* whose theta it is */
    /* [axes, axes + 1]; [axes]; [width]; [width, axes] */
    double theta[12], base[3] = { 0 }, *along, *terms;

    MD_TRY(md_exec__scratch(&along, ar, width, sizeof(*along), err));
    MD_TRY(md_exec__scratch(&terms, ar, width * axes, sizeof(*terms), err));
    for (int64_t i = 0; i < width; i++)
        along[i] = coordinate(i, width, corners);
    do {
        if (index[0] != batch) {
            batch = index[0];
            md_load_f64(theta, x->in[0], batch * n, n);
            for (int64_t i = 0; i < width; i++)
                for (ptrdiff_t k = 0; k < axes; k++)
                    terms[i * axes + k] = theta[k * (axes + 1)] * along[i];
        }
        for (int i = 0; i < axes; i++) {
            base[i] = theta[i * (axes + 1) + axes];
            for (int k = 1; k < axes; k++) {
                int d = axes - k; /* x is the last axis of the grid */

                base[i] += theta[i * (axes + 1) + k] *
                           coordinate(index[d], s->dim[d], corners);
            }
        }
        fill_row(out, at, axes, base, terms, width);
        at += width * axes;
    } while (md_step_index(index, s->dim, s->rank - 2));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_affine_grid = {
    .domain = "",
    .name = "AffineGrid",
    .since = 20,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
