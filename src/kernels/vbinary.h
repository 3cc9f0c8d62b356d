/*
 * y[i] = a[i] op b[i * b_step] on vectors of one element type: what elementwise
 * operators do in that type itself.  b_step is 1 or, where b is one element
 * for all, 0.
 *
 * y may be a or, of n elements, b; otherwise they do not overlap.  Any
 * alignment.  Integers
 * wrap; a division by 0 gives 0.  Comparisons give bytes 0 and 1.  Every level
 * gives the same bits: one text (vbinary_loops.h) is compiled for each.
 */
#ifndef MD_KERNELS_VBINARY_H
#define MD_KERNELS_VBINARY_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "tensor/dtype.h"

typedef enum md_vbinary {
    MD_VBINARY_NONE,
    /* integers and floats */
    MD_VBINARY_ADD,
    MD_VBINARY_SUB,
    MD_VBINARY_MUL,
    MD_VBINARY_DIV, /* integers towards zero */
    MD_VBINARY_MIN, /* NaN when either is */
    MD_VBINARY_MAX,
    MD_VBINARY_PRELU, /* a < 0 ? a * b : a */
    MD_VBINARY_EQ,    /* to bytes, as the next two */
    MD_VBINARY_LT,
    MD_VBINARY_LE,
    /* floats */
    MD_VBINARY_UNORDERED, /* to bytes: a or b is NaN */
    /* integers */
    MD_VBINARY_MOD, /* of the sign of b */
    MD_VBINARY_REM, /* of the sign of a */
    MD_VBINARY_AND,
    MD_VBINARY_OR,
    MD_VBINARY_XOR,
    /* unsigned integers; 0 when b is the number of bits or more */
    MD_VBINARY_SHL,
    MD_VBINARY_SHR,
    /* bool: any byte but 0 is true */
    MD_VBINARY_BOTH,
    MD_VBINARY_EITHER,
    MD_VBINARY_ONE,
    MD_VBINARY_COUNT,
} md_vbinary;

typedef void md_vbinary_fn(void *y, const void *a, const void *b, size_t n,
                           int b_step);

/* The loop for a type, or NULL: types of whole bytes but float16, bfloat16
 * and float8. */
typedef md_vbinary_fn *md_vbinary_find(md_vbinary op, md_dtype type);

typedef struct md_vbinary_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_vbinary_find *find;
} md_vbinary_kernel;

#define K(isa, need) md_vbinary_find md_vbinary__##isa;
#include "kernels/vbinary.def"
#undef K

extern const md_vbinary_kernel md_vbinary_kernels[]; /* find NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_vbinary_kernel *md_vbinary_select(uint32_t cpu_flags);

/* The type of y for operands of this one. */
md_dtype md_vbinary_result(md_vbinary op, md_dtype type);

#endif
