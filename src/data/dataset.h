/*
 * Labelled samples for a model: what its inputs are given, and what its first
 * output should say.
 *
 * Where samples come from, by a row of sources.def each:
 *   arrays   a .npz, a folder of .npy, or one .npy: arrays named after the
 *            inputs, or `x` for the only one; labels `y`
 *   idx      a file of the MNIST form (train-images-idx3-ubyte, .gz too) with
 *            its labels beside it, or a folder that holds the training files
 *   csv      a table with a header or without; labels are a column
 *   images   a folder with a folder of pictures for each class
 * What lies in files as in memory is mapped, pictures and rows are decoded
 * when they are read, so a set may be larger than memory; what is packed
 * (.npz, .gz) is unpacked once.
 *
 * Pixels (uint8 for a float input) become numbers as the model's metadata
 * records it (data/picture.h, or modeld.input.scale), else times 1/255.  Samples
 * are reshaped where that only adds or drops axes of size 1 or flattens them,
 * and colors move from the last axis to the first or back.
 *
 * A set does not change once it is open; any number of threads may read it.
 */
#ifndef MD_DATA_DATASET_H
#define MD_DATA_DATASET_H

#include "base/pool.h"
#include "graph/graph.h"

enum {
    MD_DATA_CLASSES_MAX = 1 << 20
};

/* What a model's input wants of each sample. */
typedef struct md_data_input {
    const char *name;
    md_dtype dtype;
    md_shape sample; /* without the batch axis */
    int64_t n;       /* its elements */
} md_data_input;

struct md_source;

/* Members are for reading. */
typedef struct md_dataset {
    const md_alloc *alloc;
    int64_t n; /* samples, at least one */
    uint32_t n_inputs;
    md_data_input *inputs; /* in the order of the model's */
    /* int64 [n]: classes; float32 [n, k]: numbers; no data: no labels. */
    md_tensor labels;
    const char *const *classes; /* their names, where the source has some */
    int64_t n_classes;
    const struct md_source *source;
    void *impl; /* the source's */
    md_arena arena;
} md_dataset;

typedef struct md_data_opts {
    const md_alloc *alloc; /* NULL: md_alloc_tagged(MD_MEM_data) */
    const char *label;     /* csv: the column of labels; NULL: `label`, `class`,
                            * `target` or `y`, else the last one */
} md_data_opts;

/* Open `path` for the inputs of `model`, which is read here only; opts may be
 * NULL.  MD_INVALID names what is missing or does not fit, MD_UNSUPPORTED what
 * is no set of a known form. */
md_status md_dataset_open(md_dataset *out, const char *path,
                          const md_model *model, const md_data_opts *opts,
                          md_error *err);

/* The same from tensors in memory, one for each input, which must outlive it;
 * `labels` (may be NULL) is y. */
md_status md_dataset_of_tensors(md_dataset *out, const md_model *model,
                                const md_tensor *inputs,
                                const md_tensor *labels, const md_alloc *alloc,
                                md_error *err);

void md_dataset_release(md_dataset *d);

/* Shape of `count` samples of input i. */
md_shape md_dataset_shape(const md_dataset *d, uint32_t i, int64_t count);

/*
 * Write samples at[0], at[1], ..., at[count - 1] (at NULL: from, from + 1, ...)
 * of input i into `to`, whose type and shape are the input's.  Shared by the
 * threads of `pool` (may be NULL).  MD_INVALID names a sample that is not
 * finite or cannot be read.
 */
md_status md_dataset_read(const md_dataset *d, uint32_t i, const int64_t *at,
                          int64_t from, int64_t count, md_tensor *to,
                          md_pool *pool, md_error *err);

/* A hash of what a sample holds, all inputs of it and no labels, under a key:
 * equal samples have equal ones, wherever they stand. */
md_status md_dataset_hash(const md_dataset *d, int64_t sample, uint64_t key,
                          uint64_t *out, md_error *err);

/* The labels are classes below n_classes, and not all are one; MD_INVALID
 * names the first that is not. */
md_status md_dataset_check_classes(const md_dataset *d, int64_t n_classes,
                                   md_error *err);

/* The class of a sample; the labels are classes. */
static inline int64_t md_dataset_class(const md_dataset *d, int64_t sample)
{
    return ((const int64_t *)d->labels.data)[sample];
}

/* Numbers that label each sample; 0 when they are classes or there are none. */
int64_t md_dataset_n_targets(const md_dataset *d);

#endif
