#include "ops/common/resample.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/blend_f32.h"

enum {
    LANES = 16,     /* elements summed together: a constant, for vectors */
    CHUNK = 1 << 14 /* products that one thread computes at a time */
};

md_status md_resample__size(int64_t *out, int64_t n, float scale, md_error *err)
{
    float size = floorf((float)n * scale);

    if (!(scale > 0.0f) || size > 0x1p40f)
        return md_fail(err, MD_INVALID, "scale %g of an axis of %lld",
                       (double)scale, (long long)n);
    *out = (int64_t)size;
    return MD_OK;
}

md_status md_resample__dim(const md_infer *c, md_dim *out, md_dim n,
                           float scale, md_error *err)
{
    int64_t down = 16;
    float parts = scale * (float)down;
    md_dim unused;
    int64_t size;

    if (md_dim_is_const(n)) {
        MD_TRY(md_resample__size(&size, n.k, scale, err));
        *out = MD_DIM(size);
        return MD_OK;
    }
    if (!(scale > 0.0f && scale < 0x1p20f) || parts != floorf(parts) ||
        parts >= 0x1p20f || !c->model)
        return md_infer__fresh(c, out, err);
    /* up / down of n, cut: what floats give too while they are exact */
    if (scale == floorf(scale))
        down = 1;
    MD_TRY(md_dim__affine(&n, n, (int64_t)(scale * (float)down), 0, err));
    MD_TRY(
        md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, MD_DIM(1 << 24), n, err));
    return md_dim__derive(c, out, MD_EXPR_DIV, n, MD_DIM(down), err);
}

/* The resized length before it was cut to a whole number, as the standard
 * takes it; a scale that was itself rounded does not count as a fraction. */
static double exact_size(double scale, double n, int64_t out)
{
    double exact = scale * n;

    return fabs(exact - (double)out) < 1e-5 * exact ? (double)out : exact;
}

/* Where output coordinate o of axis d lies in the input. */
static double coordinate(const md_resample *r, int d, int64_t o, int64_t in,
                         int64_t out)
{
    double scale = r->scale[d], x = (double)o, n = (double)in, span;

    switch (r->coordinates) {
    case MD_COORD_HALF_PIXEL_SYMMETRIC:
        span = 1.0 - (double)out / (scale * n);
        return n / 2.0 * span + (x + 0.5) / scale - 0.5;
    case MD_COORD_PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
    case MD_COORD_ALIGN_CORNERS:
        span = exact_size(scale, n, out) - 1.0;
        return out > 1 ? x * (n - 1.0) / span : 0.0;
    case MD_COORD_ASYMMETRIC:
        return x / scale;
    case MD_COORD_TF_CROP_AND_RESIZE:
        span = (r->end[d] - r->start[d]) * (n - 1.0);
        if (out > 1)
            return r->start[d] * (n - 1.0) + x * span / (double)(out - 1);
        return 0.5 * (r->start[d] + r->end[d]) * (n - 1.0);
    case MD_COORD_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / scale;
    default:
        return (x + 0.5) / scale - 0.5;
    }
}

static double nearest(md_nearest how, double x)
{
    switch (how) {
    case MD_NEAREST_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case MD_NEAREST_FLOOR:
        return floor(x);
    case MD_NEAREST_CEIL:
        return ceil(x);
    default:
        return ceil(x - 0.5);
    }
}

/* Keys' cubic convolution kernel at distance t. */
static double cubic(double a, double t)
{
    t = fabs(t);
    if (t <= 1.0)
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    if (t < 2.0)
        return ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
    return 0.0;
}

/* Taps of one axis: n of them for each output coordinate. */
typedef struct taps {
    int64_t n;
    int64_t *at;    /* [out][n] */
    double *weight; /* [out][n] */
    float *narrow;  /* [out][n]: the weights for float32 */
    bool *outside;  /* [out]: takes the value for outside */
} taps;

static double weigh(const md_resample *r, double distance, double shrink)
{
    if (r->mode == MD_RESAMPLE_LINEAR)
        return fmax(0.0, 1.0 - fabs(distance) * shrink);
    return cubic(r->cubic_a, distance * shrink);
}

static void fill(const md_resample *r, double x, double shrink, int64_t in,
                 int64_t n, int64_t *at, double *weight)
{
    int64_t before = n / 2 - 1;
    double base = floor(x) - (double)before, sum = 0.0;

    for (int64_t k = 0; k < n; k++) {
        double i = base + (double)k;

        weight[k] = weigh(r, i - x, shrink);
        if (r->exclude_outside && (i < 0.0 || i > (double)(in - 1)))
            weight[k] = 0.0;
        at[k] = (int64_t)fmin(fmax(i, 0.0), (double)(in - 1));
        sum += weight[k];
    }
    for (int64_t k = 0; k < n && sum != 0.0; k++)
        weight[k] /= sum;
}

static bool is_outside(const md_resample *r, double x, int64_t in)
{
    return r->coordinates == MD_COORD_TF_CROP_AND_RESIZE &&
           (x < 0.0 || x > (double)(in - 1));
}

/* Axis d stays as it is. */
static bool is_kept(const md_resample *r, int d, int64_t in, int64_t out)
{
    return in == out && r->scale[d] == 1.0 &&
           r->coordinates != MD_COORD_TF_CROP_AND_RESIZE;
}

static md_status make_taps(taps *t, const md_resample *r, int d, int64_t in,
                           int64_t out, md_arena *ar, md_error *err)
{
    double shrink = r->antialias && r->scale[d] < 1.0 ? r->scale[d] : 1.0;
    double reach = r->mode == MD_RESAMPLE_LINEAR ? 1.0 : 2.0;
    int64_t n;

    t->n = 2 * (int64_t)ceil(fmin(reach / shrink, (double)in + 2.0));
    if (!md_mul_i64(&n, t->n, out))
        return md_fail(err, MD_TOO_LARGE, "axis %d is too large to resize", d);
    MD_TRY(md_exec__scratch(&t->at, ar, n, sizeof(*t->at), err));
    MD_TRY(md_exec__scratch(&t->weight, ar, n, sizeof(*t->weight), err));
    MD_TRY(md_exec__scratch(&t->narrow, ar, n, sizeof(*t->narrow), err));
    MD_TRY(md_exec__scratch(&t->outside, ar, out, sizeof(*t->outside), err));
    for (int64_t o = 0; o < out; o++) {
        double x = coordinate(r, d, o, in, out);

        t->outside[o] = is_outside(r, x, in);
        fill(r, x, shrink, in, t->n, t->at + o * t->n, t->weight + o * t->n);
    }
    for (int64_t i = 0; i < n; i++)
        t->narrow[i] = (float)t->weight[i];
    return MD_OK;
}

/* One axis: to[outer][out][inner] from from[outer][in][inner]. */
typedef struct sums {
    taps t;
    int64_t outer, in, out, inner;
    double outside;
    bool is_f32;
    const md_blend_f32_kernel *blend;
    const int64_t *rows; /* where rows of float32 begin, by tap */
    const void *from;
    void *to;
    int64_t step; /* rows (of inner, or of out when that is 1) of a chunk */
} sums;

/* A row of the last axis: each element has taps of its own. */
#define GATHER(name, T, W)                                                     \
    static void name(const sums *s, T *to, const T *from)                      \
    {                                                                          \
        const taps *t = &s->t;                                                 \
        const int64_t *at = t->at;                                             \
        const T *w = t->W;                                                     \
                                                                               \
        if (t->n == 2) {                                                       \
            for (int64_t o = 0; o < s->out; o++)                               \
                to[o] = w[2 * o] * from[at[2 * o]] +                           \
                        w[2 * o + 1] * from[at[2 * o + 1]];                    \
            return;                                                            \
        }                                                                      \
        for (int64_t o = 0; o < s->out; o++) {                                 \
            T sum = 0;                                                         \
                                                                               \
            for (int64_t k = 0; k < t->n; k++)                                 \
                sum += w[o * t->n + k] * from[at[o * t->n + k]];               \
            to[o] = sum;                                                       \
        }                                                                      \
    }
GATHER(gather_f32, float, narrow)
GATHER(gather_f64, double, weight)

/* A row of what lies behind the axis: all of it has the same taps. */
static void combine_f64(const sums *s, int64_t o, double *to,
                        const double *from)
{
    const int64_t *at = s->t.at + o * s->t.n, n = s->inner;
    const double *w = s->t.weight + o * s->t.n;

    if (s->t.n == 2) {
        const double *a = from + at[0] * n, *b = from + at[1] * n;

        MD_SIMD
        for (int64_t j = 0; j < n; j++)
            to[j] = w[0] * a[j] + w[1] * b[j];
        return;
    }
    for (int64_t j = 0; j < n; j++)
        to[j] = 0.0;
    for (int64_t k = 0; k < s->t.n; k++) {
        const double *a = from + at[k] * n;

        MD_SIMD
        for (int64_t j = 0; j < n; j++)
            to[j] += w[k] * a[j];
    }
}

static void combine_f32(const sums *s, int64_t o, float *to, const float *from)
{
    s->blend->run(&(md_blend_f32_args){ .y = to,
                                        .x = from,
                                        .at = s->rows + o * s->t.n,
                                        .w = s->t.narrow + o * s->t.n,
                                        .places = 1,
                                        .looks = s->t.n,
                                        .stride = s->t.n,
                                        .n = s->inner,
                                        .y_stride = s->inner });
}

/* Row `row` of [outer][out] rows of `inner`. */
static void sum_row(const sums *s, int64_t row)
{
    int64_t o = row % s->out, at = row / s->out * s->in * s->inner;
    int64_t to = row * s->inner;

    if (s->is_f32 && s->t.outside[o]) {
        for (int64_t j = 0; j < s->inner; j++)
            ((float *)s->to)[to + j] = (float)s->outside;
    } else if (s->t.outside[o]) {
        for (int64_t j = 0; j < s->inner; j++)
            ((double *)s->to)[to + j] = s->outside;
    } else if (s->is_f32) {
        combine_f32(s, o, (float *)s->to + to, (const float *)s->from + at);
    } else {
        combine_f64(s, o, (double *)s->to + to, (const double *)s->from + at);
    }
}

/* Row `row` of [outer] rows of the axis itself. */
static void sum_last(const sums *s, int64_t row)
{
    int64_t to = row * s->out;

    if (s->is_f32)
        gather_f32(s, (float *)s->to + to,
                   (const float *)s->from + row * s->in);
    else
        gather_f64(s, (double *)s->to + to,
                   (const double *)s->from + row * s->in);
    for (int64_t o = 0; o < s->out; o++) {
        if (s->t.outside[o] && s->is_f32)
            ((float *)s->to)[to + o] = (float)s->outside;
        else if (s->t.outside[o])
            ((double *)s->to)[to + o] = s->outside;
    }
}

static void run_sums(void *ctx, int64_t chunk, int worker)
{
    const sums *s = ctx;
    int64_t rows = s->inner == 1 ? s->outer : s->outer * s->out;
    int64_t end = md_min_i64(rows, (chunk + 1) * s->step);

    (void)worker;
    for (int64_t row = chunk * s->step; row < end; row++) {
        if (s->inner == 1)
            sum_last(s, row);
        else
            sum_row(s, row);
    }
}

/* Where the rows of the taps begin. */
static md_status find_rows(sums *s, md_arena *ar, md_error *err)
{
    int64_t n = s->t.n * s->out, *rows;

    if (!s->is_f32 || s->inner == 1)
        return MD_OK;
    MD_TRY(md_exec__scratch(&rows, ar, n, sizeof(*rows), err));
    for (int64_t i = 0; i < n; i++)
        rows[i] = s->t.at[i] * s->inner;
    s->rows = rows;
    return MD_OK;
}

static void apply(sums *s, md_pool *pool)
{
    int64_t rows = s->inner == 1 ? s->outer : s->outer * s->out;
    int64_t size = (s->inner == 1 ? s->out : s->inner) * s->t.n;

    s->step = md_max_i64(1, CHUNK / md_max_i64(size, 1));
    md_pool_run(pool, MD_POOL_WIDTH_MAX, md_div_up(rows, s->step), run_sums, s);
}

/* The input index of each output coordinate of axis d, and whether it takes the
 * value for outside. */
static md_status find_nearest(int64_t **at, bool **outside,
                              const md_resample *r, int d, int64_t in,
                              int64_t out, md_arena *ar, md_error *err)
{
    MD_TRY(md_exec__scratch(at, ar, out, sizeof(**at), err));
    MD_TRY(md_exec__scratch(outside, ar, out, sizeof(**outside), err));
    for (int64_t o = 0; o < out; o++) {
        double x = coordinate(r, d, o, in, out);
        double i = fmax(nearest(r->nearest, x), 0.0);

        (*at)[o] = (int64_t)fmin(i, (double)(in - 1));
        if (is_kept(r, d, in, out))
            (*at)[o] = o;
        else
            (*outside)[o] = is_outside(r, x, in);
    }
    return MD_OK;
}

/* Elements of whole bytes, chosen by index. */
static void pick_row(char *to, const char *from, const int64_t *at, int64_t n,
                     size_t size)
{
#define PICK(constant)                                                         \
    case constant:                                                             \
        for (int64_t i = 0; i < n; i++)                                        \
            memcpy(to + i * (constant), from + at[i] * (constant), constant);  \
        break;
    switch (size) {
        PICK(1)
        PICK(2)
        PICK(4)
        PICK(8)
    default:
        break;
    }
#undef PICK
}

typedef struct picks {
    md_tensor *out;
    const md_tensor *in;
    int64_t *at[MD_RANK_MAX];
    bool *outside[MD_RANK_MAX];
    int64_t stride[MD_RANK_MAX];
    bool crops; /* outside may be set */
    double value;
    int64_t step; /* rows of a chunk */
} picks;

/* Where row `row` begins in the input; *outside: nowhere. */
static int64_t find_row(const picks *p, int64_t row, bool *outside)
{
    const md_shape *s = &p->out->shape;
    int64_t base = 0;

    *outside = false;
    for (int d = s->rank - 1; d-- > 0; row /= s->dim[d]) {
        int64_t o = row % s->dim[d];

        *outside = *outside || p->outside[d][o];
        base += p->at[d][o] * p->stride[d];
    }
    return base;
}

/* Rows of the last axis; one that is as the one before is copied. */
static void run_picks(void *ctx, int64_t chunk, int worker)
{
    const picks *p = ctx;
    const md_shape *s = &p->out->shape;
    size_t size = md_dtype_bits(p->out->dtype) / 8;
    int last = s->rank - 1;
    int64_t n = s->dim[last], rows = md_tensor_n(p->out) / n, before = -1;
    int64_t end = md_min_i64(rows, (chunk + 1) * p->step);

    (void)worker;
    for (int64_t row = chunk * p->step; row < end; row++) {
        char *to = (char *)p->out->data + (size_t)(row * n) * size;
        bool outside;
        int64_t base = find_row(p, row, &outside);

        if (base == before && !p->crops)
            memcpy(to, to - (size_t)n * size, (size_t)n * size);
        else
            pick_row(to, (const char *)p->in->data + (size_t)base * size,
                     p->at[last], n, size);
        before = base;
        for (int64_t i = 0; p->crops && i < n; i++) {
            if (outside || p->outside[last][i])
                md_tensor_set_f64(p->out, row * n + i, p->value);
        }
    }
}

/* Elements are moved as they are. */
static md_status pick_nearest(const md_resample *r, md_tensor *out,
                              const md_tensor *in, md_pool *pool, md_arena *ar,
                              md_error *err)
{
    picks p = { .out = out,
                .in = in,
                .crops = r->coordinates == MD_COORD_TF_CROP_AND_RESIZE,
                .value = r->outside };
    int64_t n;

    if (in->shape.rank == 0) {
        md_move_all(out, in);
        return MD_OK;
    }
    for (int d = 0; d < in->shape.rank; d++)
        MD_TRY(find_nearest(&p.at[d], &p.outside[d], r, d, in->shape.dim[d],
                            out->shape.dim[d], ar, err));
    md_shape_strides(p.stride, &in->shape);
    n = out->shape.dim[in->shape.rank - 1];
    p.step = md_max_i64(1, CHUNK / n);
    md_pool_run(pool, MD_POOL_WIDTH_MAX,
                md_div_up(md_tensor_n(out) / n, p.step), run_picks, &p);
    return MD_OK;
}

/* Types that float32 holds are computed in it. */
static bool fits_f32(md_dtype t)
{
    return t == MD_DTYPE_F32 || t == MD_DTYPE_F16 || t == MD_DTYPE_BF16 ||
           t == MD_DTYPE_U8 || t == MD_DTYPE_I8;
}

/* Memory for n elements of what is computed with. */
static md_status find_memory(void **out, bool is_f32, int64_t n, md_arena *ar,
                             md_error *err)
{
    return md_exec__scratch(out, ar, n, is_f32 ? sizeof(float) : sizeof(double),
                            err);
}

/* The axes to resize, in the order in which that is least work; how many.
 * Along the last one elements are picked one by one, so it comes when the
 * others are short: before those that grow, behind those that shrink. */
static int order_axes(int *axes, const md_resample *r, const md_shape *in,
                      const md_shape *out)
{
    const int last = in->rank - 1;
    int n = 0;

    for (int d = in->rank; d-- > 0;) {
        if (!is_kept(r, d, in->dim[d], out->dim[d]))
            axes[n++] = d;
    }
    if (n > 1 && axes[0] == last &&
        md_shape_span(out, 0, last) < md_shape_span(in, 0, last)) {
        memmove(axes, axes + 1, (size_t)(n - 1) * sizeof(*axes));
        axes[n - 1] = last;
    }
    return n;
}

md_status md_resample__run(const md_resample *r, md_tensor *out,
                           const md_tensor *in, md_pool *pool, md_arena *ar,
                           md_error *err)
{
    md_shape now = in->shape;
    int axes[MD_RANK_MAX], n_axes;
    sums s = { .outside = r->outside,
               .is_f32 = fits_f32(in->dtype),
               .blend = md_blend_f32_select(r->cpu),
               .from = in->data };
    const bool is_so = in->dtype == (s.is_f32 ? MD_DTYPE_F32 : MD_DTYPE_F64);
    void *memory = NULL;

    if (md_tensor_n(in) == 0)
        return md_fail(err, MD_INVALID, "nothing to resize");
    if (r->mode == MD_RESAMPLE_NEAREST)
        return pick_nearest(r, out, in, pool, ar, err);
    n_axes = order_axes(axes, r, &in->shape, &out->shape);
    if (n_axes == 0) {
        md_move_all(out, in);
        return MD_OK;
    }
    if (!is_so) {
        MD_TRY(find_memory(&memory, s.is_f32, md_tensor_n(in), ar, err));
        if (s.is_f32)
            md_load_f32(memory, in, 0, md_tensor_n(in));
        else
            md_load_f64(memory, in, 0, md_tensor_n(in));
        s.from = memory;
    }
    for (int i = 0; i < n_axes; i++) {
        int d = axes[i];
        int64_t count;

        s.in = now.dim[d];
        s.out = out->shape.dim[d];
        MD_TRY(make_taps(&s.t, r, d, s.in, s.out, ar, err));
        now.dim[d] = s.out;
        MD_TRY(md_shape_count(&count, &now, err));
        memory = out->data;
        if (i + 1 < n_axes || !is_so)
            MD_TRY(find_memory(&memory, s.is_f32, count, ar, err));
        s.to = memory;
        s.outer = md_shape_span(&now, 0, d);
        s.inner = md_shape_span(&now, d + 1, now.rank);
        MD_TRY(find_rows(&s, ar, err));
        apply(&s, pool);
        s.from = s.to;
    }
    if (!is_so && !s.is_f32)
        md_store_f64(out, 0, s.from, md_tensor_n(out));
    else if (!is_so)
        md_store_f32(out, 0, s.from, md_tensor_n(out));
    return MD_OK;
}
