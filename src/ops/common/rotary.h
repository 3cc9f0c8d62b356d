/*
 * What com.microsoft's operators of rotary position embedding share: X
 * [B,S,N*H] or [B,N,S,H], position_ids, cos_cache and sin_cache [max, R/2], and
 * the attributes num_heads, rotary_embedding_dim, interleaved and scale.
 */
#ifndef MD_OPS_COMMON_ROTARY_H
#define MD_OPS_COMMON_ROTARY_H

#include "ops/common/rotate.h"

enum { /* inputs */
    MD_ROTARY_X,
    MD_ROTARY_POSITIONS,
    MD_ROTARY_COS,
    MD_ROTARY_SIN
};

/* All but the shape of the positions; *turn: the elements of a head that are
 * turned, -1 where that is not known. */
md_status md_rotary__infer(const md_infer *c, int64_t *turn, md_error *err);

/* S of X, an axis of its shape. */
int md_rotary__axis(int rank);

/* Turn X by rows of `cos` and `sin`, which are those inputs or tables in their
 * place: positions[b * S + i] is the row of token i; NULL: b * S + i is. */
md_status md_rotary__run(md_exec *x, md_tensor *out, const md_tensor *cos,
                         const md_tensor *sin, const int64_t *positions,
                         md_arena *ar, md_error *err);

#endif
