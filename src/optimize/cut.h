/*
 * Cutting channels out of a model: what can be cut, what is left to compute,
 * and the smaller model.
 *
 * A unit is a class of tied places (axes.h) that products make: a channel, a
 * hidden number of a feed-forward layer, a head.  Units that lie on the same
 * axes the same number of times are a group, of which one at least stays, so
 * that no axis becomes empty.
 */
#ifndef MD_OPTIMIZE_CUT_H
#define MD_OPTIMIZE_CUT_H

#include "engine/session.h"
#include "optimize/axes.h"

#define MD_UNIT_NONE UINT32_MAX

typedef struct md_cut_unit {
    uint32_t group;
    bool out; /* to be cut; the caller's to set */
    double score;
} md_cut_unit;

typedef struct md_cut_group {
    const char *name;  /* of the weights that make its units first */
    uint32_t first, n; /* units [first, first + n) */
    bool is_channels;  /* a unit is one place of what the product makes */
} md_cut_group;

typedef struct md_cut {
    md_model *model;   /* an own copy, without functions */
    md_session *typed; /* of another copy: what is known of its values */
    md_axes axes;
    md_cut_unit *unit;
    md_cut_group *group;
    uint32_t *unit_of; /* by place that names its class; MD_UNIT_NONE */
    uint32_t n_units, n_groups;
    md_arena arena;
} md_cut;

/* What can be cut out of `model`, which is not changed.  MD_UNSUPPORTED for
 * operators that are not known; no unit at all is no failure. */
md_status md_cut_open(md_cut *out, const md_model *model, md_error *err);

void md_cut_release(md_cut *c);

/* The unit of a place, MD_UNIT_NONE when it stays whatever happens. */
uint32_t md_cut_unit_at(const md_cut *c, uint32_t place);

/* Is the place cut? */
bool md_cut_is_out(const md_cut *c, uint32_t place);

/* Places left of an axis; -1 when its size is open. */
int64_t md_cut_left(const md_cut *c, md_value_id id, int axis);

/* Multiply-accumulates of one sample without the units that are out; symbols
 * count as 1. */
int64_t md_cut_macs(const md_cut *c);

/* The model without them. */
md_status md_cut_apply(md_model **out, const md_cut *c, md_error *err);

/* The whole model with zeros for the weights that read what is cut: it computes
 * the same. */
md_status md_cut_mask(md_model **out, const md_cut *c, md_error *err);

#endif
