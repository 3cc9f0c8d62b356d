/* com.microsoft's FusedMatMul and its old name TransposeMatMul. */
#ifndef MD_OPS_COMMON_MATMUL_FUSED_H
#define MD_OPS_COMMON_MATMUL_FUSED_H

#include "ops/compose.h"

/* alpha * A' * B', where ' moves axes as transA, transBatchA and so on say. */
md_status md_matmul_fused__recipe(md_compose *m, md_error *err);

/* The same for the pass: only what no kernel does in one. */
md_status md_matmul_fused__expand(md_compose *m, md_error *err);

int64_t md_matmul_fused__macs(const md_node *n, const md_shape *const *in,
                              const md_shape *const *out);

#endif
