/*
 * y[i] = x[i] in another element type, as md_tensor_set_from converts: floats
 * round once, to nearest even; integers wrap; floats become integers by way of
 * 64 bits, towards zero, saturating there, NaN being 0; bool is x != 0.
 *
 * y and x do not overlap.  Any alignment.  Every level gives the same bits: one text (vcast_loops.h) is
 * compiled for each.
 */
#ifndef MD_KERNELS_VCAST_H
#define MD_KERNELS_VCAST_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "tensor/dtype.h"

typedef void md_vcast_fn(void *y, const void *x, size_t n);

/* The loop for two types, or NULL.  There is one between any two of float32,
 * float64, bool and the integers of whole bytes, and from and to float16 and
 * bfloat16 from and to float32 and float64. */
typedef md_vcast_fn *md_vcast_find(md_dtype to, md_dtype from);

typedef struct md_vcast_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_vcast_find *find;
} md_vcast_kernel;

#define K(isa, need) md_vcast_find md_vcast__##isa;
#include "kernels/vcast.def"
#undef K

extern const md_vcast_kernel md_vcast_kernels[]; /* find NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_vcast_kernel *md_vcast_select(uint32_t cpu_flags);

#endif
