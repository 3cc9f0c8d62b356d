/*
 * Which places on which axes of a graph belong together: when one is cut out,
 * so are the others.
 *
 * A place is (value, axis, index), for each axis whose size is known.  Rules of
 * the operators (axes_rules.c) tie places: those of a convolution's output to
 * its weights', its bias's and those of what is added to it; a column behind
 * Flatten to the channel that it came from; a head's columns of a projection to
 * the head's place on the axis that a Reshape makes of them.  So a class of tied
 * places, over residual sums, Concat, Split, depthwise and grouped convolutions
 * and attention, is what can be cut out as a whole (G. Fang et al., "DepGraph:
 * Towards Any Structural Pruning", 2023, who tie layers; places need no special
 * cases for offsets and expansions).
 *
 * Places that an operator mixes otherwise than by weights (what is normalized or
 * summed over an axis, inputs and outputs of the graph, operators without a
 * rule) are fixed, and so is their class.  What remains after a cut computes
 * what the whole graph computes with zeros for the weights that read what was
 * cut.
 */
#ifndef MD_OPTIMIZE_AXES_H
#define MD_OPTIMIZE_AXES_H

#include "graph/graph.h"

#define MD_AXES_NONE UINT32_MAX

/* What is known of a value. */
typedef struct md_axes_fact {
    md_type type;
    const md_tensor *known; /* contents that do not depend on inputs; or NULL */
    const md_dim *data;     /* of integers, as far as sizes tell; or NULL */
} md_axes_fact;

typedef struct md_axes {
    const md_graph *g;
    const md_axes_fact *fact; /* by value */
    uint32_t *first;  /* place 0 of (value * MD_RANK_MAX + axis); NONE */
    uint32_t *parent; /* by place */
    bool *fixed;      /* by class */
    uint32_t n;       /* places */
} md_axes;

/* An input or output that a constant's weights are summed over with: node's
 * input 0 along `axis`, the weights (input 1) along `w_axis`. */
typedef struct md_axes_product {
    int axis, w_axis; /* what is summed over */
    int out, w_out;   /* what is made; out is an axis of output 0 */
    int64_t groups;   /* of a convolution */
} md_axes_product;

/* The places of g, tied; facts (one for each value) and the arena outlive it.
 * MD_TOO_LARGE for 2^32 places. */
md_status md_axes_make(md_axes *out, const md_graph *g,
                       const md_axes_fact *facts, md_arena *ar, md_error *err);

/* Place 0 of an axis, the others behind it; NONE when its size is open. */
static inline uint32_t md_axes_first(const md_axes *a, md_value_id id, int axis)
{
    return a->first[(size_t)id * MD_RANK_MAX + (size_t)axis];
}

/* The class of a place, named by one of its places. */
uint32_t md_axes_class(const md_axes *a, uint32_t place);

/* Is n a product with constant float weights of ai.onnx (Conv, ConvTranspose,
 * Gemm, MatMul)?  *p says along which axes. */
bool md_axes_is_product(md_axes_product *p, const md_axes *a, const md_node *n);

/* Is the operator of ai.onnx called `op`? */
bool md_axes_is(const md_node *n, const char *op);

/*
 * Elements of the shape that Reshape n asks for, numbers or -1 or 0 as it means
 * them, though sizes may be in the way: false when they cannot be told.
 */
bool md_axes_reshape(int64_t out[MD_RANK_MAX], const md_axes *a,
                     const md_node *n);

/* Integers that are known, at most `max`; -1 when they are not. */
int md_axes_ints(int64_t *out, int max, const md_axes *a, const md_node *n,
                 uint32_t input);

/* Inside the module: axes_rules.c */
void md_axes__tie(md_axes *a, uint32_t p, uint32_t q);
void md_axes__fix(md_axes *a, uint32_t p);
void md_axes__apply(md_axes *a, const md_node *n);

#endif
