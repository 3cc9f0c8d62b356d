#include "kernels/conv_s8.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    md_conv_s8_args c;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < md_conv_s8_n_chunks(&j->c); i++)
        md_conv_s8_run(&j->c, i, j->scratch);
}

static int64_t padded(int64_t c)
{
    return (c + 15) / 16 * 16;
}

/* The rows are those of gemm_s8: "conv_s8__avx2". */
static void row_name(char *buf, size_t size, const md_gemm_s8_kernel *kernel)
{
    (void)snprintf(buf, size, "conv_s8%s", strstr(kernel->name, "__"));
}

/* Buffers start as floats; what the bytes are does not change the time. */
static void bench(md_arena *arena, const md_gemm_s8_kernel *kernel,
                  const md_conv_shape *s)
{
    const int64_t ic = padded(s->ic), oc = padded(s->oc);
    char shape[48], name[48];
    job j = {
        .c = {
            .kernel = kernel,
            .requant = md_requant_s8_select(md_cpu_flags()),
            .shape = *s,
            .x = md_bench_floats(arena, ic * s->ih * s->iw / 4),
            .x_block = s->ic <= 4 ? 4 : 16,
            .x_stride = { 0, 1, s->iw * s->ic, s->ic },
            .w = (int8_t *)md_bench_floats(
                arena, (int64_t)md_conv_s8_packed_size(
                           kernel, s, s->ic <= 4 ? 4 : 16) / 4),
            .start = (int32_t *)md_bench_floats(arena, oc),
            .y = md_bench_floats(arena, oc * s->oh * s->ow / 4),
            .rq = { .mult = md_bench_floats(arena, oc), .q_max = 255 },
        },
    };

    j.scratch = md_bench_alloc(arena, md_conv_s8_scratch_size(&j.c));
    row_name(name, sizeof(name), kernel);
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){ name, shape,
                                    2.0 * (double)(s->oc * s->oh * s->ow) *
                                        (double)(s->ic * s->kh * s->kw),
                                    run, &j });
}

/* ic, oc, size, kernel, stride: ResNet-50, YOLOv8n at 320, MobileNetV2. */
void md_bench_conv_s8(md_arena *arena)
{
    static const int64_t layers[][5] = {
        { 3, 64, 224, 7, 2 },   { 64, 64, 56, 3, 1 },   { 128, 128, 28, 3, 1 },
        { 256, 256, 14, 3, 1 }, { 512, 512, 7, 3, 1 },  { 128, 128, 56, 3, 2 },
        { 64, 256, 56, 1, 1 },  { 256, 64, 56, 1, 1 },  { 512, 128, 28, 1, 1 },
        { 2048, 512, 7, 1, 1 }, { 512, 2048, 7, 1, 1 }, { 256, 512, 56, 1, 2 },
        { 16, 16, 80, 3, 1 },   { 64, 64, 20, 3, 1 },   { 16, 32, 160, 3, 2 },
        { 16, 96, 112, 1, 1 },  { 96, 24, 56, 1, 1 },   { 960, 320, 7, 1, 1 },
    };

    for (const md_gemm_s8_kernel *k = md_gemm_s8_kernels; k->dot; k++) {
        for (size_t i = 0; i < MD_COUNT(layers); i++) {
            const int64_t *l = layers[i];
            char name[48];
            const md_conv_shape s =
                md_bench_conv_shape(l[0], l[1], l[2], l[3], l[4]);

            row_name(name, sizeof(name), k);
            if (md_bench_wanted(name, k->required))
                bench(arena, k, &s);
        }
    }
}
