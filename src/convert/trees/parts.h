/* What a forest is made of: what forest.c and plain.c share. */
#ifndef MD_CONVERT_TREES_PARTS_H
#define MD_CONVERT_TREES_PARTS_H

#include "convert/emit.h"
#include "convert/trees/forest.h"

/* One node of the result. */
typedef struct md_forest_part {
    md_forest_node node;
    int64_t tree, id;
    uint32_t target;
} md_forest_part;

struct md_forest {
    md_arena *arena;
    const char *compare;
    md_forest_part *parts; /* tree by tree, each from its root down */
    uint32_t n, cap;
    uint32_t n_trees, n_leaves;
};

/* The sums [batch, targets] by the operators of a walk; MD_VALUE_NONE for trees
 * deeper than 1000, which are too many operators. */
md_value_id md_forest__walk(md_emit *e, const md_forest *f,
                            const md_forest_about *about, md_value_id x);

#endif
