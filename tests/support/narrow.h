/*
 * The narrow floats as their papers define them, by sums of powers of two and
 * by search: slow, and written without looking at src/tensor.  Tests hold the
 * quick conversions against it.
 */
#ifndef MD_TESTS_SUPPORT_NARROW_H
#define MD_TESTS_SUPPORT_NARROW_H

#include <stdbool.h>

#include "tensor/dtype.h"

typedef struct narrow_format {
    md_dtype type;
    unsigned n_exp, n_man; /* bits; a sign before them, E8M0 has none */
    int bias;
    unsigned max;  /* code of the largest finite magnitude */
    unsigned inf;  /* code of +Inf; 0: none */
    unsigned nan;  /* a code of NaN; 0: none */
    double finite; /* the largest value, as the specification prints it */
    double tiny;   /* the smallest above 0 */
} narrow_format;

enum {
    NARROW_N = 8
};

extern const narrow_format narrow_formats[NARROW_N];

/* Codes that the format has: 16, 256 or 65536. */
unsigned narrow_n_codes(const narrow_format *f);

/* Value of a code: exact, as every narrow value is a double. */
double narrow_decode(const narrow_format *f, unsigned code);

/* Code nearest to x, ties to the even one; NaN gives f->nan with x's sign
 * where the format has one.  Beyond the range: the largest when `saturate`,
 * else Inf or NaN. */
unsigned narrow_encode(const narrow_format *f, double x, bool saturate);

#endif
