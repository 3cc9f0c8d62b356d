/*
 * md_bench_kernels [PART...]: GFLOP/s of every row of the kernel lists that
 * this CPU has, on one thread; with PARTs only rows whose name contains one.
 * Columns: row, shape, GFLOP/s, microseconds of one run; where a kernel has no
 * multiplications a FLOP is an element, as its file says.
 * Each figure is the minimum of many runs, so a loaded machine disturbs it
 * little.  Needs a release build.
 */
#include "kernels/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"

static char **parts;

int md_bench_wanted(const char *kernel, uint32_t required)
{
    if (required & ~md_cpu_flags())
        return 0;
    for (char **p = parts; *p; p++) {
        if (strstr(kernel, *p))
            return 1;
    }
    return !*parts;
}

void md_bench_time(const md_bench_case *c)
{
    enum {
        RUNS = 15
    };
    const int64_t enough_ns = 5000000; /* of one run, against clock noise */
    int64_t t = md_clock_ns(), n;
    double best = 1e30;

    c->run(c->ctx);
    t = md_clock_ns() - t + 1;
    n = enough_ns / t + 1;
    for (int r = 0; r < RUNS; r++) {
        double ns;

        t = md_clock_ns();
        for (int64_t i = 0; i < n; i++)
            c->run(c->ctx);
        ns = (double)(md_clock_ns() - t) / (double)n;
        best = ns < best ? ns : best;
    }
    printf("%-24s %-28s %8.1f GFLOP/s %10.1f us\n", c->kernel, c->shape,
           c->flop / best, best / 1000);
    (void)fflush(stdout);
}

void *md_bench_alloc(md_arena *arena, size_t size)
{
    void *p = md_arena_alloc_aligned(arena, size ? size : 1);

    if (!p) {
        (void)fprintf(stderr, "md_bench_kernels: out of memory\n");
        exit(1);
    }
    return p;
}

float *md_bench_floats(md_arena *arena, int64_t n)
{
    float *p = md_bench_alloc(arena, (size_t)n * sizeof(float));

    for (int64_t i = 0; i < n; i++)
        p[i] = (float)(i % 17 - 8) * 0.0625f;
    return p;
}

void md_bench_conv_text(char *buf, size_t size, const md_conv_shape *s)
{
    (void)snprintf(buf, size, "%d->%d @%dx%d k%dx%d s%d", (int)s->ic,
                   (int)s->oc, (int)s->ih, (int)s->iw, (int)s->kh, (int)s->kw,
                   (int)s->stride_h);
}

md_conv_shape md_bench_conv_shape(int64_t ic, int64_t oc, int64_t size,
                                  int64_t kernel, int64_t stride)
{
    const int64_t pad = kernel / 2;
    const int64_t out = (size + 2 * pad - kernel) / stride + 1;

    return (md_conv_shape){ 1,      ic,     size,   size, oc,  out, out, kernel,
                            kernel, stride, stride, pad,  pad, 1,   1 };
}

int main(int argc, char **argv)
{
    md_arena arena;

    (void)argc;
    parts = argv + 1;
    md_arena_init(&arena, md_alloc_default(), 0);
    printf("%s\n", md_cpu_name());
#define FAMILY(name)                                                           \
    md_bench_##name(&arena);                                                   \
    md_arena_release(&arena);                                                  \
    md_arena_init(&arena, md_alloc_default(), 0);
#include "kernels/families.def"
#undef FAMILY
    md_arena_release(&arena);
    return 0;
}
