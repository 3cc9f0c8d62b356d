/*
 * Operators: one file each, found by domain, name and opset version.
 *
 * An operator gives shape and type inference, and a portable execution over
 * row-major tensors that is its definition.  A fast execution (lower.h) is
 * optional.  Functions are pure: no state outlives a call; const md_op rows
 * live for ever.
 */
#ifndef MD_OPS_OP_H
#define MD_OPS_OP_H

#include "base/pool.h"
#include "graph/graph.h"

/* What inference sees.  in[i] is NULL for an absent optional input; cin[i] is
 * the input's contents where they are known (constants, folded shapes). */
typedef struct md_infer {
    const md_node *node;
    md_model *model; /* for fresh symbols */
    int64_t opset;   /* version of the node's domain */
    const md_type *const *in;
    const md_tensor *const *cin;
    md_type *out; /* n_out; preset to unknown */
    /* The types of the outputs of a subgraph of the node, given those of its
     * inputs (without captures); NULL: nothing is known of subgraphs. */
    md_status (*body)(const struct md_infer *c, const md_graph *body,
                      const md_type *in, md_type *out, md_error *err);
    void *ctx; /* the caller's */
    /* The elements of integer inputs as dimensions, where these are known;
     * and, to be set by md_op.data, of the outputs.  NULL without a model. */
    const md_dim *const *din;
    const md_dim **dout;
} md_infer;

/* What a reference execution sees. */
typedef struct md_exec {
    const md_node *node;
    int64_t opset;
    const md_tensor *const *in; /* NULL where absent */
    const md_alloc *alloc;      /* for scratch; freed before returning */
    md_arena *text;             /* new text of string outputs */
    md_pool *pool;              /* may be NULL: one thread */
    int width;                  /* threads of it to use at most; 0: all */
    uint32_t cpu;               /* enum md_cpu_flags that typed loops may use */
    /* Memory for output i (see md_exec_output). */
    md_status (*output)(struct md_exec *x, uint32_t i, md_dtype dtype,
                        const md_shape *shape, md_tensor **out, md_error *err);
    /* Take *t as output i (see md_exec_give). */
    md_status (*give)(struct md_exec *x, uint32_t i, md_tensor *t,
                      md_error *err);
    /*
     * Run a subgraph of the node on these inputs (without captures).  The
     * outputs own their data, text too, by x->alloc, and are the operator's to
     * release; on failure there are none.
     */
    md_status (*body)(struct md_exec *x, const md_graph *body,
                      const md_tensor *const *in, md_tensor *out,
                      md_error *err);
    void *ctx; /* the caller's */
} md_exec;

enum md_op_flags {
    /* Output 0 is input 0's bytes with another shape (Reshape, Identity). */
    MD_OP_VIEW = 1 << 0,
    /* Result depends on a random generator or the outside: never folded. */
    MD_OP_IMPURE = 1 << 1,
    /* Output 0 may be written over input 0 (same size elements, elementwise). */
    MD_OP_INPLACE = 1 << 2,
    /* Input 1 holds weights: of a constant, only run and fast->lower see the
     * elements (not infer, and no pass but to copy them). */
    MD_OP_WEIGHTS = 1 << 3,
    /* The same for input 0, which run moves as bytes, at any address. */
    MD_OP_GATHERS = 1 << 4,
    /* infer is exact on symbols: what it gives holds for all sizes for which
     * the dimensions that it derived have values, and for no other sizes do
     * the shapes fit.  So it is not asked again for each set of sizes. */
    MD_OP_SYMBOLIC = 1 << 5,
};

struct md_fast;
struct md_compose;
struct md_grad;

typedef struct md_op {
    const char *domain; /* "" is ai.onnx */
    const char *name;
    int since; /* first opset version this row implements */
    int until; /* last one; 0: newest */
    int in_min, in_max, out_min, out_max; /* -1: any number */
    unsigned may_lack; /* those of the first in_min inputs that may be absent
                        * all the same, a bit for each */
    unsigned flags;    /* enum md_op_flags */
    /* Instead, where they depend on the node (optional). */
    unsigned (*flags_of)(const md_graph *g, const md_node *n, int64_t opset);
    md_status (*infer)(const md_infer *c, md_error *err);
    md_status (*run)(md_exec *x, md_error *err);
    /* Contents of the outputs, from shapes (ops/common/data.h; optional).
     * After infer, with a model. */
    md_status (*data)(const md_infer *c, md_error *err);
    /* Multiply-accumulates for concrete shapes (optional). */
    int64_t (*macs)(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out);
    const struct md_fast *fast; /* lower.h (optional) */
    /* The steps that it consists of: compose.h (optional). */
    md_status (*compose)(struct md_compose *m, md_error *err);
    /* Its adjoint, or steps that have one, and the outputs (a bit each) that
     * the rule reads though nobody else may: grad.h (optional). */
    void (*grad)(struct md_grad *g);
    void (*unfold)(struct md_grad *g);
    uint32_t grad_needs;
} md_op;

/* The row for a node, or NULL.  `opset` is the imported version of domain. */
const md_op *md_op_find(const char *domain, const char *name, int64_t opset);

/* All rows, NULL-terminated, in the order of ops.def. */
const md_op *const *md_op_list(void);

/* Flags of a node of the graph. */
unsigned md_op_flags(const md_op *op, const md_graph *g, const md_node *n);

/* Each attribute of the node has the standard's type (attrs.def); MD_INVALID
 * names it, its type and the one expected.  Unknown names pass. */
md_status md_op_check_attrs(const md_node *n, int64_t opset, md_error *err);

/* The element types (bit 1 << md_dtype) that the standard lets input i of its
 * operator have in this opset version (types.def); 0 where it has no such
 * operator, version or input. */
uint32_t md_op_types(const char *op, int64_t opset, uint32_t i);

/* Input i of the node may have this type; MD_INVALID names those it may have.
 * MD_DTYPE_NONE, not known, passes. */
md_status md_op_check_type(const md_node *n, int64_t opset, uint32_t i,
                           md_dtype type, md_error *err);

/* The first input that the operator needs and the node, which has at least
 * in_min, lacks; -1: none. */
int md_op_missing(const md_op *op, const md_node *n);

/* The node has as many inputs and outputs as the operator takes, all that it
 * needs, and attributes of the right types. */
md_status md_op_check(const md_op *op, const md_node *n, int64_t opset,
                      md_error *err);

/* md_op_check and the types of the inputs, then op->infer or op->run. */
md_status md_op_infer(const md_op *op, const md_infer *c, md_error *err);
md_status md_op_run(const md_op *op, md_exec *x, md_error *err);

/*
 * The tensor to write output i into.  Its data holds the elements (NULL for
 * none of them).  Fails with MD_NOMEM, MD_TOO_LARGE, or MD_INTERNAL when the
 * shape contradicts what inference promised.  *out is NULL when the output is
 * absent and nothing need be computed for it.
 */
static inline md_status md_exec_output(md_exec *x, uint32_t i, md_dtype dtype,
                                       const md_shape *shape, md_tensor **out,
                                       md_error *err)
{
    return x->output(x, i, dtype, shape, out, err);
}

/*
 * Make *t, a tensor or container that was allocated with x->alloc, output i:
 * for outputs whose memory exists already, and for all containers.  It is
 * taken over, or released when the output is absent or this fails; *t becomes
 * MD_TENSOR_INIT.  Text of strings must be t's own.
 */
static inline md_status md_exec_give(md_exec *x, uint32_t i, md_tensor *t,
                                     md_error *err)
{
    return x->give(x, i, t, err);
}

/* True when input i is there. */
static inline bool md_exec_has(const md_exec *x, uint32_t i)
{
    return i < x->node->n_in && x->in[i] != NULL;
}

static inline bool md_infer_has(const md_infer *c, uint32_t i)
{
    return i < c->node->n_in && c->in[i] != NULL;
}

#endif
