/* Steps that FusedConv and its relatives with channels last share. */
#ifndef MD_OPS_COMMON_CONV_FUSED_H
#define MD_OPS_COMMON_CONV_FUSED_H

#include "ops/compose.h"

/* Conv of x by the node's inputs 1 and 2 (bias), plus z, and the activation
 * that the node names. */
md_status md_conv_fused__emit(md_compose *m, md_part x, md_part z, md_part *y,
                              md_error *err);

#endif
