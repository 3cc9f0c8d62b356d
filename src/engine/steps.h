/*
 * Recipes (ops/compose.h) whose steps become nodes of a graph.
 */
#ifndef MD_ENGINE_STEPS_H
#define MD_ENGINE_STEPS_H

#include "ops/compose.h"

/* Where the next step goes in the order of g; it moves along. */
typedef struct md_steps {
    md_graph *g;
    uint32_t at;
} md_steps;

/*
 * Begin a recipe for node n of s->g, with room for n_parts parts beside its
 * inputs, which are parts already: m->arena is the caller's, and s is m's until
 * the recipe is through.  Steps carry n's name, and operator and types of their
 * results are set.
 */
md_status md_steps__begin(md_steps *s, md_compose *m, md_node *n,
                          size_t n_parts, md_error *err);

/* A value of the graph as a part (MD_VALUE_NONE: MD_PART_NONE). */
md_part md_steps__part(const md_steps *s, md_compose *m, md_value_id id);

#endif
