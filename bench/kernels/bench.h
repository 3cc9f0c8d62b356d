/* What the kernel benchmarks share: buffers, the clock, one line a result. */
#ifndef MD_BENCH_KERNELS_BENCH_H
#define MD_BENCH_KERNELS_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "kernels/conv_shape.h"

/* Work to time; run does all of it once. */
typedef struct md_bench_case {
    const char *kernel;
    const char *shape;
    double flop;
    void (*run)(void *ctx);
    void *ctx;
} md_bench_case;

/* Whether this CPU has the flags and the user asked for this kernel. */
int md_bench_wanted(const char *kernel, uint32_t required);

/* Print the fastest of many runs. */
void md_bench_time(const md_bench_case *c);

/* Memory that lasts until the family is done, 64-byte aligned; floats are
 * filled with small numbers.  Ends the program when there is none. */
void *md_bench_alloc(md_arena *arena, size_t size);
float *md_bench_floats(md_arena *arena, int64_t n);

/* "64->128 @56x56 k3x3 s1" into buf. */
void md_bench_conv_text(char *buf, size_t size, const md_conv_shape *s);

/* A square "same" convolution. */
md_conv_shape md_bench_conv_shape(int64_t ic, int64_t oc, int64_t size,
                                  int64_t kernel, int64_t stride);

#define FAMILY(name) void md_bench_##name(md_arena *arena);
#include "kernels/families.def"
#undef FAMILY

#endif
