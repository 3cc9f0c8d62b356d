/* A query against a past: rows of keys and of values as they lie. */
#include "kernels/gemv_f32.h"
#include "kernels/bench.h"

enum {
    N = 512,
    SIZE = 64
};

typedef struct job {
    md_gemv_f32_fn *run;
    md_gemv_f32_args a;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    j->run(&j->a);
}

void md_bench_gemv_f32(md_arena *arena)
{
    job j = { .a = { .y = md_bench_floats(arena, N),
                     .x = md_bench_floats(arena, N),
                     .rows = md_bench_floats(arena, (int64_t)N * SIZE),
                     .n = N,
                     .size = SIZE,
                     .step = SIZE } };

    for (const md_gemv_f32_kernel *k = md_gemv_f32_kernels; k->dot; k++) {
        for (int sum = 0; sum < 2; sum++) {
            j.run = sum ? k->sum : k->dot;
            if (md_bench_wanted(k->name, k->required))
                md_bench_time(&(md_bench_case){
                    k->name, sum ? "sum 512 x 64" : "dot 512 x 64",
                    2.0 * N * SIZE, run, &j });
        }
    }
}
