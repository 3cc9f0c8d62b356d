/*
 * TensorFlow Lite operators to ONNX: what each operator's code sees and gives.
 *
 * Graphs of TensorFlow come here as well, as graphs of these operators and of
 * others that are theirs alone (convert/tf).
 *
 * A tensor of the file becomes up to four ONNX values: channels last as in the
 * file or channels first (rank 3 and up), and, where it is quantized, the
 * integer codes or the real numbers that they stand for.  They are made when
 * somebody asks for them; so pictures stay channels first between the first
 * convolution and the last one, weights are turned once, here, and a
 * DequantizeLinear appears only where numbers are computed with.
 *
 * Everything that is not the model's lies in the arena, until the conversion
 * ends.
 */
#ifndef MD_CONVERT_TFLITE_BUILD_H
#define MD_CONVERT_TFLITE_BUILD_H

#include "convert/emit.h"
#include "formats/tflite.h"

enum {
    MD_TFL_MORE = 1000 /* codes from here on: rows of md_tfl_build.more */
};

typedef enum md_tfl_layout {
    MD_TFL_LAST,  /* as in the file */
    MD_TFL_FIRST, /* [n, c, spatial...] of [n, spatial..., c] */
} md_tfl_layout;

typedef struct md_tfl_value md_tfl_value;

struct md_tfl_value {
    const md_tflite_tensor *t;
    /* Where a constant comes from: t, or a float16 or sparse tensor that it is
     * unpacked from; else NULL. */
    const md_tflite_tensor *c;
    md_tfl_value *same;           /* the real numbers of that one; else NULL */
    md_value_id real[2], code[2]; /* by layout; code only when quantized */
    /* A flattened picture whose elements lie channels first: real or
     * code[FIRST] is [n, c * hw] where the file has [n, hw * c]; 0: none. */
    int64_t flat_c, flat_hw;
    bool is_refused; /* what gives it is; so is what needs it */
    /* A constant made of it with its axes in another order (md_tfl_weight). */
    md_value_id made;
    uint32_t made_order;
};

/* One graph under construction, and the graph of the file that it is made of.
 */
typedef struct md_tfl_scope {
    md_emit_scope e;
    const md_tflite_graph *tg;
    md_tfl_value *values; /* by tensor */
} md_tfl_scope;

/* An operator that cannot be converted. */
typedef struct md_tfl_refusal {
    const char *op, *why, *where;
    uint32_t n;
} md_tfl_refusal;

/* A convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND, which is a
 * dilated one, see dilate.c. */
typedef struct md_tfl_dilated {
    const md_tflite_op *before, *conv, *behind;
    int64_t block[2], begin[2], end[2]; /* pads on height and width */
} md_tfl_dilated;

/* A variable of the file (VAR_HANDLE), see control.c. */
typedef struct md_tfl_variable md_tfl_variable;

typedef struct md_tfl_build {
    md_emit e; /* its scopes are md_tfl_scopes */
    const md_tflite *m;
    const struct md_tfl_row *more; /* operators of the converter's own */
    bool stays; /* the file's bytes live as long as the model */
    bool plain; /* no layout but the file's between operators: the form that
                 * the self-check compares with */
    const md_tflite_op *op; /* being converted */
    md_tfl_refusal *refusals;
    uint32_t n_refusals, cap_refusals;
    md_tfl_dilated *dilated;
    uint32_t n_dilated, cap_dilated;
    md_tfl_variable *variables;
    uint32_t n_variables, cap_variables;
    uint32_t n_transposes; /* for layout */
    uint32_t n_ops;
    uint32_t depth; /* of subgraphs */
    uint64_t n_parameters;
    const char *note; /* for the report; or NULL */
} md_tfl_build;

typedef void md_tfl_emit_fn(md_tfl_build *b);

/* One row of ops.def. */
typedef struct md_tfl_row {
    int code; /* -1: custom */
    const char *name;
    md_tfl_emit_fn *emit;
    uint32_t in_min, in_max, out_min, out_max;
    const char *onnx; /* what a group's emitter makes: "Abs"; or "" */
} md_tfl_row;

/* The row of an operator of TensorFlow Lite, or NULL. */
const md_tfl_row *md_tfl_row_find(int code, const char *custom);

/* All rows, ended by one without a name. */
const md_tfl_row *md_tfl_rows(void);

#define TFL(code, name, fn, in_min, in_max, out_min, out_max, onnx)            \
    md_tfl_emit_fn md_tfl_emit_##fn;
#define TFL_CUSTOM(name, fn, in_min, in_max, out_min, out_max)                 \
    md_tfl_emit_fn md_tfl_emit_##fn;
#include "convert/tflite/ops.def"
#undef TFL
#undef TFL_CUSTOM

/* The row of the operator being converted. */
const md_tfl_row *md_tfl_row_now(const md_tfl_build *b);

/* The graph at hand. */
md_tfl_scope *md_tfl_now(const md_tfl_build *b);

/* --- tensors of the operator ---------------------------------------------- */

/* Input i; NULL when absent. */
md_tfl_value *md_tfl_in(const md_tfl_build *b, uint32_t i);
/* Output i; NULL when absent. */
md_tfl_value *md_tfl_out(const md_tfl_build *b, uint32_t i);

bool md_tfl_is_quantized(const md_tfl_value *v);
bool md_tfl_is_const(const md_tfl_build *b, const md_tfl_value *v);

/* Is there a value channels first?  Then operators that need not care take
 * that one. */
bool md_tfl_is_first(const md_tfl_value *v);

/* The flattened picture that v is, channels first; NULL when it is none. */
const md_tfl_value *md_tfl_flat(const md_tfl_value *v);

/* Rank, and size of an axis counted as in the file; MD_DIM(-1) when nothing
 * is known of it. */
int md_tfl_rank(const md_tfl_build *b, const md_tfl_value *v);
md_dim md_tfl_dim(const md_tfl_build *b, const md_tfl_value *v, int axis);
/* The same as a number; -1: free. */
int64_t md_tfl_size(const md_tfl_build *b, const md_tfl_value *v, int axis);

/* The real numbers, or the bits as stored, in a layout. */
md_value_id md_tfl_real(md_tfl_build *b, md_tfl_value *v, md_tfl_layout l);
md_value_id md_tfl_code(md_tfl_build *b, md_tfl_value *v, md_tfl_layout l);

/* Input i as real numbers, channels last. */
md_value_id md_tfl_x(md_tfl_build *b, uint32_t i);

/* As a list of int64. */
md_value_id md_tfl_list(md_tfl_build *b, uint32_t i);

/* Its rank; 0 when it is absent. */
int md_tfl_rank_in(const md_tfl_build *b, uint32_t i);

/* Its elements to be moved: codes where output 0 means the same by them. */
md_value_id md_tfl_moved(md_tfl_build *b, uint32_t i, md_tfl_layout l,
                         bool *codes);

/* A value for a result of rank `rank` in layout l that v is broadcast to. */
md_value_id md_tfl_spread(md_tfl_build *b, md_tfl_value *v, md_tfl_layout l,
                          int rank);

/*
 * A constant (or computed) tensor with its axes in the order perm, then of
 * shape `as` (NULL: as it results), dequantized where it is quantized.
 */
md_value_id md_tfl_weight(md_tfl_build *b, md_tfl_value *v, const int *perm,
                          const md_shape *as);

/* The bias of a product: [n] in float; NULL gives MD_VALUE_NONE. */
md_value_id md_tfl_bias(md_tfl_build *b, md_tfl_value *v);

/* Whole contents of input i as numbers: n of them at most `max`.  False, and a
 * failure, when it is no constant; *n is untouched when it is absent. */
bool md_tfl_read_ints(md_tfl_build *b, uint32_t i, int64_t *v, uint32_t max,
                      uint32_t *n);

/* As sizes, where they follow from shapes; a size that does not is symbol 0
 * with k -1.  False, without a failure, when nothing is known. */
bool md_tfl_read_dims(md_tfl_build *b, uint32_t i, md_dim *v, uint32_t max,
                      uint32_t *n);

/* One float of a constant input. */
bool md_tfl_read_float(md_tfl_build *b, uint32_t i, double *v);

/* Input i, a variable that an operator of one step keeps between runs, as an
 * input of the model; and what it becomes, as an output. */
md_value_id md_tfl_state(md_tfl_build *b, uint32_t i);
void md_tfl_keep_state(md_tfl_build *b, uint32_t i, md_value_id id);

/* Output o is these real numbers (quantized where the tensor is). */
void md_tfl_set(md_tfl_build *b, uint32_t o, md_value_id id, md_tfl_layout l);
/* These bits. */
void md_tfl_set_code(md_tfl_build *b, uint32_t o, md_value_id id,
                     md_tfl_layout l);
/* What came of elements that were moved. */
void md_tfl_set_moved(md_tfl_build *b, uint32_t o, md_value_id id,
                      md_tfl_layout l, bool codes);
/* A value and its tensor. */
void md_tfl_put(md_tfl_build *b, md_tfl_value *v, md_value_id id, bool code,
                md_tfl_layout l);

/* Does output 0 have the type, scale and zero point of input i?  Then moving
 * elements is moving codes. */
bool md_tfl_same_codes(const md_tfl_build *b, uint32_t i);

/* Scale and zero point (0 for none) of a tensor with one of each. */
double md_tfl_scale_of(const md_tfl_value *v);
int64_t md_tfl_zero_of(const md_tfl_value *v);

/* The fused activation (ActivationFunctionType) of what becomes output 0. */
md_value_id md_tfl_activate(md_tfl_build *b, md_value_id x, int activation);

/* Where the file's axis lies in layout l of rank `rank`. */
int md_tfl_axis(md_tfl_layout l, int rank, int axis);

/* `axis` in [-rank, rank) to [0, rank); 0 and a failure outside. */
int md_tfl_norm_axis(md_tfl_build *b, int64_t axis, int rank);

/* FIRST when one of the inputs [from, to) that are no constants is, and all
 * can be. */
md_tfl_layout md_tfl_pick(const md_tfl_build *b, uint32_t from, uint32_t to);

/* perm of a Transpose from LAST to l. */
void md_tfl_turn(int perm[MD_RANK_MAX], md_tfl_layout l, int rank);

/* The record that op is part of, or NULL. */
const md_tfl_dilated *md_tfl_dilated_find(const md_tfl_build *b,
                                          const md_tflite_op *op);

/* Is the SPACE_TO_BATCH_ND at hand the beginning of one?  Then it is noted. */
bool md_tfl_dilated_begin(md_tfl_build *b);

/* Output 0 is input 0 under another name. */
void md_tfl_share(md_tfl_build *b);

/* Slice of x: starts, ends and steps of n axes. */
md_value_id md_tfl_slice(md_tfl_build *b, md_value_id x, const int64_t *from,
                         const int64_t *to, const int64_t *step,
                         const int64_t *axes, int n);

/* SOFTMAX of 16-bit codes by the interpreter's table. */
void md_tfl_softmax16(md_tfl_build *b, double beta);

/* --- graphs (graph.c) ------------------------------------------------------ */

/* A new scope for a graph of the file; NULL after a failure. */
md_tfl_scope *md_tfl_scope_new(md_tfl_build *b, md_graph *g, uint32_t graph);

/* The operator at hand, in messages and in names of what is made; NULL: none.
 */
void md_tfl_at(md_tfl_build *b, const md_tflite_op *op);

/* Convert all operators of the scope's graph. */
void md_tfl_emit_ops(md_tfl_build *b);

/* The id in which tensor t of the scope is passed on: codes, channels last. */
md_value_id md_tfl_pass(md_tfl_build *b, uint32_t tensor);

/* Let convolutions take what is multiplied with their channels and added. */
void md_tfl_fold_affine(md_tfl_build *b);

/* What becomes of the model's metadata besides the operators (NULL: left
 * out). */
typedef struct md_tfl_about {
    const char *source, *version, *description;
    const char *signature;
    const md_tflite_port *inputs, *outputs; /* of the signature */
    uint32_t n_inputs, n_outputs;
} md_tfl_about;

/* The whole model: the main graph is graph `graph` of the file, its free sizes
 * are symbols (the first axis is "batch").  The status is b's. */
md_status md_tfl_make_model(md_tfl_build *b, uint32_t graph,
                            const md_tfl_about *about);

/* The metadata "modeld.*" are the caller's; this is what control.c adds of
 * variables to the main graph. */
void md_tfl_finish_variables(md_tfl_build *b);

#endif
