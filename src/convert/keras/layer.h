/*
 * Keras layers to ONNX operators: what each layer's file sees and gives.
 *
 * A value remembers Keras' own shape (channels last) and how the ONNX value
 * lies.  Images stay channels first between the first convolution and the
 * last one: the weights are turned around, not the activations.
 */
#ifndef MD_CONVERT_KERAS_LAYER_H
#define MD_CONVERT_KERAS_LAYER_H

#include "convert/keras/net.h"
#include "graph/graph.h"

typedef struct md_keras_value {
    md_value_id id;
    md_dtype dtype;
    int rank;
    int64_t dim[MD_RANK_MAX]; /* as Keras counts them; -1: free */
    bool cf;                  /* [n, c, spatial...] in ONNX */
    /* A flattened image whose elements still lie channels first: [n, c * hw]
     * where Keras has [n, hw * c].  0: it lies as Keras has it. */
    int64_t flat_c, flat_hw;
    /* Which steps count, as Keras carries it along (mask.c): booleans [batch,
     * time] are value mask - 1; 0: all do. */
    md_value_id mask;
} md_keras_value;

/* The model under construction. */
typedef struct md_keras_build {
    md_model *model;
    md_graph *g;
    md_arena *arena; /* until the end of the conversion */
    int major;       /* Keras version */
    int64_t opset;   /* what the operators so far need */
    md_keras_layer *layer;
    const md_keras_call *call;
    const char **stems; /* wanted name by value id */
    uint32_t cap_stems;
    bool plain;  /* the import form: channels last between layers,
                          * weights as the file has them, recurrent cells step
                          * by step */
    bool inside; /* g is a body of the layer's (body.c) */
    struct md_keras_turn *turns; /* transposes made so far */
    uint32_t n_turns, cap_turns;
    uint32_t n_transposes;
    uint32_t n_layers;
    uint64_t n_parameters;
} md_keras_build;

/* Operators for one call; `out` has room for the layer's n_out values. */
typedef md_status md_keras_emit_fn(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err);

/* One row of layers.def. */
struct md_keras_row {
    const char *cls;
    md_keras_emit_fn *emit;
    uint32_t in_min, in_max;
};

#define LAYER(cls, fn, in_min, in_max) md_keras_emit_fn md_keras_emit_##fn;
#include "convert/keras/layers.def"
#undef LAYER

/* One row of operations.def: a function of keras.ops. */
struct md_keras_operation {
    md_keras_row row;
    const char *op; /* ONNX's operator, or the activation's name */
    uint32_t n;     /* operands: tensors or constants */
    const char *settings;
};

#define OPERATION(cls, fn, onnx, n, keys)                                      \
    md_keras_emit_fn md_keras_emit_op_##fn;
#include "convert/keras/operations.def"
#undef OPERATION

/* The row of a class of layers or operations, or NULL. */
const md_keras_operation *md_keras_operation_find(const char *cls);
const md_keras_row *md_keras_row_find(const char *cls);

/* True when md_keras_activate knows the name. */
bool md_keras_knows_activation(const char *name);

/* Failure that names the layer. */
md_status md_keras_fail(const md_keras_build *b, md_error *err, md_status s,
                        const char *fmt, ...) MD_PRINTF(4, 5);

/* MD_UNSUPPORTED that names the layer, a setting and its value. */
md_status md_keras_refuse(const md_keras_build *b, md_error *err,
                          const char *key);

/* So that who reads only the call knows that it fails, as md_fail. */
#define md_keras_fail(b, err, s, ...)                                          \
    ((md_keras_fail)((b), (err), (s), __VA_ARGS__), (s))
#define md_keras_refuse(b, err, key)                                           \
    ((md_keras_refuse)((b), (err), (key)), MD_UNSUPPORTED)

/* Append `op` with one output; *node (may be NULL) takes its attributes. */
md_status md_keras_op(md_value_id *out, md_keras_build *b, const char *op,
                      const md_value_id *in, uint32_t n_in, md_node **node,
                      md_error *err);

/* What the value will be called: `name` after the layer's path, or the path
 * itself for NULL. */
md_status md_keras_stem(md_keras_build *b, md_value_id id, const char *name,
                        md_error *err);

/* Constants.  A tensor is taken over, also on failure. */
md_status md_keras_const(md_value_id *out, md_keras_build *b, const char *stem,
                         md_tensor t, md_error *err);
md_status md_keras_const_ints(md_value_id *out, md_keras_build *b,
                              const char *stem, const int64_t *v, uint32_t n,
                              md_error *err);
/* Shape [dims of shape]; shape NULL: scalar. */
md_status md_keras_const_floats(md_value_id *out, md_keras_build *b,
                                const char *stem, const float *v,
                                const md_shape *shape, md_error *err);

/* Weight i of the layer, checked against dims (-1: any); the result is what
 * the file holds. */
md_status md_keras_weight(const md_tensor **out, const md_keras_build *b,
                          uint32_t i, int rank, const int64_t *dim,
                          md_error *err);

/* The layer has exactly n weights. */
md_status md_keras_expect_weights(const md_keras_build *b, uint32_t n,
                                  md_error *err);

/* Weight i as float32 constant with its axes in the order perm (NULL: as they
 * are) and then the shape `as` (NULL: what results).  Calls of a shared layer
 * that want the same get the same one. */
md_status md_keras_weight_const(md_value_id *out, md_keras_build *b, uint32_t i,
                                const char *stem, const int *perm,
                                const md_shape *as, md_error *err);

/* A weight as float32 that the caller releases, axes in the order perm. */
md_status md_keras_weight_copy(md_tensor *out, const md_keras_build *b,
                               const md_tensor *w, const int *perm,
                               md_error *err);

/* Weight i was made into *out before, for another call of the layer. */
bool md_keras_made(md_value_id *out, const md_keras_build *b, uint32_t i);

/* A constant of n elements made of weight i; it is taken over, also on failure,
 * and kept for other calls of the layer. */
md_status md_keras_make(md_value_id *out, md_keras_build *b, uint32_t i,
                        const char *stem, md_tensor t, md_error *err);

/* Nodes of one input with a constant list of axes or sizes behind it. */
md_status md_keras_reshape(md_value_id *out, md_keras_build *b, md_value_id x,
                           const int64_t *dim, uint32_t n, md_error *err);
md_status md_keras_squeeze(md_value_id *out, md_keras_build *b, const char *op,
                           md_value_id x, int64_t axis, md_error *err);
md_status md_keras_transpose(md_value_id *out, md_keras_build *b, md_value_id x,
                             const int64_t *perm, uint32_t n, md_error *err);

/* What the Transpose with that order was of which made x; MD_VALUE_NONE when
 * none did. */
md_value_id md_keras_turned(const md_keras_build *b, md_value_id x,
                            const int64_t *perm, uint32_t n);

/* The value channels first (rank >= 3), or as Keras has it. */
md_status md_keras_first(md_keras_value *out, md_keras_build *b,
                         const md_keras_value *v, md_error *err);
md_status md_keras_last(md_keras_value *out, md_keras_build *b,
                        const md_keras_value *v, md_error *err);

/* All values in one layout: channels first when any is and ranks allow. */
md_status md_keras_unify(md_keras_value *v, md_keras_build *b, uint32_t n,
                         md_error *err);

/* Where Keras' axis lies in the ONNX value. */
int md_keras_axis(const md_keras_value *v, int axis);

/* `axis` of the setting to [0, rank), batch excluded. */
md_status md_keras_norm_axis(int *out, const md_keras_build *b,
                             const md_keras_value *v, int64_t axis,
                             md_error *err);

/* x*scale + offset with constants of n elements that lie along `axis`, or
 * with scalars (axis -1).  NULL: none. */
md_status md_keras_scale(md_keras_value *out, md_keras_build *b,
                         const md_keras_value *v, int axis, int64_t n,
                         const float *scale, const float *offset,
                         md_error *err);

/* Apply an activation by name. */
md_status md_keras_activate(md_keras_value *out, md_keras_build *b,
                            const md_keras_value *v, const char *name,
                            md_error *err);

/* x / sqrt(max(sum(x^2), epsilon)) along an axis of the ONNX value. */
md_status md_keras_unit(md_value_id *out, md_keras_build *b, md_value_id x,
                        int64_t axis, md_error *err);

/* Call a layer, or model, that is not in a net but within a wrapper. */
md_status md_keras_call_layer(md_keras_build *b, md_keras_layer *l,
                              md_keras_value *in, uint32_t n_in,
                              md_keras_value *out, md_error *err);

/* Steps as samples: [batch, time, ...] becomes [batch * time, ...]; and back,
 * where x begins with [batch, time].  Other sizes are fixed. */
md_status md_keras_fold_time(md_keras_value *x, md_keras_build *b,
                             md_error *err);
md_status md_keras_unfold_time(md_keras_value *y, md_keras_build *b,
                               const md_keras_value *x, md_error *err);

/* How a recurrent layer goes over its steps. */
typedef struct md_keras_direction {
    bool backwards; /* from the last to the first */
    bool in_order;  /* results lie as the steps do nevertheless */
} md_keras_direction;

/* The layer b->layer, an LSTM, GRU or SimpleRNN, step by step: its result and
 * then all its states, whether wanted or not: at most 3 values. */
md_status md_keras_plain_rnn(md_keras_value *out, md_keras_build *b,
                             const md_keras_value *in, uint32_t n_in,
                             const md_keras_direction *d, md_error *err);

/* A convolution of n channels by the layer's settings: the kernel is weight 0,
 * the bias (where the layer has one) weight `bias`, its last. */
md_status md_keras_convolve(md_keras_value *out, md_keras_build *b,
                            const md_keras_value *x, int64_t n, int64_t groups,
                            uint32_t bias, md_error *err);

/* Both directions of a Bidirectional around ConvLSTMs, whose steps come in the
 * input's order. */
md_status md_keras_conv_lstm_both(md_keras_value out[2], md_keras_build *b,
                                  const md_keras_value *in, uint32_t n_in,
                                  md_error *err);

/* --- bodies -------------------------------------------------------------- */

/* What waits while the graph of a node's body is built. */
typedef struct md_keras_body {
    md_graph *g;
    const char **stems;
    uint32_t cap_stems;
    struct md_keras_turn *turns;
    uint32_t n_turns, cap_turns;
} md_keras_body;

/* From here on b builds the body of a node of the layer, which sees nothing of
 * the graph around it. */
md_status md_keras_body_begin(md_keras_body *body, md_keras_build *b,
                              md_error *err);

/* A new input of the body, with v's type, of a batch of its own; v may lie
 * channels first. */
md_status md_keras_body_input(md_value_id *out, md_keras_build *b,
                              const md_keras_value *v, const char *stem,
                              md_error *err);

/* Go back to the graph around the body, also after a failure s, which is
 * returned; else *out is the body. */
md_status md_keras_body_end(md_graph **out, const md_keras_body *body,
                            md_keras_build *b, md_status s, md_error *err);

/* Weight i as a constant of the body. */
md_status md_keras_weight_inside(md_value_id *out, md_keras_build *b,
                                 uint32_t i, const char *stem, const int *perm,
                                 md_error *err);

/* Name what the outputs of b->g need, and drop the rest. */
md_status md_keras_finish_graph(md_keras_build *b, md_error *err);

/* --- masks --------------------------------------------------------------- */

/* The mask behind a layer: what its inputs have, where the layer carries it on
 * and has not set its own. */
md_status md_keras_mask_settle(md_keras_value *out, md_keras_build *b,
                               const md_keras_value *in, uint32_t n_in,
                               md_error *err);

/* out->mask: where x is not the scalar `padding`. */
md_status md_keras_mask_unlike(md_keras_value *out, md_keras_build *b,
                               md_value_id x, md_value_id padding,
                               md_error *err);

/* The mask of v, which has one, as numbers. */
md_status md_keras_mask_number(md_value_id *out, md_keras_build *b,
                               const md_keras_value *v, md_dtype dtype,
                               md_error *err);

/* A sequence whose steps that count lie in front. */
typedef struct md_keras_packed {
    md_value_id x;            /* [batch, time, n] */
    md_value_id length;       /* int32 [batch]: how many count */
    md_value_id mask, number; /* of the original: booleans, int64 */
    md_value_id count;        /* int64 [batch, 1]: length */
} md_keras_packed;

/* Pack v [batch, time, n], which has a mask. */
md_status md_keras_mask_pack(md_keras_packed *p, md_keras_build *b,
                             const md_keras_value *v, md_error *err);

/*
 * *y [batch, time, n], made of the packed one, for the original steps.  Steps
 * that do not count have what the one before has (backwards: the next one), or
 * zero where there is none, or always (zero).
 */
md_status md_keras_mask_unpack(md_value_id *y, md_keras_build *b,
                               const md_keras_packed *p, bool backwards,
                               bool zero, md_error *err);

/* Product of dims [from, to), -1 when one is free. */
int64_t md_keras_span(const md_keras_value *v, int from, int to);

#endif
