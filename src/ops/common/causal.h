/* Causal convolutions of channels by themselves that keep a state. */
#ifndef MD_OPS_COMMON_CAUSAL_H
#define MD_OPS_COMMON_CAUSAL_H

#include "ops/common/util.h"

/* Attribute `activation`: none, or silu, which is swish too. */
md_status md_causal__activation(const md_node *n, bool *silu, md_error *err);

/* Attribute `dilation`: from tap to tap; at least 1. */
md_status md_causal__dilation(const md_node *n, int64_t *out, md_error *err);

double md_causal__silu(double x);

#endif
