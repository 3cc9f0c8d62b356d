/* Which of two models is faster, and by how much. */
#ifndef MD_OPTIMIZE_STOPWATCH_H
#define MD_OPTIMIZE_STOPWATCH_H

#include "base/pool.h"
#include "graph/graph.h"

/*
 * Seconds that one sample takes in each model, open dimensions being 1, inputs
 * made up: the minimum over runs that alternate, so that what else the machine
 * does meets both alike.  The models are not changed.
 */
md_status md_stopwatch(double *a, double *b, const md_model *first,
                       const md_model *second, md_pool *pool, md_error *err);

#endif
