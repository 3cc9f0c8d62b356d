/*
 * Convolution whose taps are moved, each at each place, by what input 2 tells;
 * between elements the input is interpolated linearly, beyond it is 0.
 *
 * A block of places at a time becomes a matrix of what the taps see there,
 * which the weights are multiplied with.  Where a tap looks is the same for all
 * channels of an offset group, so it is found out once for them.
 */
#include "base/cpu.h"
#include "kernels/blend_f32.h"
#include "kernels/gemm_f32.h"
#include "ops/common/channels.h"
#include "ops/common/convolve.h"
#include "ops/common/product.h"

enum { /* inputs */
    IN_X,
    IN_W,
    IN_OFFSET,
    IN_BIAS,
    IN_MASK
};

enum {
    BLOCK = 96,                       /* places computed at a time: panels of
                                       * products of every CPU level */
    CORNERS_MAX = 1 << MD_SPATIAL_MAX /* elements around a point */
};

/* --- inference --------------------------------------------------------- */

/* [batch, groups * taps * each, out...] for input i. */
static md_status check_field(const md_infer *c, uint32_t i, int64_t each,
                             const md_type *out, md_error *err)
{
    int64_t groups = md_node_attr_i(c->node, "offset_group", 1);
    const md_type *w = c->in[IN_W], *t;
    md_dim n = MD_DIM(groups * each);

    if (!md_infer_has(c, i))
        return MD_OK;
    t = c->in[i];
    MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, IN_X, i, err));
    MD_TRY(md_infer__rank(c, i, out->rank, out->rank, err));
    if (!t->has_rank)
        return MD_OK;
    for (int d = 2; w->has_rank && d < w->rank; d++)
        MD_TRY(md_dim__mul(c, &n, n, w->dim[d], err));
    MD_TRY(md_infer__must_equal(
        c, t->dim[0], out->dim[0],
        i == IN_MASK ? "the mask's batch" : "the offset's batch", err));
    if (w->has_rank)
        MD_TRY(md_infer__must_equal(
            c, t->dim[1], n,
            i == IN_MASK ? "axis 1 of the mask" : "axis 1 of the offset", err));
    for (int d = 2; d < out->rank; d++)
        MD_TRY(md_infer__must_equal(
            c, t->dim[d], out->dim[d],
            i == IN_MASK ? "a size of the mask" : "a size of the offset", err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t groups = md_node_attr_i(c->node, "offset_group", 1);
    const md_type *x = c->in[IN_X];
    md_type out = { 0 };
    md_infer view = *c;

    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, IN_W, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, IN_OFFSET, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, IN_X, IN_W, err));
    MD_TRY(md_infer__may(c, IN_BIAS, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, IN_X, IN_BIAS, err));
    if (groups < 1 || groups > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "offset_group is %lld, at least 1 expected",
                       (long long)groups);
    view.out = &out;
    MD_TRY(md_convolve__infer(&view, IN_X, IN_W, x->dtype, err));
    if (out.has_rank) {
        if (md_dim_is_const(x->dim[1]) && x->dim[1].k % groups)
            return md_fail(err, MD_INVALID,
                           "%lld channels are not divisible by offset_group "
                           "%lld",
                           (long long)x->dim[1].k, (long long)groups);
        MD_TRY(check_field(c, IN_OFFSET, out.rank - 2, &out, err));
        MD_TRY(check_field(c, IN_MASK, 1, &out, err));
        if (md_infer_has(c, IN_BIAS))
            MD_TRY(md_infer__length(c, c->in[IN_BIAS], out.dim[1], "the bias",
                                    err));
    }
    md_infer__give(c, 0, &out);
    return MD_OK;
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)n;
    return md_convolve__macs(in[IN_W], out[0]);
}

/* --- execution --------------------------------------------------------- */

typedef struct deform {
    md_convolve v;
    int axes;
    int64_t offset_groups, taps, plane, places, blocks;
    int64_t k; /* what one sum is over: taps of a group's channels */
    const md_tensor *offset, *mask;
    const void *x, *w; /* float, or double when is_f64 */
    /* x with its channels last, in which case sums are over [taps, channels]
     * and w is turned; or NULL */
    const float *rows;
    void *y;
    const double *bias; /* or NULL */
    bool is_f64;
    const md_gemm_f32_kernel *gemm;
    const md_blend_f32_kernel *blend;
    char *memory;
    size_t each; /* bytes for each thread */
} deform;

/* Where one tap looks for each place of a block: elements and weights, and the
 * weights again as floats. */
typedef struct look {
    int64_t at[BLOCK][CORNERS_MAX];
    double w[BLOCK][CORNERS_MAX];
    float narrow[BLOCK][CORNERS_MAX];
} look;

/* Elements around a point of the (three) axes, with its weights times m. */
static void surround(const deform *d, const double *point, double m, look *l,
                     int64_t i)
{
    int64_t first[MD_SPATIAL_MAX] = { 0 };
    double rest[MD_SPATIAL_MAX] = { 0 };
    int skipped = MD_SPATIAL_MAX - d->axes;

    for (int a = skipped; a < MD_SPATIAL_MAX; a++) {
        if (!(point[a] > -1.0 && point[a] < (double)d->v.in[a]))
            m = 0.0; /* all corners are outside */
        else
            first[a] = (int64_t)(point[a] + 1.0) - 1; /* floor */
        rest[a] = point[a] - (double)first[a];
    }
    for (int k = 0; k < 1 << d->axes; k++) {
        int64_t at = 0;
        double w = m;

        for (int a = skipped; a < MD_SPATIAL_MAX && w != 0.0; a++) {
            int64_t far = k >> (a - skipped) & 1, p = first[a] + far;

            w *= far ? rest[a] : 1.0 - rest[a];
            if (p < 0 || p >= d->v.in[a])
                w = 0.0;
            at = at * d->v.in[a] + p;
        }
        l->at[i][k] = w != 0.0 ? at : 0; /* any will do, of weight 0 */
        l->w[i][k] = w;
        l->narrow[i][k] = (float)w;
    }
}

/* Where the first tap looks without any offset. */
typedef struct corner {
    double at[BLOCK][MD_SPATIAL_MAX];
} corner;

static void find_corners(const deform *d, int64_t from, int64_t n, corner *c)
{
    const md_window *w = &d->v.w;

    for (int64_t i = 0; i < n; i++) {
        int64_t place = from + i;

        for (int a = MD_SPATIAL_MAX; a-- > 0; place /= d->v.out[a])
            c->at[i][a] =
                (double)(place % d->v.out[a] * w->stride[a] - w->lo[a]);
    }
}

/* Tap `tap` of an offset group at places [from, from + n). */
static void find_points(const deform *d, int64_t batch, int64_t group,
                        int64_t tap, int64_t from, int64_t n, const corner *c,
                        look *l)
{
    const md_window *w = &d->v.w;
    int64_t row = (batch * d->offset_groups + group) * d->taps + tap;
    double k[MD_SPATIAL_MAX];
    double moved[MD_SPATIAL_MAX][BLOCK] = { { 0 } }, m[BLOCK];
    int skipped = MD_SPATIAL_MAX - d->axes;

    for (int a = MD_SPATIAL_MAX; a-- > 0; tap /= w->kernel[a])
        k[a] = (double)(tap % w->kernel[a] * w->dilation[a]);
    for (int a = 0; a < d->axes; a++)
        md_load_f64(moved[a], d->offset, (row * d->axes + a) * d->places + from,
                    n);
    for (int64_t i = 0; i < n; i++)
        m[i] = 1.0;
    if (d->mask)
        md_load_f64(m, d->mask, row * d->places + from, n);
    for (int64_t i = 0; i < n; i++) {
        double point[MD_SPATIAL_MAX] = { 0 };

        for (int a = skipped; a < MD_SPATIAL_MAX; a++)
            point[a] = c->at[i][a] + k[a] + moved[a - skipped][i];
        surround(d, point, m[i], l, i);
    }
}

/* What the tap sees of one channel. */
#define SEE(name, T, weights)                                                  \
    static void name(const deform *d, const T *x, const look *l, T *out,       \
                     int64_t n)                                                \
    {                                                                          \
        if (d->axes == 2) {                                                    \
            for (int64_t i = 0; i < n; i++) {                                  \
                const int64_t *at = l->at[i];                                  \
                const T *w = l->weights[i];                                    \
                                                                               \
                out[i] = w[0] * x[at[0]] + w[1] * x[at[1]] + w[2] * x[at[2]] + \
                         w[3] * x[at[3]];                                      \
            }                                                                  \
            return;                                                            \
        }                                                                      \
        for (int64_t i = 0; i < n; i++) {                                      \
            T sum = 0;                                                         \
                                                                               \
            for (int k = 0; k < 1 << d->axes; k++)                             \
                sum += l->weights[i][k] * x[l->at[i][k]];                      \
            out[i] = sum;                                                      \
        }                                                                      \
    }
SEE(see_f32, float, narrow)
SEE(see_f64, double, w)

/* The matrix [k, n] of a block, rows BLOCK apart. */
static void fill_matrix(const deform *d, int64_t batch, int64_t group,
                        int64_t from, int64_t n, void *out)
{
    int64_t channels = d->v.c / d->v.group;
    int64_t each = d->v.c / d->offset_groups; /* channels of one offset */
    corner corners;
    look l = { .at = { { 0 } } };

    find_corners(d, from, n, &corners);
    for (int64_t tap = 0; tap < d->taps; tap++) {
        int64_t known = -1;

        for (int64_t c = 0; c < channels; c++) {
            int64_t channel = group * channels + c;
            int64_t at = (batch * d->v.c + channel) * d->plane;
            int64_t to = (c * d->taps + tap) * BLOCK;

            if (channel / each != known) {
                known = channel / each;
                find_points(d, batch, known, tap, from, n, &corners, &l);
            }
            if (d->is_f64)
                see_f64(d, (const double *)d->x + at, &l, (double *)out + to,
                        n);
            else
                see_f32(d, (const float *)d->x + at, &l, (float *)out + to, n);
        }
    }
}

/* The matrix [n, k] of a block, k = [taps, channels]: all channels of a tap
 * that look at the same places together. */
static void fill_rows(const deform *d, int64_t batch, int64_t group,
                      int64_t from, int64_t n, float *out)
{
    int64_t channels = d->v.c / d->v.group, end = (group + 1) * channels;
    int64_t each = d->v.c / d->offset_groups; /* channels of one offset */
    const float *x = d->rows + batch * d->plane * d->v.c;
    corner corners = { .at = { { 0 } } };
    look l = { .at = { { 0 } } };

    find_corners(d, from, n, &corners);
    for (int64_t tap = 0; tap < d->taps; tap++) {
        for (int64_t c = group * channels, next; c < end; c = next) {
            next = md_min_i64((c / each + 1) * each, end);
            find_points(d, batch, c / each, tap, from, n, &corners, &l);
            for (int64_t i = 0; i < n * CORNERS_MAX; i++)
                l.at[i / CORNERS_MAX][i % CORNERS_MAX] *= d->v.c;
            d->blend->run(&(md_blend_f32_args){ .y = out + tap * channels + c -
                                                     group * channels,
                                                .x = x + c,
                                                .at = l.at[0],
                                                .w = l.narrow[0],
                                                .places = n,
                                                .looks = (int64_t)1 << d->axes,
                                                .stride = CORNERS_MAX,
                                                .n = next - c,
                                                .y_stride = d->k });
        }
    }
}

/* y[rows, n] of a block = w[rows, k] times the matrix. */
static void multiply_f32(const deform *d, const float *w, const float *matrix,
                         float *packed, float *y, int64_t rows, int64_t n)
{
    md_gemm_f32_b b = { .b = matrix,
                        .rs = d->rows ? 1 : BLOCK,
                        .cs = d->rows ? d->k : 1,
                        .k = d->k,
                        .n = n };
    md_gemm_f32_args args = { .m = rows,
                              .n = n,
                              .k = d->k,
                              .a = w,
                              .lda = d->k,
                              .b = packed,
                              .ldc = d->places,
                              .ep = MD_EPILOGUE_INIT,
                              .strict = true };

    args.c = y;
    d->gemm->pack_b(packed, &b, 0, n);
    d->gemm->run(&args, 0, rows, 0, n);
}

static void multiply_f64(const deform *d, const double *w, const double *matrix,
                         double *y, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        md_product p = { .m = 1,
                         .n = n,
                         .k = d->k,
                         .a_row = d->k,
                         .a_col = 1,
                         .b_row = BLOCK,
                         .b_col = 1 };
        double *to = y + r * d->places;

        for (int64_t i = 0; i < n; i++)
            to[i] = 0.0;
        md_product__f64(&p, to, w + r * d->k, matrix);
    }
}

static void add_bias(const deform *d, int64_t channel, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (d->is_f64)
            ((double *)d->y)[at + i] += d->bias[channel];
        else
            ((float *)d->y)[at + i] += (float)d->bias[channel];
    }
}

/* A block of a group of a batch element. */
static void run_block(void *ctx, int64_t chunk, int worker)
{
    const deform *d = ctx;
    int64_t from = chunk % d->blocks * BLOCK;
    int64_t group = chunk / d->blocks % d->v.group;
    int64_t batch = chunk / d->blocks / d->v.group;
    int64_t n = md_min_i64(BLOCK, d->places - from);
    int64_t rows = d->v.oc / d->v.group, first = group * rows;
    int64_t y = (batch * d->v.oc + first) * d->places + from;
    char *memory = d->memory + (size_t)worker * d->each;

    if (d->rows)
        fill_rows(d, batch, group, from, n, (float *)memory);
    else
        fill_matrix(d, batch, group, from, n, memory);
    if (d->is_f64)
        multiply_f64(d, (const double *)d->w + first * d->k,
                     (const double *)memory, (double *)d->y + y, rows, n);
    else
        multiply_f32(d, (const float *)d->w + first * d->k, (float *)memory,
                     (float *)memory + d->k * BLOCK, (float *)d->y + y, rows,
                     n);
    for (int64_t r = 0; d->bias && r < rows; r++)
        add_bias(d, first + r, y + r * d->places, n);
}

/* Memory of the threads: the matrix, and in float the matrix packed. */
static md_status find_memory(deform *d, md_exec *x, md_arena *ar, md_error *err)
{
    size_t size = d->is_f64 ? sizeof(double) : sizeof(float), packed = 0;

    if (!d->is_f64 && !md_gemm_f32_packed_size(&packed, d->k, BLOCK))
        return md_fail_nomem(err, SIZE_MAX);
    if (!md_mul_size(&d->each, (size_t)d->k * BLOCK, size) ||
        !md_add_size(&d->each, d->each, packed))
        return md_fail_nomem(err, SIZE_MAX);
    d->each = md_round_up(d->each, 64);
    return md_exec__scratch(&d->memory, ar, md_pool_width(x->pool), d->each,
                            err);
}

/* The inputs in the type that is computed with; *y: where to. */
static md_status prepare(deform *d, md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const float *from, *w;
    double *bias;
    float *y;

    if (d->is_f64) {
        d->x = x->in[IN_X]->data;
        d->w = x->in[IN_W]->data;
        d->y = out->data;
    } else {
        MD_TRY(md_exec__as_f32(&from, x->in[IN_X], ar, err));
        MD_TRY(md_exec__as_f32(&w, x->in[IN_W], ar, err));
        MD_TRY(md_exec__f32_of(&y, out, ar, err));
        d->x = from;
        d->w = w;
        d->y = y;
    }
    if (!md_exec_has(x, IN_BIAS))
        return MD_OK;
    MD_TRY(md_exec__scratch(&bias, ar, d->v.oc, sizeof(*bias), err));
    md_load_f64(bias, x->in[IN_BIAS], 0, d->v.oc);
    d->bias = bias;
    return MD_OK;
}

/* Channels last, where there are some to one offset; w likewise. */
static md_status make_rows(deform *d, const md_exec *x, md_arena *ar,
                           md_error *err)
{
    const md_shape *w = &x->in[IN_W]->shape;
    int64_t channels = d->v.c / d->v.group;
    const float *turned;

    if (d->is_f64 || channels < MD_CHANNELS_FEW ||
        d->v.c / d->offset_groups < MD_CHANNELS_FEW)
        return MD_OK;
    MD_TRY(md_channels__last(&d->rows, x, d->x, d->v.n, d->v.c, d->plane, ar,
                             err));
    MD_TRY(md_channels__last(&turned, x, d->w, w->dim[0], channels, d->taps, ar,
                             err));
    d->w = turned;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    deform d = { .axes = out->shape.rank - 2,
                 .offset_groups = md_node_attr_i(x->node, "offset_group", 1),
                 .offset = x->in[IN_OFFSET],
                 .mask = md_exec_has(x, IN_MASK) ? x->in[IN_MASK] : NULL,
                 .is_f64 = out->dtype == MD_DTYPE_F64,
                 .gemm = md_gemm_f32_select(md_cpu_flags()),
                 .blend = md_blend_f32_select(x->cpu) };
    const md_shape *w = &x->in[IN_W]->shape, *in = &x->in[IN_X]->shape;

    MD_TRY(md_convolve__sizes(&d.v, x->node, in, w, err));
    d.taps = md_shape_span(w, 2, w->rank);
    d.plane = md_shape_span(in, 2, in->rank);
    d.places = md_shape_span(&out->shape, 2, out->shape.rank);
    d.blocks = md_div_up(d.places, BLOCK);
    d.k = w->dim[1] * d.taps;
    MD_TRY(prepare(&d, x, out, ar, err));
    MD_TRY(make_rows(&d, x, ar, err));
    MD_TRY(find_memory(&d, x, ar, err));
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, d.v.n * d.v.group * d.blocks,
                run_block, &d);
    if (!d.is_f64)
        md_exec__from_f32(out, d.y);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_deform_conv = {
    .domain = "",
    .name = "DeformConv",
    .since = 19,
    .in_min = 3,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
};
