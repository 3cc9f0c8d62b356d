/*
 * com.microsoft's MoE and QMoE: each token goes through the k experts that the
 * router likes best, and the results are added with the router's weights.
 *
 * An expert is two layers with an activation between them, or the gate and up
 * projections of a gated one: FC1 [n1, H], FC2 [H, I], FC3 [I, H].
 */
#ifndef MD_OPS_COMMON_EXPERTS_H
#define MD_OPS_COMMON_EXPERTS_H

#include "ops/common/util.h"

enum {
    MD_EXPERT_LAYERS = 3
};

typedef enum md_expert_act {
    MD_EXPERT_RELU,
    MD_EXPERT_RELU2, /* its square */
    MD_EXPERT_GELU,  /* by tanh */
    MD_EXPERT_SILU,
    MD_EXPERT_IDENTITY,
    MD_EXPERT_SWIGLU,
    MD_EXPERT_GEGLU,
} md_expert_act;

typedef struct md_experts {
    md_expert_act act;
    int64_t k;
    int fusion;     /* gate and up of FC1: 0 not, 1 by turns, 2 one behind the
                 * other */
    bool normalize; /* weights of a token sum up to 1 */
    float alpha, beta, limit;
} md_experts;

/* Where the inputs of the node are: layers, and what is beside them. */
typedef struct md_expert_inputs {
    uint32_t weight[MD_EXPERT_LAYERS], bias[MD_EXPERT_LAYERS];
    uint32_t router_weights; /* UINT32_MAX: none */
} md_expert_inputs;

/* Numbers of rows and columns of each layer; 0 rows where there is none. */
typedef struct md_expert_sizes {
    int64_t tokens, experts, hidden;
    int64_t rows[MD_EXPERT_LAYERS], columns[MD_EXPERT_LAYERS];
} md_expert_sizes;

md_status md_experts__attrs(md_experts *out, const md_node *n, md_error *err);

/* Output 0 is as input 0; checks what is known of the sizes.  codes[l] of 8 is
 * the number of columns in a byte of layer l's weight, or 1 for numbers. */
md_status md_experts__infer(const md_infer *c, const md_expert_inputs *in,
                            const int64_t *codes, md_error *err);

/* Row `row` of layer `l` of expert e, `n` numbers. */
typedef void md_expert_row(const void *ctx, int l, int64_t e, int64_t row,
                           float *out, int64_t n);

md_status md_experts__run(md_exec *x, md_tensor *out, const md_experts *o,
                          const md_expert_inputs *in, const int64_t *codes,
                          md_expert_row *row, const void *ctx, md_arena *ar,
                          md_error *err);

#endif
