/*
 * Triton's model configuration (config.pbtxt, model_config.proto of
 * github.com/triton-inference-server/common), as far as modeld acts on it.
 *
 * Known fields that change nothing here (optimization, placement on GPUs,
 * ...) are read over.  One that would change answers and cannot be honoured is
 * refused, and so is one that the format does not know.
 */
#ifndef MD_FORMATS_MODEL_CONFIG_H
#define MD_FORMATS_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "tensor/dtype.h"

typedef struct md_config_ints {
    int64_t *v;
    uint32_t n, cap;
} md_config_ints;

/* An input or output.  dims are without the batch dimension when
 * max_batch_size is not 0. */
typedef struct md_config_io {
    const char *name;
    md_dtype dtype; /* MD_DTYPE_NONE: not told */
    md_config_ints dims;
    const char *label_filename; /* NULL: none */
} md_config_io;

typedef struct md_config_ios {
    md_config_io *v;
    uint32_t n, cap;
} md_config_ios;

/* Which versions of a model are served. */
typedef enum md_config_which {
    MD_VERSIONS_LATEST, /* the highest n_latest */
    MD_VERSIONS_ALL,
    MD_VERSIONS_SPECIFIC /* those of `versions` */
} md_config_which;

/* What may happen to a call that waits (ModelQueuePolicy). */
typedef struct md_config_queue {
    bool delay;          /* timeout_action DELAY: it is served last */
    bool allow_override; /* the call's own timeout counts when it is shorter */
    int64_t timeout_us;  /* 0: none */
    int64_t size_max;    /* calls of one priority; 0: no bound of its own */
} md_config_queue;

typedef struct md_config_priority {
    int64_t level; /* from 1, the most urgent */
    md_config_queue queue;
} md_config_priority;

typedef struct md_config_batching {
    bool on;
    bool preserve_ordering;
    md_config_ints preferred; /* sizes */
    int64_t delay_us;         /* that a call may wait for others */
    int64_t n_levels;         /* of priority; 0: none */
    int64_t default_level;
    md_config_queue queue; /* of levels that have none of their own */
    md_config_priority *levels;
    uint32_t n_level_queues, cap_level_queues;
} md_config_batching;

/* A tensor of a step's model, and what it is called in the ensemble. */
typedef struct md_config_pair {
    const char *own;
    const char *tensor;
} md_config_pair;

typedef struct md_config_pairs {
    md_config_pair *v;
    uint32_t n, cap;
} md_config_pairs;

typedef struct md_config_step {
    const char *model;
    int64_t version; /* -1: the highest that is served */
    md_config_pairs inputs;
    md_config_pairs outputs;
} md_config_step;

typedef struct md_config_steps {
    md_config_step *v;
    uint32_t n, cap;
} md_config_steps;

typedef struct md_model_config {
    const char *name; /* NULL: not told; the same of the next ones */
    const char *platform;
    const char *backend;
    const char *default_model_filename;
    md_config_which which;
    int64_t n_latest;
    md_config_ints versions;
    int64_t max_batch_size;
    md_config_ios inputs;
    md_config_ios outputs;
    int64_t n_instances; /* of all groups; 0: not told */
    md_config_batching batching;
    md_config_steps ensemble; /* not empty: it is made of other models */
    bool response_cache;
} md_model_config;

/* As if nothing had been written: the latest version, no batches. */
void md_model_config_init(md_model_config *c);

/* Read config.pbtxt, or the same message as JSON.  All is the arena's.
 * MD_INVALID and MD_UNSUPPORTED name the line and the field. */
md_status md_model_config_parse(md_model_config *out, const char *text,
                                size_t n, md_arena *ar, md_error *err);
md_status md_model_config_from_json(md_model_config *out, const char *text,
                                    size_t n, md_arena *ar, md_error *err);

/* The input or output called name, or NULL. */
const md_config_io *md_config_find(const md_config_ios *ios, const char *name);

/* The queue of a priority level. */
const md_config_queue *md_config_queue_of(const md_config_batching *b,
                                          int64_t level);

/* Is it the name of a file in a folder, and not of one elsewhere? */
bool md_config_is_file_name(const char *name);

#endif
