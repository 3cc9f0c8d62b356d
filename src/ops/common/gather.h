/* Indices of Gather and its kin. */
#ifndef MD_OPS_COMMON_GATHER_H
#define MD_OPS_COMMON_GATHER_H

#include "ops/common/util.h"

/* *v as an index into an axis of `size`; negative ones count from the end.
 * MD_INVALID outside. */
static inline md_status md_gather__wrap(int64_t *v, int64_t size, md_error *err)
{
    if (*v < -size || *v >= size)
        return md_fail(err, MD_INVALID, "index %lld is outside [%lld, %lld)",
                       (long long)*v, -(long long)size, (long long)size);
    *v = *v < 0 ? *v + size : *v;
    return MD_OK;
}

/* The same of element i of t. */
static inline md_status md_gather__index(int64_t *out, const md_tensor *t,
                                         int64_t i, int64_t size, md_error *err)
{
    md_load_i64(out, t, i, 1);
    return md_gather__wrap(out, size, err);
}

/* The same of all elements of t, in scratch. */
static inline md_status md_gather__indices(int64_t **out, const md_tensor *t,
                                           int64_t size, md_arena *ar,
                                           md_error *err)
{
    int64_t n = md_tensor_n(t), *v;

    MD_TRY(md_exec__scratch(&v, ar, n, sizeof(*v), err));
    md_load_i64(v, t, 0, n);
    for (int64_t i = 0; i < n; i++)
        MD_TRY(md_gather__wrap(&v[i], size, err));
    *out = v;
    return MD_OK;
}

#endif
