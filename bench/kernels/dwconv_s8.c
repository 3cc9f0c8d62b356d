#include "kernels/dwconv_s8.h"

#include "base/attr.h"
#include "kernels/bench.h"

typedef struct job {
    md_dwconv_s8_args c;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < md_dwconv_s8_n_chunks(&j->c); i++)
        md_dwconv_s8_run(&j->c, i, j->scratch);
}

/* Buffers start as floats; what the bytes are does not change the time. */
static void bench(md_arena *arena, const md_dwconv_s8_kernel *kernel,
                  const md_conv_shape *s)
{
    char shape[48];
    job j = {
        .c = {
            .kernel = kernel,
            .requant = md_requant_s8_select(md_cpu_flags()),
            .shape = *s,
            .x = md_bench_floats(arena, s->ic * s->ih * s->iw / 4),
            .w = md_bench_floats(arena, s->oc * (s->kh * s->kw * 5 / 4 + 1)),
            .start = (int32_t *)md_bench_floats(arena, s->oc),
            .y = md_bench_floats(arena, s->oc * s->oh * s->ow / 4),
            .rq = { .mult = md_bench_floats(arena, s->oc), .q_max = 255 },
        },
    };

    j.scratch = md_bench_alloc(arena, md_dwconv_s8_scratch_size(&j.c));
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){ kernel->name, shape,
                                    2.0 * (double)(s->oc * s->oh * s->ow) *
                                        (double)(s->kh * s->kw),
                                    run, &j });
}

/* channels, size, kernel, stride: MobileNetV2. */
void md_bench_dwconv_s8(md_arena *arena)
{
    static const int64_t layers[][4] = {
        { 32, 112, 3, 1 }, { 96, 112, 3, 2 }, { 144, 56, 3, 1 },
        { 192, 28, 3, 1 }, { 384, 14, 3, 1 }, { 960, 7, 3, 1 },
        { 240, 28, 5, 1 },
    };

    for (const md_dwconv_s8_kernel *k = md_dwconv_s8_kernels; k->run; k++) {
        for (size_t i = 0; i < MD_COUNT(layers); i++) {
            const int64_t *l = layers[i];
            const md_conv_shape s =
                md_bench_conv_shape(l[0], l[0], l[1], l[2], l[3]);

            if (md_bench_wanted(k->name, k->required))
                bench(arena, k, &s);
        }
    }
}
