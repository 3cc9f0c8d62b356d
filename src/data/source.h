/*
 * Sources of samples: one row in sources.def and one `const md_source` each.
 *
 * A source is recognised by its path, opens the set, and gives one sample of
 * one input at a time.  What it keeps lies in d->arena or hangs on d->impl.
 */
#ifndef MD_DATA_SOURCE_H
#define MD_DATA_SOURCE_H

#include "data/dataset.h"
#include "data/picture.h"

/* What a source is opened with. */
typedef struct md_source_spec {
    const char *path;
    const md_model *model;
    const md_data_opts *opts;
} md_source_spec;

typedef struct md_source {
    const char *name; /* row of sources.def */
    const char *what; /* "a .npz, a folder of .npy, or one .npy" */
    /* Could the path be one?  Asked in the order of the list. */
    bool (*probe)(const char *path, bool is_folder);
    /* Set d->n, impl, labels and classes; d->inputs have name and dtype, and
     * get the shape of a sample.  A failure leaves what close frees. */
    md_status (*open)(md_dataset *d, const md_source_spec *spec, md_error *err);
    /* One sample of input i, of its dtype, to `to`.  Any thread. */
    md_status (*read)(const md_dataset *d, uint32_t i, int64_t sample, void *to,
                      md_error *err);
    void (*close)(md_dataset *d);
} md_source;

#define SOURCE(id) extern const md_source md_source_##id;
#include "data/sources.def"
#undef SOURCE

/* The only input, for sources that have one thing to give; MD_INVALID for a
 * model of several. */
md_status md_source__only_input(const md_dataset *d, const char *what,
                                md_error *err);

/* The type of input i. */
const md_type *md_source__type(const md_model *m, uint32_t i);

/* How input i takes pictures; not accepted when it does not. */
md_status md_source__picture(md_picture *out, const md_model *m, uint32_t i,
                             md_error *err);

/* Let `n` classes be called names[i]; where the model has labels and knows all
 * of them, class i becomes map[i], else i.  `map` has room for n. */
md_status md_source__name_classes(md_dataset *d, const md_model *m,
                                  const char *const *names, int64_t n,
                                  int64_t *map, md_error *err);

/* Labels that are an array: integers become classes, floats numbers; one
 * scalar or vector for each of d->n samples. */
md_status md_source__take_labels(md_dataset *d, const md_tensor *y,
                                 md_error *err);

/* Room for d->n classes. */
md_status md_source__alloc_classes(md_dataset *d, md_error *err);

/* Is the path's ending one of these, blanks between them (".png .jpg")?
 * Letters of either case. */
bool md_source__ends(const char *path, const char *endings);

/* Does the folder hold a file with one of these endings? */
bool md_source__holds(const char *folder, const char *endings);

/* An empty set of this source for the model's inputs, which get name and
 * dtype.  To be released whether this fails or not. */
md_status md_dataset__prepare(md_dataset *d, const md_source *source,
                              const md_model *m, const md_alloc *alloc,
                              md_error *err);

#endif
