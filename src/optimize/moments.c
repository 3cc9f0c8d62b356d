#include "optimize/moments.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

enum {
    PLACES_MAX = 2048 /* looked at in one execution */
};

typedef struct gatherer {
    md_moments *m;
    uint32_t n;
    float *column; /* [widest, PLACES_MAX] */
} gatherer;

static int axis_of(const md_moments *m, const md_tensor *t)
{
    return m->axis < 0 ? m->axis + t->shape.rank : m->axis;
}

/* What x holds at up to PLACES_MAX places becomes r->column, [n, PLACES_MAX];
 * returns at how many. */
static int64_t gather(const gatherer *r, const md_moments *m,
                      const md_tensor *t)
{
    const int axis = axis_of(m, t);
    const int64_t inner = md_shape_span(&t->shape, axis + 1, t->shape.rank);
    const int64_t outer = md_shape_span(&t->shape, 0, axis);
    const int64_t all = inner * outer;
    const int64_t step = md_div_up(all, PLACES_MAX);
    const float *x = t->data;
    int64_t count = 0;

    for (int64_t i = 0; i < all; i += step, count++) {
        const float *at = x + i / inner * m->n * inner + i % inner;

        for (int64_t q = 0; q < m->n; q++)
            r->column[q * PLACES_MAX + count] = at[q * inner];
    }
    return count;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum[4] = { 0.0 };
    int64_t i = 0;

    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++)
            sum[k] += (double)a[i + k] * (double)b[i + k];
    }
    for (; i < n; i++)
        sum[0] += (double)a[i] * (double)b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

static void add_moments(const gatherer *r, md_moments *m, const md_tensor *t)
{
    const int64_t count = gather(r, m, t), width = m->n + 1;

    for (int64_t i = 0; i < m->n; i++) {
        const float *a = r->column + i * PLACES_MAX;
        double sum = 0.0;

        for (int64_t k = 0; k <= i; k++)
            m->h[i * width + k] += dot(a, r->column + k * PLACES_MAX, count);
        for (int64_t k = 0; k < count; k++)
            sum += (double)a[k];
        m->h[m->n * width + i] += sum;
    }
    m->h[m->n * width + m->n] += (double)count;
    m->count += (double)count;
}

static md_status visit(void *ctx, const md_run *run, int64_t from, int64_t n,
                       md_error *err)
{
    gatherer *r = ctx;

    (void)from;
    (void)n;
    for (uint32_t i = 0; i < r->n; i++) {
        const md_tensor *t = md_run_output(run, i);

        if (t->dtype != MD_DTYPE_F32)
            return md_fail(err, MD_UNSUPPORTED,
                           "value '%s' holds %s, float32 expected",
                           r->m[i].name, md_dtype_name(t->dtype));
        if (t->shape.dim[axis_of(&r->m[i], t)] != r->m[i].n)
            return md_fail(err, MD_INTERNAL, "value '%s' has not %lld channels",
                           r->m[i].name, (long long)r->m[i].n);
        add_moments(r, &r->m[i], t);
    }
    return MD_OK;
}

static md_status run_taps(gatherer *r, const md_model *model,
                          const md_sweep *sweep, md_arena *ar, md_error *err)
{
    const char **names = md_arena_calloc(ar, r->n + 1u, sizeof(*names));
    md_session *session;
    md_status s;

    if (!names)
        return md_fail_nomem(err, r->n * sizeof(*names));
    for (uint32_t i = 0; i < r->n; i++)
        names[i] = r->m[i].name;
    MD_TRY(md_taps_open(&session, model, names, r->n, sweep->pool, err));
    s = md_run_over(session, sweep, visit, r, err);
    md_session_free(session);
    return s;
}

md_status md_moments_gather(md_moments *m, uint32_t n, const md_model *model,
                            const md_sweep *sweep, md_arena *ar, md_error *err)
{
    gatherer r = { .m = m, .n = n };
    int64_t widest = 1;
    md_status s;

    for (uint32_t i = 0; i < n; i++) {
        const size_t width = (size_t)m[i].n + 1;

        m[i].count = 0.0;
        m[i].h = md_arena_calloc(ar, width * width, sizeof(double));
        if (!m[i].h)
            return md_fail_nomem(err, width * width * sizeof(double));
        widest = md_max_i64(widest, m[i].n);
    }
    if (n == 0)
        return MD_OK;
    r.column =
        md_malloc(model->alloc, (size_t)widest * PLACES_MAX * sizeof(float));
    if (!r.column)
        return md_fail_nomem(err, (size_t)widest * PLACES_MAX * sizeof(float));
    s = run_taps(&r, model, sweep, ar, err);
    md_free(model->alloc, r.column);
    return s;
}

bool md_moments_factor(double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];

            for (int64_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0.0))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
    return true;
}

/* L := L^-1, row by row. */
static void invert_factor(double *a, double *row, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double d = 1.0 / a[i * n + i];

        memset(row, 0, (size_t)n * sizeof(*row));
        for (int64_t k = 0; k < i; k++) {
            for (int64_t j = 0; j <= k; j++)
                row[j] -= a[i * n + k] * a[k * n + j];
        }
        for (int64_t j = 0; j < i; j++)
            a[i * n + j] = row[j] * d;
        a[i * n + i] = d;
    }
}

/* A^-1 = L^-1' L^-1. */
bool md_moments_invert(double *out, double *a, int64_t n)
{
    if (!md_moments_factor(a, n))
        return false;
    invert_factor(a, out, n);
    memset(out, 0, (size_t)(n * n) * sizeof(*out));
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i <= k; i++) {
            for (int64_t j = 0; j <= i; j++)
                out[i * n + j] += a[k * n + i] * a[k * n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++)
            out[j * n + i] = out[i * n + j];
    }
    return true;
}
