/* Reductions along rows and down columns, and running sums; a FLOP is a value
 * read.  And the multiply-adds of peak_f32, which every other figure is a share
 * of. */
#include "kernels/reduce_f32.h"
#include "base/attr.h"
#include "kernels/bench.h"
#include "kernels/cumsum_f32.h"
#include "kernels/peak_f32.h"

enum {
    N = 128 * 768,
    ROUNDS = 10000
};

typedef struct job {
    const md_reduce_f32_kernel *kernel;
    const md_peak_f32_kernel *peak;
    const md_cumsum_f32_kernel *cumsum;
    md_reduce_f32_args a;
    float *x;
} job;

static void run_reduce(void *ctx)
{
    const job *j = ctx;

    j->kernel->run(&j->a);
}

static void run_peak(void *ctx)
{
    const job *j = ctx;

    (void)j->peak->run(j->x, ROUNDS);
}

static void bench_reduce(job *j)
{
    static const struct {
        const char *name;
        int64_t outer, n, inner;
        md_reduce op;
    } rows[] = {
        { "mean 128x768 rows", 128, 768, 1, MD_REDUCE_MEAN },
        { "max 128x768 rows", 128, 768, 1, MD_REDUCE_MAX },
        { "sum 768x128 columns", 1, 768, 128, MD_REDUCE_SUM },
        { "square 768x128 columns", 1, 768, 128, MD_REDUCE_SUM_SQUARE },
    };

    for (j->kernel = md_reduce_f32_kernels; j->kernel->run; j->kernel++) {
        for (size_t i = 0; i < MD_COUNT(rows); i++) {
            j->a.outer = rows[i].outer, j->a.n = rows[i].n;
            j->a.inner = rows[i].inner, j->a.op = rows[i].op;
            j->a.m = 1, j->a.n_stride = j->a.inner;
            j->a.outer_stride = j->a.n * j->a.inner;
            if (md_bench_wanted(j->kernel->name, j->kernel->required))
                md_bench_time(&(md_bench_case){ j->kernel->name, rows[i].name,
                                                N, run_reduce, j });
        }
    }
}

static void run_cumsum(void *ctx)
{
    const job *j = ctx;

    j->cumsum->run(&(md_cumsum_f32_args){
        .y = j->a.y, .x = j->x, .n = 768, .columns = 128, .step = 128 });
}

static void bench_cumsum(job *j)
{
    for (j->cumsum = md_cumsum_f32_kernels; j->cumsum->run; j->cumsum++) {
        if (md_bench_wanted(j->cumsum->name, j->cumsum->required))
            md_bench_time(&(md_bench_case){ j->cumsum->name, "768x128 columns",
                                            N, run_cumsum, j });
    }
}

void md_bench_reduce_f32(md_arena *arena)
{
    job j = { .x = md_bench_floats(arena, N) };
    float x[MD_PEAK_N] = { 0 };

    j.a.x = j.x;
    j.a.y = md_bench_floats(arena, N);
    bench_reduce(&j);
    bench_cumsum(&j);
    for (j.peak = md_peak_f32_kernels; j.peak->run; j.peak++) {
        if (md_bench_wanted(j.peak->name, j.peak->required))
            md_bench_time(&(md_bench_case){
                j.peak->name, "multiply-adds",
                2.0 * (double)j.peak->run(x, ROUNDS), run_peak, &j });
    }
}
