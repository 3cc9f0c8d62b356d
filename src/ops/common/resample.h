/*
 * Resize and Upsample: each axis by itself, an output coordinate is a weighted
 * sum of input coordinates.
 */
#ifndef MD_OPS_COMMON_RESAMPLE_H
#define MD_OPS_COMMON_RESAMPLE_H

#include "ops/common/util.h"

typedef enum md_coordinates {
    MD_COORD_HALF_PIXEL,
    MD_COORD_HALF_PIXEL_SYMMETRIC,
    MD_COORD_PYTORCH_HALF_PIXEL,
    MD_COORD_ALIGN_CORNERS,
    MD_COORD_ASYMMETRIC,
    MD_COORD_TF_CROP_AND_RESIZE,
    MD_COORD_TF_HALF_PIXEL_FOR_NN,
} md_coordinates;

typedef enum md_nearest {
    MD_NEAREST_ROUND_PREFER_FLOOR,
    MD_NEAREST_ROUND_PREFER_CEIL,
    MD_NEAREST_FLOOR,
    MD_NEAREST_CEIL,
} md_nearest;

enum md_resample_mode {
    MD_RESAMPLE_NEAREST,
    MD_RESAMPLE_LINEAR,
    MD_RESAMPLE_CUBIC
};

typedef struct md_resample {
    enum md_resample_mode mode;
    md_coordinates coordinates;
    md_nearest nearest;
    bool exclude_outside;
    bool antialias;
    uint32_t cpu; /* enum md_cpu_flags that may be used */
    double cubic_a;
    double outside; /* value for tf_crop_and_resize */
    /* Per axis of the input: */
    double scale[MD_RANK_MAX];
    double start[MD_RANK_MAX], end[MD_RANK_MAX]; /* roi */
} md_resample;

/* floor(n * scale), with a float32 product. */
md_status md_resample__size(int64_t *out, int64_t n, float scale,
                            md_error *err);

/* The same for a dimension, symbolic ones where scale is a whole number. */
md_status md_resample__dim(const md_infer *c, md_dim *out, md_dim n,
                           float scale, md_error *err);

/* in and out have one rank and element type; what float32 holds is computed in
 * it, anything else in double. */
md_status md_resample__run(const md_resample *r, md_tensor *out,
                           const md_tensor *in, md_pool *pool, md_arena *ar,
                           md_error *err);

#endif
