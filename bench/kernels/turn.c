/* A matrix turned; a FLOP is an element. */
#include "kernels/turn.h"
#include "base/attr.h"
#include "kernels/bench.h"

enum {
    ROWS = 256,
    COLUMNS = 192,
    N = ROWS * COLUMNS
};

typedef struct job {
    const md_turn_kernel *kernel;
    md_turn_args a;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    j->kernel->run(&j->a);
}

void md_bench_turn(md_arena *arena)
{
    static const char *const names[] = { "256x192 of 1 byte",
                                         "256x192 of 2 bytes",
                                         "256x192 of 4 bytes",
                                         "256x192 of 8 bytes" };
    job j = { .a = { .x = md_bench_floats(arena, (size_t)2 * N),
                     .y = md_bench_floats(arena, (size_t)2 * N),
                     .x_stride = ROWS,
                     .y_stride = COLUMNS,
                     .rows = ROWS,
                     .columns = COLUMNS } };

    for (j.kernel = md_turn_kernels; j.kernel->run; j.kernel++) {
        for (int i = 0; i < 4; i++) {
            j.a.size = 1 << i;
            if (md_bench_wanted(j.kernel->name, j.kernel->required))
                md_bench_time(
                    &(md_bench_case){ j.kernel->name, names[i], N, run, &j });
        }
    }
}
