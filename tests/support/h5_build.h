/* HDF5 files in memory, written by libhdf5 in the test's process. */
#ifndef MD_TESTS_SUPPORT_H5_BUILD_H
#define MD_TESTS_SUPPORT_H5_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/buf.h"

/* A new file that lives in memory. */
hid_t h5_new(void);

/* Groups on the way to `path` are made. */
void h5_group(hid_t file, const char *path);

/* A float32 dataset; dims is rank long. */
void h5_floats(hid_t file, const char *path, int rank, const hsize_t *dims,
               const float *data);

/* The same with gzip and shuffle. */
void h5_floats_packed(hid_t file, const char *path, int rank,
                      const hsize_t *dims, const float *data);

/* String attributes of the object at `path` ("/" is the root): one text of
 * variable length, or n of fixed length. */
void h5_text(hid_t file, const char *path, const char *name, const char *text);
void h5_texts(hid_t file, const char *path, const char *name, size_t n,
              const char *const *text);

/* The file's bytes, appended to out; the file is closed. */
void h5_finish(hid_t file, md_buf *out);

/*
 * A Keras 3 .h5: config as JSON text, then weights under their layers.
 * Weights of one layer are added one after another.
 */
typedef struct keras_h5 {
    hid_t file;
    char layer[64];
    const char *names[8];
    size_t n_names;
    char name_text[8][80];
} keras_h5;

void keras_h5_begin(keras_h5 *k, const char *version, const char *config);
void keras_h5_weight(keras_h5 *k, const char *layer, const char *weight,
                     int rank, const hsize_t *dims, const float *data);
void keras_h5_finish(keras_h5 *k, md_buf *out);

#endif
