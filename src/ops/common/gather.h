/* Indices of Gather and its kin. */
#ifndef MD_OPS_COMMON_GATHER_H
#define MD_OPS_COMMON_GATHER_H

#include "ops/common/util.h"

/* Element i of t as an index into an axis of `size`; negative ones count from
 * the end.  MD_INVALID outside. */
static inline md_status md_gather__index(int64_t *out, const md_tensor *t,
                                         int64_t i, int64_t size, md_error *err)
{
    int64_t v = md_tensor_get_i64(t, i);

    if (v < -size || v >= size)
        return md_fail(err, MD_INVALID, "index %lld is outside [%lld, %lld)",
                       (long long)v, -(long long)size, (long long)size);
    *out = v < 0 ? v + size : v;
    return MD_OK;
}

#endif
