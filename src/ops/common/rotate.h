/* Rotary position embedding: pairs of a row's elements turned by the angles of
 * its position (Su et al. 2021). */
#ifndef MD_OPS_COMMON_ROTATE_H
#define MD_OPS_COMMON_ROTATE_H

#include "kernels/rotate_f32.h"
#include "ops/common/attend.h"

typedef struct md_rotate {
    const md_tensor *cos, *sin; /* [positions, turn / 2] */
    int64_t turn;     /* elements that are turned, from the first on */
    bool interleaved; /* pairs are neighbours, not half a turn apart */
    double scale;     /* of what is turned */
    md_heads in, out;
    const md_rotate_f32_kernel *kernel;
    double *row, *c, *s; /* scratch: set by begin */
} md_rotate;

/* Inputs icos and isin, of rank 2, are caches for `turn` elements (-1: not
 * known). */
md_status md_rotate__check_caches(const md_infer *c, uint32_t icos,
                                  uint32_t isin, int64_t turn, md_error *err);

md_status md_rotate__begin(md_rotate *r, md_arena *ar, md_error *err);

/* MD_INVALID where the caches do not have the position. */
md_status md_rotate__check_position(const md_rotate *r, int64_t position,
                                    md_error *err);

/* What is turned, the caches and the result are float32: rows need no scratch,
 * so that threads may share r. */
bool md_rotate__is_plain(const md_rotate *r);

/* The rows of a, `size` elements each: what lies behind the turned ones is
 * copied. */
void md_rotate__turn(const md_rotate_f32_kernel *k, const md_rotate_f32_args *a,
                     int64_t size);

/* Row i of each head of element b, which is at `position`: MD_INVALID where
 * the caches do not have it. */
md_status md_rotate__row(const md_rotate *r, int64_t heads, int64_t b,
                         int64_t i, int64_t position, md_error *err);

#endif
