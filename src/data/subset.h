/* Some samples of a set, in an order: what a loop goes through. */
#ifndef MD_DATA_SUBSET_H
#define MD_DATA_SUBSET_H

#include "data/dataset.h"

typedef struct md_subset {
    int64_t *at; /* numbers of samples */
    int64_t n;
    const md_alloc *alloc;
} md_subset;

/* All samples, in their order. */
md_status md_subset_all(md_subset *out, const md_dataset *d, md_error *err);

/* The same samples in the same order. */
md_status md_subset_copy(md_subset *out, const md_subset *s, md_error *err);

/*
 * Hold back about `share` of the samples, in [0, 1]: those whose hash under
 * the seed is low, so that equal samples are on one side and a sample stays on
 * its side when the set grows or is reordered.  Each sample is read once.
 */
md_status md_subset_split(md_subset *rest, md_subset *held, const md_dataset *d,
                          double share, uint64_t seed, md_error *err);

/* Bring the samples into the order that seed and epoch name, whatever their
 * order is now. */
void md_subset_shuffle(md_subset *s, uint64_t seed, uint64_t epoch);

/* A zeroed one is allowed. */
void md_subset_release(md_subset *s);

#endif
