/*
 * HDF5 files, read in a confined child process.
 *
 * What comes back is a list of groups, of datasets and of string attributes,
 * sorted by path; paths have no leading slash and the root group is "".
 * Everything belongs to the md_hdf5.  Refused: links of any kind but hard
 * ones, datasets that lie outside the file or in other datasets, filters but
 * gzip and shuffle, datasets that declare far more than they store.
 */
#ifndef MD_CONVERT_HDF5_H
#define MD_CONVERT_HDF5_H

#include <stdbool.h>

#include "base/arena.h"
#include "convert/child.h"
#include "tensor/tensor.h"

enum {
    MD_HDF5_DEPTH_MAX = 32,
    MD_HDF5_PATH_MAX = 4096,
    MD_HDF5_OBJECTS_MAX = 200000 /* groups, datasets, attributes */
};

/* A number dataset.  dtype MD_DTYPE_NONE: of a type that is not read. */
typedef struct md_hdf5_data {
    const char *path;
    md_tensor t; /* borrowed */
} md_hdf5_data;

/* A string attribute, one text per element; attributes of another type are
 * there without texts. */
typedef struct md_hdf5_attr {
    const char *path; /* of the object that has it */
    const char *name;
    uint32_t n;
    md_str *text;
} md_hdf5_attr;

typedef struct md_hdf5 {
    md_arena arena;
    md_buf bytes; /* the data */
    const char **groups;
    md_hdf5_data *data;
    md_hdf5_attr *attrs;
    uint32_t n_groups, n_data, n_attrs;
    uint32_t cap_groups, cap_data, cap_attrs;
} md_hdf5;

typedef struct md_hdf5_opts {
    size_t size_limit;       /* bytes of all contents together */
    const char *const *skip; /* paths not to read, NULL-terminated, or NULL */
    md_child_limits limits;  /* cpu_s is less for small files: md_hdf5_cpu_s */
} md_hdf5_opts;

#define MD_HDF5_OPTS_INIT                                                      \
    {                                                                          \
        .size_limit = (size_t)4 << 30, .skip = NULL,                           \
        .limits = MD_CHILD_LIMITS_INIT                                         \
    }

/* True when bytes start as an HDF5 file does. */
bool md_hdf5_probe(const void *bytes, size_t size);

/* Read a whole file; opts may be NULL.  Statuses as md_child_run, and
 * MD_CORRUPT, MD_UNSUPPORTED, MD_TOO_LARGE naming the object. */
md_status md_hdf5_read(md_hdf5 **out, const void *bytes, size_t size,
                       const md_hdf5_opts *opts, const md_alloc *alloc,
                       md_error *err);

/*
 * Seconds of processor time for reading a file of `size` bytes: 5, and 3 for
 * each megabyte, from which gzip makes at most 1.1 GB; never over `most`.
 */
unsigned md_hdf5_cpu_s(size_t size, unsigned most);

void md_hdf5_free(md_hdf5 *h);

/* By path; NULL or false when there is none. */
bool md_hdf5_has_group(const md_hdf5 *h, const char *path);
const md_hdf5_data *md_hdf5_find(const md_hdf5 *h, const char *path);
const md_hdf5_attr *md_hdf5_attr_find(const md_hdf5 *h, const char *path,
                                      const char *name);

/*
 * The two halves of md_hdf5_read, for tests: libhdf5 in this process, which
 * has to be prepared, giving records to out, and their check and indexing.  Parse takes over `bytes`
 * even when it fails.
 */
md_status md_hdf5_walk(const void *bytes, size_t size, const md_hdf5_opts *opts,
                       md_child_out *out, md_error *err);
md_status md_hdf5_parse(md_hdf5 **out, md_buf *bytes, const md_alloc *alloc,
                        md_error *err);

/* Load and start libhdf5, without plugins and error printing. */
md_status md_hdf5_prepare(void *unused, md_error *err);

#endif
