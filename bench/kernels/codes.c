/* Families over 8-bit codes: here, too, a FLOP is an element. */
#include <string.h>

#include "base/attr.h"
#include "kernels/bench.h"
#include "kernels/binary_s8.h"
#include "kernels/requant_s8.h"

enum {
    PIXELS = 28 * 28,
    CHANNELS = 128,
    N = PIXELS * CHANNELS,
    ROWS = 12,
    TILE = ROWS * MD_LANES
};

static const size_t sums_size = (size_t)(N + TILE) * sizeof(int32_t);

typedef struct job {
    const md_binary_s8_kernel *binary;
    const md_requant_s8_kernel *requant;
    bool mul;
    md_requant q;
    uint8_t *x, *y;
    int32_t *acc;
} job;

static void run_binary(void *ctx)
{
    const job *j = ctx;
    const md_binary_s8_op op = { .mul = j->mul,
                                 .a_zero = 3,
                                 .b_zero = 120,
                                 .a_mult = 0.01f,
                                 .b_mult = 0.7f,
                                 .zero = 100,
                                 .q_max = 255 };

    j->binary->run(j->y, j->x, j->y, N, 1, 1, &op);
}

/* As a convolution calls it: a block of channels of some pixels at a time. */
static void run_requant(void *ctx)
{
    const job *j = ctx;
    const int64_t size = md_qout_size(j->q.out);

    for (int64_t i = 0; i < N; i += TILE)
        j->requant->run(&j->q, i / PIXELS / MD_LANES * MD_LANES,
                        &(md_requant_tile){ .acc = j->acc + i,
                                            .acc_stride = MD_LANES,
                                            .out = j->y + i * size,
                                            .out_stride = size * MD_LANES,
                                            .rows = ROWS,
                                            .lanes = MD_LANES });
}

void md_bench_codes(md_arena *arena)
{
    static const char *const outs[] = { "to 8 bits", "to float" };
    job j = { .x = md_bench_alloc(arena, N),
              .y = md_bench_alloc(arena, sums_size),
              .acc = md_bench_alloc(arena, sums_size) };

    memset(j.x, 100, N);
    memset(j.y, 9, N);
    memset(j.acc, 1, sums_size);
    j.q = (md_requant){ .mult = md_bench_floats(arena, CHANNELS + MD_LANES),
                        .zero = 100,
                        .q_max = 255 };
    for (j.binary = md_binary_s8_kernels; j.binary->run; j.binary++) {
        for (int i = 0; i < 2; i++) {
            j.mul = i;
            if (md_bench_wanted(j.binary->name, j.binary->required))
                md_bench_time(&(md_bench_case){
                    j.binary->name, i ? "mul" : "add", N, run_binary, &j });
        }
    }
    for (j.requant = md_requant_s8_kernels; j.requant->run; j.requant++) {
        for (size_t i = 0; i < MD_COUNT(outs); i++) {
            j.q.out = i ? MD_QOUT_F32 : MD_QOUT_Q8;
            if (md_bench_wanted(j.requant->name, j.requant->required))
                md_bench_time(&(md_bench_case){ j.requant->name, outs[i], N,
                                                run_requant, &j });
        }
    }
}
