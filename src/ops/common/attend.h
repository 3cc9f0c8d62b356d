/*
 * Scaled dot product attention by definition: what the operators of that name
 * share.  In double whatever they take, and rounded once at the end.
 *
 * Keys and values are those of the past and, behind them, the new ones.
 */
#ifndef MD_OPS_COMMON_ATTEND_H
#define MD_OPS_COMMON_ATTEND_H

#include "ops/common/util.h"

/* Where rows of `size` elements lie: by batch element, head and position. */
typedef struct md_heads {
    const md_tensor *t;
    int64_t size;
    int64_t at;               /* element of the first */
    int64_t batch, head, row; /* strides in elements */
    const md_tensor *bias;    /* added: row `head` from bias_at on; or NULL */
    int64_t bias_at;
    const float *turned; /* in place of t, the same layout; or NULL */
} md_heads;

/* [batch, heads, n, size], and [batch, n, heads * size]. */
md_heads md_heads__first(const md_tensor *t, int64_t heads, int64_t n,
                         int64_t size);
md_heads md_heads__last(const md_tensor *t, int64_t heads, int64_t n,
                        int64_t size);

/* What is added to scores, and which keys a query may see. */
typedef struct md_attend_mask {
    /* int32, 0 for a key to be masked: [B,T], [B,S,T], or [B,1,M,M] of which
     * the rows from the past on count; or how many keys are not, [B] (or more:
     * the first B), or ends and starts, [2B].  Masked keys get `filter`. */
    const md_tensor *keys;
    double filter;
    /* Added, or of bool: false takes a key out.  Strides by batch element,
     * head, query and key; keys from n_bias on are taken out. */
    const md_tensor *bias;
    int64_t bias_at, stride[4], n_bias;
    const md_tensor *lengths; /* keys of each element that are valid; or NULL */
    bool causal;    /* no key lies ahead; the last query sees the last valid */
    int64_t window; /* keys that a query sees up to its own; 0: all */
    bool padded;    /* queries behind the keys see none */
} md_attend_mask;

typedef enum md_attend_stage {
    MD_ATTEND_SCALED,  /* q k * scale */
    MD_ATTEND_CAPPED,  /* and softcap */
    MD_ATTEND_BIASED,  /* and what `bias` adds */
    MD_ATTEND_SOFTMAX, /* probabilities */
} md_attend_stage;

typedef struct md_attend {
    int64_t n_batch, q_heads, kv_heads; /* q_heads is a multiple of kv_heads */
    int64_t n_q;                        /* queries */
    int64_t n_keys;                     /* most keys of a batch element */
    md_heads q, k, v;
    md_heads past_k, past_v;
    const int64_t *n_past; /* rows of the past of each batch element */
    const int64_t *n_all;  /* the same with the new ones, <= n_keys */
    double scale, softcap; /* softcap 0: none */
    bool smooth;           /* exp(0) joins the sum of a softmax ... */
    const md_tensor *sink; /* ... or exp of this one of the head; or NULL */
    const md_attend_mask *mask; /* or NULL */
    /* Batch element whose past holds row j of element b; NULL: b. */
    int64_t (*source)(const struct md_attend *a, int64_t b, int64_t j);
    const md_tensor *beams; /* source's: [B / width, width, M] */
    md_heads y;             /* the result; t NULL: not wanted */
    md_tensor *qk; /* [batch, q_heads, n_q, n_keys] at `stage`; or NULL */
    md_attend_stage stage;
} md_attend;

/* What mask->keys adds to the score of key j: 0 or the filter. */
double md_attend__filter(const md_attend *a, int64_t b, int64_t i, int64_t j);

/* The last key that query i may see, and what is added to the scores of its
 * keys, [n_all[b]]; -INFINITY takes a key out. */
int64_t md_attend__last(const md_attend *a, int64_t b, int64_t i);
void md_attend__mask_row(const md_attend *a, double *out, int64_t b, int64_t h,
                         int64_t i);

/* Compute y and qk; a row that may attend to nothing is 0. */
md_status md_attend__run(const md_attend *a, md_arena *ar, md_error *err);

/* Past and new keys (values) of all heads as [batch, kv_heads, n, size] from
 * element `at` of out on; rows beyond n_all[b] are left alone. */
void md_attend__present(const md_attend *a, md_tensor *out, int64_t at,
                        int64_t n, bool values);

/* What an operator computes, and with which mask, by its tensors.  Of these
 * only headers are looked at, unless an input tells sizes.  `out` has the
 * node's outputs, NULL where not wanted. */
typedef md_status md_attend_fn(md_attend *a, md_attend_mask *mask,
                               const md_exec *x, md_tensor *const *out,
                               md_arena *ar, md_error *err);
md_attend_fn md_attention__attend, md_qkv_attention__attend,
    md_multi_head_attention__attend, md_group_query_attention__attend;

#endif
