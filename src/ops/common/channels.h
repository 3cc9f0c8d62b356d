/* Channels last: what is computed alike for all channels of a place is then a
 * row of them. */
#ifndef MD_OPS_COMMON_CHANNELS_H
#define MD_OPS_COMMON_CHANNELS_H

#include "ops/common/util.h"

enum {
    MD_CHANNELS_FEW = 4 /* fewer are not worth a row */
};

/* x [n, channels, plane] as [n, plane, channels], in the arena. */
md_status md_channels__last(const float **out, const md_exec *x,
                            const float *from, int64_t n, int64_t channels,
                            int64_t plane, md_arena *ar, md_error *err);

/* Rows [places, channels] to [channels, places], `stride` apart. */
void md_channels__first(float *to, int64_t stride, const float *rows,
                        int64_t places, int64_t channels, uint32_t cpu);

#endif
