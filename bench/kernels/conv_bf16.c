#include "kernels/conv_bf16.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    md_conv_bf16_args c;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < md_conv_bf16_n_chunks(&j->c); i++)
        md_conv_bf16_run(&j->c, i, j->scratch);
}

static int64_t padded(int64_t c)
{
    return (c + 15) / 16 * 16;
}

/* The rows are those of gemm_bf16: "conv_bf16__avx2". */
static void row_name(char *buf, size_t size, const md_gemm_bf16_kernel *kernel)
{
    (void)snprintf(buf, size, "conv_bf16%s", strstr(kernel->name, "__"));
}

static void bench(md_arena *arena, const md_gemm_bf16_kernel *kernel,
                  const md_conv_shape *s)
{
    const int64_t ic = padded(s->ic), oc = padded(s->oc);
    size_t packed_size = 0;
    char shape[48], name[48];
    uint16_t *packed;
    job j = {
        .c = {
            .kernel = kernel,
            .cast = md_cast_bf16_select(md_cpu_flags()),
            .finish = md_finish_f32_select(md_cpu_flags()),
            .shape = *s,
            .x = md_bench_floats(arena, ic * s->ih * s->iw),
            .y = md_bench_floats(arena, oc * s->oh * s->ow),
            .ep = { .act = MD_ACT_RELU },
        },
    };

    if (!md_conv_bf16_packed_size(&packed_size, kernel, s))
        return;
    packed = md_bench_alloc(arena, packed_size);
    md_conv_bf16_pack(packed, kernel, md_cast_bf16_select(md_cpu_flags()),
                      md_bench_floats(arena, s->oc * s->ic * s->kh * s->kw), s,
                      0, oc / 16);
    j.c.w = packed;
    j.scratch = md_bench_alloc(arena, md_conv_bf16_scratch_size(&j.c));
    row_name(name, sizeof(name), kernel);
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){ name, shape,
                                    2.0 * (double)(s->oc * s->oh * s->ow) *
                                        (double)(s->ic * s->kh * s->kw),
                                    run, &j });
}

/* ic, oc, size, kernel, stride: ResNet-50, YOLOv8n at 320, MobileNetV2. */
void md_bench_conv_bf16(md_arena *arena)
{
    static const int64_t layers[][5] = {
        { 64, 64, 56, 3, 1 },   { 128, 128, 28, 3, 1 }, { 256, 256, 14, 3, 1 },
        { 512, 512, 7, 3, 1 },  { 128, 128, 56, 3, 2 }, { 64, 256, 56, 1, 1 },
        { 256, 64, 56, 1, 1 },  { 512, 128, 28, 1, 1 }, { 2048, 512, 7, 1, 1 },
        { 512, 2048, 7, 1, 1 }, { 256, 512, 56, 1, 2 }, { 16, 16, 80, 3, 1 },
        { 64, 64, 20, 3, 1 },   { 16, 32, 160, 3, 2 },  { 16, 96, 112, 1, 1 },
        { 96, 24, 56, 1, 1 },   { 960, 320, 7, 1, 1 },
    };

    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++) {
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
