/*
 * A model as the routes see it: what goes in and out, and five functions to
 * run it.  The program makes one from an engine session; tests make their
 * own.
 *
 * A model never changes once it is added to a server, so any thread reads it
 * without a lock.  Runs are the model's; each is used by one thread.
 */
#ifndef MD_SERVE_MODEL_H
#define MD_SERVE_MODEL_H

#include "base/arena.h"
#include "data/picture.h"
#include "engine/session.h"
#include "formats/model_config.h"
#include "serve/classes.h"
#include "tensor/tensor.h"

typedef struct md_serve_io {
    const char *name;
    md_dtype dtype;
    md_shape shape; /* -1: any size */
    bool has_rank;  /* false: any shape */
} md_serve_io;

typedef struct md_serve_engine {
    md_status (*acquire)(void *ctx, void **run_out, const md_shape *shapes,
                         md_error *err);
    void (*bind)(void *run, uint32_t i, const void *data);
    md_status (*execute)(void *run, int width, md_error *err);
    const md_tensor *(*output)(const void *run, uint32_t i);
    void (*release)(void *run);
    void (*free)(void *ctx); /* may be NULL */
    /* What execute has done was the run of n_calls, to be counted; may be
     * NULL. */
    void (*ran)(const void *run, uint32_t n_calls);
} md_serve_engine;

typedef struct md_serve_model {
    const char *name;
    const char *version;  /* "1" */
    const char *platform; /* "onnx" */
    const md_serve_io *inputs;
    const md_serve_io *outputs;
    uint32_t n_inputs;
    uint32_t n_outputs;
    const char *const *labels;    /* of the classes of output `labelled` */
    const int64_t *label_numbers; /* the labels, where they are integers */
    uint32_t n_labels;
    uint32_t labelled;
    md_picture image;              /* how a picture becomes the only input */
    const md_model_config *config; /* NULL: none was written for it */
    int64_t max_batch; /* rows of the first axis of every input; 0: not told */
    md_config_batching batching; /* how calls are run together */
    int64_t n_instances;         /* runs at once; 0: any number */
    const md_serve_engine *engine;
    void *ctx; /* the engine's */
    md_arena arena;
} md_serve_model;

/*
 * A model that runs on a session, which it takes over on success.  The name
 * must be one of md_model_name_check.  The model's metadata may say more:
 *   modeld.labels       class names, one per line
 *   modeld.image.*      see data/picture.h
 * `labels` (may be NULL), one per line, goes before modeld.labels; both are
 * those of output 0.  Without them the model has `classes` (may be NULL), whose
 * memory must last as long as the session.
 */
md_status md_serve_model_from_session(md_serve_model **out, const char *name,
                                      const char *labels,
                                      const md_serve_classes *classes,
                                      md_session *session,
                                      const md_alloc *alloc, md_error *err);

/*
 * Let a new model be what its configuration, whose memory is m->arena's, says:
 * names and types are compared with the model's, sizes that the model leaves
 * open become the configuration's.  MD_INVALID names the difference.
 */
md_status md_serve_model_configure(md_serve_model *m,
                                   const md_model_config *config,
                                   md_error *err);

/* The whole shape that a configuration says, batch dimension and all. */
md_status md_serve_config_shape(md_shape *out, const md_model_config *c,
                                const md_config_io *io, md_error *err);

/* Labels of output 0, one per line; the last line may lack its end. */
md_status md_serve_model_set_labels(md_serve_model *m, const char *text,
                                    md_error *err);

/* Do its calls wait for each other, in a lane? */
bool md_serve_model_waits(const md_serve_model *m);

/* Batches for a model that has no configuration, when the first axis of all
 * its inputs and outputs is free; else nothing changes. */
void md_serve_model_batch(md_serve_model *m, int64_t max_batch,
                          int64_t delay_us);

void md_serve_model_free(md_serve_model *m);

/* Fill m->image from the shape of the input: pictures are taken by a model
 * with one number input [N,]H,W[,C] or [N,]C,H,W of 1 or 3 channels. */
void md_serve_image_guess(md_serve_model *m);

/* Index by name, or -1. */
int md_serve_model_find_input(const md_serve_model *m, md_str name);
int md_serve_model_find_output(const md_serve_model *m, md_str name);

/* Elements of one sample, without the first axis: every other dim is fixed
 * and the first is 1 or any.  0: the model has no such batch axis. */
int64_t md_serve_io_sample(const md_serve_io *io);

/* MD_INVALID with both shapes in the text unless `shape` fits io. */
md_status md_serve_io_check(const md_serve_model *m, const md_serve_io *io,
                            const md_shape *shape, md_error *err);

#endif
