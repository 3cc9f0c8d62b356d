/* Operators on sequences and optionals. */
#ifndef MD_OPS_COMMON_SEQUENCE_H
#define MD_OPS_COMMON_SEQUENCE_H

#include "ops/common/util.h"

/* Input i is there and a sequence of tensors. */
md_status md_sequence__need(const md_infer *c, uint32_t i, md_error *err);

/* What all tensors in a sequence are that holds those of types a and b; their
 * element types are the same where both are known. */
md_status md_sequence__unite(const md_infer *c, md_type *out, const md_type *a,
                             const md_type *b, md_error *err);

/* t as the type of the item of a sequence or an optional, and the type of a
 * container of such items. */
md_type md_sequence__item(const md_type *t);
md_type md_sequence__of(md_kind kind, const md_type *item);

/* Input i, a position if it is there: one integer. */
md_status md_sequence__check_position(const md_infer *c, uint32_t i,
                                      md_error *err);

/* The position in input i, counted from the end when negative, or `otherwise`
 * when it is absent; MD_INVALID unless it is in [-n, n), or [-n, n] with
 * `end`. */
md_status md_sequence__position(int64_t *out, const md_exec *x, uint32_t i,
                                int64_t n, bool end, int64_t otherwise,
                                md_error *err);

#endif
