/* Windows of ResNet-50, YOLOv8 and a global average; a FLOP is a value that
 * is read by a window.  Then rows of outputs in row-major planes. */
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/bench.h"
#include "kernels/pool2d.h"
#include "kernels/pool_row_f32.h"

typedef struct job {
    md_pool2d_args p;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < md_pool2d_n_chunks(&j->p); i++)
        md_pool2d_run(&j->p, i);
}

static void bench(md_arena *arena, const md_pool2d_kernel *k,
                  const md_conv_shape *s, md_pool2d_type type, bool average)
{
    const size_t count = (size_t)(s->ic * s->ih * s->iw);
    const double reads = (double)(s->ic * s->oh * s->ow * s->kh * s->kw);
    char text[64], shape[48];
    job j = { .p = { .kernel = k,
                     .requant = md_requant_s8_select(md_cpu_flags()),
                     .shape = *s,
                     .average = average,
                     .type = type,
                     .mult = 0.9f,
                     .rq = { .q_max = 255 } } };
    void *x = md_bench_alloc(arena, count * 4);

    memset(x, 1, count * 4);
    j.p.x = x;
    j.p.y = md_bench_alloc(arena, (size_t)(s->oc * s->oh * s->ow) * 4);
    md_bench_conv_text(shape, sizeof(shape), s);
    (void)snprintf(text, sizeof(text), "%s %s %s", average ? "avg" : "max",
                   type == MD_POOL2D_F32 ? "f32" : "u8", strchr(shape, '@'));
    md_bench_time(&(md_bench_case){ k->name, text, reads, run, &j });
}

typedef struct row_job {
    const md_pool_row_f32_kernel *kernel;
    md_pool_row_f32_args a;
} row_job;

static void run_row(void *ctx)
{
    const row_job *j = ctx;

    j->kernel->run(&j->a);
}

static void bench_rows(md_arena *arena)
{
    static const struct {
        const char *name;
        int64_t stride, taps;
        bool average;
    } rows[] = {
        { "max 112 of 224 k3 s2", 2, 3, false },
        { "avg 112 of 224 k2 s2", 2, 2, true },
        { "max 112 of 112 k5 s1", 1, 5, false },
        { "max 112 of 448 k4 s4", 4, 4, false },
    };
    const int64_t n = 112;
    const float *x = md_bench_floats(arena, 5 * 4 * n);
    float *y = md_bench_floats(arena, n), *line, *counts;
    row_job j;

    line = md_bench_floats(arena, 8 * n);
    counts = md_bench_floats(arena, n);
    for (j.kernel = md_pool_row_f32_kernels; j.kernel->run; j.kernel++) {
        for (size_t i = 0; i < MD_COUNT(rows); i++) {
            const int64_t taps = rows[i].taps, width = n * rows[i].stride;

            j.a = (md_pool_row_f32_args){ .y = y,
                                          .x = x,
                                          .planes = 1,
                                          .rows = taps,
                                          .row_step = width,
                                          .width = width,
                                          .left = taps / 2,
                                          .n = n,
                                          .stride = rows[i].stride,
                                          .taps = taps,
                                          .step = 1,
                                          .counts =
                                              rows[i].average ? counts : NULL,
                                          .by = 1,
                                          .line = line };
            if (md_bench_wanted(j.kernel->name, j.kernel->required))
                md_bench_time(&(md_bench_case){ j.kernel->name, rows[i].name,
                                                (double)(n * taps * taps),
                                                run_row, &j });
        }
    }
}

void md_bench_pool2d(md_arena *arena)
{
    static const md_conv_shape shapes[] = {
        { 1, 64, 112, 112, 64, 56, 56, 3, 3, 2, 2, 1, 1, 1, 1 },
        { 1, 128, 20, 20, 128, 20, 20, 5, 5, 1, 1, 2, 2, 1, 1 },
        { 1, 2048, 7, 7, 2048, 1, 1, 7, 7, 1, 1, 0, 0, 1, 1 },
    };

    for (const md_pool2d_kernel *k = md_pool2d_kernels; k->max_f32; k++) {
        for (size_t i = 0; i < 4 * MD_COUNT(shapes); i++) {
            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, &shapes[i / 4],
                      i % 2 ? MD_POOL2D_U8 : MD_POOL2D_F32, i / 2 % 2);
        }
    }
    bench_rows(arena);
}
