/*
 * Operators with subgraphs: what If, Loop, Scan and SequenceMap share.
 *
 * A subgraph is run by who runs the node (md_exec.body), so that the engine
 * can make it ready once; these files are about what goes in and out.  Outputs
 * of one run are owned tensors, which the operator hands on or releases.
 */
#ifndef MD_OPS_COMMON_BODY_H
#define MD_OPS_COMMON_BODY_H

#include "ops/common/util.h"

/* Inputs of the node, and of a body, without captures. */
uint32_t md_body__n_args(const md_node *n);
uint32_t md_body__n_inputs(const md_graph *body);

/* The graph of attribute `name`, which takes n_in inputs and gives n_out
 * outputs; MD_INVALID tells what is amiss. */
md_status md_body__find(const md_graph **out, const md_node *n,
                        const char *name, uint32_t n_in, uint32_t n_out,
                        md_error *err);

/* Input i, if it is there, is one element in whatever rank, as far as that is
 * known; `what` names it. */
md_status md_body__one(const md_infer *c, uint32_t i, const char *what,
                       md_error *err);

/* What is known of a value that is of type a or b: dims that differ become
 * fresh, ranks that differ unknown.  MD_INVALID, naming `what`, for different
 * kinds or element types. */
md_status md_body__join(const md_infer *c, md_type *out, const md_type *a,
                        const md_type *b, const char *what, md_error *err);

/* The same, nothing else known: dims and rank as in b. */
bool md_body__same_type(const md_type *a, const md_type *b);

/* n tensors, MD_TENSOR_INIT; n pointers, NULL. */
md_status md_body__tensors(md_tensor **out, md_arena *ar, uint32_t n,
                           md_error *err);
md_status md_body__pointers(const md_tensor ***out, md_arena *ar, uint32_t n,
                            md_error *err);

void md_body__release(md_tensor *t, uint32_t n);

/* Types of the carried values of a Loop or Scan, which hold for every trip:
 * those at the start, joined with what the body makes of them until nothing
 * changes.  in[first ...] and out[from ...] are the n carried ones of the
 * body's; all of `in` is set but these, which `start` gives. */
md_status md_body__settle(const md_infer *c, const md_graph *body, md_type *in,
                          md_type *out, uint32_t first, uint32_t from,
                          uint32_t n, md_error *err);

/*
 * Scan outputs: one slice a trip, put behind those before.  Room grows by
 * doubling, so memory is that of what came.  Zeroed but for alloc, it is empty.
 */
typedef struct md_stack {
    const md_alloc *alloc;
    md_tensor t; /* [n, slice...] with room for `cap` */
    md_shape slice;
    int64_t n, cap;
    bool begun;
    md_arena text; /* of strings */
} md_stack;

/* Add a copy of `slice`; MD_INVALID unless it is like those before.  As far as
 * is known `expected` will come, INT64_MAX: any number. */
md_status md_stack_push(md_stack *s, const md_tensor *slice, int64_t expected,
                        md_error *err);

/* Input i, when it is there, is one element of `types`, of whatever rank: some
 * exporters write a condition as [1,1]. */
md_status md_body__check_one(const md_infer *c, uint32_t i, uint32_t types,
                             const char *what, md_error *err);

/* The slices in order, or the last one first, along `axis` of *out, which owns
 * its data. */
md_status md_stack_take(md_tensor *out, md_stack *s, int axis, bool reverse,
                        md_error *err);
void md_stack_release(md_stack *s);

/* Slice `index` of t along `axis`: a view where that is possible, or a copy
 * that is to be released; *out is released first. */
md_status md_body__slice(md_tensor *out, const md_tensor *t, int axis,
                         int64_t index, const md_alloc *alloc, md_error *err);

/* What is known of output i of a body without running it: what inference found
 * and the file declares. */
md_type md_body__output_type(const md_graph *body, uint32_t i);

/* What a scan output of no trips is: of slices of `type`, unknown dims 0,
 * with a dim of 0 at `axis`. */
md_status md_body__no_slices(md_tensor *out, const md_type *type, int axis,
                             const md_alloc *alloc, md_error *err);

#endif
