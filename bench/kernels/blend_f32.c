/* Bilinear interpolation of rows of channels, and rows turned in pairs; a FLOP
 * is a value read. */
#include "kernels/blend_f32.h"
#include "base/attr.h"
#include "kernels/bench.h"
#include "kernels/rotate_f32.h"

enum {
    PLACES = 64,
    LOOKS = 4,
    ROWS = 1024 /* of x */
};

typedef struct job {
    const md_blend_f32_kernel *kernel;
    md_blend_f32_args a;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    j->kernel->run(&j->a);
}

typedef struct turn_job {
    const md_rotate_f32_kernel *kernel;
    md_rotate_f32_args a;
} turn_job;

static void run_turn(void *ctx)
{
    const turn_job *j = ctx;

    j->kernel->run(&j->a);
}

static void bench_turn(float *y, const float *x, const float *angles)
{
    turn_job j = { .a = { .y = y,
                          .x = x,
                          .c = angles,
                          .s = angles + 32,
                          .rows = 16,
                          .step = 64,
                          .half = 32 } };

    for (j.kernel = md_rotate_f32_kernels; j.kernel->run; j.kernel++) {
        for (int pairs = 0; pairs < 2; pairs++) {
            j.a.pairs = pairs;
            if (md_bench_wanted(j.kernel->name, j.kernel->required))
                md_bench_time(&(md_bench_case){
                    j.kernel->name, pairs ? "16 x 64 pairs" : "16 x 64 halves",
                    j.a.rows * j.a.step, run_turn, &j });
        }
    }
}

void md_bench_blend_f32(md_arena *arena)
{
    static const struct {
        const char *name;
        int64_t n;
        bool maximum;
    } rows[] = {
        { "sum 4 of 3", 3, false },
        { "sum 4 of 16", 16, false },
        { "sum 4 of 256", 256, false },
        { "max 4 of 256", 256, true },
    };
    int64_t *at = md_bench_alloc(arena, PLACES * LOOKS * sizeof(*at));
    float *w = md_bench_floats(arena, PLACES * LOOKS);
    float *x = md_bench_floats(arena, (int64_t)ROWS * 256);
    float *y = md_bench_floats(arena, (int64_t)PLACES * 256);
    job j;

    for (j.kernel = md_blend_f32_kernels; j.kernel->run; j.kernel++) {
        for (size_t i = 0; i < MD_COUNT(rows); i++) {
            const int64_t n = rows[i].n;

            for (int64_t k = 0; k < PLACES * LOOKS; k++)
                at[k] =
                    (k / LOOKS * 13 + k % LOOKS / 2 * 40 + k % 2) % ROWS * n;
            j.a = (md_blend_f32_args){ .y = y,
                                       .x = x,
                                       .at = at,
                                       .w = w,
                                       .places = PLACES,
                                       .looks = LOOKS,
                                       .stride = LOOKS,
                                       .n = n,
                                       .y_stride = n,
                                       .maximum = rows[i].maximum };
            if (md_bench_wanted(j.kernel->name, j.kernel->required))
                md_bench_time(&(md_bench_case){ j.kernel->name, rows[i].name,
                                                (double)(PLACES * LOOKS * n),
                                                run, &j });
        }
    }
    bench_turn(y, x, w);
}
