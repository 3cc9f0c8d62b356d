/*
 * The equation of an Einsum.
 *
 * Each letter and each axis of an ellipsis (counted from the right) is a
 * label; the letters come first, in the order of ASCII.
 */
#ifndef MD_OPS_COMMON_EINSUM_H
#define MD_OPS_COMMON_EINSUM_H

#include "ops/common/util.h"

enum {
    MD_EINSUM_LETTERS = 52,
    MD_EINSUM_LABELS = MD_EINSUM_LETTERS + MD_RANK_MAX
};

/* The labels of one operand's axes. */
typedef struct md_einsum_term {
    int n;
    int label[MD_RANK_MAX];
} md_einsum_term;

typedef struct md_einsum {
    int count[MD_EINSUM_LABELS];  /* how often a label occurs on the left */
    md_dim dim[MD_EINSUM_LABELS]; /* where it occurs */
    md_einsum_term out;
} md_einsum;

/* Read the equation for inputs of known rank; terms (may be NULL) has room
 * for each input's. */
md_status md_einsum__read(md_einsum *out, md_einsum_term *terms,
                          const md_infer *c, md_error *err);

#endif
