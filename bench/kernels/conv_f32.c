#include "kernels/conv_f32.h"

#include "base/attr.h"
#include "base/size.h"
#include "kernels/bench.h"

typedef struct job {
    const md_conv_f32_kernel *kernel;
    md_conv_f32_args c;
    md_conv_f32_grid grid;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < j->grid.n_chunks; i++)
        md_conv_f32_run(j->kernel, &j->c, &j->grid, i, j->scratch);
}

static void bench(md_arena *arena, const md_conv_f32_kernel *kernel,
                  const md_conv_shape *s)
{
    const int64_t ic = (int64_t)md_round_up((size_t)s->ic, 16);
    const int64_t oc = (int64_t)md_round_up((size_t)s->oc, 16);
    char shape[48];
    size_t size = 0;
    float *packed;
    job j = { .kernel = kernel };

    (void)md_conv_f32_packed_size(&size, s, 1);
    packed = md_bench_alloc(arena, size);
    md_conv_f32_pack(
        packed, md_bench_floats(arena, s->oc * s->ic * s->kh * s->kw), s, 1);
    (void)md_conv_f32_split(&j.grid, kernel, s, 1, 1);
    j.scratch = md_bench_alloc(arena, j.grid.scratch_size);
    j.c = (md_conv_f32_args){ .shape = *s,
                              .groups = 1,
                              .x = md_bench_floats(arena, ic * s->ih * s->iw),
                              .w = packed,
                              .y = md_bench_floats(arena, oc * s->oh * s->ow) };
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)(s->oc * s->oh * s->ow) *
                                        (double)(s->ic * s->kh * s->kw),
                                    run, &j });
}

/* ic, oc, size, kernel, stride: ResNet-50, YOLOv8n at 320, MobileNetV2. */
void md_bench_conv_f32(md_arena *arena)
{
    static const int64_t layers[][5] = {
        { 64, 64, 56, 3, 1 },   { 128, 128, 28, 3, 1 },  { 256, 256, 14, 3, 1 },
        { 512, 512, 7, 3, 1 },  { 128, 128, 56, 3, 2 },  { 512, 512, 14, 3, 2 },
        { 64, 64, 56, 1, 1 },   { 64, 256, 56, 1, 1 },   { 256, 64, 56, 1, 1 },
        { 512, 128, 28, 1, 1 }, { 1024, 256, 14, 1, 1 }, { 2048, 512, 7, 1, 1 },
        { 512, 2048, 7, 1, 1 }, { 256, 512, 56, 1, 2 },  { 16, 16, 80, 3, 1 },
        { 32, 32, 40, 3, 1 },   { 64, 64, 20, 3, 1 },    { 16, 32, 160, 3, 2 },
        { 16, 96, 112, 1, 1 },  { 96, 24, 56, 1, 1 },    { 24, 144, 56, 1, 1 },
        { 384, 64, 14, 1, 1 },  { 160, 960, 7, 1, 1 },   { 960, 320, 7, 1, 1 },
    };

    for (const md_conv_f32_kernel *k = md_conv_f32_kernels; k->span; k++) {
        for (size_t i = 0; i < MD_COUNT(layers); i++) {
            const int64_t *l = layers[i];
            const md_conv_shape s =
                md_bench_conv_shape(l[0], l[1], l[2], l[3], l[4]);

            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, &s);
        }
    }
}
