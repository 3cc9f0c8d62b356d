/* Sequences without padding behind each other: com.microsoft's
 * PackedAttention and PackedMultiHeadAttention. */
#ifndef MD_OPS_COMMON_PACKED_H
#define MD_OPS_COMMON_PACKED_H

#include "ops/common/mask_index.h"

/* Inputs: token_offset [batch, length], cumulative_sequence_length [batch + 1]
 * and attention bias of the node. */
typedef struct md_packed {
    uint32_t offsets, sums, bias;
} md_packed;

md_status md_packed__check(const md_infer *c, const md_packed *at,
                           int64_t heads, md_error *err);

/* Rows of q, k, v and y are [tokens, ...]: a's heads are set but for batch
 * strides, its sizes but for those of batch and keys. */
md_status md_packed__attend(md_attend *a, const md_exec *x, const md_packed *at,
                            int64_t tokens, md_arena *ar, md_error *err);

#endif
