/*
 * Inside a session: instructions over slots.
 *
 * A slot is one representation of a value: the value in one layout.  The
 * program lists instructions in order; a run resolves slots to addresses.
 */
#ifndef MD_ENGINE_PROGRAM_H
#define MD_ENGINE_PROGRAM_H

#include <pthread.h>

#include "engine/session.h"
#include "graph/expr.h"

#define MD_SLOT_NONE UINT32_MAX

typedef struct md_slot {
    md_value_id value;
    md_layout layout;
} md_slot;

typedef enum md_inst_kind {
    MD_INST_REF,     /* the operator's definition */
    MD_INST_FAST,    /* a lowered kernel */
    MD_INST_VIEW,    /* output 0 is input 0's memory */
    MD_INST_REORDER, /* input 0 in another layout */
} md_inst_kind;

typedef struct md_inst {
    md_inst_kind kind;
    md_node *node;       /* NULL for a reorder */
    const md_op *op;     /* NULL for a reorder */
    const md_fast *fast; /* of MD_INST_FAST */
    uint32_t *in;        /* slots; MD_SLOT_NONE where absent */
    uint32_t *out;
    uint32_t n_in, n_out;
    void *state; /* of fast */
    const char *kernel;
    const char *why;
    /* Where the sizes of the inputs go together (follow.c): */
    bool follows; /* the types of its outputs follow from them */
    bool given;   /* and so do the elements */
    bool waits;   /* they do not: what is in the inputs tells, while running */
    bool early;   /* somebody may need the elements to know his types */
    bool idle;    /* nobody needs its outputs */
} md_inst;

struct md_session {
    const md_alloc *alloc;
    const md_alloc *run_alloc; /* activations and scratch of runs */
    md_model *model;
    md_graph *graph;
    md_pool *pool;
    md_precision precision; /* asked for, then what nodes are lowered with */
    md_precision_choice choice;
    bool keeps_constants; /* for another lowering, though they were packed */
    uint32_t cpu;
    bool reference;
    const char *weight_cache; /* while it is made */
    struct md_packs *packs;   /* NULL: none are kept; bodies have the root's */
    md_arena arena;           /* instructions, slots, small state of kernels */
    md_io *inputs, *outputs;
    md_slot *slots;
    uint32_t n_slots, cap_slots;
    uint32_t *slot_of[2]; /* by layout, by value; MD_SLOT_NONE */
    uint32_t *reads;      /* by value, while lowering: who still needs it */
    void *staging;        /* while lowering: weights on the way to a kernel */
    size_t staging_size;
    md_tensor staged; /* what is in it */
    md_inst *insts;
    uint32_t n_insts, cap_insts;
    md_session *bodies;    /* of the main graph's: those of all subgraphs */
    md_session *next_body; /* in that list; its model is not its own */
    md_status broken;      /* of a branch that cannot be run on what it would be
                            * given: why not, else MD_OK */
    md_error why_broken;
    const md_tensor **constants; /* by value, as runs find them */
    bool *open;                  /* by value: sizes do not tell its shape */
    bool *wanted; /* by value: an instruction that runs reads the elements */
    const struct md_form *form; /* of all plans; NULL: each makes its own */
    pthread_mutex_t lock;       /* guards the list of idle runs */
    md_run *idle;               /* most recently used first */
    uint32_t n_idle, idle_max;
};

/* compile.c: from a verified graph to typed, folded nodes with impl set. */
md_status md_session__compile(md_session *s, md_error *err);

/* How inference looks into subgraphs. */
typedef struct md_look {
    uint32_t
        left;    /* nodes of them that it may look at: nested loops multiply */
    bool commit; /* what it finds out of their inputs becomes theirs */
} md_look;

enum {
    MD_LOOK_MAX = 1 << 22
};

/* What is known of values, by id. */
typedef struct md_facts {
    md_type *types;
    const md_tensor **cdata;
    const md_dim **data; /* contents that follow from sizes; may be NULL */
} md_facts;

/* Infer the outputs of one node into k.  Unknown dimensions become symbols of
 * `model`; NULL: they are only marked as no constants, and k->data is left
 * alone.  *look is for its subgraphs. */
md_status md_session__infer_node(const md_graph *g, const md_node *n,
                                 md_model *model, md_facts *k, md_look *look,
                                 md_error *err);

/* Infer and fold every node of the graph, changing the graph. */
md_status md_session__propagate(md_session *s, bool keep_dequantize,
                                md_error *err);

/* align.c: give constants that must have it a proper address. */
md_status md_session__align(md_session *s, md_error *err);

/* The same for all that n reads, when it runs now. */
md_status md_session__align_inputs(md_session *s, const md_node *n,
                                   md_error *err);

/* An aligned copy of input 1 of n, which is left unaligned; *out is NULL when
 * there is nothing to copy.  Good until unstage, which keeps the copy as the
 * constant unless it was packed. */
md_status md_session__stage(md_session *s, const md_node *n,
                            const md_tensor **out, md_error *err);
md_status md_session__unstage(md_session *s, const md_node *n, bool packed,
                              md_error *err);

/* What lowering allocates from. */
const md_alloc *md_session__packing(const md_session *s);

/* lower.c: choose kernels and layouts; fills slots and insts. */
md_status md_session__lower(md_session *s, md_error *err);

/* follow.c: mark the instructions whose outputs follow from the sizes of the
 * inputs. */
md_status md_session__follow(md_session *s, md_error *err);

/* The values of all symbols for these shapes of the inputs, into sym, which
 * has n_symbols elements.  False where they do not go together. */
bool md_session__solve(const md_session *s, const md_shape *shapes,
                       md_sym *sym);

/* Release kernel states. */
void md_session__unlower(md_session *s);

/* precision.c: lower in the precision asked for, after deciding which that is;
 * the outputs must be known. */
md_status md_session__choose(md_session *s, md_error *err);

/* session.c: free the runs that nobody uses. */
void md_session__drop_runs(md_session *s);

/* A session for a subgraph, not compiled yet, that `root` frees. */
md_status md_session__new_body(md_session *root, md_graph *body, md_error *err);

/* Inputs and outputs as they are known now. */
md_status md_session__describe(md_session *s, md_error *err);

/* md_run_acquire without a look at the shapes, which inference found; contents
 * of inputs, where not NULL, hold for the run and may be counted on. */
md_status md_run__acquire(md_run **out, md_session *s, const md_shape *shapes,
                          const md_tensor *const *contents, md_error *err);

/* known.c: what can be computed from shapes and constants alone, before
 * anything runs. */
bool md_known__now(const md_graph *g, const md_node *n, const md_type *types,
                   const md_tensor *const *cdata);
bool md_known__has_contents(const md_tensor *t);

/* Compute n, which md_known__now is true of: up to MD_KNOWN_OUT tensors, whose
 * text lies in the arena. */
enum {
    MD_KNOWN_IN = 16,
    MD_KNOWN_OUT = 4,
    MD_KNOWN_ELEMENTS = 4096 /* of one value */
};
md_status md_known__compute(const md_graph *g, const md_node *n,
                            const md_type *types, const md_tensor *const *cdata,
                            md_tensor *out, const md_alloc *alloc,
                            md_arena *text, md_error *err);

/* plan.c */
md_status md_run__new(md_run **out, md_session *s, const md_shape *shapes,
                      const md_tensor *const *contents, md_error *err);
/* Plan r, which was made for other shapes, for these, in the memory that it
 * has: where the session has a form, numbers are all that changes.  r is freed
 * when this fails. */
md_status md_run__again(md_run *r, const md_shape *shapes, md_error *err);
void md_run__free(md_run *r);
bool md_run__fits(const md_run *r, const md_shape *shapes,
                  const md_tensor *const *contents);
md_run **md_run__next(md_run *r);
md_session *md_run__session(const md_run *r);

/* dynamic.c: let executions make dynamic outputs from `alloc`, for
 * md_run__steal_output; then NULL, which gives back what is left of them. */
void md_run__give_from(md_run *r, const md_alloc *alloc);

/* Take output i, which is dynamic and nobody else's, with its data: false when
 * it is not, or is not from md_run__give_from's allocator, where there is
 * one. */
bool md_run__steal_output(md_run *r, uint32_t i, md_tensor *t);

#endif
