/*
 * Arithmetic of dimensions.
 *
 * A dimension is scale * symbol + k.  What does not fit that form gets a
 * symbol of its own, derived from two dimensions: seq * heads, (h - 3) / 2.
 * Derived symbols are found by content, so dimensions that come out the same
 * way are equal; and each refers to older ones only, so one pass in order of
 * ids gives all values.
 *
 * Some derivations have no value for some sizes: 4 and 3 do not broadcast.
 * Making one is how inference says what must hold of sizes that it does not
 * know yet.
 */
#ifndef MD_GRAPH_EXPR_H
#define MD_GRAPH_EXPR_H

#include "graph/graph.h"

enum {
    MD_EXPRS_MAX = 1 << 18, /* symbols in one model */
};

/* a (kind) b, in the simplest form known.  Of constants that give no value,
 * and for results beyond 64 bits, MD_INVALID; MD_TOO_LARGE for more than
 * MD_EXPRS_MAX symbols. */
md_status md_dim_derive(md_dim *out, md_model *m, md_expr_kind kind, md_dim a,
                        md_dim b, md_error *err);

/* Is d at least 0 whatever its symbols are? */
bool md_dim_natural(const md_model *m, md_dim d);

/* Values of all symbols for one set of sizes. */
typedef enum md_sym_state {
    MD_SYM_OPEN, /* depends on a symbol without a size */
    MD_SYM_KNOWN,
    MD_SYM_NONE, /* these sizes are not possible together */
} md_sym_state;

typedef struct md_sym {
    int64_t v;
    md_sym_state state;
} md_sym;

/* Fill in the derived symbols, where those of the sizes given are KNOWN and
 * all others OPEN.  sym has m->n_symbols elements, [0] for constants.  False
 * when one has no value. */
bool md_model_solve(const md_model *m, md_sym *sym);

/* MD_INVALID when the values that md_model_solve found break what a node that
 * always runs (md_model.asking) demands: that sizes are equal, or broadcast.
 * Other conditions are stricter than their nodes, a 0 in the shape of a Reshape
 * keeps a size: where one of those is broken too, nothing is told. */
md_status md_model_check(const md_model *m, const md_sym *sym, md_error *err);

/* The value of d; false unless its symbol is KNOWN and the value fits. */
bool md_dim_value(int64_t *out, md_dim d, const md_sym *sym);

#endif
