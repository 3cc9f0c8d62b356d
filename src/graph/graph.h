/*
 * The graph: values, nodes, attributes, subgraphs, and the model that owns
 * them.
 *
 * Everything in a model (graphs, nodes, names, attributes, tensors' headers)
 * lies in the model's arena and is freed with the model; constant data either
 * lies there, belongs to a tensor with an owner, or points into a file mapping
 * that the model keeps.  Values are named by ids, indices into graph->values;
 * nodes are arena pointers that never move.
 */
#ifndef MD_GRAPH_GRAPH_H
#define MD_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "graph/names.h"
#include "tensor/container.h"

typedef struct md_model md_model;
typedef struct md_graph md_graph;
typedef struct md_node md_node;

typedef uint32_t md_value_id;
#define MD_VALUE_NONE UINT32_MAX /* an absent optional input or output */

/* A dimension: k, or scale * symbol + k when sym is not 0. */
typedef struct md_dim {
    int64_t k;
    int64_t scale;
    uint32_t sym; /* index into model->symbols; 0: constant */
} md_dim;

#define MD_DIM(n) ((md_dim){ .k = (n) })

/* How a symbol comes from two dimensions, see graph/expr.h. */
typedef enum md_expr_kind {
    MD_EXPR_FREE, /* it does not: a size that is given, or that nobody tells */
    MD_EXPR_ADD,
    MD_EXPR_MUL,
    MD_EXPR_DIV, /* floor(a / b) */
    MD_EXPR_MOD, /* a - b * floor(a / b) */
    MD_EXPR_MIN,
    MD_EXPR_MAX,
    MD_EXPR_BROADCAST, /* the one that is not 1, or both; else no value */
    MD_EXPR_EXACT,     /* a / b where b > 0 divides a; else no value */
    MD_EXPR_AT_LEAST,  /* a where a >= b; else no value */
    MD_EXPR_EQUAL,     /* a where a == b; else no value */
    MD_EXPR_WRAP,      /* a, or a + b where a < 0: a place on an axis of b */
} md_expr_kind;

typedef struct md_expr {
    md_expr_kind kind;
    bool natural; /* never negative */
    md_dim a, b;
    const md_node *by; /* of md_model.asking, the first that derived it */
} md_expr;

/* Of a container (tensor/container.h), dtype, rank and dims are those that all
 * tensors in it have; of a map they are those of one value. */
typedef struct md_type {
    md_kind kind;
    md_kind of;     /* kind of the items of a sequence or an optional */
    md_dtype key;   /* map, or sequence of maps: type of the keys */
    md_dtype dtype; /* MD_DTYPE_NONE: not known yet */
    bool has_rank;  /* false: rank and dims unknown */
    int rank;
    md_dim dim[MD_RANK_MAX];
} md_type;

typedef struct md_value {
    const char *name; /* unique within its graph; "" for unnamed */
    md_type type;
    md_node *def;           /* node that produces it, NULL: input or constant */
    const md_tensor *cdata; /* constant contents, else NULL */
    const md_dim *data; /* of integers: what each element is, as far as known
                         * from shapes; else NULL */
    bool is_input;      /* of its graph */
    bool is_output;     /* of its graph */
} md_value;

typedef enum md_attr_type { /* values are ONNX's AttributeProto.type */
    MD_ATTR_NONE = 0,
    MD_ATTR_FLOAT = 1,
    MD_ATTR_INT = 2,
    MD_ATTR_STRING = 3,
    MD_ATTR_TENSOR = 4,
    MD_ATTR_GRAPH = 5,
    MD_ATTR_FLOATS = 6,
    MD_ATTR_INTS = 7,
    MD_ATTR_STRINGS = 8,
    MD_ATTR_TENSORS = 9,
    MD_ATTR_GRAPHS = 10,
    MD_ATTR_SPARSE_TENSOR = 11,
    MD_ATTR_SPARSE_TENSORS = 12,
    MD_ATTR_TYPE_PROTO = 13,
    MD_ATTR_TYPE_PROTOS = 14,
} md_attr_type;

typedef struct md_attr {
    const char *name;
    md_attr_type type;
    const char *ref; /* inside functions: name of the function's attribute */
    uint32_t n;      /* elements of a list type */
    union {
        float f;
        int64_t i;
        md_str s;
        const md_tensor *t;
        md_graph *g;
        const float *fs;
        const int64_t *is;
        const md_str *ss;
        const md_tensor *const *ts;
        md_graph *const *gs;
        const md_type *type_proto;
    } v;
} md_attr;

struct md_node {
    const char *name; /* may be "" */
    const char *op;
    const char *domain;   /* "" is ai.onnx */
    const char *overload; /* of the model's functions of that name; or "" */
    md_value_id *in;      /* n_in, MD_VALUE_NONE where absent */
    md_value_id *out;
    md_attr *attr;
    uint32_t n_in, n_out, n_attr;
    uint32_t cap_in, cap_attr; /* room in the arrays */
    uint32_t n_captures;       /* of n_in, the last ones: read by subgraphs only
                          * (md_model_close) */
    int64_t opset;    /* version of its operator; 0: what the model imports */
    const void *impl; /* the engine's: what runs it */
    void *fused;      /* the engine's: what was fused into it */
    bool dead;        /* removed; md_graph_compact drops it */
};

struct md_graph {
    md_model *model;
    md_graph *parent; /* of a subgraph (If, Loop, Scan bodies) */
    const char *name;
    md_value *values;
    md_node **nodes; /* topological order once md_graph_sort succeeded */
    md_value_id *inputs;
    md_value_id *outputs;
    uint32_t n_values, n_nodes, n_inputs, n_outputs;
    uint32_t cap_values, cap_nodes, cap_inputs, cap_outputs;
    uint32_t n_captures;     /* of n_inputs, the last ones: values of parents */
    const md_type *declared; /* of a closed subgraph: types of its outputs as
                              * the file has them; NULL before */
    void *impl;              /* the engine's, of a subgraph: what runs it */
    md_names names;          /* of values */
    uint32_t next_unique;    /* the number md_graph_add_unique tries next */
};

typedef struct md_opset {
    const char *domain;
    int64_t version;
} md_opset;

typedef struct md_meta {
    const char *key;
    const char *value;
} md_meta;

/* A model-local function (onnx.proto FunctionProto): body as a graph whose
 * inputs and outputs are the formal parameters. */
typedef struct md_function {
    const char *name, *domain, *overload;
    md_graph *body;
    const char **attr_names; /* formal attributes */
    uint32_t n_attrs;
    md_attr *attr_defaults; /* attributes with a default */
    uint32_t n_attr_defaults;
    md_opset *opsets;
    uint32_t n_opsets;
} md_function;

/* Called when the model is freed. */
typedef void md_model_cleanup_fn(void *ctx);

struct md_model {
    md_arena arena;
    const md_alloc *alloc;
    md_graph *graph;
    md_opset *opsets;
    md_function *functions;
    md_meta *metas;
    const char **symbols;  /* [0] is ""; names of symbolic dims */
    md_expr *exprs;        /* what they are; n_symbols of them */
    uint32_t *expr_slots;  /* index of the derived ones by content */
    const md_node *asking; /* who derives now; NULL: one that may never run */
    uint32_t n_opsets, n_functions, n_metas, n_symbols;
    uint32_t cap_opsets, cap_functions, cap_metas, cap_symbols;
    uint32_t cap_exprs, cap_expr_slots, n_derived;
    md_names meta_names, symbol_names;
    int64_t ir_version;
    int64_t model_version;
    const char *producer_name, *producer_version, *domain, *doc;
    struct {
        md_model_cleanup_fn *fn;
        void *ctx;
    } cleanups[4];
    uint32_t n_cleanups;
    struct md_model_map *maps; /* files that constants point into */
    const char *file;          /* NULL unless it was read from these alone */
};

/*
 * What a model is loaded for.  One that only becomes a session may have large
 * constants of its main graph at any address, where they lie in the file: the
 * session reads them there once, to pack them.  Whoever else looks into
 * constants asks for MD_LOAD_TO_READ.
 */
typedef enum md_load {
    MD_LOAD_TO_READ,
    MD_LOAD_TO_RUN,
} md_load;

/* An empty model with an empty main graph.  `limit` bounds its arena in
 * bytes (0: none). */
md_status md_model_new(md_model **out, const md_alloc *alloc, size_t limit,
                       md_error *err);

/* Free the model and what it keeps (model may be NULL). */
void md_model_free(md_model *model);

/* Call fn(ctx) when the model is freed.  At most four; MD_TOO_LARGE after. */
md_status md_model_on_free(md_model *model, md_model_cleanup_fn *fn, void *ctx,
                           md_error *err);

/* Keep a mapped file as long as the model; constants may point into it.  The
 * map is taken over, and *map cleared, when this succeeds. */
md_status md_model_keep_map(md_model *model, md_map *map, md_error *err);

/* Say that all that the model is was read from `path` and from files that it
 * keeps (md_model_keep_map): whoever reads the same files again gets the same
 * model. */
md_status md_model_set_file(md_model *model, const char *path, md_error *err);

/* The absolute path given then, NULL when nobody said so. */
const char *md_model_file(const md_model *model);

/* A number that becomes another one when a file that the model keeps is changed
 * or replaced, and when the last of them was (0: none is kept). */
uint64_t md_model_stamp(const md_model *model, int64_t *changed_ns);

/* Version imported for a domain; 0 when it is not imported. */
int64_t md_model_opset(const md_model *model, const char *domain);
md_status md_model_set_opset(md_model *model, const char *domain,
                             int64_t version, md_error *err);

/* Version of n's operator: its own, or what the model imports. */
int64_t md_node_opset(const md_model *model, const md_node *n);

/*
 * Expand all calls of the model's functions, in subgraphs too, and leave it
 * without functions; nodes keep the versions that their function imports.
 * FlexAttention with graphs as attributes becomes its parts and those graphs.
 * MD_CORRUPT for calls that do not fit, MD_TOO_LARGE for functions that call
 * themselves or make more than 2^18 nodes; then the model can only be freed.
 */
md_status md_model_inline(md_model *model, md_error *err);

/*
 * Make what subgraphs read by name from graphs above explicit: each such value
 * becomes an input of the subgraph, behind its own, and of the node that has
 * it, behind its arguments; first those of its first subgraph, then those of
 * the next (n_captures tells how many).  The model is then for running; it is
 * not written any more.  MD_TOO_LARGE for graphs nested deeper than 64.
 */
md_status md_model_close(md_model *model, md_error *err);

/* Subgraph i of n, counted over its attributes; NULL when there is none. */
md_graph *md_node_graph(const md_node *n, uint32_t i);

/* metadata_props: NULL when there is none under `key`; set replaces. */
const char *md_model_meta(const md_model *model, const char *key);
md_status md_model_set_meta(md_model *model, const char *key, const char *value,
                            md_error *err);

/* Id of the symbol called `name` (made when new; NULL or "": a fresh
 * anonymous one). */
md_status md_model_symbol(uint32_t *out, md_model *model, const char *name,
                          md_error *err);

/* A new empty graph in the model (a subgraph when parent is not NULL). */
md_status md_graph_new(md_graph **out, md_model *model, md_graph *parent,
                       const char *name, md_error *err);

/* A new value.  A name already used in this graph is MD_CORRUPT; "" or NULL
 * makes an unnamed one. */
md_status md_graph_add_value(md_value_id *out, md_graph *g, const char *name,
                             md_error *err);

/* The value called `name` in g itself (not its parents), or MD_VALUE_NONE. */
md_value_id md_graph_find(const md_graph *g, const char *name);

/* A value with a new name: `stem`, of which 120 bytes count, and a number. */
md_status md_graph_add_unique(md_value_id *out, md_graph *g, const char *stem,
                              md_error *err);

/* Name a value that has no name yet.  MD_CORRUPT when `name` is in use. */
md_status md_graph_name_value(md_graph *g, md_value_id id, const char *name,
                              md_error *err);

md_value *md_graph_value(const md_graph *g, md_value_id id);

/* What messages call node n: its name, or that of its first output. */
const char *md_graph_label(const md_graph *g, const md_node *n);

/* Make value id an input/output of the graph. */
md_status md_graph_add_input(md_graph *g, md_value_id id, md_error *err);
md_status md_graph_add_output(md_graph *g, md_value_id id, md_error *err);

/* A constant: t's header is copied into the arena; its data must live as long
 * as the model (an owned tensor is taken over and freed with the model). */
md_status md_graph_add_const(md_value_id *out, md_graph *g, const char *name,
                             md_tensor t, md_error *err);

/* Replace what value id holds by a constant (same ownership). */
md_status md_graph_set_const(md_graph *g, md_value_id id, md_tensor t,
                             md_error *err);

/* Constant nodes that hold a tensor become constants; those that are outputs of
 * the graph stay. */
md_status md_graph_lift_constants(md_graph *g, md_error *err);

/* The data of constant id is not read any more (shape and type stay): free it,
 * or let the system drop its pages of a mapped file; what lies in the arena is
 * left. */
void md_graph_forget_const(md_graph *g, md_value_id id);

/* Give the data of constant id, when it lies at an address that its type does
 * not allow (MD_LOAD_TO_RUN), a place of its own on a cache line. */
md_status md_graph_align_const(md_graph *g, md_value_id id, md_error *err);

/* Let constant id, which does not own its data, own `data` instead: the same
 * elements, from `owner`. */
md_status md_graph_own_const(md_graph *g, md_value_id id, void *data,
                             const md_alloc *owner, md_error *err);

/* What a new node is; everything is copied. */
typedef struct md_node_spec {
    const char *domain, *op, *name; /* name NULL: "" */
    const md_value_id *in;
    uint32_t n_in;
    const md_value_id *out; /* results: their def is set */
    uint32_t n_out;
} md_node_spec;

/* Append a node.  A result that exists already is MD_CORRUPT; a failure leaves
 * the graph as it was.  *out (which may be NULL) is the graph's. */
md_status md_graph_add_node(md_node **out, md_graph *g,
                            const md_node_spec *spec, md_error *err);

/* The same at position `at` of the node order (at <= n_nodes). */
md_status md_graph_insert_node(md_node **out, md_graph *g, uint32_t at,
                               const md_node_spec *spec, md_error *err);

/* Set input slot i (the list grows, absent slots between are NONE). */
md_status md_node_set_input(md_graph *g, md_node *n, uint32_t i, md_value_id id,
                            md_error *err);

/* Let n produce value id, which nothing else does, as output i (the list grows
 * likewise). */
md_status md_node_set_output(md_graph *g, md_node *n, uint32_t i,
                             md_value_id id, md_error *err);

/* Attributes: the named one or NULL, and typed getters with a default (also
 * given when the attribute has another type; md_op_check checks types). */
const md_attr *md_node_attr(const md_node *n, const char *name);
int64_t md_node_attr_i(const md_node *n, const char *name, int64_t otherwise);
float md_node_attr_f(const md_node *n, const char *name, float otherwise);
/* NUL-terminated (arena) or `otherwise`. */
const char *md_node_attr_s(const md_node *n, const char *name,
                           const char *otherwise);
/* The list and its length, or NULL and 0. */
const int64_t *md_node_attr_is(const md_node *n, const char *name,
                               uint32_t *n_out);
const float *md_node_attr_fs(const md_node *n, const char *name,
                             uint32_t *n_out);

/* "INT" for MD_ATTR_INT, as in ONNX. */
const char *md_attr_type_name(md_attr_type type);

/* Number of subgraphs in a (0 for what holds none), *list are they. */
uint32_t md_attr_graphs(const md_attr *a, md_graph *const **list);

/* Add or replace an attribute; contents are copied into the arena. */
md_status md_node_set_attr_i(md_graph *g, md_node *n, const char *name,
                             int64_t v, md_error *err);
md_status md_node_set_attr_f(md_graph *g, md_node *n, const char *name, float v,
                             md_error *err);
md_status md_node_set_attr_s(md_graph *g, md_node *n, const char *name,
                             const char *v, md_error *err);
md_status md_node_set_attr_is(md_graph *g, md_node *n, const char *name,
                              const int64_t *v, uint32_t n_v, md_error *err);
/* The attribute as given (arena-owned parts). */
md_status md_node_add_attr(md_graph *g, md_node *n, const md_attr *attr,
                           md_error *err);

/* Let every use of `from` in nodes and graph outputs read `to` instead. */
void md_graph_replace_uses(md_graph *g, md_value_id from, md_value_id to);

/* Number of uses of a value: node inputs, subgraphs' captures by name, and
 * graph outputs. */
uint32_t md_graph_count_uses(const md_graph *g, md_value_id id);

/* Drop dead nodes from the list. */
void md_graph_compact(md_graph *g);

/* Topological order of a graph whose ids are all valid; MD_CORRUPT names a
 * node on a cycle. */
md_status md_graph_sort(md_graph *g, md_error *err);

/*
 * Structure: every id that of a value, every input defined before use (what a
 * parent defines counts), every value produced once, outputs defined, no
 * cycle, in g and in all of its subgraphs.  Sorts the nodes.  MD_CORRUPT names node and value.
 */
md_status md_graph_verify(md_graph *g, md_error *err);

/* A readable listing of the graph, for people and debugging. */
md_status md_graph_print(const md_graph *g, md_buf *out, md_error *err);

/* Types. */
md_type md_type_of_tensor(md_dtype dtype, const md_shape *shape);

/* The type of what t is; the shapes of a container's items are left open. */
md_type md_type_of_value(const md_tensor *t);

/* Could a value of type `given` stand where `want` is declared?  Kinds and
 * element types are the same, ranks and constant dims too, where both are
 * known. */
bool md_type_fits(const md_type *given, const md_type *want);

/* True and *out filled when kind is tensor and all dims are constants. */
bool md_type_static(const md_type *t, md_shape *out);

bool md_dim_is_const(md_dim d);
bool md_dim_equal(md_dim a, md_dim b);

/* "3", "2*h+1", "floor((h+1)/2)", "?7" for what has no name; returns buf. */
char *md_dim_format(char *buf, size_t size, const md_model *m, md_dim d);

/* "float32[batch,3,2*h+1]" into buf; returns buf.  Without a model (NULL)
 * symbols have no names. */
char *md_type_format(char *buf, size_t size, const md_model *m,
                     const md_type *t);

#endif
