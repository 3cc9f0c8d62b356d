/*
 * Reverse-mode differentiation of a graph: nodes that compute gradients are
 * appended to it, by the operators' own rules (ops/grad.h).
 *
 * Everything lies in the graph's arena; forward values are read where they are.
 */
#ifndef MD_ENGINE_GRADIENT_H
#define MD_ENGINE_GRADIENT_H

#include "graph/graph.h"

typedef struct md_gradient_spec {
    md_value_id y;         /* what is differentiated, a tensor of floats */
    md_value_id dy;        /* weights of its elements, of its type;
                            * MD_VALUE_NONE: ones */
    const md_value_id *xs; /* with respect to these tensors of floats */
    uint32_t n_xs;
    const md_value_id *zs; /* held constant, whatever they come from */
    uint32_t n_zs;
} md_gradient_spec;

/*
 * dx[i] becomes a new value: the gradient of the sum of dy * y with respect to
 * xs[i], of its type; zeros where y does not depend on it.  xs are independent:
 * what they are computed from plays no part.  The graph's operators are known
 * (md_node.impl) and it is in order, before and after.
 *
 * MD_UNSUPPORTED names the node that has no gradient, MD_INVALID what is no
 * tensor of floats.
 */
md_status md_gradient_append(md_value_id *dx, md_graph *g,
                             const md_gradient_spec *spec, md_error *err);

/*
 * In a model without functions (md_model_inline), put such nodes in the place of each Gradient (ai.onnx.preview.training) of
 * the model's main graph.  Its inputs that are not the tensors that it names
 * make it a copy of what y is computed by, on these inputs.
 */
md_status md_gradient_expand(md_model *m, md_error *err);

#endif
