#include "kernels/array_f64.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/bench.h"

enum {
    N = 1 << 14, /* 128 KiB: in L2 */
    ROW = 64     /* of what is folded */
};

typedef struct job {
    const md_array_f64_kernel *kernel;
    md_map_f64 map;
    md_fold_f64 fold;
    double *x, *y;
} job;

static void run_map(void *ctx)
{
    const job *j = ctx;

    j->kernel->map(j->map, j->y, j->x, N, -0.5, 0.5);
}

static void run_exp_sum(void *ctx)
{
    const job *j = ctx;

    j->y[0] = j->kernel->exp_sum(j->y, j->x, N, 1);
}

static void run_rows(void *ctx)
{
    const job *j = ctx;

    j->kernel->fold_rows(j->fold, j->y, j->x, N / ROW, ROW, ROW, 0);
}

static void run_columns(void *ctx)
{
    const job *j = ctx;

    j->kernel->fold_columns(j->fold, j->y, j->x, ROW, N / ROW, N / ROW);
}

static void run_norm(void *ctx)
{
    const job *j = ctx;

    j->kernel->norm(j->y, j->x, N, 0.5, 2, j->x, j->x);
}

static void bench(job *j, const char *what, void (*run)(void *ctx))
{
    md_bench_time(&(md_bench_case){ j->kernel->name, what, N, run, j });
}

/* Work is counted in elements. */
void md_bench_array_f64(md_arena *arena)
{
    const float *f = md_bench_floats(arena, N);
    job j = { .x = md_bench_alloc(arena, N * sizeof(double)),
              .y = md_bench_alloc(arena, N * sizeof(double)) };

    for (int i = 0; i < N; i++)
        j.x[i] = f[i];
    for (const md_array_f64_kernel *k = md_array_f64_kernels; k->map; k++) {
        static const md_map_f64 maps[] = { MD_MAP_F64_RELU, MD_MAP_F64_EXP,
                                           MD_MAP_F64_TANH };
        static const char *const names[] = { "relu", "exp", "tanh" };

        if (!md_bench_wanted(k->name, k->required))
            continue;
        j.kernel = k;
        for (size_t i = 0; i < MD_COUNT(maps); i++) {
            j.map = maps[i];
            bench(&j, names[i], run_map);
        }
        bench(&j, "exp sum", run_exp_sum);
        j.fold = MD_FOLD_F64_SUM;
        bench(&j, "sum of rows", run_rows);
        bench(&j, "sum of columns", run_columns);
        j.fold = MD_FOLD_F64_MAX;
        bench(&j, "max of rows", run_rows);
        bench(&j, "max of columns", run_columns);
        bench(&j, "norm", run_norm);
    }
}
