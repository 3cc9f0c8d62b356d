/*
 * How fast a core can multiply and add: enough independent chains of
 * multiply-adds on registers to fill its pipelines, and nothing else.  The
 * speed of a model is told as a share of this.
 */
#ifndef MD_KERNELS_PEAK_F32_H
#define MD_KERNELS_PEAK_F32_H

#include <stdint.h>

#include "base/cpu.h"

enum {
    MD_PEAK_N = 16 /* floats of x */
};

/* n rounds; returns the multiply-adds done.  x is read and written so that
 * no round can be left out: x = x * 0.5 + 1 each. */
typedef int64_t md_peak_f32_fn(float x[MD_PEAK_N], int64_t n);

typedef struct md_peak_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_peak_f32_fn *run;
} md_peak_f32_kernel;

#define K(isa, need) md_peak_f32_fn md_peak_f32__##isa;
#include "kernels/peak_f32.def"
#undef K

extern const md_peak_f32_kernel md_peak_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_peak_f32_kernel *md_peak_f32_select(uint32_t cpu_flags);

#endif
