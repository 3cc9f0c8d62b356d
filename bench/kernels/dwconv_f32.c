#include "kernels/dwconv_f32.h"

#include "base/attr.h"
#include "base/size.h"
#include "kernels/bench.h"

typedef struct job {
    const md_dwconv_f32_kernel *kernel;
    md_dwconv_f32_args c;
    int64_t n_chunks;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < j->n_chunks; i++)
        md_dwconv_f32_run(j->kernel, &j->c, i, j->n_chunks);
}

static void bench(md_arena *arena, const md_dwconv_f32_kernel *kernel,
                  const md_conv_shape *s)
{
    const int64_t oc = (int64_t)md_round_up((size_t)s->oc, 16);
    char shape[48];
    size_t size = 0;
    float *packed;
    job j = { .kernel = kernel, .n_chunks = md_dwconv_f32_n_chunks(s, 1) };

    (void)md_dwconv_f32_packed_size(&size, s);
    packed = md_bench_alloc(arena, size);
    md_dwconv_f32_pack(packed, md_bench_floats(arena, s->oc * s->kh * s->kw),
                       s);
    j.c = (md_dwconv_f32_args){ .shape = *s,
                                .x = md_bench_floats(arena, oc * s->ih * s->iw),
                                .w = packed,
                                .y = md_bench_floats(arena, oc * s->oh * s->ow),
                                .ep = { .act = MD_ACT_CLIP, .b = 6 } };
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)(s->oc * s->oh * s->ow) *
                                        (double)(s->kh * s->kw),
                                    run, &j });
}

/* channels, size, kernel, stride: MobileNetV2, EfficientNet. */
void md_bench_dwconv_f32(md_arena *arena)
{
    static const int64_t layers[][4] = {
        { 32, 112, 3, 1 }, { 96, 112, 3, 2 }, { 144, 56, 3, 1 },
        { 144, 56, 3, 2 }, { 192, 28, 3, 1 }, { 384, 14, 3, 1 },
        { 576, 14, 3, 2 }, { 960, 7, 3, 1 },  { 240, 28, 5, 1 },
        { 144, 56, 5, 2 },
    };

    for (const md_dwconv_f32_kernel *k = md_dwconv_f32_kernels; k->row; k++) {
        for (size_t i = 0; i < MD_COUNT(layers); i++) {
            const int64_t *l = layers[i];
            const md_conv_shape s =
                md_bench_conv_shape(l[0], l[0], l[1], l[2], l[3]);

            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, &s);
        }
    }
}
