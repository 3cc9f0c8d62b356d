/* Inside the module: constants and nodes that quantization adds, and what it
 * writes into the metadata. */
#ifndef MD_OPTIMIZE_REWRITE_H
#define MD_OPTIMIZE_REWRITE_H

#include "graph/graph.h"

/* A constant that takes t over, called OF_WHAT, or with a number behind. */
md_status md_rewrite__const(md_value_id *out, md_graph *g, const char *of,
                            const char *what, md_tensor t, md_error *err);

/* A new constant of this type and shape, zeros, to be filled. */
md_status md_rewrite__new_const(md_value_id *id, md_tensor *t, md_graph *g,
                                const char *of, const char *what,
                                md_dtype dtype, const md_shape *shape,
                                md_error *err);

/* A node of one output at position `at` of the order: what spec says, but for
 * its output, which is *out, or when that is NONE a new value called `stem`. */
md_status md_rewrite__node(md_node **n, md_value_id *out, md_graph *g,
                           uint32_t at, const md_node_spec *spec,
                           const char *stem, md_error *err);

/* Weights hold only finite numbers; MD_INVALID names them. */
md_status md_rewrite__check_finite(const md_graph *g, md_value_id id,
                                   md_error *err);

/* Is n MatMul or Gemm of ai.onnx, its weights (input 1) a constant matrix of
 * float32, without factors and with a bias that can be added?  *turned: rows are
 * outputs. */
bool md_rewrite__is_product(const md_graph *g, const md_node *n, bool *turned);

/* The hash of a model that is about to be changed; 0 when its constants are too
 * many to be written for it (2 GiB). */
md_status md_rewrite__parent(uint64_t *out, const md_model *m, md_error *err);

/* Write that m was made by this recipe of the model of that hash; without one
 * the recipe follows what m has. */
md_status md_rewrite__origin(md_model *m, uint64_t parent, const char *recipe,
                             md_error *err);

/* Position of n in the order of nodes. */
uint32_t md_rewrite__position(const md_graph *g, const md_node *n);

#endif
