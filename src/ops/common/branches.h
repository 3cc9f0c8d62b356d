/* Branches of hyper-connections, side by side: [..., C, H], or [..., C * H] where
 * the attribute num_branches tells C. */
#ifndef MD_OPS_COMMON_BRANCHES_H
#define MD_OPS_COMMON_BRANCHES_H

#include "ops/compose.h"

enum {
    MD_BRANCHES_TYPES =
        1 << MD_DTYPE_F32 | 1 << MD_DTYPE_F16 | 1 << MD_DTYPE_BF16
};

/* Input i as [..., C, H], in float32. */
md_status md_branches__split(md_compose *m, uint32_t i, md_part *out,
                             md_error *err);

/* Input i, a number for each branch or each of its elements, so that it
 * broadcasts to `streams`, which split gave; in float32. */
md_status md_branches__gates(md_compose *m, uint32_t i, md_part streams,
                             md_part *out, md_error *err);

/* Part p has the first n dimensions of `streams`; `what` is p. */
md_status md_branches__lead(const md_compose *m, md_part p, md_part streams,
                            int n, const char *what, md_error *err);

#endif
