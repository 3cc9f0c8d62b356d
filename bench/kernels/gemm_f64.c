#include "kernels/gemm_f64.h"

#include <stdio.h>

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    const md_gemm_f64_kernel *kernel;
    md_gemm_f64_args x;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    j->kernel->run(&j->x, 0, j->x.m, 0, j->x.n);
}

static double *doubles(md_arena *arena, int64_t n)
{
    const float *f = md_bench_floats(arena, n);
    double *d = md_bench_alloc(arena, (size_t)n * sizeof(*d));

    for (int64_t i = 0; i < n; i++)
        d[i] = f[i];
    return d;
}

/* Packed, but for few rows, which take B as it lies. */
static void bench(md_arena *arena, const md_gemm_f64_kernel *kernel, int64_t m,
                  int64_t n, int64_t k)
{
    const md_gemm_f64_b b = { doubles(arena, n * k), n, 1, k, n };
    char shape[48];
    size_t size = 0;
    double *packed;
    job j = { .kernel = kernel };

    (void)md_gemm_f64_packed_size(&size, kernel, k, n);
    packed = md_bench_alloc(arena, size);
    md_gemm_f64_pack(packed, kernel, &b, 0, n);
    j.x = (md_gemm_f64_args){ .m = m,
                              .n = n,
                              .k = k,
                              .a = doubles(arena, m * k),
                              .lda = k,
                              .b = m > kernel->mr ? packed : b.b,
                              .ldb = m > kernel->mr ? 0 : n,
                              .c = doubles(arena, m * n),
                              .ldc = n,
                              .scale = 1.0 };
    (void)snprintf(shape, sizeof(shape), "%dx%dx%d", (int)m, (int)n, (int)k);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)m * (double)n * (double)k,
                                    run, &j });
}

void md_bench_gemm_f64(md_arena *arena)
{
    static const int64_t sizes[][3] = {
        { 128, 768, 768 }, { 512, 512, 512 }, { 64, 64, 64 },
        { 101, 103, 107 }, { 1, 1024, 1024 }, { 8, 1000, 1280 },
    };

    for (const md_gemm_f64_kernel *k = md_gemm_f64_kernels; k->run; k++) {
        for (size_t i = 0; i < MD_COUNT(sizes); i++) {
            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, sizes[i][0], sizes[i][1], sizes[i][2]);
        }
    }
}
