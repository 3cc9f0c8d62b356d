/*
 * Data for calibration and accuracy: arrays named after a model's inputs (or
 * `x` when it has one), labels `y`.  A .npz file, or a folder of .npy files.
 * The first axis counts samples.  Integer pixels (uint8) are read as
 * value * scale, with the model's metadata "modeld.input.scale", else 1/255.
 */
#ifndef MD_OPTIMIZE_DATASET_H
#define MD_OPTIMIZE_DATASET_H

#include "graph/graph.h"

typedef struct md_dataset {
    const md_alloc *alloc;
    uint32_t n_inputs;
    md_tensor *inputs; /* in the order of the model's inputs */
    float scale;       /* of uint8 values for float inputs */
    md_tensor labels;  /* int64 [n]; no data when there are none */
    int64_t n;         /* samples */
} md_dataset;

/* Read `path` for the inputs of `model`.  MD_INVALID names the array that is
 * missing or does not fit. */
md_status md_dataset_open(md_dataset *out, const char *path,
                          const md_model *model, const md_alloc *alloc,
                          md_error *err);

void md_dataset_release(md_dataset *d);

/* Shape of `count` samples of input i. */
md_shape md_dataset_shape(const md_dataset *d, uint32_t i, int64_t count);

/* Write samples [from, from + count) of input i into `to`, whose type is the
 * model's and whose shape is md_dataset_shape's.  MD_INVALID when the stored
 * type cannot be converted. */
md_status md_dataset_read(const md_dataset *d, uint32_t i, int64_t from,
                          int64_t count, md_tensor *to, md_error *err);

#endif
