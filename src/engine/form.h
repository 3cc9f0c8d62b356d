/*
 * Forms: what of a plan does not depend on sizes.
 *
 * Which instructions run, which values share memory, from when to when it is
 * needed, what has the same shape as what.  A session whose program follows
 * from the sizes of its inputs (follow.c) has a form that was made from
 * expressions when it was loaded; its runs only put numbers in (fit.c), for
 * the first sizes and for all others.  Any other run has a form of its own,
 * made from the shapes that it found out (plan.c).
 */
#ifndef MD_ENGINE_FORM_H
#define MD_ENGINE_FORM_H

#include "engine/memory.h"
#include "engine/program.h"

typedef struct md_form {
    bool *skip;    /* by instruction: nothing is to be done in a run */
    bool *shares;  /* by instruction: output 0 is in the memory of input 0, as
                    * it is */
    bool *dynamic; /* by value: its shape is known only while running */
    bool *known;   /* by value: its elements are known before */
    bool any_dynamic;
    uint32_t *root;     /* by slot: the slot whose memory it shares */
    uint32_t *end;      /* by slot: index of the input or output (those behind
                         * the inputs) whose memory it is in, or MD_SLOT_NONE */
    uint32_t *end_root; /* by input and output: the slot, or MD_SLOT_NONE: it
                         * is in other memory, and nobody can bring his own */
    uint32_t *end_slot; /* by input and output: the first slot in its memory */
    uint32_t *end_next; /* by slot: the next one in that memory */
    md_packing packing; /* of the block */
    md_buffer *buffers;
    uint32_t *buffer_of; /* by slot: in the block, or MD_SLOT_NONE */
    uint32_t *placed;    /* n_placed slots that are in the block */
    uint32_t n_placed;
    uint32_t *kind_slot; /* by kind of buffer: a slot of that size */
    /* Only of a session's form: */
    md_value_id *like;     /* by value: the first one of the same shape;
                            * MD_VALUE_NONE: nobody asks */
    md_value_id *shapes;   /* n_shapes values: all shapes with symbols */
    md_value_id *given;    /* n_given: elements follow from sizes, and are
                            * read */
    const md_node **views; /* n_views: of what is known, and so known */
    uint32_t n_shapes, n_given, n_views;
} md_form;

/* Arrays for s in `ar`, nothing set. */
md_status md_form__init(md_form *f, const md_session *s, md_arena *ar,
                        md_error *err);

/* Lifetimes and memory, after skip, dynamic and known; r tells shapes, NULL:
 * expressions do. */
md_status md_form__complete(md_form *f, const md_session *s, const md_run *r,
                            md_arena *ar, md_error *err);

/* Does the instruction touch a dynamic value? */
bool md_form__is_dynamic(const md_form *f, const md_session *s,
                         const md_inst *inst);

/* After md_session__follow: s->form, NULL where plans have to look at more
 * than sizes. */
md_status md_session__form(md_session *s, md_error *err);

#endif
