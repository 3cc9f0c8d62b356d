/*
 * An ONNX graph under construction: nodes, constants, names, subgraphs.
 *
 * Each node's types are inferred as it is made, with the engine's rules, free
 * sizes as symbols; a node whose inputs are constants becomes a constant.
 *
 * The first failure is remembered.  After it every call does nothing and
 * gives MD_VALUE_NONE, so who emits operators need not look at each step.
 *
 * Everything that is not the model's lies in the arena, until the conversion
 * ends.
 */
#ifndef MD_CONVERT_EMIT_H
#define MD_CONVERT_EMIT_H

#include "graph/graph.h"

enum {
    MD_EMIT_SHARED = 256 /* places for small constants to be found again */
};

/* What a value shall be called. */
typedef struct md_emit_stem_of {
    const char *name;
    bool is_own; /* a name of the source, not one made up for a step */
} md_emit_stem_of;

/* One graph under construction. */
typedef struct md_emit_scope md_emit_scope;

struct md_emit_scope {
    md_graph *g;
    md_emit_stem_of *stems; /* by value id */
    uint32_t cap_stems;
    md_value_id *captured; /* read by bodies */
    uint32_t n_captured, cap_captured;
    md_emit_scope *parent;
    md_value_id *shared; /* small constants, by hash of their contents */
};

typedef struct md_emit {
    md_model *model;
    md_arena *arena;
    md_emit_scope *s;
    const char *source; /* for messages: "torch" */
    const char *op;     /* of the source, being converted; or NULL */
    bool plain;       /* the import form: each step by itself, nothing joined */
    const char *stem; /* of names of what is made; or NULL */
    md_status status; /* of the first failure */
    md_error *err;
} md_emit;

/* --- failures ------------------------------------------------------------ */

/* Remember a failure; the text gets the operator's name in front. */
void md_emit_fail(md_emit *b, md_status s, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* Remember what a call gave; true when all is well. */
bool md_emit_ok(md_emit *b, md_status s);

/* Memory of the arena, zeroed; NULL after remembering a failure. */
void *md_emit_alloc(md_emit *b, size_t n, size_t size);

/* --- nodes --------------------------------------------------------------- */

typedef struct md_emit_attr {
    const char *name;
    md_attr_type type;
    int64_t i;
    float f;
    const char *s;
    const int64_t *is;
    uint32_t n;
    md_graph *g;
    const md_tensor *t;
    const float *fs;  /* of the model's arena */
    const md_str *ss; /* of the model's arena; NULL: s alone */
} md_emit_attr;

/* clang-format off */
#define EMIT_I(k, v) { .name = (k), .type = MD_ATTR_INT, .i = (v) }
#define EMIT_F(k, v) { .name = (k), .type = MD_ATTR_FLOAT, .f = (v) }
#define EMIT_S(k, v) { .name = (k), .type = MD_ATTR_STRING, .s = (v) }
#define EMIT_IS(k, v, count) { .name = (k), .type = MD_ATTR_INTS, .is = (v), .n = (uint32_t)(count) }
#define EMIT_G(k, v) { .name = (k), .type = MD_ATTR_GRAPH, .g = (v) }
#define EMIT_T(k, v) { .name = (k), .type = MD_ATTR_TENSOR, .t = (v) }
#define EMIT_FS(k, v, count) { .name = (k), .type = MD_ATTR_FLOATS, .fs = (v), .n = (uint32_t)(count) }
#define EMIT_SS(k, v, count) { .name = (k), .type = MD_ATTR_STRINGS, .ss = (v), .n = (uint32_t)(count) }
/* A list of one text. */
#define EMIT_S1(k, v) { .name = (k), .type = MD_ATTR_STRINGS, .s = (v) }
#define EMIT_END { .name = NULL }
/* clang-format on */
#define EMIT_ATTRS(...) ((const md_emit_attr[]){ __VA_ARGS__, EMIT_END })

/* A node of ai.onnx with one output; attrs ended by EMIT_END, or NULL. */
md_value_id md_emit_op(md_emit *b, const char *op, const md_value_id *in,
                       uint32_t n_in, const md_emit_attr *attrs);
md_value_id md_emit_op1(md_emit *b, const char *op, md_value_id x);
md_value_id md_emit_op2(md_emit *b, const char *op, md_value_id x,
                        md_value_id y);

/* The same of ai.onnx.ml. */
md_value_id md_emit_op_ml(md_emit *b, const char *op, const md_value_id *in,
                          uint32_t n_in, const md_emit_attr *attrs);

/* With several outputs, all wanted. */
void md_emit_op_n(md_emit *b, md_value_id *out, uint32_t n_out, const char *op,
                  const md_value_id *in, uint32_t n_in,
                  const md_emit_attr *attrs);

/* Constants, shared when small.  A tensor is taken over, also on failure. */
md_value_id md_emit_const(md_emit *b, md_tensor t);
md_value_id md_emit_ints(md_emit *b, const int64_t *v, int64_t n);
md_value_id md_emit_int(md_emit *b, int64_t v);  /* scalar int64 */
md_value_id md_emit_float(md_emit *b, double v); /* scalar float32 */
/* A scalar of that type. */
md_value_id md_emit_number(md_emit *b, md_dtype dtype, double v);

md_value_id md_emit_cast(md_emit *b, md_value_id x, md_dtype to);
md_value_id md_emit_reshape(md_emit *b, md_value_id x, const int64_t *dim,
                            int rank);
/* One Transpose for several behind each other and none for none; one that was
 * made just before is found again. */
md_value_id md_emit_transpose(md_emit *b, md_value_id x, const int64_t *perm,
                              int rank);
md_value_id md_emit_squeeze(md_emit *b, md_value_id x, int64_t axis);
md_value_id md_emit_unsqueeze(md_emit *b, md_value_id x, int64_t axis);

/* Type as inferred; a default one after a failure. */
const md_type *md_emit_type(const md_emit *b, md_value_id id);

/* Contents of a constant, or NULL. */
const md_tensor *md_emit_cdata(const md_emit *b, md_value_id id);

/* Wanted name; the first one asked for counts. */
void md_emit_stem(md_emit *b, md_value_id id, const char *name);

/* A value of the main graph or a body as seen from the graph being built. */
md_value_id md_emit_capture(md_emit *b, md_emit_scope *from, md_value_id id);

/* Give the value its wanted name, or the next free one like it. */
void md_emit_name(md_emit *b, md_value_id id, const char *name);

/* --- graphs ----------------------------------------------------------------- */

/* Make s, which is zeroed, a scope for g below the present one; false after a
 * failure. */
bool md_emit_scope_init(md_emit *b, md_emit_scope *s, md_graph *g);

/* A new one; NULL after a failure. */
md_emit_scope *md_emit_scope_new(md_emit *b, md_graph *g);

/* A new input of the graph in scope. */
md_value_id md_emit_input(md_emit *b, const md_type *t, const char *name);

/* Where two types differ nothing is known. */
void md_emit_join(md_emit *b, md_type *t, const md_type *other);

/* Make value id an output of the graph in scope, called `name` when that is
 * not NULL. */
void md_emit_add_output(md_emit *b, md_value_id id, const char *name);

/* Names for all values of the scope, dead nodes dropped. */
void md_emit_finish(md_emit *b);

#endif
