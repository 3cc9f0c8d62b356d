/*
 * Convolution of float64 as a product: the weights [oc][k] by the windows
 * [k][positions] of one image and group, k = channels and taps; a block of
 * positions at a time, so that the windows take a few MiB at most.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_f64.h"
#include "ops/common/convolve.h"

enum {
    BLOCK = 1 << 20 /* doubles of windows, about */
};

typedef struct job {
    const md_convolve *v;
    const md_gemm_f64_kernel *kernel;
    const double *x, *w; /* of the image and the group */
    double *y;
    double *windows; /* packed as gemm_f64.h says */
    int64_t k, m;    /* rows of the windows, of the weights */
    int64_t plane;   /* output positions */
    int64_t at, n;   /* those of this block */
} job;

/* Positions from .. to of a row of outputs, of which the first one reads x:
 * elements of row r of the windows. */
static void fill(const job *j, int64_t r, int64_t from, int64_t to,
                 const double *x)
{
    const int64_t nr = j->kernel->nr, sx = j->v->w.stride[2];
    const int64_t first = md_max_i64(from, j->at);
    int64_t p = first - j->at, lane = p % nr;
    double *panel = j->windows + p / nr * nr * j->k + r * nr;

    x += (first - from) * sx;
    for (int64_t o = first; o < to && o < j->at + j->n; o++, x += sx) {
        panel[lane++] = *x;
        if (lane == nr) {
            panel += nr * j->k;
            lane = 0;
        }
    }
}

/* Rows [from, to) of the windows; what is padding is zero already. */
static void fill_rows(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_convolve *v = j->v;
    const int64_t *kernel = v->w.kernel, *in = v->in, *out = v->out;

    for (int64_t r = from; r < to; r++) {
        int64_t lo[3], hi[3], at[3], tap[3], rest = r;

        for (int i = 3; i-- > 0; rest /= kernel[i]) {
            tap[i] = rest % kernel[i];
            md_window__range(&v->w, i, tap[i], in[i], out[i], &lo[i], &hi[i],
                             &at[i]);
        }
        for (int64_t oz = lo[0]; oz < hi[0]; oz++) {
            const double *slice =
                j->x +
                (rest * in[0] + at[0] + oz * v->w.stride[0]) * in[1] * in[2];

            for (int64_t oy = lo[1]; oy < hi[1] && lo[2] < hi[2]; oy++) {
                int64_t o = (oz * out[1] + oy) * out[2];

                fill(j, r, o + lo[2], o + hi[2],
                     slice + (at[1] + oy * v->w.stride[1]) * in[2] + at[2] +
                         lo[2] * v->w.stride[2]);
            }
        }
    }
}

/* Panels [from, to) of the block. */
static void multiply(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const int64_t nr = j->kernel->nr;
    const md_gemm_f64_args g = { .m = j->m,
                                 .n = j->n,
                                 .k = j->k,
                                 .a = j->w,
                                 .lda = j->k,
                                 .b = j->windows,
                                 .c = j->y + j->at,
                                 .ldc = j->plane,
                                 .scale = 1.0 };

    j->kernel->run(&g, 0, j->m, from * nr, md_min_i64(to * nr, j->n));
}

static void run_block(const md_exec *x, job *j)
{
    const int64_t nr = j->kernel->nr, panels = md_div_up(j->n, nr);

    memset(j->windows, 0, (size_t)(panels * nr * j->k) * sizeof(double));
    md_exec__share(x, j->k, 1.5 * (double)j->n, fill_rows, j);
    md_exec__share(x, panels, (double)(nr * j->k) * (double)j->m / 30.0,
                   multiply, j);
}

md_status md_convolve__product_f64(const md_exec *x, const md_convolve *v,
                                   double *y, md_arena *ar, md_error *err)
{
    const int64_t cg = v->c / v->group, og = v->oc / v->group;
    const int64_t in = v->in[0] * v->in[1] * v->in[2];
    const int64_t taps = v->w.kernel[0] * v->w.kernel[1] * v->w.kernel[2];
    job j = { .v = v,
              .kernel = md_gemm_f64_select(x->cpu),
              .k = cg * taps,
              .m = og,
              .plane = v->out[0] * v->out[1] * v->out[2] };
    int64_t step = md_max_i64(1, BLOCK / md_max_i64(1, j.k) / j.kernel->nr);
    size_t size;

    step = md_min_i64(step, md_div_up(j.plane, j.kernel->nr)) * j.kernel->nr;
    if (!md_mul_size(&size, (size_t)step, (size_t)j.k) || size > INT64_MAX)
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(
        md_exec__scratch(&j.windows, ar, (int64_t)size, sizeof(double), err));
    for (int64_t i = 0; i < v->n * v->group; i++) {
        j.x = (const double *)x->in[0]->data + i * cg * in;
        j.w = (const double *)x->in[1]->data + i % v->group * og * j.k;
        j.y = y + i * og * j.plane;
        for (j.at = 0; j.at < j.plane; j.at += step) {
            j.n = md_min_i64(step, j.plane - j.at);
            run_block(x, &j);
        }
    }
    return MD_OK;
}
