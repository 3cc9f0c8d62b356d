/*
 * Sessions: a model made ready to run.
 *
 * md_session_new takes the model over, infers shapes, folds constants, fuses,
 * chooses kernels and layouts and packs weights.  Running goes through an
 * md_run, a plan for one set of input shapes with its own memory: acquire it,
 * fill the inputs, execute, read the outputs, release it.  Released runs are
 * kept, so from the second run of a shape on nothing is allocated.
 *
 * A session may be used by any number of threads at once; an md_run by one.
 */
#ifndef MD_ENGINE_SESSION_H
#define MD_ENGINE_SESSION_H

#include "base/buf.h"
#include "base/pool.h"
#include "graph/graph.h"
#include "ops/lower.h"

typedef struct md_session md_session;
typedef struct md_run md_run;

typedef struct md_session_opts {
    const md_alloc *alloc; /* for all of it; NULL: md_alloc_tagged, weights
                            * and arena (for activations) */
    md_pool *pool;         /* borrowed; NULL: one thread */
    md_precision precision;
    bool reference;     /* every operator by its definition, nothing fused */
    uint32_t runs_kept; /* idle runs kept at most; 0: 8 */
    /* Folder for a file of packed weights, to be mapped by later loads of the
     * same model; NULL: none.  The model has to be as it was read, and alloc
     * one that a thread which writes the file may use, too. */
    const char *weight_cache;
} md_session_opts;

#define MD_SESSION_OPTS_INIT                                                   \
    {                                                                          \
        NULL, NULL, MD_PRECISION_FP32, false, 0, NULL                          \
    }

/* How the precision in effect came about. */
typedef struct md_precision_choice {
    md_precision asked;
    md_precision used; /* never AUTO */
    /* Of the check run that AUTO makes, with made-up inputs, bf16 beside fp32;
     * 0 when it made none. */
    int n_samples;
    double error;          /* largest |bf16 - fp32| / |fp32| of an output, as
                            * Euclidean norms */
    int64_t n_top, n_same; /* rows of outputs of rank 1 and 2, and those whose
                            * largest element is the same one */
    const char *why;       /* in words; NULL unless AUTO was asked for */
} md_precision_choice;

/* Weights in the form that kernels want them. */
typedef struct md_packed {
    size_t size;      /* bytes */
    const char *file; /* that they lie in, the session's; NULL: in memory that
                       * only this process has */
} md_packed;

/* An input or output, a tensor or a container; owned by the session. */
typedef struct md_io {
    const char *name;
    md_type type; /* dims may be symbols */
} md_io;

/*
 * Make a session.  Precision AUTO decides here between FP32 and BF16, for the
 * whole model: it makes it ready in both and runs some samples, see ADR 0016.
 *
 * On success it owns the model; on failure the caller still
 * does, though passes may have changed it.  MD_UNSUPPORTED lists every
 * operator that is missing.
 */
md_status md_session_new(md_session **out, md_model *model,
                         const md_session_opts *opts, md_error *err);

/* All runs must have been released.  NULL is allowed. */
void md_session_free(md_session *s);

const md_model *md_session_model(const md_session *s);
const md_precision_choice *md_session_precision(const md_session *s);
md_packed md_session_packed(const md_session *s);
uint32_t md_session_n_inputs(const md_session *s);
uint32_t md_session_n_outputs(const md_session *s);
const md_io *md_session_input(const md_session *s, uint32_t i);
const md_io *md_session_output(const md_session *s, uint32_t i);

/* Index of the input called name, or -1. */
int md_session_find_input(const md_session *s, const char *name);

/* MD_UNSUPPORTED names the first input or output that is no tensor: for who
 * has no place for containers (tensor/container.h). */
md_status md_session_check_tensors(const md_session *s, md_error *err);

/*
 * A run for these input shapes (n_inputs of them, those of containers are not
 * looked at).  MD_INVALID names the input whose shape does not fit, with the
 * expected one.
 */
md_status md_run_acquire(md_run **out, md_session *s, const md_shape *shapes,
                         md_error *err);

/* Give it back; its inputs and outputs are no longer valid. */
void md_run_release(md_run *r);

/* The tensor of input i, its data to be written by the caller; containers are
 * bound. */
md_tensor *md_run_input(md_run *r, uint32_t i);

/* Read input i from `data` in place of the run's own memory, in this and the
 * following executions until it is released; row-major, aligned for its type,
 * unchanged during md_run_execute.  NULL: the own memory again. */
void md_run_bind_input(md_run *r, uint32_t i, const void *data);

/* Let input i, whose type is no tensor's, be c in this and the following
 * executions until the run is released; unchanged during md_run_execute. */
void md_run_bind_container(md_run *r, uint32_t i, const md_tensor *c);

/* Write output i to `data` in place of the run's own memory, in the following
 * executions until it is released; as much as md_run_output tells, aligned for
 * its type, overlapping no input.  NULL: the own memory again.  False when the
 * output lies in memory that is not its own: its shape is known only after
 * running, it is a constant, an input or another output; or it has no elements
 * or strings. */
bool md_run_bind_output(md_run *r, uint32_t i, void *data);

/* Run on at most `width` threads of the session's pool (0: all). */
md_status md_run_execute(md_run *r, int width, md_error *err);

/* Output i after execution; valid until the next one or the release.  Before
 * it, type and shape of an output that can be bound. */
const md_tensor *md_run_output(const md_run *r, uint32_t i);

/* Bytes of the run's activation memory. */
size_t md_run_memory(const md_run *r);

/* Fill a tensor of input i with numbers that the model can digest, always the
 * same for a seed: floats in [0, 1), bytes below 128, indices into a table
 * below its size, other integers 1; strings are left empty. */
void md_session_sample(const md_session *s, uint32_t i, uint32_t seed,
                       md_tensor *t);

/* Multiply-accumulates of one execution; those in subgraphs count as often as
 * the last execution ran them. */
int64_t md_run_macs(md_run *r);

/* Acquire, execute, release: inputs are read and outputs written where they
 * are.  The latter own their data (allocated with `alloc`) and are the
 * caller's to release. */
md_status md_session_run(md_session *s, const md_tensor *inputs,
                         md_tensor *outputs, const md_alloc *alloc,
                         md_error *err);

/* Each node with kernel, layouts, what was fused, and why no faster one;
 * as text, or as a JSON array. */
md_status md_session_explain(const md_session *s, bool json, md_buf *out,
                             md_error *err);

#endif
