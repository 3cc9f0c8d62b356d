/*
 * Plain interpretation: each node's reference execution, one after another.
 *
 * Slow and simple on purpose: it folds constants, and it is the oracle that
 * conversions and the engine are checked against.
 */
#ifndef MD_OPS_EVAL_H
#define MD_OPS_EVAL_H

#include "ops/op.h"

/*
 * Run one node.  in has n->n_in entries (NULL: absent), out n->n_out; every
 * output that the node names is allocated with alloc and the caller releases
 * it, on failure nothing is left.  Elements of a string output may point into
 * the inputs.  MD_UNSUPPORTED when there is no such operator; the error text
 * begins with the node's name.
 */
md_status md_node_eval(md_tensor *out, const md_node *n, int64_t opset,
                       const md_tensor *const *in, const md_alloc *alloc,
                       md_pool *pool, md_error *err);

/*
 * Run a graph that md_graph_verify has accepted.  in[i] belongs to
 * g->inputs[i]; NULL takes the input's default, MD_INVALID if it has none or
 * if the tensor is not of the input's type.  out has g->n_outputs entries,
 * which the caller releases; on failure nothing is left.
 */
md_status md_graph_eval(md_tensor *out, const md_graph *g,
                        const md_tensor *const *in, const md_alloc *alloc,
                        md_pool *pool, md_error *err);

#endif
