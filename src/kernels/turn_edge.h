/* The part of a matrix that no whole tile covers; internal to the rows of
 * turn.def. */
#ifndef MD_KERNELS_TURN_EDGE_H
#define MD_KERNELS_TURN_EDGE_H

#include <string.h>

#include "base/attr.h"
#include "kernels/turn.h"

/* Rows [i, rows) and columns [j, columns) of y, an element at a time; size is
 * a constant where this is inlined, so that a copy is a load and a store. */
static MD_ALWAYS_INLINE void turn_edge(const md_turn_args *a, int64_t i,
                                       int64_t rows, int64_t j, int64_t columns,
                                       const size_t size)
{
    const int64_t bytes = (int64_t)size;

    for (; i < rows; i++) {
        char *y = (char *)a->y + i * a->y_stride * bytes;
        const char *x = (const char *)a->x + i * bytes;

        for (int64_t k = j; k < columns; k++)
            memcpy(y + k * bytes, x + k * a->x_stride * bytes, size);
    }
}

#endif
