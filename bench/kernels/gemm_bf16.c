#include "kernels/gemm_bf16.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    md_gemm_bf16_args g;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < md_gemm_bf16_n_chunks(&j->g); i++)
        md_gemm_bf16_run(&j->g, i, j->scratch);
}

static void bench(md_arena *arena, const md_gemm_bf16_kernel *kernel, int64_t m,
                  int64_t n, int64_t k)
{
    size_t packed_size = 0;
    char shape[48];
    job j = {
        .g = {
            .kernel = kernel,
            .cast = md_cast_bf16_select(md_cpu_flags()),
            .finish = md_finish_f32_select(md_cpu_flags()),
            .m = m,
            .n = n,
            .k = k,
            .a = md_bench_floats(arena, m * k),
            .lda = k,
            .c = md_bench_floats(arena, m * n),
            .ldc = n,
        },
    };
    const md_gemm_bf16_b b = { md_bench_floats(arena, k * n), n, 1, k, n };
    uint16_t *packed;

    if (!md_gemm_bf16_packed_size(&packed_size, kernel, k, n))
        return;
    packed = md_bench_alloc(arena, packed_size);
    md_gemm_bf16_pack(packed, kernel, md_cast_bf16_select(md_cpu_flags()), &b,
                      0, n);
    j.g.b = packed;
    j.scratch = md_bench_alloc(arena, md_gemm_bf16_scratch_size(&j.g));
    (void)snprintf(shape, sizeof(shape), "%dx%dx%d", (int)m, (int)n, (int)k);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)m * (double)n * (double)k,
                                    run, &j });
}

/* m, n, k: BERT, MiniLM, last layers. */
void md_bench_gemm_bf16(md_arena *arena)
{
    static const int64_t sizes[][3] = {
        { 128, 768, 768 }, { 128, 3072, 768 }, { 128, 768, 3072 },
        { 128, 384, 384 }, { 128, 1536, 384 }, { 128, 128, 64 },
        { 1, 1000, 2048 }, { 1, 512, 512 },    { 8, 1000, 1280 },
        { 101, 103, 107 },
    };

    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++) {
        for (size_t i = 0; i < MD_COUNT(sizes); i++) {
            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, sizes[i][0], sizes[i][1], sizes[i][2]);
        }
    }
}
