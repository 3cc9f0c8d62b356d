#include "kernels/conv_stem_f32.h"

#include "base/attr.h"
#include "base/size.h"
#include "kernels/bench.h"

typedef struct job {
    const md_conv_stem_f32_kernel *kernel;
    md_conv_stem_f32_args c;
    md_conv_stem_f32_grid grid;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < j->grid.n_chunks; i++)
        md_conv_stem_f32_run(j->kernel, &j->c, &j->grid, i, j->scratch);
}

static void bench(md_arena *arena, const md_conv_stem_f32_kernel *kernel,
                  const md_conv_shape *s)
{
    const int64_t oc = (int64_t)md_round_up((size_t)s->oc, 16);
    const int64_t plane = s->ih * s->iw;
    char shape[48];
    size_t size = 0;
    float *packed;
    job j = { .kernel = kernel };

    (void)md_conv_stem_f32_packed_size(&size, s);
    packed = md_bench_alloc(arena, size);
    md_conv_stem_f32_pack(
        packed, md_bench_floats(arena, s->oc * s->ic * s->kh * s->kw), s);
    (void)md_conv_stem_f32_split(&j.grid, s, 1);
    j.scratch = md_bench_alloc(arena, j.grid.scratch_size);
    j.c =
        (md_conv_stem_f32_args){ .shape = *s,
                                 .x = md_bench_floats(arena, s->ic * plane),
                                 .x_stride = { s->ic * plane, plane, s->iw, 1 },
                                 .w = packed,
                                 .y = md_bench_floats(arena,
                                                      oc * s->oh * s->ow) };
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)(s->oc * s->oh * s->ow) *
                                        (double)(s->ic * s->kh * s->kw),
                                    run, &j });
}

/* ic, oc, size, kernel, stride: ResNet-50, MobileNetV2, YOLOv8n at 320, a
 * CIFAR net, LeNet. */
void md_bench_conv_stem_f32(md_arena *arena)
{
    static const int64_t layers[][5] = {
        { 3, 64, 224, 7, 2 }, { 3, 32, 224, 3, 2 }, { 3, 16, 320, 3, 2 },
        { 3, 32, 32, 3, 1 },  { 1, 6, 28, 5, 1 },
    };

    for (const md_conv_stem_f32_kernel *k = md_conv_stem_f32_kernels; k->span;
         k++) {
        for (size_t i = 0; i < MD_COUNT(layers); i++) {
            const int64_t *l = layers[i];
            const md_conv_shape s =
                md_bench_conv_shape(l[0], l[1], l[2], l[3], l[4]);

            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, &s);
        }
    }
}
