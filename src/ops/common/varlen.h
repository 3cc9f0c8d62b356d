/* Requests of several lengths, their tokens behind each other: input i of the
 * node, [batch + 1], tells where each begins, and the end. */
#ifndef MD_OPS_COMMON_VARLEN_H
#define MD_OPS_COMMON_VARLEN_H

#include "ops/common/util.h"

/* Its type and length; *batch: the requests. */
md_status md_varlen__infer(const md_infer *c, uint32_t i, md_dim *batch,
                           md_error *err);

/* Its batch + 1 elements, which rise from 0 to `tokens`, by `least` at least
 * from one to the next; in `ar`. */
md_status md_varlen__load(const int64_t **out, const md_exec *x, uint32_t i,
                          int64_t tokens, int64_t least, md_arena *ar,
                          md_error *err);

/* Attribute state_update_capacity, 0 to 8, and input i, [batch], which is there
 * where that is above 0: how many steps are asked for of each request. */
md_status md_varlen__capture(const md_infer *c, uint32_t i, md_dim batch,
                             int64_t *capacity, md_error *err);

/* So many of request b, which has n tokens. */
int64_t md_varlen__captured(const md_exec *x, uint32_t i, int64_t capacity,
                            int64_t b, int64_t n);

#endif
