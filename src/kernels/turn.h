/*
 * A matrix turned: y[i * y_stride + j] = x[j * x_stride + i] for i < rows and
 * j < columns.  Elements are of `size` 1, 2, 4 or 8 bytes, strides count
 * elements, y and x do not overlap.  Exact.
 */
#ifndef MD_KERNELS_TURN_H
#define MD_KERNELS_TURN_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_turn_args {
    void *y;
    const void *x;
    int64_t y_stride, x_stride;
    int64_t rows, columns; /* of y */
    int size;
} md_turn_args;

typedef void md_turn_fn(const md_turn_args *a);

typedef struct md_turn_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_turn_fn *run;
} md_turn_kernel;

#define K(isa, need) md_turn_fn md_turn__##isa;
#include "kernels/turn.def"
#undef K

extern const md_turn_kernel md_turn_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_turn_kernel *md_turn_select(uint32_t cpu_flags);

#endif
