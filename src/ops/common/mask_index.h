/*
 * What com.microsoft's attentions add to the scores: a mask of keys in one of
 * its forms, an attention bias, and that no key may lie ahead.
 *
 * The mask is int32: [B] valid keys ([3B+2]: the first B of it), [2B] ends and
 * then starts of the valid keys, [B,T] and [B,S,T] with 0 for what is masked,
 * or [B,1,M,M] of which the rows from the past on count.  What is masked gets
 * mask_filter_value, so that a query of masked keys only sees all of them.
 */
#ifndef MD_OPS_COMMON_MASK_INDEX_H
#define MD_OPS_COMMON_MASK_INDEX_H

#include "ops/common/attend.h"

/* Input i is a mask for batch element count b, s queries and t keys; of these
 * `l` are new. */
md_status md_mask_index__check(const md_infer *c, uint32_t i, md_dim b,
                               md_dim s, md_dim t, md_dim l, md_error *err);

/* The values of a mask (may be NULL) that says where valid keys of n_batch
 * elements end: none is below 0. */
md_status md_mask_index__check_ends(const md_tensor *mask, int64_t n_batch,
                                    md_error *err);

/* Input i is a bias for these and `heads`. */
md_status md_mask_index__check_bias(const md_infer *c, uint32_t i, md_dim b,
                                    int64_t heads, md_dim s, md_dim t,
                                    md_error *err);

/* mask and bias may be NULL; attributes are n's. */
md_attend_mask md_mask_index__of(const md_node *n, const md_tensor *mask,
                                 const md_tensor *bias);

#endif
