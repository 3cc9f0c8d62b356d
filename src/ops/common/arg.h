/* ArgMax and ArgMin. */
#ifndef MD_OPS_COMMON_ARG_H
#define MD_OPS_COMMON_ARG_H

#include "ops/common/util.h"

md_status md_arg__infer(const md_infer *c, md_error *err);

/* Index of the largest (sign 1) or smallest (-1) element along the axis; the
 * first of equals, or the last with select_last_index. */
md_status md_arg__compute(md_exec *x, md_tensor *out, int sign, md_error *err);

#endif
