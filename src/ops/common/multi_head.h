/* com.microsoft's MultiHeadAttention and DecoderMaskedMultiHeadAttention:
 * queries, keys and values are projected before, in one of several layouts. */
#ifndef MD_OPS_COMMON_MULTI_HEAD_H
#define MD_OPS_COMMON_MULTI_HEAD_H

#include "ops/common/mask_index.h"

/* Where a node has what; MD_VALUE_NONE: it never does. */
typedef struct md_multi_head {
    uint32_t key, value, bias, mask, attention_bias, past_k, past_v;
    uint32_t past_length, beam_width, beams;
    bool one; /* one new position */
} md_multi_head;

/* Sizes of one node; constants in an execution. */
typedef struct md_multi_head_sizes {
    int64_t heads;
    md_dim batch, n_q, n_new, n_past, n_all, n_present, size, v_size;
    enum {
        MD_HEADS_APART,    /* q [B,S,N*H], k [B,L,N*H], v [B,L,N*V] */
        MD_HEADS_CROSS,    /* k [B,N,L,H], v [B,N,L,V] */
        MD_HEADS_KV,       /* k [B,L,N,2,H] holds both */
        MD_HEADS_QKV,      /* q [B,S,N,3,H] holds all */
        MD_HEADS_QKV_ROWS, /* q [B,S,3*N*H], behind each other */
    } layout;
    bool shared; /* the past has room for what is new */
} md_multi_head_sizes;

md_status md_multi_head__infer(const md_infer *c, const md_multi_head *at,
                               md_error *err);

/* The sizes of a node that infer has accepted. */
md_status md_multi_head__sizes(const md_infer *c, const md_multi_head *at,
                               md_multi_head_sizes *s, md_error *err);

/* What the node computes, and with which mask; beams are not read. */
md_status md_multi_head__attend(md_attend *a, md_attend_mask *mask,
                                const md_exec *x, const md_multi_head *at,
                                md_tensor *const *out, md_arena *ar,
                                md_error *err);

md_status md_multi_head__run(md_exec *x, const md_multi_head *at,
                             md_infer_fn *infer, md_error *err);

#endif
