/* The end of com.microsoft's Attention, QAttention and
 * DecoderMaskedSelfAttention: what follows the projection of their input. */
#ifndef MD_OPS_COMMON_PROJECT_H
#define MD_OPS_COMMON_PROJECT_H

#include "ops/compose.h"

/* Inputs of the node, MD_PART_NONE where it has none. */
typedef struct md_projected {
    md_part mask, past, bias, past_length;
} md_projected;

/* QkvAttention of qkv, with both outputs handed to the node. */
md_status md_project__attend(md_compose *m, md_part qkv, const md_projected *p,
                             md_error *err);

/* x times the weights plus a bias (may be MD_PART_NONE): rows of queries,
 * keys and values. */
md_status md_project__rows(md_compose *m, md_part x, md_part weights,
                           md_part bias, md_part *qkv, md_error *err);

#endif
