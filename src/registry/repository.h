/*
 * Models on disk, as a server is pointed at them:
 *
 *   DIR/NAME/VERSION/FILE      Triton's layout; FILE is the configuration's
 *                              default_model_filename, model.onnx, a folder
 *                              model.savedmodel, or the only file there
 *   DIR/NAME/config.pbtxt      what is to be made of it, formats/model_config.h
 *                              An ensemble has no file: VERSION may be empty
 *   DIR/NAME/VERSION/saved_model.pb   TensorFlow Serving's layout
 *   DIR/NAME/saved_model.pb    a model without versions: version 1
 *   DIR/NAME.onnx              the same; NAME is what stands before the dot
 *
 * VERSION is a number from 0 up, leading zeros allowed.  Names that begin with
 * a dot, and files with an ending that no model has, are passed over.
 *
 * All functions read the file system when they are called and remember
 * nothing.  Symbolic links are followed, as deployment tools make them; names
 * that come from clients are checked before they become paths.
 */
#ifndef MD_REGISTRY_REPOSITORY_H
#define MD_REGISTRY_REPOSITORY_H

#include "formats/model_config.h"
#include "registry/stamp.h"

enum {
    MD_MODEL_NAME_MAX = 128,
    MD_REPO_VERSIONS_MAX = 4096 /* of one model */
};

/* A version that is to be served. */
typedef struct md_repo_version {
    int64_t number;
    const char *path; /* of the model's file or folder; NULL: why tells */
    const char *why;
    /* Of all files that the version is made of, configuration and labels
     * included: another hash, another model. */
    md_stamp stamp;
} md_repo_version;

typedef struct md_repo_model {
    const char *name;
    const char *folder; /* of label files; NULL: the model is a lone file */
    md_model_config config;
    const char *config_text; /* NULL: it has none */
    size_t config_size;
    bool config_is_json;
    md_repo_version *versions; /* that the configuration asks for, ascending */
    uint32_t n, cap;
} md_repo_model;

/* MD_INVALID unless it is 1 to 128 letters, digits, '.', '_' or '-', and not
 * only dots: a name that is safe as a part of a path. */
md_status md_model_name_check(const char *name, md_error *err);

/* Is `path` a folder of models, rather than one? */
bool md_repo_is_repository(const char *path);

/* The names of the models in `dir`, sorted, each once; the arena's. */
md_status md_repo_names(const char ***out, uint32_t *n, const char *dir,
                        md_arena *ar, md_error *err);

/* The path of the model called name; MD_NOT_FOUND, MD_INVALID for a name that
 * is none. */
md_status md_repo_find(const char **path, const char *dir, const char *name,
                       md_arena *ar, md_error *err);

/*
 * What is at `path` now: a file, a folder that is a model, or a folder of
 * versions.  config_json (may be NULL) stands in for its configuration.  All
 * is the arena's.
 *
 * MD_NOT_FOUND when there is nothing, or no version that is to be served;
 * MD_INVALID and MD_UNSUPPORTED for a bad configuration.  A version without a
 * model file is not a failure, it has no path.
 */
md_status md_repo_read(md_repo_model *out, const char *name, const char *path,
                       const char *config_json, md_arena *ar, md_error *err);

/* The same configuration once more, in an arena that may live longer. */
md_status md_repo_config(md_model_config *out, const md_repo_model *m,
                         md_arena *ar, md_error *err);

#endif
