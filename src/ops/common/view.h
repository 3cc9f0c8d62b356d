/* Operators whose output is the input's elements under another shape. */
#ifndef MD_OPS_COMMON_VIEW_H
#define MD_OPS_COMMON_VIEW_H

#include "ops/common/util.h"

/* Copy input 0 into output 0, whose shape `infer` gives. */
md_status md_view__run(md_exec *x, md_infer_fn *infer, md_error *err);

#endif
