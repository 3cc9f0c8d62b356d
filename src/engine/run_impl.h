/*
 * Inside a run: what planning (plan.c) and values whose shapes are known only
 * while running (dynamic.c) share.
 *
 * A value is dynamic in a plan when its shape does not follow from the shapes
 * of the inputs; containers always are.  A step that reads or writes one is dynamic too: it looks at
 * its inputs when its turn comes.  All other steps are planned once and run
 * in planned memory, whatever stands between them.
 */
#ifndef MD_ENGINE_RUN_IMPL_H
#define MD_ENGINE_RUN_IMPL_H

#include "engine/form.h"
#include "engine/program.h"
#include "engine/recycle.h"
#include "kernels/reorder.h"

typedef struct md_run_step {
    const md_inst *inst;
    md_step st;          /* of a fast instruction */
    md_tensor *in, *out; /* headers with addresses; NULL: fast, not dynamic */
    const md_tensor **in_p; /* &in[i], NULL where absent */
    bool dynamic;
    bool fixed; /* fast, and planned for all sizes: its shapes do not change */
    struct md_body_state *bodies; /* by subgraph; NULL: none */
    bool planned;                 /* fast: st is planned for the shapes in it */
    md_arena arena;  /* dynamic and fast: what st's plan allocated */
    int width;       /* threads that it is worth (widths.h) */
    bool is_short;   /* not worth to wake workers for */
    int64_t work_ns; /* of one thread, as far as it was measured */
} md_run_step;

enum {
    MD_TIMED_RUNS = 4 /* cold, shared, and twice on the caller alone */
};

/* A dynamic slot while its contents are needed. */
typedef struct md_run_value {
    md_tensor now;   /* what it holds; borrowed from its holder's `own` */
    md_tensor own;   /* what was made for this slot */
    uint32_t holder; /* slot whose `own` holds the data, or MD_SLOT_NONE */
    uint32_t shares; /* slots whose holder this one is */
    uint32_t reads;  /* of one execution */
    uint32_t left;   /* of these, still to come */
    bool is_output;  /* of the graph */
} md_run_value;

/* Memory of an input or an output, which the caller may bring along.  That of
 * outputs lies outside the block. */
typedef struct md_run_end {
    size_t size;     /* of an output; 0 also where it is in other memory */
    void *own;       /* of an output: made when first needed */
    size_t own_size; /* of that */
    void *bound;     /* the caller's (of an input only read); NULL: own; of a
                      * container, its header, NULL: not given */
    bool moved;      /* steps have not been told where it is */
    uint32_t points; /* the first of those that point there, + 1 */
} md_run_end;

/* A pointer in a step, to what is in a slot. */
typedef struct md_run_point {
    void **to;
    uint32_t slot;
    uint32_t next; /* the next one of its end, + 1 */
} md_run_point;

/* A shape in a step: that of a value, which changes with the sizes. */
typedef struct md_run_patch {
    md_shape *to;
    const md_shape *from;
} md_run_patch;

struct md_run {
    md_session *s;
    md_run *next;
    md_arena arena; /* as long as the form */
    md_arena fit;   /* as long as the sizes */
    md_shape *key;  /* input shapes */
    const md_tensor *
        *contents; /* of inputs, that the plan counts on; or NULL */
    md_sym *sym;   /* what the model's symbols are */
    bool solved;   /* false: these sizes do not go together, or symbols that do
                    * not say so */
    const md_form *form; /* the session's, or `made` */
    md_form made;        /* for these sizes alone */
    bool *inferred;      /* by value: its type was inferred for this plan and is
                          * in `types`; else it follows from sym */
    md_type *types;
    md_shape *shapes;        /* by value, or by md_form.like; rank -1: what
                              * follows from sym is not known yet */
    const md_tensor **cdata; /* by value: constants, also of this plan */
    md_tensor *known;        /* what a session's form gives and views of it */
    md_tensor *owned;        /* tensors computed while planning */
    uint32_t n_owned, cap_owned;
    md_run_step *steps;
    uint32_t n_steps;
    md_run_point *points;
    uint32_t n_points;
    md_run_patch *patches;
    uint32_t n_patches;
    void **address; /* by slot */
    md_places places;
    unsigned char *memory;
    size_t memory_size, memory_room; /* needed, and there */
    unsigned char *scratch;          /* one part per thread of the pool */
    size_t scratch_size;             /* of a part */
    unsigned char *shared;           /* by the phases of a step */
    size_t shared_size;
    md_tensor *inputs, *outputs;
    md_run_end *ends;    /* of the inputs, then of the outputs */
    bool moved;          /* an end has */
    uint32_t n_inferred; /* nodes that were inferred for this plan */
    int64_t macs;        /* of the steps that are planned; -1: not counted */
    int64_t body_macs;   /* of the subgraphs that the last execution ran */
    int width;           /* threads of this execution */
    int64_t shared_ns;   /* work of the steps that are shared, when known */
    int n_timed;         /* executions that were, up to MD_TIMED_RUNS */
    const struct md_run_watch *watch; /* told of each step; NULL: nobody */
    md_recycle recycle; /* memory of dynamic values, scratch of definitions */
    md_recycle *heap;   /* that, or of a subgraph's the one of the run above */
    const md_alloc *out_alloc; /* where dynamic outputs are made, so that they
                                * need not be copied; NULL: as others */
    int64_t trips;             /* runs of subgraphs in this execution */
    struct md_run *above;      /* of a subgraph's: who runs it */
    md_run_value *values;      /* by slot; NULL: nothing is dynamic */
    md_arena step_scratch;     /* for one dynamic step */
    md_arena text;             /* of strings made by this execution */
};

/* Concrete shape of a value in this plan; rank 0 where it is not known. */
md_shape md_run__shape(const md_run *r, md_value_id id);
md_dtype md_run__dtype(const md_run *r, md_value_id id);

/* Where values without elements are; never written to. */
extern unsigned char md_run__nothing[];

/* The tensor of a slot in planned memory. */
md_tensor md_run__header(const md_run *r, uint32_t slot_id);

/* Free t's data with the plan; on failure it stays the caller's. */
md_status md_run__own(md_run *r, const md_tensor *t, md_error *err);

/* --- fit.c --- */

/* Steps for the form of r, and memory for what will change with sizes. */
md_status md_run__bind(md_run *r, md_error *err);

/* Make the arrays of a fast step; shapes and types, of inputs and then of
 * outputs, are the caller's to fill in. */
md_status md_run__bind_step(md_run_step *st, md_shape **shapes,
                            md_dtype **dtypes, md_arena *arena, md_error *err);

/* Make *t the elements of value id, which follow from sizes (md_value.data);
 * good as long as these. */
md_status md_run__fill_given(md_run *r, md_tensor *t, md_value_id id,
                             md_error *err);

/* Numbers for the sizes at hand: shapes, places, arguments of kernels. */
md_status md_run__fit(md_run *r, md_error *err);

/* Let pointers follow the inputs and outputs that have moved; outputs for
 * which the caller has no memory get some. */
md_status md_run__follow_ends(md_run *r, md_error *err);

/* The end of output i. */
md_run_end *md_run__output_end(const md_run *r, uint32_t i);

/* --- run.c --- */

/* How x lies in rows, for reordering to and from blocks. */
md_nc16_args md_run__blocks(const md_tensor *x);

/* Run a planned step; a reorder copies st->in[0] to st->out[0]. */
md_status md_run__fast(const md_run *r, const md_run_step *st, md_error *err);
void md_run__reorder(const md_run *r, const md_run_step *st);

/* Chunks of a planned reorder. */
int64_t md_run__reorder_parts(const md_run *r, const md_run_step *st);

/* Let the workers' scratch hold `size` bytes each, and what phases share
 * `shared` bytes. */
md_status md_run__reserve(md_run *r, size_t size, size_t shared, md_error *err);

/* --- dynamic.c --- */

/* Prepare r->values, if there are dynamic ones. */
md_status md_run__plan_values(md_run *r, md_error *err);

/* Inputs that are containers become the dynamic values that they are;
 * MD_INVALID names one that is not there. */
md_status md_run__take_containers(md_run *r, md_error *err);

/* Run a dynamic step. */
md_status md_run__dynamic(md_run *r, md_run_step *st, md_error *err);

/* Point the outputs of the run to the dynamic values that they are. */
void md_run__give_values(md_run *r);

/* Forget the dynamic values of the last execution. */
void md_run__drop_values(md_run *r);

#endif
