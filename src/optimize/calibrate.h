/*
 * Calibration: the ranges that values take over a set of samples, and the
 * 8-bit parameters that fit them.
 */
#ifndef MD_OPTIMIZE_CALIBRATE_H
#define MD_OPTIMIZE_CALIBRATE_H

#include "base/pool.h"
#include "data/dataset.h"

typedef enum md_calib_method {
    MD_CALIB_MINMAX = 0, /* the whole range */
    MD_CALIB_PERCENTILE, /* all but 0.01 % at either end */
    MD_CALIB_MSE,        /* the range of least squared error */
    MD_CALIB_ENTROPY,    /* the range whose codes tell most of the
                          * distribution: least KL divergence of what is kept
                          * to what 256 codes make of it (S. Migacz, "8-bit
                          * Inference with TensorRT", 2017) */
} md_calib_method;

enum {
    MD_CALIB_BINS = 2048
};

/* What one value was seen to hold. */
typedef struct md_range {
    float min, max;               /* always includes 0 */
    uint64_t bins[MD_CALIB_BINS]; /* between min and max */
} md_range;

/* q = clamp(round(x / scale) + zero, 0, 255) */
typedef struct md_qparams {
    float scale;
    uint8_t zero;
} md_qparams;

/*
 * Run `model` (not changed) over all samples and fill ranges[i] for the value
 * called names[i].  Values must be float32.  MD_INVALID when one turns out
 * NaN or infinite.
 */
md_status md_calibrate(md_range *ranges, const md_model *model,
                       const char *const *names, uint32_t n,
                       const md_dataset *data, md_pool *pool, md_error *err);

/* "minmax", "percentile", ... */
const char *md_calib_method_name(md_calib_method m);

/* Parameters for a range by this method. */
md_qparams md_range_params(const md_range *r, md_calib_method method);

#endif
