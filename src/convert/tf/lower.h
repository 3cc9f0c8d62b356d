/*
 * TensorFlow's graphs as graphs of TensorFlow Lite's operators.
 *
 * Many operators are the same in both and differ in how their settings are
 * kept; those become TensorFlow Lite's, with options made here, so that one
 * set of code converts both.  Others are TensorFlow's own (codes from
 * MD_TFL_MORE on, ops.def).  On the way
 *
 *   - only what the wanted outputs need is looked at,
 *   - calls of functions become what the functions do, each time,
 *   - variables become the constants that a checkpoint has for them,
 *   - bodies of loops and branches become graphs of their own.
 *
 * Everything made lies in the arena.
 */
#ifndef MD_CONVERT_TF_LOWER_H
#define MD_CONVERT_TF_LOWER_H

#include "convert/tf/tfjs.h"
#include "convert/tflite/build.h"
#include "formats/bundle.h"
#include "formats/tf.h"

typedef enum md_tf_kind {
    MD_TF_REF_NONE,     /* nothing that can be used */
    MD_TF_REF_TENSOR,   /* of the graph being made */
    MD_TF_REF_RESOURCE, /* a variable or a table */
    MD_TF_REF_LIST,     /* a list without contents; tensor: their number */
    MD_TF_REF_FILLED,   /* the list `list` with tensor as the next element */
    MD_TF_REF_REPLACED, /* with tensor as its only one */
} md_tf_kind;

/* What an edge of TensorFlow's graph carries. */
typedef struct md_tf_ref {
    md_tf_kind kind;
    int32_t tensor;
    int32_t list;               /* the tensor that stands for it */
    int32_t at;                 /* the tensor that says where it is filled */
    const md_tf_node *resource; /* that makes it */
    /* Behind a Switch of TensorFlow 1: its condition (a tensor, -1: none), and
     * on which side. */
    int32_t condition;
    bool side;
} md_tf_ref;

/* A graph under construction. */
typedef struct md_tf_made {
    md_tflite_tensor *tensors;
    md_tflite_op *ops;
    uint32_t n_tensors, cap_tensors, n_ops, cap_ops;
    int32_t *variables; /* by node of the main graph: the tensor with what it
                         * holds and 1, or 0 */
} md_tf_made;

/* A table with what is put into it. */
typedef struct md_tf_table {
    md_tf_tensor keys, values;
    bool is_known;
} md_tf_table;

/* The nodes of a function, or of the main graph, in one call. */
typedef struct md_tf_frame {
    const md_tf_nodes *nodes;
    const md_tf_function *function; /* NULL: the main graph */
    const md_tf_ref *args;
    md_tf_ref **values; /* by node; outputs */
    uint32_t *n_values;
    unsigned char *state;
} md_tf_frame;

typedef struct md_tf_lower {
    const md_tf_graph *graph;
    md_bundle *bundle;  /* of variables; NULL: none */
    const md_tfjs *js;  /* what constants are, by name; NULL: as they say */
    const char *folder; /* of assets; NULL */
    const md_tf_asset *assets;
    uint32_t n_assets;
    md_model *model; /* keeps what is mapped */
    md_arena *arena;
    md_error *err;
    md_tflite *m;
    uint32_t cap_graphs;
    md_tf_made *made;     /* being made */
    const char **keys;    /* by node of the main graph: what the checkpoint
                           * calls the variable; or NULL */
    md_tf_table **tables; /* likewise */
    bool *read, *changed; /* likewise: what happens to the variable */
    md_tfl_refusal *refusals;
    uint32_t n_refusals, cap_refusals;
    const md_tf_node *node; /* being lowered */
    uint32_t depth;         /* of calls */
    uint32_t n_nodes;       /* looked at, in all calls */
} md_tf_lower;

/* One row of ops.def. */
typedef struct md_tf_row {
    const char *name;
    int code;            /* of the operator that it becomes */
    const char *options; /* see md_tf_options */
    const char *types;   /* of the outputs, see md_tf_row_types in lower.c */
} md_tf_row;

const md_tf_row *md_tf_row_find(const char *op);

/* The operators from MD_TFL_MORE on, for md_tfl_build.more. */
const md_tfl_row *md_tf_more(void);

/* The number of an operator of TensorFlow's own. */
int md_tf_own_code(const char *name);

/* --- graphs ------------------------------------------------------------- */

/* Begin to make a graph: the one before is what md_tf_end_graph goes back
 * to. */
void md_tf_begin_graph(md_tf_lower *w, md_tf_made *made);

/* The made graph becomes number *index of the file. */
md_status md_tf_end_graph(uint32_t *index, md_tf_lower *w, md_tf_made *before,
                          const char *name, const int32_t *inputs,
                          uint32_t n_inputs, const int32_t *outputs,
                          uint32_t n_outputs);

/* A new tensor; dtype MD_DTYPE_NONE: as it turns out. */
md_status md_tf_add_tensor(int32_t *out, md_tf_lower *w, const char *name,
                           md_dtype dtype);

/* A constant. */
md_status md_tf_add_const(int32_t *out, md_tf_lower *w, const char *name,
                          const md_tf_tensor *t);
md_status md_tf_add_ints(int32_t *out, md_tf_lower *w, const char *name,
                         const int64_t *v, uint32_t n);

/* An operator; in, out and options must stay. */
md_status md_tf_add_op(md_tf_lower *w, const md_tflite_op *op);

/* One with one output, of inputs that are tensors. */
md_status md_tf_add_simple(int32_t *out, md_tf_lower *w, int code,
                           const int32_t *in, uint32_t n_in, md_dtype dtype,
                           md_fb_table options);

/* Is it a constant whose bytes are at hand? */
bool md_tf_is_const(const md_tf_lower *w, const md_tf_ref *ref);

/* --- options -------------------------------------------------------------- */

/* One field of a table of options. */
typedef struct md_tf_field {
    enum {
        MD_TF_FIELD_NONE,
        MD_TF_FIELD_INT, /* bytes, integers, truth */
        MD_TF_FIELD_FLOAT,
        MD_TF_FIELD_INTS,   /* a vector of int32 */
        MD_TF_FIELD_FLOATS, /* a vector */
        MD_TF_FIELD_TEXT,
    } kind;
    int64_t i;
    float f;
    const int64_t *is;
    const float *fs;
    const char *s;
    uint32_t n;
} md_tf_field;

/* A table as TensorFlow Lite's files have it. */
md_status md_tf_make_options(md_fb_table *out, md_tf_lower *w,
                             const md_tf_field *fields, uint32_t n);

/*
 * Options of the node by a text: the fields in their order, separated by
 * commas.  "name" an integer, "name=3" with a default, "%name=0.2" a float,
 * "*name" a list of integers, "*%name" of floats, "=1" a fixed integer, "%=1"
 * a fixed float, "?name=A|B" the place of a text among those, the first one
 * the default; "$name" a text; "" absent.
 */
md_status md_tf_options(md_fb_table *out, md_tf_lower *w,
                        const md_tf_node *node, const char *text);

/* --- nodes ----------------------------------------------------------------- */

md_status md_tf_fail(md_tf_lower *w, md_status s, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* Note that the node being lowered cannot be converted; it has no outputs. */
md_status md_tf_refuse(md_tf_lower *w, const char *why);

/* All that was refused, as one failure; MD_OK when nothing was. */
md_status md_tf_tell_refusals(const md_tf_lower *w);

/* What data input i of a node in a frame is; MD_CORRUPT when there is none. */
md_status md_tf_input(md_tf_ref *out, md_tf_lower *w, const md_tf_frame *f,
                      const md_tf_node *n, uint32_t i);
uint32_t md_tf_n_inputs(const md_tf_node *n); /* without control */

/* Where the text of an input leads: a node of the frame and which output of
 * it; or NULL and an argument. */
md_status md_tf_resolve(const md_tf_node **node, uint32_t *output,
                        md_tf_lower *w, const md_tf_frame *f,
                        const char *input);

md_status md_tf_frame_open(md_tf_frame *out, md_tf_lower *w,
                           const md_tf_function *fn, const md_tf_ref *args);

/* What a tensor of the frame ("node:0", "node:out:0", an argument) is; what it
 * needs is lowered first. */
md_status md_tf_eval(md_tf_ref *out, md_tf_lower *w, md_tf_frame *f,
                     const char *tensor);

/* All results of a function, into the graph being made. */
md_status md_tf_call(md_tf_ref *out, md_tf_lower *w, const char *function,
                     const md_tf_ref *args, uint32_t n_args, uint32_t n_out);

/* One node whose inputs are lowered: *out are n outputs of it. */
md_status md_tf_lower_node(md_tf_ref **out, uint32_t *n, md_tf_lower *w,
                           const md_tf_frame *f, const md_tf_node *node);

/* Nodes that are no operators of their own (special.c): *done is false for
 * others. */
md_status md_tf_lower_special(bool *done, md_tf_ref *out, uint32_t n_out,
                              md_tf_lower *w, const md_tf_frame *f,
                              const md_tf_node *node);

/* How many outputs such a node has. */
md_status md_tf_n_outputs(uint32_t *out, md_tf_lower *w,
                          const md_tf_node *node);

/* Convolutions and pools (window.c), likewise. */
md_status md_tf_lower_window(bool *done, md_tf_ref *out, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node);

/* Products with what Grappler fused to them (fused.c), likewise. */
md_status md_tf_lower_fused(bool *done, md_tf_ref *out, md_tf_lower *w,
                            const md_tf_frame *f, const md_tf_node *node);

/* Operators that were fused to a node: the first `max` of n names. */
enum {
    MD_TF_FUSED_MAX = 4
};

/* Is a bias the first thing fused to the node? */
md_status md_tf_has_fused_bias(bool *out, md_tf_lower *w,
                               const md_tf_node *node);

/* Tensor *t through the functions fused to the node; prelu is the tensor of
 * slopes of one, -1 without. */
md_status md_tf_add_fused(int32_t *t, md_tf_lower *w, const md_tf_node *node,
                          int32_t prelu);

/* Lists of tensors (flow.c). */
md_status md_tf_list_reserve(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node);
md_status md_tf_list_empty(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                           const md_tf_frame *f, const md_tf_node *node);
md_status md_tf_list_set(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                         const md_tf_frame *f, const md_tf_node *node);
md_status md_tf_list_push(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                          const md_tf_frame *f, const md_tf_node *node);

/* Loops and branches (flow.c). */
md_status md_tf_lower_while(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                            const md_tf_frame *f, const md_tf_node *node);
md_status md_tf_lower_if(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                         const md_tf_frame *f, const md_tf_node *node);

/* Let products take the biases that are added to them, in all graphs made. */
md_status md_tf_join_biases(md_tf_lower *w);

/* Variables and tables (state.c).  Find out what restores which variable, and
 * what is put into which table. */
md_status md_tf_find_state(md_tf_lower *w);

/* Note which variables a called function changes. */
md_status md_tf_note_changes(md_tf_lower *w, md_tf_frame *f);

/* Refuse variables that are read and changed: they are no constants. */
md_status md_tf_refuse_changes(md_tf_lower *w);

/* The constant that a variable is. */
md_status md_tf_read_variable(md_tf_ref *out, md_tf_lower *w,
                              const md_tf_node *variable);
const md_tf_table *md_tf_find_table(const md_tf_lower *w,
                                    const md_tf_node *node);

#endif
