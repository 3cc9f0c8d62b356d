#include "kernels/conv_winograd.h"

#include <stdio.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/bench.h"

typedef struct job {
    md_conv_winograd_args c;
    md_conv_winograd_grid grid;
    void *scratch;
} job;

static void run(void *ctx)
{
    const job *j = ctx;

    for (int64_t i = 0; i < j->grid.n_chunks; i++)
        md_conv_winograd_run(&j->c, &j->grid, i, j->scratch);
}

static void bench(md_arena *arena, const md_winograd_f32_kernel *kernel,
                  int tile, const md_conv_shape *s)
{
    const int64_t ic = (int64_t)md_round_up((size_t)s->ic, 16);
    const int64_t oc = (int64_t)md_round_up((size_t)s->oc, 16);
    char shape[48];
    size_t size = 0;
    float *packed;
    job j = { .c = { .k = md_conv_winograd_select(kernel->required, tile),
                     .shape = *s,
                     .ep = { .act = MD_ACT_RELU } } };

    (void)md_conv_winograd_packed_size(&size, &j.c.k, s);
    packed = md_bench_alloc(arena, size);
    md_conv_winograd_pack(packed, &j.c.k,
                          md_bench_floats(arena, s->oc * s->ic * 9), s, 0,
                          oc / 16);
    (void)md_conv_winograd_split(&j.grid, &j.c, 1);
    j.scratch = md_bench_alloc(arena, j.grid.scratch_size);
    j.c.x = md_bench_floats(arena, ic * s->ih * s->iw);
    j.c.w = packed;
    j.c.y = md_bench_floats(arena, oc * s->oh * s->ow);
    md_bench_conv_text(shape, sizeof(shape), s);
    md_bench_time(&(md_bench_case){
        j.c.k.tile->name, shape,
        2.0 * (double)(s->oc * s->oh * s->ow) * (double)(s->ic * 9), run, &j });
}

/* ic, oc, size: ResNet-50, YOLOv8n at 320, a small net.  GFLOP/s are those of
 * the plain convolution, so they may exceed the CPU's. */
void md_bench_conv_winograd(md_arena *arena)
{
    static const int64_t layers[][3] = {
        { 64, 64, 56 },   { 128, 128, 28 }, { 256, 256, 14 }, { 512, 512, 7 },
        { 16, 16, 80 },   { 32, 32, 40 },   { 64, 64, 20 },   { 64, 64, 40 },
        { 128, 128, 10 }, { 32, 32, 80 },   { 64, 64, 8 },    { 32, 32, 16 },
    };

    for (const md_winograd_f32_kernel *k = md_winograd_f32_kernels; k->tiles;
         k++) {
        for (size_t i = 0; i < MD_WINOGRAD_TILES * MD_COUNT(layers); i++) {
            const int64_t *l = layers[i / MD_WINOGRAD_TILES];
            const md_conv_shape s = md_bench_conv_shape(l[0], l[1], l[2], 3, 1);

            if (md_bench_wanted(k->tiles->name, k->required))
                bench(arena, k, (int)(i % MD_WINOGRAD_TILES), &s);
        }
    }
}
