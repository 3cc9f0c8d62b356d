/*
 * Reverse-mode differentiation: what an operator says about itself.
 *
 * md_op.grad is the operator's adjoint.  It is given the inputs x, the outputs
 * y and the gradients dy that flow into the outputs, and emits the steps that
 * compute the gradients dx of the inputs; they are ordinary nodes, so kernels,
 * planner and threads serve them as they serve the model.  md_op.unfold says
 * instead how the outputs come from the inputs in steps that have adjoints
 * themselves; a recipe (compose.h) counts as that too.  An operator that has
 * none of them is refused where a gradient would flow through it.
 *
 * Rules read like the formulas that they are: a failure is kept (status, why),
 * and what is called after one does nothing and gives MD_PART_NONE.  Parts
 * belong to the md_grad.
 *
 * Gradients flow through floats only: an operator whose outputs are integers
 * or truth values needs no rule.  Rules are written for any sizes: where a
 * shape is not known, steps compute it (and are folded where it is).
 */
#ifndef MD_OPS_GRAD_H
#define MD_OPS_GRAD_H

#include "ops/compose.h"

typedef struct md_grad {
    md_compose m;
    md_part *y, *dy; /* n_out; dy[i] MD_PART_NONE where nothing flows */
    md_part *dx;     /* n_in, set by the rule; MD_PART_NONE: zero */
    bool *wants;     /* n_in */
    md_status status;
    md_error why;
} md_grad;

enum {
    MD_GRAD_PARTS = 160 /* of a rule, beside 16 for each input and output */
};

/* Input i and output i of the node, MD_PART_NONE when absent. */
md_part md_grad_in(const md_grad *g, uint32_t i);
md_part md_grad_out(const md_grad *g, uint32_t i);

/* The gradient that flows into output i, MD_PART_NONE for none. */
md_part md_grad_of(const md_grad *g, uint32_t i);

/* Is input i one that the gradient is asked of? */
bool md_grad_wants(const md_grad *g, uint32_t i);

/* The gradient of input i is p (MD_PART_NONE: zero), or what is left of p when
 * it is summed over the axes along which input i was broadcast. */
void md_grad_give(md_grad *g, uint32_t i, md_part p);
void md_grad_give_sum(md_grad *g, uint32_t i, md_part p);

/* Of an unfolding: output i is p. */
void md_grad_result(md_grad *g, uint32_t i, md_part p);

/* Fail with MD_UNSUPPORTED: the node cannot be differentiated. */
void md_grad_refuse(md_grad *g, const char *fmt, ...) MD_PRINTF(2, 3);

/* What is known of a part; of MD_PART_NONE nothing is. */
const md_type *md_grad_type(const md_grad *g, md_part p);

/* The rank, refused where it is not known (then 0). */
int md_grad_rank(md_grad *g, md_part p);

/* p, of which is known from now on what is known of the shape of `like`. */
md_part md_grad_like(md_grad *g, md_part p, md_part like);

/* The first result of a step, the others come behind it. */
md_part md_grad_step(md_grad *g, const md_compose_step *s);
#define MD_GRAD_STEP(g, ...) md_grad_step(g, &(md_compose_step){ __VA_ARGS__ })

/* Steps without attributes. */
md_part md_grad_1(md_grad *g, const char *op, md_part x);
md_part md_grad_2(md_grad *g, const char *op, md_part a, md_part b);
md_part md_grad_add(md_grad *g, md_part a, md_part b);
md_part md_grad_sub(md_grad *g, md_part a, md_part b);
md_part md_grad_mul(md_grad *g, md_part a, md_part b);
md_part md_grad_div(md_grad *g, md_part a, md_part b);

/* cond ? a : b, elementwise. */
md_part md_grad_where(md_grad *g, md_part cond, md_part a, md_part b);

/* A number of the element type of `like`; x times a number. */
md_part md_grad_num(md_grad *g, md_part like, double v);
md_part md_grad_scale(md_grad *g, md_part x, double v);

/* A vector of int64. */
md_part md_grad_ints(md_grad *g, const int64_t *v, int n);

/* The shape of p, int64; the elements [from, to) of it. */
md_part md_grad_shape(md_grad *g, md_part p);
md_part md_grad_dims(md_grad *g, md_part p, int from, int to);

/* Two vectors of int64: one behind the other; their sum. */
md_part md_grad_join(md_grad *g, md_part a, md_part b);
md_part md_grad_sum_ints(md_grad *g, md_part a, md_part b);

/* Number of elements of x for each one of y, as a float like x. */
md_part md_grad_ratio(md_grad *g, md_part x, md_part y);

/* p with the shape of `like`: reordered, spread, summed over what was spread;
 * zeros and a number of that shape and element type. */
md_part md_grad_reshape(md_grad *g, md_part p, md_part like);
md_part md_grad_expand(md_grad *g, md_part p, md_part like);
md_part md_grad_sum_to(md_grad *g, md_part p, md_part like);
md_part md_grad_fill(md_grad *g, md_part like, double v);

/* A reduction over these axes (n_axes 0: none, p itself). */
md_part md_grad_reduce(md_grad *g, const char *op, md_part p,
                       const int64_t *axes, int n_axes, bool keep);

md_part md_grad_transpose(md_grad *g, md_part p, const int64_t *perm, int rank);
md_part md_grad_unsqueeze(md_grad *g, md_part p, const int64_t *axes, int n);
md_part md_grad_squeeze(md_grad *g, md_part p, const int64_t *axes, int n);
md_part md_grad_cast(md_grad *g, md_part p, md_dtype dtype);

/* What p has more of than `to` along the axes [from, rank) is cut off behind. */
md_part md_grad_crop(md_grad *g, md_part p, md_part to, int from);

/* dy0 * slope for input 0: the adjoint of an elementwise function. */
void md_grad_chain(md_grad *g, md_part slope);

/* dx0 = dy0 with the shape of x0: of what only reorders. */
void md_grad_reshaped(md_grad *g);

/* No gradient at all: of what is constant but for jumps. */
void md_grad_zero(md_grad *g);

/* Of a reduction that takes one of its elements: what is equal to it shares. */
void md_grad_reduced_extreme(md_grad *g);

/* Of an operator that only picks elements of input 0: it is run on their
 * numbers instead, and dy0 is added up where they came from. */
void md_grad_moved(md_grad *g);

/* Zeros of x's shape and type to which dy is added at the places `at`, the
 * numbers of elements. */
md_part md_grad_collect(md_grad *g, md_part dy, md_part at, md_part x);

/* Places in an axis of this size, negative ones counted from its end. */
md_part md_grad_wrapped(md_grad *g, md_part at, md_part size);

/* Refused where input 1 is spread as before opset 7; false then. */
bool md_grad_plain(md_grad *g);

/* Max and Min: those that are equal to y share dy. */
void md_grad_extreme(md_grad *g);

/* Of a reduction: dy with the axes that were reduced, of size 1; *y (unless
 * NULL) is y likewise.  p reduced by `op` over the same axes, shaped as *y. */
md_part md_grad_reduced(md_grad *g, md_part *y);
md_part md_grad_again(md_grad *g, const char *op, md_part p, md_part y);

/*
 * n = (x - mean) / sqrt(variance + epsilon) over some axes of x: what comes
 * out, and the gradient of x given that of n.
 */
typedef struct md_grad_norm {
    const int64_t *axes;
    int n_axes;
    double epsilon;
    bool centered; /* else mean is 0: by the root of the mean square */
    md_part scale; /* 1 / sqrt(variance + epsilon) */
    md_part n;
} md_grad_norm;
void md_grad_norm_begin(md_grad *g, md_grad_norm *r, md_part x);
md_part md_grad_norm_end(md_grad *g, const md_grad_norm *r, md_part dn);

/* ---- for who walks the graph ---- */

/* Make the arrays for node m.node, m having begun: all absent, none wanted. */
md_status md_grad_begin(md_grad *g, md_error *err);

/* The node's rule, or its unfolding into the results m.out. */
md_status md_grad_apply(md_grad *g, const md_op *op, md_error *err);
md_status md_grad_unfold(md_grad *g, const md_op *op, md_error *err);

/* May a gradient flow through the operator? */
bool md_grad_known(const md_op *op);

#endif
