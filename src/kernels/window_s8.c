#include "kernels/window_s8.h"

#include <string.h>

#include "base/size.h"

enum {
    LANES = 16
};

static void copy_bytes(uint8_t *to, const uint8_t *from, int64_t n,
                       uint8_t flip)
{
    if (flip == 0) {
        memcpy(to, from, (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i] ^ flip;
}

void md_window_s8_copy(uint8_t *to, const md_window_s8 *v)
{
    const int fill = (uint8_t)v->zero ^ v->flip;
    const int64_t left = md_min_i64(md_max_i64(-v->x, 0), v->w);
    const int64_t first = md_max_i64(v->x, 0);
    const int64_t mid = md_max_i64(md_min_i64(v->iw - first, v->w - left), 0);

    for (int64_t y = v->y; y < v->y + v->h; y++, to += v->w * LANES) {
        if (y < 0 || y >= v->ih || mid == 0) {
            memset(to, fill, (size_t)(v->w * LANES));
            continue;
        }
        memset(to, fill, (size_t)(left * LANES));
        copy_bytes(to + left * LANES, v->plane + (y * v->iw + first) * LANES,
                   mid * LANES, v->flip);
        memset(to + (left + mid) * LANES, fill,
               (size_t)((v->w - left - mid) * LANES));
    }
}
