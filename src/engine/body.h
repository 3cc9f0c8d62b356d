/*
 * Subgraphs (ADR 0018): each is a session of its own, compiled, lowered and
 * planned as the main graph is; what it captures are inputs of it.  The
 * operators (If, Loop, Scan, SequenceMap) say when it runs and on what.
 *
 * A run keeps, for each of its steps with subgraphs, the run of a subgraph
 * that it used last: as long as shapes do not change, nothing is looked up,
 * planned or allocated.  All runs below one take the memory of their dynamic
 * values from its recycling allocator, so that values pass between them.
 */
#ifndef MD_ENGINE_BODY_H
#define MD_ENGINE_BODY_H

#include "engine/exec.h"
#include "engine/run_impl.h"

/* ---- at load ---- */

/* A session for every subgraph below g, in the list of `root`. */
md_status md_body__make_sessions(md_session *root, const md_graph *g,
                                 md_error *err);

/* md_infer.body: types of a body's outputs; c->ctx is an md_look. */
md_status md_body__infer(const md_infer *c, const md_graph *body,
                         const md_type *in, md_type *out, md_error *err);

/* Fold, and when it is the last time fuse, the subgraphs of n, whose inputs'
 * types are known. */
md_status md_body__compile(const md_session *s, const md_node *n, bool last,
                           md_error *err);

/* Choose kernels for the subgraphs of n as for s, and undo it. */
md_status md_body__lower(const md_session *s, const md_node *n, md_error *err);
void md_body__unlower(const md_node *n);

/* Where node `at` of g is an If whose condition is known, put the nodes of its
 * branch in its place; it is dead then. */
md_status md_branch__inline(bool *done, md_graph *g, uint32_t at,
                            md_error *err);

/* ---- in a run ---- */

typedef struct md_body_state md_body_state;

/* What runs the subgraphs of a step. */
typedef struct md_body_call {
    md_run *r;
    md_run_step *st;
} md_body_call;

/* Room in the steps that have subgraphs. */
md_status md_body__prepare(md_run *r, md_error *err);
void md_body__release_runs(md_run *r);

/* What a step of call->r runs with; good as long as *call. */
md_exec_env md_body__env(md_body_call *call);

/* Memory that runs of subgraphs hold. */
size_t md_body__memory(const md_run *r);

#endif
