/* Writing single elements into a copy of the data: the Scatter operators. */
#ifndef MD_OPS_COMMON_SCATTER_H
#define MD_OPS_COMMON_SCATTER_H

#include "ops/common/util.h"

typedef enum md_scatter {
    MD_SCATTER_PUT,
    MD_SCATTER_ADD,
    MD_SCATTER_MUL,
    MD_SCATTER_MAX,
    MD_SCATTER_MIN,
} md_scatter;

/* The attribute `reduction` (from opset 16 on, max and min from 18 on).
 * MD_INVALID for another word, and for a reduction of elements that have none
 * (strings, complex). */
md_status md_scatter__how(md_scatter *out, const md_node *n, int64_t opset,
                          md_dtype dtype, md_error *err);

/* out[at + i] = out[at + i] and updates[from + i], combined, for i < n; one
 * element type. */
void md_scatter__row(md_scatter how, md_tensor *out, int64_t at,
                     const md_tensor *updates, int64_t from, int64_t n);

/* Scatter and ScatterElements. */
md_status md_scatter__infer_elements(const md_infer *c, md_error *err);
md_status md_scatter__elements(md_exec *x, md_tensor *out, md_arena *ar,
                               md_error *err);

#endif
