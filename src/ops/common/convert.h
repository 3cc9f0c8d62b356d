/* Cast and CastLike. */
#ifndef MD_OPS_COMMON_CONVERT_H
#define MD_OPS_COMMON_CONVERT_H

#include "ops/common/util.h"

/* MD_INVALID for a round_mode that does not exist. */
md_status md_convert__check_attrs(const md_node *n, md_error *err);

/* Input 0 in the output's element type, by the node's saturate and
 * round_mode. */
md_status md_convert__compute(md_exec *x, md_tensor *out, md_arena *ar,
                              md_error *err);

#endif
