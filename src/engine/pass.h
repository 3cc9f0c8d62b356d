/*
 * Graph passes that keep what a model computes and make it cheaper.  They see
 * resolved, typed nodes (impl set) and leave new nodes resolved.
 */
#ifndef MD_ENGINE_PASS_H
#define MD_ENGINE_PASS_H

#include "graph/graph.h"
#include "ops/lower.h"

typedef struct md_pass {
    const char *name;
    const char *what; /* one line */
    md_status (*run)(md_graph *g, md_precision precision, md_error *err);
} md_pass;

#define PASS(id) extern const md_pass md_pass_##id;
#include "engine/passes.def"
#undef PASS

/* All passes in order; what nobody reads any more is dropped after each. */
md_status md_passes_run(md_graph *g, md_precision precision, md_error *err);

/* Use counts by value id (graph outputs count), from the graph's model
 * allocator: free with md_free(g->model->alloc, uses). */
md_status md_pass__uses(uint32_t **uses, const md_graph *g, md_error *err);

/* Who reads and who writes each value, by value id. */
typedef struct md_pass_links {
    uint32_t *uses;     /* as md_pass__uses */
    uint32_t *position; /* 1 + index of the node that defines it, else 0 */
    md_node **user;     /* its last user, or NULL */
} md_pass_links;

/* From the graph's model allocator; also after a failure to be released. */
md_status md_pass_links_init(md_pass_links *l, const md_graph *g,
                             md_error *err);
void md_pass_links_release(md_pass_links *l, const md_graph *g);

/* The node that alone reads value id, which is no output; else NULL. */
md_node *md_pass__only_user(const md_graph *g, const md_pass_links *l,
                            md_value_id id);

/* Have `host` write what n, which reads its result, wrote; n is dead. */
void md_pass__take_over(md_graph *g, md_pass_links *l, md_node *host,
                        md_node *n);

/* Do both have one dtype and, for all sizes, one shape? */
bool md_pass__same_type(const md_type *a, const md_type *b);

/* Is id a constant of one element? */
bool md_pass__is_scalar(const md_graph *g, md_value_id id);

/* Are both one value, or equal constants of one element? */
bool md_pass__same_const(const md_graph *g, md_value_id a, md_value_id b);

/* The node that defines value id when it is `op` of ai.onnx, else NULL. */
md_node *md_pass__def(const md_graph *g, md_value_id id, const char *op);

/* The single element of a float constant in *out; false if id is none. */
bool md_pass__scalar(const md_graph *g, md_value_id id, float *out);

/* A nameless constant that takes t over; t is released when this fails. */
md_status md_pass__add_const(md_value_id *out, md_graph *g, md_tensor t,
                             md_error *err);

/* Does an attribute of n hold a graph (If, Loop, Scan)? */
bool md_pass__has_subgraph(const md_node *n);

/* Drop nodes whose results nobody reads, and those marked dead. */
md_status md_pass__drop_unused(md_graph *g, md_error *err);

/* Set n->impl from the registry; MD_INTERNAL when the operator is unknown. */
md_status md_pass__resolve(const md_graph *g, md_node *n, md_error *err);

#endif
