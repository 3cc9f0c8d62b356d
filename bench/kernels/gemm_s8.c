#include "kernels/gemm_s8.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    md_gemm_s8_args g;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < md_gemm_s8_n_chunks(&j->g); i++)
        md_gemm_s8_run(&j->g, i, j->scratch);
}

/* Buffers start as floats; what the bytes are does not change the time. */
static void bench(md_arena *arena, const md_gemm_s8_kernel *kernel, int64_t m,
                  int64_t n, int64_t k)
{
    const int64_t padded = (n + 15) / 16 * 16;
    char shape[48];
    job j = {
        .g = {
            .kernel = kernel,
            .requant = md_requant_s8_select(md_cpu_flags()),
            .m = m,
            .n = n,
            .k = k,
            .a = md_bench_floats(arena, m * k),
            .lda = k,
            .b = (int8_t *)md_bench_floats(
                arena, (int64_t)md_gemm_s8_packed_size(kernel, n, k) / 4),
            .start = (int32_t *)md_bench_floats(arena, padded),
            .c = md_bench_floats(arena, m * n),
            .ldc = n,
            .rq = { .mult = md_bench_floats(arena, padded), .q_max = 255 },
        },
    };

    j.scratch = md_bench_alloc(arena, md_gemm_s8_scratch_size(&j.g));
    (void)snprintf(shape, sizeof(shape), "%dx%dx%d", (int)m, (int)n, (int)k);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)m * (double)n * (double)k,
                                    run, &j });
}

/* m, n, k: BERT, MiniLM, last layers. */
void md_bench_gemm_s8(md_arena *arena)
{
    static const int64_t sizes[][3] = {
        { 128, 768, 768 }, { 128, 3072, 768 }, { 128, 768, 3072 },
        { 128, 384, 384 }, { 128, 1536, 384 }, { 128, 128, 64 },
        { 1, 1000, 2048 }, { 1, 512, 512 },    { 8, 1000, 1280 },
        { 101, 103, 107 },
    };

    for (const md_gemm_s8_kernel *k = md_gemm_s8_kernels; k->dot; k++) {
        for (size_t i = 0; i < MD_COUNT(sizes); i++) {
            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, sizes[i][0], sizes[i][1], sizes[i][2]);
        }
    }
}
