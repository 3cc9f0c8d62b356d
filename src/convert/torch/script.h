/*
 * TorchScript: programs as restricted Python text, and the objects that they
 * belong to.
 *
 * The text is what PyTorch's printer writes: classes and functions, one
 * assignment per line, if, for, while and with, no operators but a sign.  It
 * is parsed to trees and run (script_run.c) once, calls and all, so that what
 * comes out has neither methods nor modules.
 */
#ifndef MD_CONVERT_TORCH_SCRIPT_H
#define MD_CONVERT_TORCH_SCRIPT_H

#include "convert/torch/build.h"
#include "formats/pickle.h"

/* --- trees --- */

typedef enum md_expr_node {
    MD_SCRIPT_NONE,
    MD_SCRIPT_BOOL,
    MD_SCRIPT_INT,
    MD_SCRIPT_FLOAT,
    MD_SCRIPT_TEXT,
    MD_SCRIPT_LOCAL, /* variable: slot */
    MD_SCRIPT_PATH,  /* "torch.add", "CONSTANTS.c1", "annotate" */
    MD_SCRIPT_ATTR,  /* a.text */
    MD_SCRIPT_CALL,  /* a(args, name=...) */
    MD_SCRIPT_INDEX, /* a[args[0]] */
    MD_SCRIPT_LIST,
    MD_SCRIPT_TUPLE,
    MD_SCRIPT_DICT, /* args: key, value, ... */
    MD_SCRIPT_NEG,  /* -a */
} md_script_kind;

typedef struct md_script_expr md_script_expr;

struct md_script_expr {
    md_script_kind kind;
    uint32_t line;
    const char *text;
    int64_t i; /* INT, BOOL, slot */
    double f;
    md_script_expr *a;
    md_script_expr **args;
    const char **names; /* of a call's arguments: NULL for positional ones */
    uint32_t n;
};

typedef enum md_script_stmt_kind {
    MD_SCRIPT_ASSIGN, /* targets = value */
    MD_SCRIPT_EXPR,
    MD_SCRIPT_IF,
    MD_SCRIPT_WHILE,
    MD_SCRIPT_FOR, /* targets[0] in range(value) */
    MD_SCRIPT_WITH,
    MD_SCRIPT_RETURN,
} md_script_stmt_kind;

typedef struct md_script_block md_script_block;

typedef struct md_script_stmt {
    md_script_stmt_kind kind;
    uint32_t line;
    md_script_expr **targets;
    uint32_t n_targets;
    md_script_expr *value;
    md_script_block *body, *otherwise;
} md_script_stmt;

struct md_script_block {
    md_script_stmt *s;
    uint32_t n, cap;
};

typedef struct md_script_param {
    const char *name;
    md_script_expr *type;      /* NULL: none given */
    md_script_expr *otherwise; /* default; or NULL */
} md_script_param;

typedef struct md_script_function {
    const char *name;
    md_script_param *params; /* slots 0, 1, ... */
    uint32_t n_params, cap_params;
    md_script_block *body;
    const char **locals; /* names by slot */
    uint32_t n_locals, cap_locals;
    uint32_t *index; /* of locals by hash: 1 + slot */
    uint32_t cap_index;
} md_script_function;

typedef struct md_script_constant {
    const char *name;
    md_script_expr *value;
} md_script_constant;

typedef struct md_script_class {
    const char *name; /* qualified */
    md_script_function **methods;
    uint32_t n_methods, cap_methods;
    md_script_constant *constants; /* "x : Final[int] = 3" */
    uint32_t n_constants, cap_constants;
    const char **fields; /* of NamedTuples: names in order */
    uint32_t n_fields, cap_fields;
    bool is_tuple;
} md_script_class;

/* One file of code. */
typedef struct md_script_module {
    const char *name; /* "__torch__.torch.nn.functional" */
    md_script_class **classes;
    uint32_t n_classes, cap_classes;
    md_script_function **functions;
    uint32_t n_functions, cap_functions;
} md_script_module;

/* Parse a file.  Everything lies in the arena.  MD_CORRUPT and MD_UNSUPPORTED
 * name the line; MD_TOO_LARGE for nesting without end. */
md_status md_script_parse(md_script_module *out, const char *name,
                          const void *text, size_t size, md_arena *arena,
                          md_error *err);

/* --- objects --- */

struct md_torch_object {
    const md_script_class *cls; /* NULL: of a class without code */
    const char *path;           /* of attributes from the root: "a.b"; "" */
    const char **names;
    md_tv *at;
    bool *is_made; /* at is set; before it is what the pickle has */
    const md_pickle_node **from;
    md_tv *first; /* what it was when it was made */
    uint32_t n, cap_names, cap_at, cap_made, cap_from, cap_first;
};

/* Attribute `slot` of an object, which is made. */
md_tv md_torch_object_at(const md_torch_object *o, uint32_t slot);
void md_torch_object_put(md_torch_object *o, uint32_t slot, md_tv v);

/* --- a program --- */

/* A tensor attribute that the program changes: an input and an output. */
typedef struct md_script_state {
    const char *path; /* "decoder.h" */
    md_type type;
    const char *symbol[MD_RANK_MAX]; /* name of a free size; or NULL */
} md_script_state;

typedef struct md_script {
    md_torch b;
    md_torch_file *file;
    md_arena *lasting; /* of what all runs share: modules */
    md_script_module **modules;
    uint32_t n_modules, cap_modules;
    const md_pickle *data, *constants;
    md_torch_object **objects; /* by node of data */
    md_tv *constant;           /* by index */
    bool *is_constant_made;
    const md_script_state *states;
    uint32_t n_states;
    md_tv *state_in; /* the inputs that states are; by state */
    uint32_t depth;  /* of calls */
    uint32_t n_steps;
    bool has_raised;
    const char *raised;
} md_script;

/* The object that the file is of. */
md_torch_object *md_script_root(md_script *s);

/* A value of a pickle. */
md_tv md_script_value(md_script *s, const md_pickle *p, const md_pickle_node *n,
                      const char *path);

/* Attribute of an object; NONE and *found false when it has none. */
md_tv md_script_attr(md_script *s, md_torch_object *o, const char *name,
                     bool *found);

/* CONSTANTS.c<i> */
md_tv md_script_constant_at(md_script *s, uint32_t i);

/* Class or function by its qualified name; NULL when there is none. */
const md_script_class *md_script_find_class(md_script *s, const char *name);
const md_script_function *md_script_find_function(md_script *s,
                                                  const char *name);
const md_script_function *md_script_method(const md_script_class *c,
                                           const char *name);

/* A new object without attributes. */
md_torch_object *md_script_new_object(md_script *s, const md_script_class *c,
                                      const char *path);
void md_script_set_attr(md_script *s, md_torch_object *o, const char *name,
                        md_tv v);

/* Call a function; names as in md_torch_call_op. */
md_tv md_script_call(md_script *s, const md_script_function *g,
                     const md_tv *args, uint32_t n, const char *const *names,
                     uint32_t n_named);

/* An expression without variables (a default, a class constant). */
md_tv md_script_eval(md_script *s, const md_script_expr *e);

#endif
