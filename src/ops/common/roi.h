/* Regions of interest: what RoiAlign and MaxRoiPool share. */
#ifndef MD_OPS_COMMON_ROI_H
#define MD_OPS_COMMON_ROI_H

#include "ops/common/util.h"

/* Output [regions, channels, height, width] of inputs 0, the features
 * [batch, channels, h, w], and 1, the regions [n, columns]; checks both. */
md_status md_roi__infer(const md_infer *c, int columns, int64_t height,
                        int64_t width, md_error *err);

/* The regions as [n, columns] doubles, all of them finite; MD_INVALID names
 * one that is not. */
md_status md_roi__load(double **out, const md_tensor *rois, md_arena *ar,
                       md_error *err);

/* MD_INVALID when region r's batch element is not in [0, n). */
md_status md_roi__check_batch(int64_t batch, int64_t r, int64_t n,
                              md_error *err);

#endif
