/*
 * Walking two broadcast inputs and one contiguous output row by row.
 *
 * In each row an input either advances by one element or stays.  Dimensions
 * are merged first, so equal shapes are one row.  Any range of the
 * output may be worked on alone, in any order and on any thread.
 */
#ifndef MD_KERNELS_BROADCAST_H
#define MD_KERNELS_BROADCAST_H

#include <stddef.h>
#include <stdint.h>

enum {
    MD_BROADCAST_RANK = 16,
    MD_BROADCAST_CHUNK = 16384,
};

typedef struct md_broadcast {
    int rank; /* >= 1; the last dimension is the row */
    int64_t dims[MD_BROADCAST_RANK];
    int64_t a[MD_BROADCAST_RANK]; /* strides in elements */
    int64_t b[MD_BROADCAST_RANK];
    int64_t step; /* elements of a chunk */
} md_broadcast;

/* Chunks are of MD_BROADCAST_CHUNK elements.
 * Output dims[rank]; strides of the inputs, 0 where they are repeated.  The
 * last stride must be 0 or 1 (a row of one element may have any). */
void md_broadcast_init(md_broadcast *w, int rank, const int64_t *dims,
                       const int64_t *a, const int64_t *b);

/* Cut chunks anew, not longer, so that `width` threads have as many each. */
void md_broadcast_share(md_broadcast *w, int width);

/* n elements: y, a, b are element offsets, a_step and b_step 0 or 1. */
typedef struct md_broadcast_row {
    int64_t y, a, b;
    size_t n;
    int a_step, b_step;
} md_broadcast_row;

typedef void md_broadcast_fn(void *ctx, const md_broadcast_row *row);

/* Elements of the output. */
int64_t md_broadcast_n(const md_broadcast *w);

/* Call fn for every row (or part of one) of output elements [from, to). */
void md_broadcast_range(const md_broadcast *w, int64_t from, int64_t to,
                        md_broadcast_fn *fn, void *ctx);

int64_t md_broadcast_n_chunks(const md_broadcast *w);

/* The same for a chunk. */
void md_broadcast_walk(const md_broadcast *w, int64_t chunk,
                       md_broadcast_fn *fn, void *ctx);

#endif
