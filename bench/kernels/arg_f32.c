/* The largest value's index along rows and down columns; a FLOP is a value
 * read. */
#include "kernels/arg_f32.h"
#include "base/attr.h"
#include "kernels/bench.h"

enum {
    N = 128 * 1000
};

typedef struct job {
    const md_arg_f32_kernel *kernel;
    md_arg_f32_args a;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    j->kernel->run(&j->a);
}

void md_bench_arg_f32(md_arena *arena)
{
    job j = { .a = { .x = md_bench_floats(arena, N),
                     .y = (int64_t *)(void *)md_bench_floats(arena, N) } };

    for (j.kernel = md_arg_f32_kernels; j.kernel->run; j.kernel++) {
        if (!md_bench_wanted(j.kernel->name, j.kernel->required))
            continue;
        j.a.outer = 128, j.a.n = 1000, j.a.inner = 1;
        j.a.outer_stride = 1000, j.a.stride = 1;
        md_bench_time(
            &(md_bench_case){ j.kernel->name, "128x1000 rows", N, run, &j });
        j.a.outer = 1, j.a.n = 20, j.a.inner = 6400, j.a.stride = 6400;
        md_bench_time(
            &(md_bench_case){ j.kernel->name, "20x6400 columns", N, run, &j });
    }
}
