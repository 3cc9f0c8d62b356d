/*
 * PyTorch programs to ONNX: the values of a program that is looked through,
 * and the operators that it calls.
 *
 * A program (.pt2, TorchScript) is run once, by md_torch_call_op and the
 * readers above it, with tensors that are values of the graph under
 * construction.  Numbers, lists and texts are known or, where they depend on
 * data or free sizes, scalars of the graph ("computed").
 *
 * A tensor is a place: operators that write in place put a new value into it.
 * Views remember what they are of, so that writing into a view writes into
 * its base, and reading a view after its base was written makes it anew.
 *
 * Everything lies in the emitter's arena.
 */
#ifndef MD_CONVERT_TORCH_BUILD_H
#define MD_CONVERT_TORCH_BUILD_H

#include "convert/emit.h"
#include "convert/torch/file.h"

enum {
    MD_TORCH_ARGS_MAX = 24,
    MD_TORCH_LIST_MAX = 1 << 16 /* elements of a list of a program */
};

typedef enum md_tv_kind {
    MD_TV_NONE,
    MD_TV_BOOL,
    MD_TV_INT,
    MD_TV_FLOAT,
    MD_TV_TEXT,
    MD_TV_TENSOR,
    MD_TV_LIST,
    MD_TV_TUPLE,
    MD_TV_DICT, /* key, value, key, ... */
    MD_TV_OBJECT,
    MD_TV_FUNCTION,
    MD_TV_LOST, /* differs between branches and cannot be told: not to be used */
} md_tv_kind;

typedef struct md_torch_tensor md_torch_tensor;
typedef struct md_torch_list md_torch_list;
typedef struct md_torch_object md_torch_object; /* script.h */
typedef struct md_torch_call md_torch_call;
typedef struct md_torch md_torch;

/* A value of the program. */
typedef struct md_tv {
    md_tv_kind kind;
    bool computed; /* BOOL, INT, FLOAT: v.t, a scalar of the graph */
    union {
        int64_t i; /* BOOL, INT */
        double f;
        const char *s; /* TEXT; LOST: why */
        md_torch_tensor *t;
        md_torch_list *list;
        md_torch_object *object;
        const void *function;
    } v;
} md_tv;

struct md_torch_list {
    md_tv *item;
    uint32_t n, cap;
    /* All items of a list that a loop filled, one behind another on a new
     * first axis; the list then has no items.  NULL: an ordinary list. */
    md_torch_tensor *stacked;
};

typedef enum md_torch_view_kind {
    MD_TORCH_NO_VIEW,
    MD_TORCH_VIEW_SLICE,  /* axis, [start, end) */
    MD_TORCH_VIEW_SELECT, /* axis, start */
    MD_TORCH_VIEW_SHAPE,  /* the same elements in the same order */
    MD_TORCH_VIEW_PERM,   /* axes in another order: inverse */
} md_torch_view_kind;

struct md_torch_tensor {
    md_value_id id;
    md_emit_scope *home;       /* id is a value of its graph */
    uint32_t version;          /* counts writes */
    const md_torch_call *made; /* a view: the call that makes it */
    md_torch_tensor *base;
    uint32_t seen; /* version of base when id was made */
    md_torch_view_kind view;
    int axis;
    int64_t inverse[MD_RANK_MAX];
    md_tv start, end;
};

typedef void md_torch_emit_fn(md_torch_call *c);

/*
 * One operator and one form of its arguments: names and types, separated by
 * spaces, "name:type" or "name:type=default".  Types:
 *
 *   t tensor, a tensor or number, n number, i int, f float (or int), b bool,
 *   s text, l list of ints (or one int), x list of tensors, q list of floats,
 *   v list of anything, o anything
 *
 * in capitals: or None (X: list of tensors or Nones).  Behind a "*" they are
 * given by their names alone.
 */
typedef struct md_torch_row {
    const char *name;
    const char *args;
    md_torch_emit_fn *emit;
    const char *onnx; /* what a group's emitter makes: "Abs"; or "" */
} md_torch_row;

struct md_torch_call {
    md_torch *b;
    md_emit *e; /* b's */
    const md_torch_row *row;
    md_tv arg[MD_TORCH_ARGS_MAX]; /* by the row's arguments */
    md_tv out;
};

/* What a branch or a loop's body changes besides local variables. */
typedef enum md_torch_change_kind {
    MD_TORCH_CHANGE_TENSOR,
    MD_TORCH_CHANGE_ATTR, /* of an object */
    MD_TORCH_CHANGE_LIST, /* grew */
} md_torch_change_kind;

typedef struct md_torch_change {
    md_torch_change_kind kind;
    void *what;
    uint32_t slot; /* attribute */
    md_tv old;
    uint32_t old_n; /* items of a list */
    md_torch_tensor old_tensor;
} md_torch_change;

/* A free size of an input that can only be this one. */
typedef struct md_torch_learned {
    uint32_t sym;
    int64_t size;
} md_torch_learned;

typedef struct md_torch_refusal {
    const char *op, *why, *where;
    uint32_t n;
} md_torch_refusal;

struct md_torch {
    md_emit e;
    bool stays; /* the file's bytes live as long as the model */
    bool plain; /* operators as they are, without fusing any: what the
                 * self-check compares with */
    md_torch_refusal *refusals;
    uint32_t n_refusals, cap_refusals;
    md_torch_change *changes;
    uint32_t n_changes, cap_changes;
    bool noting; /* changes are to be noted */
    uint32_t n_calls;
    uint32_t depth;   /* of branches and loops that become subgraphs */
    bool wants_batch; /* types of inputs are guessed: where PyTorch takes a
                       * picture with and without an axis of the batch, it has
                       * one */
    bool old_div;     /* integers are divided as integers (before version 4) */
    uint64_t n_parameters;
    md_torch_learned *learned;
    uint32_t n_learned, cap_learned;
    const char *where; /* in the program, for messages */
};

/* --- values --- */

static inline md_tv md_tv_none(void)
{
    return (md_tv){ .kind = MD_TV_NONE };
}

static inline md_tv md_tv_int(int64_t i)
{
    return (md_tv){ .kind = MD_TV_INT, .v.i = i };
}

static inline md_tv md_tv_bool(bool x)
{
    return (md_tv){ .kind = MD_TV_BOOL, .v.i = x };
}

static inline md_tv md_tv_float(double f)
{
    return (md_tv){ .kind = MD_TV_FLOAT, .v.f = f };
}

static inline md_tv md_tv_text(const char *s)
{
    return (md_tv){ .kind = MD_TV_TEXT, .v.s = s };
}

static inline bool md_tv_is_number(const md_tv *v)
{
    return v->kind == MD_TV_BOOL || v->kind == MD_TV_INT ||
           v->kind == MD_TV_FLOAT;
}

static inline bool md_tv_is_list(const md_tv *v)
{
    return v->kind == MD_TV_LIST || v->kind == MD_TV_TUPLE;
}

/* "int", "Tensor", ... */
const char *md_tv_kind_text(const md_tv *v);

/* A tensor of value id of the scope. */
md_tv md_tv_tensor(md_torch *b, md_value_id id);

/* A computed number: id is a scalar of the type that `kind` has in the graph
 * (bool, int64, float64); known when id is a constant. */
md_tv md_tv_computed(md_torch *b, md_tv_kind kind, md_value_id id);

/* A new list or tuple, or dict, with room for n items. */
md_tv md_tv_list(md_torch *b, md_tv_kind kind, uint32_t n);
void md_tv_append(md_torch *b, md_torch_list *list, md_tv v);

/* The value id, in the scope, of a tensor or a number (of its own type). */
md_value_id md_tv_id(md_torch *b, const md_tv *v);

/* A number as a scalar of that type. */
md_value_id md_tv_as(md_torch *b, const md_tv *v, md_dtype dtype);

/* The size that a number is, when that is known in terms of free sizes. */
bool md_tv_dim(md_dim *out, md_torch *b, const md_tv *v);

/* --- writing in place --- */

/* A view whose base was written since is made anew. */
void md_torch_refresh(md_torch *b, md_torch_tensor *t);

/* Put value id into t, whatever is a view of it or it is a view of. */
void md_torch_write(md_torch *b, md_torch_tensor *t, md_value_id id);

/* base with [start, end) of axis replaced by x (select: without the axis). */
md_value_id md_torch_scatter(md_torch *b, md_value_id base, md_value_id x,
                             int axis, const md_tv *start, const md_tv *end,
                             bool select);

/* Remember, before it changes, what a branch may have to undo. */
void md_torch_note(md_torch *b, md_torch_change change);

/* --- operators --- */

/*
 * Call an operator: n positional arguments, then n_named under their names.
 * An in-place name ("relu_") writes the result of the other form into its
 * first argument.  What is not supported is remembered (md_torch_refuse) and
 * gives LOST.
 */
md_tv md_torch_call_op(md_torch *b, const char *name, const md_tv *args,
                       uint32_t n, const char *const *names, const md_tv *named,
                       uint32_t n_named);

/* Is there a row of that name? */
bool md_torch_has_op(const char *name);

/* Note that `op` cannot be converted, because of `why`. */
void md_torch_refuse(md_torch *b, const char *op, const char *why);

/* Fail with all that were refused, if any. */
void md_torch_tell(md_torch *b);

/* For emitters; each fails the build and gives something harmless. */

/* Argument i as a value of the graph; a number has its own type. */
md_value_id md_torch_x(md_torch_call *c, uint32_t i);
bool md_torch_given(const md_torch_call *c, uint32_t i); /* not None */
int64_t md_torch_i(md_torch_call *c, uint32_t i);
double md_torch_f(md_torch_call *c, uint32_t i);
bool md_torch_b(md_torch_call *c, uint32_t i);
const char *md_torch_s(md_torch_call *c, uint32_t i);

/* A list of known ints, at most `max` (a single one counts as a list). */
int md_torch_ints(md_torch_call *c, uint32_t i, int64_t *out, int max);

/* The same for n spatial axes: a list of one stands for all. */
void md_torch_spatial(md_torch_call *c, uint32_t i, int64_t *out, int n);

/* A list of ints as a tensor [n] of int64, for Reshape and the like. */
md_value_id md_torch_sizes(md_torch_call *c, uint32_t i);
md_value_id md_torch_list_id(md_torch *b, const md_torch_list *list);

/* Items of a list argument; 0 for None. */
uint32_t md_torch_n(const md_torch_call *c, uint32_t i);
md_value_id md_torch_item(md_torch_call *c, uint32_t i, uint32_t k);

/* Type of a value; its rank, failing when nobody knows it. */
const md_type *md_torch_type(const md_torch_call *c, md_value_id id);
int md_torch_rank(md_torch_call *c, md_value_id id);
md_dtype md_torch_dtype_of(const md_torch_call *c, md_value_id id);

/* `axis` in [-rank, rank) to [0, rank); a scalar counts as one axis. */
int md_torch_axis(md_torch_call *c, int64_t axis, int rank);

/* Size of an axis as a number; -1: free. */
int64_t md_torch_size(md_torch_call *c, md_value_id id, int axis);

/* The size that an axis of an input must have, where the input says nothing of
 * it: what the program multiplies it with tells. */
void md_torch_learn(md_torch_call *c, md_value_id x, int axis, int64_t size);

/* Results. */
void md_torch_ret(md_torch_call *c, md_value_id id);
void md_torch_ret_n(md_torch_call *c, const md_value_id *ids, uint32_t n);
/* A view of argument 0. */
void md_torch_ret_view(md_torch_call *c, md_value_id id,
                       md_torch_view_kind kind, int axis, md_tv start,
                       md_tv end);

/* Argument i as an axis of x. */
int md_torch_axis_at(md_torch_call *c, uint32_t i, md_value_id x);

/* Sizes of axes [from, to) as a tensor. */
md_value_id md_torch_dims(md_torch_call *c, md_value_id x, int64_t from,
                          int64_t to);

md_value_id md_torch_concat(md_torch_call *c, const md_value_id *v, uint32_t n,
                            int axis);

/* [from, to) of an axis; both of shape [1]. */
md_value_id md_torch_cut(md_torch_call *c, md_value_id x, int axis,
                         md_value_id from, md_value_id to);

/* Is the item the size of x's axis i? */
bool md_torch_is_axis_of(md_torch_call *c, const md_tv *item, md_value_id x,
                         int i);

/* Axes [from, to] become one. */
md_value_id md_torch_merge(md_torch_call *c, md_value_id x, int from, int to);

/* 0, 1, 2, ... */
void md_torch_identity(int64_t perm[MD_RANK_MAX]);

/* dtype that arithmetic on these gives (PyTorch's promotion). */
md_dtype md_torch_promote(md_torch_call *c, const md_tv *v, uint32_t n);

/* A tensor or number as an operand of that type. */
md_value_id md_torch_operand(md_torch_call *c, const md_tv *v, md_dtype dtype);

/* x, cast to the type of argument i where that is given. */
md_value_id md_torch_to_arg(md_torch_call *c, md_value_id x, uint32_t i);

/* Small integer constants, int64 [n]. */
#define MD_TORCH_INTS(c, ...)                                                  \
    md_emit_ints(                                                              \
        (c)->e, (const int64_t[]){ __VA_ARGS__ },                              \
        (int64_t)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)))

/* All rows, by subject. */
#define ATEN(name, args, fn, onnx) md_torch_emit_fn md_torch_emit_##fn;
#include "convert/torch/aten.def"
#undef ATEN

#endif
