/*
 * Zeros in weights where they stand: shapes stay, and with them the time; the
 * file shrinks when it stores zeros as such (md_onnx_save_opts).
 *
 * Which weights go over a whole model is told by their squares against those
 * of the larger ones of their layer (J. Lee et al., "Layer-adaptive sparsity for
 * the magnitude-based pruning", 2021, LAMP), so that no layer is emptied; in N:M
 * patterns by their size alone, n of each m along what is summed over stay.
 */
#ifndef MD_OPTIMIZE_SPARSIFY_H
#define MD_OPTIMIZE_SPARSIFY_H

#include "graph/graph.h"

typedef struct md_sparsify_opts {
    double share; /* of the weights that become 0, in (0, 1); or: */
    int64_t n, m; /* n of each m weights stay, 0 < n < m; m 0: by share */
} md_sparsify_opts;

typedef struct md_sparsify_report {
    uint32_t n_layers;
    int64_t weights, zeros; /* of their kernels, afterwards */
} md_sparsify_report;

/*
 * Change the kernels of Conv, ConvTranspose, Gemm and MatMul in place.
 * MD_UNSUPPORTED when there are none, MD_INVALID for options out of range and
 * weights that are not finite.  After a failure the model can only be freed.
 */
md_status md_sparsify(md_model *model, const md_sparsify_opts *opts,
                      md_sparsify_report *report, md_error *err);

#endif
