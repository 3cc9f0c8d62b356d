#include "kernels/gemm_f32.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    const md_gemm_f32_kernel *kernel;
    md_gemm_f32_args x;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    j->kernel->run(&j->x, 0, j->x.m, 0, j->x.n);
}

static void bench(md_arena *arena, const md_gemm_f32_kernel *kernel, int64_t m,
                  int64_t n, int64_t k, bool strict)
{
    const md_gemm_f32_b b = { md_bench_floats(arena, n * k), n, 1, k, n };
    char shape[48];
    size_t size = 0;
    float *packed;
    job j = { .kernel = kernel };

    (void)md_gemm_f32_packed_size(&size, k, n);
    packed = md_bench_alloc(arena, size);
    kernel->pack_b(packed, &b, 0, n);
    j.x = (md_gemm_f32_args){ .m = m,
                              .n = n,
                              .k = k,
                              .a = md_bench_floats(arena, m * k),
                              .lda = k,
                              .b = packed,
                              .c = md_bench_floats(arena, m * n),
                              .ldc = n,
                              .strict = strict };
    (void)snprintf(shape, sizeof(shape), "%dx%dx%d%s", (int)m, (int)n, (int)k,
                   strict ? " strict" : "");
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)m * (double)n * (double)k,
                                    run, &j });
}

/* m, n, k: BERT, MiniLM, attention heads, last layers, square. */
void md_bench_gemm_f32(md_arena *arena)
{
    static const int64_t sizes[][3] = {
        { 128, 768, 768 }, { 128, 3072, 768 }, { 128, 768, 3072 },
        { 128, 384, 384 }, { 128, 1536, 384 }, { 128, 128, 64 },
        { 128, 64, 128 },  { 1, 1000, 2048 },  { 1, 512, 512 },
        { 8, 1000, 1280 }, { 1, 10, 128 },     { 512, 512, 512 },
        { 101, 103, 107 },
    };

    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        for (size_t i = 0; i < MD_COUNT(sizes); i++) {
            const int64_t *s = sizes[i];

            if (!md_bench_wanted(k->name, k->required))
                continue;
            bench(arena, k, s[0], s[1], s[2], false);
            if (s[0] == 1) /* where it makes a difference */
                bench(arena, k, s[0], s[1], s[2], true);
        }
    }
}
