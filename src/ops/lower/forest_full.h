/* Forests whose trees, filled up to one depth, are not much larger: packed as
 * tree_f32.h's full trees. */
#ifndef MD_OPS_LOWER_FOREST_FULL_H
#define MD_OPS_LOWER_FOREST_FULL_H

#include "kernels/tree_f32.h"
#include "ops/common/forest.h"
#include "ops/lower/common.h"

enum {
    MD_FOREST_PARTS = 8 /* sums that are kept apart: of every 8th tree */
};

typedef struct md_forest_full {
    bool fits;     /* false: nothing below is set */
    bool weighted; /* leaves give weights (float), else their numbers */
    bool single;   /* and all trees vote for one target, `target` */
    uint32_t target;
    uint32_t *targets;  /* [trees] of weighted ones */
    md_tree_f32_full f; /* without n_features */
} md_forest_full;

/* Pack; fits becomes false where it is not worth it. */
md_status md_forest_full__make(md_forest_full *out, const md_forest *f,
                               const md_lower *lo, md_error *err);

/* Elements of `leaf` below. */
int64_t md_forest_full__n_leaves(const md_forest_full *p);

/* The same bits for a leaf of tree t that other code has found. */
uint32_t md_forest_full__value(const md_forest_full *p, const md_forest *f,
                               uint32_t leaf);

/* Add what the trees give for one row to its sums. */
void md_forest_full__add(const md_forest_full *p, const md_forest *f,
                         const uint32_t *leaf, double *sum, uint8_t *has);

#endif
