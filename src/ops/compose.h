/*
 * Operators that are a few others in a row.
 *
 * A recipe emits its steps one after the other.  The same recipe tells the
 * types of the results, computes them, and puts the steps in the node's place
 * (engine/pass_expand.c), where kernels and fusions wait for them.  What goes
 * from step to step has an element type like any value and is rounded to it.
 *
 * A recipe sees types only as far as they are known.  md_compose_rank leaves
 * it early where it cannot go on: then only the result's element type is
 * known, and the pass leaves the node as it is.
 */
#ifndef MD_OPS_COMPOSE_H
#define MD_OPS_COMPOSE_H

#include "ops/op.h"

enum {
    MD_COMPOSE_PARTS = 64,  /* values of a recipe beside the node's inputs */
    MD_COMPOSE_INPUTS = 11, /* of a step */
    MD_COMPOSE_ATTRS = 10,
    MD_COMPOSE_OUTPUTS = 4, /* of a step and of the node */
    MD_COMPOSE_OPSET = 24,  /* of steps in ai.onnx that name none */
};

/* A value of a recipe: its index, or MD_PART_NONE for an absent one. */
typedef int md_part;
enum {
    MD_PART_NONE = -1
};

typedef struct md_compose_value {
    md_type type;
    const md_tensor *data; /* contents where they are known */
    md_value_id id;        /* of whoever puts the steps into a graph */
} md_compose_value;

typedef struct md_compose {
    const md_node *node;
    int64_t opset;
    md_model *model; /* for fresh symbols; NULL in an execution */
    md_arena *arena; /* of what lives as long as the recipe runs */
    bool open;       /* left early: a rank is not known */
    bool final;      /* what is not checked now never will be */
    int n_parts, cap_parts;
    md_compose_value *part;          /* cap_parts, in the arena */
    md_part *in;                     /* the node's inputs */
    md_part out[MD_COMPOSE_OUTPUTS]; /* what becomes the node's outputs */
    /* The one behind it: takes a step whose inputs are parts and whose results
     * are parts from `first` on, typed; and a constant. */
    md_status (*apply)(struct md_compose *m, md_node *step, const md_op *op,
                       md_part first, md_error *err);
    md_status (*constant)(struct md_compose *m, md_part p, md_error *err);
    void *ctx;
} md_compose;

typedef md_status md_recipe(md_compose *m, md_error *err);

/* Attributes of a step; `keep` names those of the node that it has too. */
#define MD_GIVE_I(name_, v_)                                                   \
    {                                                                          \
        .name = name_, .type = MD_ATTR_INT, .v.i = v_                          \
    }
#define MD_GIVE_F(name_, v_)                                                   \
    {                                                                          \
        .name = name_, .type = MD_ATTR_FLOAT, .v.f = v_                        \
    }
#define MD_GIVE_S(name_, v_)                                                   \
    {                                                                          \
        .name = name_, .type = MD_ATTR_STRING, .v.s = { v_, sizeof(v_) - 1 }   \
    }
#define MD_GIVE_IS(name_, v_, n_)                                              \
    {                                                                          \
        .name = name_, .type = MD_ATTR_INTS, .n = n_, .v.is = v_               \
    }

typedef struct md_compose_step {
    const char *op;
    const char *domain; /* NULL: ai.onnx */
    int64_t opset;      /* 0: MD_COMPOSE_OPSET, or 1 in another domain */
    md_part in[MD_COMPOSE_INPUTS];
    uint32_t n_in;  /* absent ones at the end do not count */
    uint32_t n_out; /* 0: 1 */
    md_attr attr[MD_COMPOSE_ATTRS];
    uint32_t n_attr;
    const char *const *keep; /* ends with NULL; may be NULL */
} md_compose_step;

/* Emit a step; out[k] is its result k. */
md_status md_compose_emit(md_compose *m, const md_compose_step *s, md_part *out,
                          md_error *err);

/* A step of one or two inputs and no attributes. */
md_status md_compose_unary(md_compose *m, const char *op, md_part x,
                           md_part *out, md_error *err);
md_status md_compose_binary(md_compose *m, const char *op, md_part a, md_part b,
                            md_part *out, md_error *err);

/* Transpose; perm has as many entries as the part's rank. */
md_status md_compose_transpose(md_compose *m, md_part x, const int64_t *perm,
                               md_part *out, md_error *err);

/* A part as another element type, or itself; MD_UNSUPPORTED, to be forwarded,
 * when dtype is not known. */
md_status md_compose_cast(md_compose *m, md_part x, md_dtype dtype,
                          md_part *out, md_error *err);

/* A part reshaped to these dimensions (-1: what is left), or to the shape of
 * part `like`. */
md_status md_compose_reshape(md_compose *m, md_part x, const int64_t *dims,
                             int n, md_part *out, md_error *err);
md_status md_compose_reshape_like(md_compose *m, md_part x, md_part like,
                                  md_part *out, md_error *err);

/* A part with channels last has them second, and the other way round. */
md_status md_compose_to_nchw(md_compose *m, md_part x, md_part *out,
                             md_error *err);
md_status md_compose_to_nhwc(md_compose *m, md_part x, md_part *out,
                             md_error *err);

/* A constant vector of int64; a constant scalar of element type `dtype`. */
md_status md_compose_ints(md_compose *m, const int64_t *v, int n, md_part *out,
                          md_error *err);
md_status md_compose_scalar(md_compose *m, md_dtype dtype, double v,
                            md_part *out, md_error *err);

/* An activation by the name that onnxruntime fuses it under ("": none), with
 * parameters a and b. */
md_status md_compose_activation(md_compose *m, const char *name, float a,
                                float b, md_part x, md_part *out,
                                md_error *err);

/* Input i of the node, MD_PART_NONE when absent. */
md_part md_compose_in(const md_compose *m, uint32_t i);

/* The node's output i is wanted. */
bool md_compose_wants(const md_compose *m, uint32_t i);

/* Output i of the node is p; p is a step's result. */
void md_compose_give(md_compose *m, uint32_t i, md_part p);

/* The rank of part p; MD_UNSUPPORTED, to be forwarded, when it is unknown. */
md_status md_compose_rank(md_compose *m, md_part p, int *rank, md_error *err);

/* Input i has an element type of the set, and a rank from lo to hi if known. */
md_status md_compose_check(const md_compose *m, uint32_t i, uint32_t types,
                           int lo, int hi, md_error *err);

/* Input `row` is a vector along the last axis of input i; MD_UNSUPPORTED where
 * the pass cannot tell, so that the node looks at it in each run. */
md_status md_compose_row(const md_compose *m, uint32_t i, uint32_t row,
                         md_error *err);

/* Dimensions a and b are equal, as far as is known; `what` has a. */
md_status md_compose_equal(const md_compose *m, md_dim a, md_dim b,
                           const char *what, md_error *err);

/* Dimension `part` is 1 or `whole`; that is noted where it depends on sizes. */
md_status md_compose_spreads(const md_compose *m, md_dim part, md_dim whole,
                             md_error *err);

/* Inputs i and j have one element type, where both are given and known. */
md_status md_compose_same_dtype(const md_compose *m, uint32_t i, uint32_t j,
                                md_error *err);

/* Inputs i and j have one shape; parts a and b have, the second called
 * `what`; input j broadcasts to input i without making it larger. */
md_status md_compose_same(const md_compose *m, uint32_t i, uint32_t j,
                          md_error *err);
md_status md_compose_alike(const md_compose *m, md_part a, md_part b,
                           const char *what, md_error *err);
md_status md_compose_within(const md_compose *m, uint32_t j, uint32_t i,
                            md_error *err);

/* Begin without parts, in m->arena, with room for the node's inputs and n_parts
 * more; and add one that is there before the first step. */
md_status md_compose_begin(md_compose *m, const md_node *n, int64_t opset,
                           size_t n_parts, md_error *err);
md_part md_compose_add(md_compose *m, const md_type *type,
                       const md_tensor *data);

/* The inference and execution of an operator with this recipe. */
md_status md_compose_infer(const md_infer *c, md_recipe *recipe, md_error *err);
md_status md_compose_run(md_exec *x, md_recipe *recipe, md_error *err);

#define MD_COMPOSE_FUNCTIONS                                                   \
    static md_status infer(const md_infer *c, md_error *err)                   \
    {                                                                          \
        return md_compose_infer(c, recipe, err);                               \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_compose_run(x, recipe, err);                                 \
    }

#endif
