/* How far two tensors are apart: the judge of check, convert and tests. */
#ifndef MD_TENSOR_COMPARE_H
#define MD_TENSOR_COMPARE_H

#include "tensor/tensor.h"

typedef struct md_diff {
    double abs_max;   /* max |got - want| over finite elements */
    double rel_max;   /* max |got - want| / |want| where want is not 0 */
    double want_max;  /* max |want| */
    double cosine;    /* of the flattened tensors; 1 when both are 0 */
    int64_t n_misses; /* elements outside the tolerance */
    int64_t first;    /* index of the first miss, -1 */
} md_diff;

/*
 * Compare element by element: within |got - want| <= abs + rel * |want|,
 * where the difference of integers is exact and | | of complex numbers their
 * modulus.  NaN equals NaN, Inf equals the same Inf (in each part of a complex
 * number); strings must be equal byte by byte.  MD_MISMATCH when type or shape
 * differ or an element misses; the text tells which, with both values.  *out
 * (may be NULL) is filled whenever type and shape agree.
 *
 * Containers are equal when they are of one type and length and their items
 * are; *out then is of all items, `first` the first one that misses.
 */
md_status md_tensor_compare(md_diff *out, const md_tensor *got,
                            const md_tensor *want, double abs, double rel,
                            md_error *err);

#endif
