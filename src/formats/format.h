/*
 * File formats: one row in formats.def and one `const md_format` each.  A file
 * is known by its contents; only formats without a mark of their own go by
 * the name's ending.
 */
#ifndef MD_FORMATS_FORMAT_H
#define MD_FORMATS_FORMAT_H

#include "graph/graph.h"

typedef struct md_format {
    const char *name;   /* row of formats.def */
    const char *title;  /* "ONNX model" */
    const char *ending; /* ".onnx" */
    /* Can these bytes, the file's whole contents or a beginning of them, be
     * such a file?  NULL: only the ending tells. */
    bool (*probe)(const void *bytes, size_t size);
    /* Read a model, or one tensor that owns its data; NULL: it holds none. */
    md_status (*load_model)(md_model **out, const char *path, md_load use,
                            const md_alloc *alloc, md_error *err);
    md_status (*load_tensor)(md_tensor *out, const char *path,
                             const md_alloc *alloc, md_error *err);
} md_format;

#define FORMAT(id) extern const md_format md_format_##id;
#include "formats/formats.def"
#undef FORMAT

/* All formats, NULL-terminated, in the order of formats.def. */
const md_format *const *md_format_list(void);

/* The format of these bytes, or NULL. */
const md_format *md_format_find(const void *bytes, size_t size);

/* The format of the file; MD_UNSUPPORTED names the known ones. */
md_status md_format_detect(const md_format **out, const char *path,
                           md_error *err);

/* Load a model or a tensor from a file of any format that holds one;
 * MD_UNSUPPORTED when the file's does not. */
md_status md_format_load_model(md_model **out, const char *path, md_load use,
                               const md_alloc *alloc, md_error *err);
md_status md_format_load_tensor(md_tensor *out, const char *path,
                                const md_alloc *alloc, md_error *err);

#endif
