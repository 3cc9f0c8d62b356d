/* Into bf16 operands, out of codes and out of sums: a FLOP is an element. */
#include "base/attr.h"
#include "kernels/bench.h"
#include "kernels/cast_bf16.h"
#include "kernels/finish_f32.h"
#include "kernels/unpack_f32.h"

enum {
    N = 56 * 56 * 64,
    ROWS = 32,
    LANES = 16,
    TILE = ROWS * LANES,
    LINE = 56 * LANES,
    PANEL = 48, /* columns of a matrix product's panel */
    BLOCK = 32, /* rows with one scale */
    CODES = PANEL * BLOCK
};

typedef struct job {
    const md_cast_bf16_kernel *cast;
    const md_finish_f32_kernel *finish;
    const md_unpack_f32_kernel *unpack;
    md_epilogue ep;
    float *x, *y;
} job;

/* As a convolution calls it: a row of pixels of one block of channels. */
static void run_cast(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < N; i += LINE)
        j->cast->run((uint16_t *)(void *)j->y, 64, j->x + i, LINE);
}

static void run_finish(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < N; i += TILE)
        j->finish->run(&j->ep, &(md_finish_tile){ .sum = j->x + i,
                                                  .sum_stride = LANES,
                                                  .out = j->y + i,
                                                  .out_stride = LANES,
                                                  .rows = ROWS,
                                                  .lanes = LANES });
}

static void run_unpack(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i + CODES <= N; i += CODES)
        j->unpack->run(
            &(md_unpack_f32_args){ .y = j->y,
                                   .q = (const uint8_t *)j->x + i / 2,
                                   .scale = j->x,
                                   .shift = j->x + PANEL,
                                   .rows = BLOCK,
                                   .width = PANEL,
                                   .bits = 4 });
}

/* The same weights times a row: as for a language model's next token. */
static void run_product(void *ctx)
{
    const job *j = ctx;

    j->unpack->product(
        &(md_unpack_f32_product){ .y = j->y,
                                  .x = j->x,
                                  .q = (const uint8_t *)j->x,
                                  .scale = j->x,
                                  .rows = (int64_t)(N / CODES) * BLOCK,
                                  .block = BLOCK,
                                  .width = PANEL,
                                  .bits = 4 });
}

void md_bench_casts(md_arena *arena)
{
    static const struct {
        md_act act;
        const char *name;
    } acts[] = { { MD_ACT_RELU, "relu" }, { MD_ACT_GELU_ERF, "gelu" } };
    job j = { .x = md_bench_floats(arena, N), .y = md_bench_floats(arena, N) };

    for (j.cast = md_cast_bf16_kernels; j.cast->run; j.cast++) {
        if (md_bench_wanted(j.cast->name, j.cast->required))
            md_bench_time(&(md_bench_case){ j.cast->name, "to 64 channels", N,
                                            run_cast, &j });
    }
    for (j.finish = md_finish_f32_kernels; j.finish->run; j.finish++) {
        for (size_t i = 0; i < MD_COUNT(acts); i++) {
            j.ep.act = acts[i].act;
            if (md_bench_wanted(j.finish->name, j.finish->required))
                md_bench_time(&(md_bench_case){ j.finish->name, acts[i].name, N,
                                                run_finish, &j });
        }
    }
    for (j.unpack = md_unpack_f32_kernels; j.unpack->run; j.unpack++) {
        if (md_bench_wanted(j.unpack->name, j.unpack->required))
            md_bench_time(&(md_bench_case){ j.unpack->name, "4 bits", N,
                                            run_unpack, &j });
        if (md_bench_wanted(j.unpack->name, j.unpack->required))
            md_bench_time(&(md_bench_case){ j.unpack->name, "4 bits times row",
                                            N, run_product, &j });
    }
}
