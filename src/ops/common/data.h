/*
 * Contents of small integer tensors as dimensions: what comes out of Shape
 * and the arithmetic behind it.  An operator names one of these functions as
 * its md_op.data.
 *
 * Each sets c->dout where it can tell all elements of an output, and leaves it
 * alone otherwise; it fails for lack of memory only.
 */
#ifndef MD_OPS_COMMON_DATA_H
#define MD_OPS_COMMON_DATA_H

#include "ops/op.h"

enum {
    MD_DATA_MAX = 64, /* elements of a tensor whose contents are followed */
};

/* Operators that only move elements of these inputs; the other inputs have to
 * be known.  What they do is taken from running them. */
md_status md_data__moves_0(const md_infer *c, md_error *err);
md_status md_data__moves_0_2(const md_infer *c, md_error *err);
md_status md_data__moves_1_2(const md_infer *c, md_error *err);
md_status md_data__moves_all(const md_infer *c, md_error *err);

md_status md_data__shape(const md_infer *c, md_error *err);
md_status md_data__size(const md_infer *c, md_error *err);
md_status md_data__range(const md_infer *c, md_error *err);

/* Elementwise. */
md_status md_data__cast(const md_infer *c, md_error *err);
md_status md_data__same(const md_infer *c,
                        md_error *err); /* Floor of integers */
md_status md_data__neg(const md_infer *c, md_error *err);
md_status md_data__abs(const md_infer *c, md_error *err);
md_status md_data__not(const md_infer *c, md_error *err);
md_status md_data__add(const md_infer *c, md_error *err);
md_status md_data__sub(const md_infer *c, md_error *err);
md_status md_data__mul(const md_infer *c, md_error *err);
md_status md_data__div(const md_infer *c, md_error *err);
md_status md_data__mod(const md_infer *c, md_error *err);
md_status md_data__min(const md_infer *c, md_error *err);
md_status md_data__max(const md_infer *c, md_error *err);
md_status md_data__equal(const md_infer *c, md_error *err);
md_status md_data__less(const md_infer *c, md_error *err);
md_status md_data__less_or_equal(const md_infer *c, md_error *err);
md_status md_data__greater(const md_infer *c, md_error *err);
md_status md_data__greater_or_equal(const md_infer *c, md_error *err);

/* All elements of a vector together. */
md_status md_data__reduce_sum(const md_infer *c, md_error *err);
md_status md_data__reduce_prod(const md_infer *c, md_error *err);
md_status md_data__reduce_min(const md_infer *c, md_error *err);
md_status md_data__reduce_max(const md_infer *c, md_error *err);

#endif
