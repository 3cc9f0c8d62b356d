/*
 * Keras files: `.keras` (zip of config.json, metadata.json and
 * model.weights.h5, Keras 2.12 and later), `.h5` (Keras 1 to 3), and weights
 * alone (save_weights) with the model's JSON (to_json) in a file of its own.
 */
#ifndef MD_CONVERT_KERAS_FILE_H
#define MD_CONVERT_KERAS_FILE_H

#include <jansson.h>

#include "convert/hdf5.h"

enum {
    MD_KERAS_VERSION_SIZE = 32
};

/* A text of `.keras` that is neither the model nor its weights. */
typedef struct md_keras_asset {
    const char *path; /* "assets/layers/string_lookup/vocabulary.txt" */
    md_str text;
} md_keras_asset;

typedef struct md_keras_file {
    const md_alloc *alloc;
    json_t *model; /* {"class_name":…, "config":…} */
    md_hdf5 *weights;
    bool h5;          /* weights under <root><layer>, else layers/… */
    const char *root; /* "model_weights/"; "" in a file of weights alone */
    int major;        /* of the Keras that wrote it */
    char version[MD_KERAS_VERSION_SIZE];
    md_arena assets_arena;
    md_keras_asset *assets;
    uint32_t n_assets;
} md_keras_file;

typedef struct md_keras_limits {
    size_t json_size; /* bytes of config.json */
    size_t member_size;
    md_hdf5_opts hdf5;
} md_keras_limits;

#define MD_KERAS_LIMITS_INIT                                                   \
    {                                                                          \
        .json_size = (size_t)64 << 20, .member_size = (size_t)4 << 30,         \
        .hdf5 = MD_HDF5_OPTS_INIT                                              \
    }

/* True for a zip that has a config.json, or an HDF5 file. */
bool md_keras_probe(const void *bytes, size_t size);

/* Where the JSON is of weights alone. */
typedef struct md_keras_beside {
    const char *given; /* a file that must be there; or NULL */
    const char *maybe; /* one that may be; or NULL */
} md_keras_beside;

/* Read the file in bytes, which need not outlive the call; limits and beside
 * may be NULL.  MD_CORRUPT, MD_UNSUPPORTED (weights without a model),
 * MD_TOO_LARGE, what reading the JSON gives. */
md_status md_keras_file_open(md_keras_file *out, const void *bytes, size_t size,
                             const md_keras_beside *beside,
                             const md_keras_limits *limits,
                             const md_alloc *alloc, md_error *err);

/* The text at `path`, or one whose p is NULL. */
md_str md_keras_file_asset(const md_keras_file *f, const char *path);

/* Free; a zeroed file is allowed. */
void md_keras_file_release(md_keras_file *f);

#endif
