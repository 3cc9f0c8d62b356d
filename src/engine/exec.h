/* Running one node by its operator's definition. */
#ifndef MD_ENGINE_EXEC_H
#define MD_ENGINE_EXEC_H

#include "ops/lower.h"
#include "ops/op.h"

/* What a node runs with. */
typedef struct md_exec_env {
    const md_alloc *alloc; /* outputs and scratch */
    md_arena *text; /* new text of string outputs, lives as long as they */
    md_pool *pool;  /* may be NULL */
    int width;      /* threads of it that take part at most; 0: all */
    uint32_t cpu;   /* enum md_cpu_flags that typed loops may use */
    /* Runs a subgraph (md_exec.body); NULL: the node has none. */
    md_status (*body)(void *body_ctx, md_exec *x, const md_graph *body,
                      const md_tensor *const *in, md_tensor *out,
                      md_error *err);
    void *body_ctx;
} md_exec_env;

/*
 * Run node n of g: in[i] NULL where absent.  out[i] receives tensors: with
 * data set they are filled in place (shape and type must come out the same,
 * else MD_INTERNAL); with data NULL they are allocated from their owner or,
 * with that NULL, env->alloc, and owned.  What was fused into n is applied too.
 */
md_status md_exec_node(const md_graph *g, const md_node *n,
                       const md_tensor *const *in, md_tensor *out,
                       const md_exec_env *env, md_error *err);

#endif
