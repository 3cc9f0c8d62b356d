/* Cast and CastLike. */
#ifndef MD_OPS_COMMON_CONVERT_H
#define MD_OPS_COMMON_CONVERT_H

#include "ops/common/util.h"

/* Input 0 in the output's element type, by the node's saturate and
 * round_mode. */
md_status md_convert__compute(md_exec *x, md_tensor *out, md_arena *ar,
                              md_error *err);

#endif
