/* Steps that com.microsoft's GroupNorm and SkipGroupNorm share. */
#ifndef MD_OPS_COMMON_GROUP_NORM_H
#define MD_OPS_COMMON_GROUP_NORM_H

#include "ops/compose.h"

/* x normalized as the node says, by its inputs 1 and 2: its output 0. */
md_status md_group_norm__emit(md_compose *m, md_part x, md_error *err);

#endif
