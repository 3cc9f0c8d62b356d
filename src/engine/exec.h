/* Running one node by its operator's definition. */
#ifndef MD_ENGINE_EXEC_H
#define MD_ENGINE_EXEC_H

#include "ops/lower.h"
#include "ops/op.h"

/*
 * Run node n of g: in[i] NULL where absent.  out[i] receives tensors: with
 * data set they are filled in place (shape and type must come out the same,
 * else MD_INTERNAL); with data NULL and owner NULL they are allocated from
 * `alloc` and owned.  New text of string outputs lies in `text`, which has to
 * live as long as they.  What was fused into n is applied too.  At most `width`
 * threads of the pool take part (0: all).
 */
md_status md_exec_node(const md_graph *g, const md_node *n,
                       const md_tensor *const *in, md_tensor *out,
                       const md_alloc *alloc, md_arena *text, md_pool *pool,
                       int width, md_error *err);

#endif
