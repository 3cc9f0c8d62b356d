/* Shapes: ranks up to 8, row-major strides, broadcasting. */
#ifndef MD_TENSOR_SHAPE_H
#define MD_TENSOR_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    MD_RANK_MAX = 8,
    MD_SHAPE_TEXT = 192
};

typedef struct md_shape {
    int rank; /* 0: scalar */
    int64_t dim[MD_RANK_MAX];
} md_shape;

/* Number of elements; MD_INVALID on a negative dim, MD_TOO_LARGE when the
 * product of the dims that are not 0, and so perhaps a stride, overflows
 * int64. */
md_status md_shape_count(int64_t *out, const md_shape *s, md_error *err);

/* The same for a shape that was checked before; 1 for a scalar. */
int64_t md_shape_n(const md_shape *s);

/* Product of dims [from, to). */
int64_t md_shape_span(const md_shape *s, int from, int to);

bool md_shape_equal(const md_shape *a, const md_shape *b);

/* Row-major strides in elements. */
void md_shape_strides(int64_t stride[MD_RANK_MAX], const md_shape *s);

/* NumPy/ONNX multidirectional broadcasting; MD_INVALID when dims differ. */
md_status md_shape_broadcast(md_shape *out, const md_shape *a,
                             const md_shape *b, md_error *err);

/* Strides in elements that read `s` as if it had shape `to` (0 where it is
 * repeated); s must broadcast to `to`. */
void md_shape_broadcast_strides(int64_t stride[MD_RANK_MAX], const md_shape *s,
                                const md_shape *to);

/* axis in [-rank, rank) to [0, rank); MD_INVALID outside. */
md_status md_axis_normalize(int *out, int64_t axis, int rank, md_error *err);

/* "[1,3,224]" into buf (MD_SHAPE_TEXT holds every shape); returns buf. */
char *md_shape_format(char *buf, size_t size, const md_shape *s);

#endif
