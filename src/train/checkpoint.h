/*
 * The state of a training in a file, from which it goes on with the same bits.
 *
 * The file is replaced at once, so that a process that is killed leaves the old
 * one or the new one; a checksum tells whether it is whole, and a key whether
 * it belongs to the same model, data and options.
 */
#ifndef MD_TRAIN_CHECKPOINT_H
#define MD_TRAIN_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct md_checkpoint {
    uint64_t key[2]; /* of the training */
    int64_t step;    /* steps done */
    double loss;     /* sums over the epoch at hand ... */
    int64_t right;
    float *state; /* n floats, the caller's */
    size_t n;
} md_checkpoint;

md_status md_checkpoint_save(const md_checkpoint *c, const char *path,
                             md_error *err);

/* Fill c->step, loss, right and state, whose key and n are given.  *found is
 * false, and nothing filled, when there is no such file.  MD_CORRUPT for what
 * is no whole checkpoint, MD_INVALID for one of another training. */
md_status md_checkpoint_load(md_checkpoint *c, const char *path, bool *found,
                             md_error *err);

#endif
