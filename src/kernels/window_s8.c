#include "kernels/window_s8.h"

#include <string.h>

#include "base/size.h"

enum {
    LANES = 16
};

size_t md_window_s8_size(const md_window_s8 *v, int64_t planes)
{
    const size_t most = SIZE_MAX / 4;
    size_t size;

    if (!md_mul_size(&size, (size_t)v->h, (size_t)v->w) ||
        !md_mul_size(&size, size, (size_t)v->pixel) ||
        !md_mul_size(&size, size, (size_t)planes))
        return most;
    return size < most ? size : most;
}

static void fill(uint8_t *to, const md_window_s8 *v, int64_t n)
{
    const int zero = (uint8_t)v->zero ^ v->flip;

    if (v->pixel == LANES) {
        memset(to, zero, (size_t)(n * LANES));
        return;
    }
    for (int64_t i = 0; i < n; i++, to += v->pixel)
        memset(to, zero, LANES);
}

/* n pixels that are neighbours in `from`. */
static void copy(uint8_t *to, const md_window_s8 *v, const uint8_t *from,
                 int64_t n)
{
    if (v->pixel == LANES && v->flip == 0) {
        memcpy(to, from, (size_t)(n * LANES));
        return;
    }
    for (int64_t i = 0; i < n; i++, to += v->pixel, from += LANES) {
        uint8_t px[LANES];

        memcpy(px, from, LANES);
        for (int j = 0; j < LANES; j++)
            px[j] ^= v->flip;
        memcpy(to, px, LANES);
    }
}

void md_window_s8_copy(uint8_t *to, const md_window_s8 *v)
{
    const int64_t left = md_min_i64(md_max_i64(-v->x, 0), v->w);
    const int64_t first = md_max_i64(v->x, 0);
    const int64_t mid = md_max_i64(md_min_i64(v->iw - first, v->w - left), 0);

    for (int64_t y = v->y; y < v->y + v->h; y++, to += v->w * v->pixel) {
        if (y < 0 || y >= v->ih || mid == 0) {
            fill(to, v, v->w);
            continue;
        }
        fill(to, v, left);
        copy(to + left * v->pixel, v, v->plane + (y * v->iw + first) * LANES,
             mid);
        fill(to + (left + mid) * v->pixel, v, v->w - left - mid);
    }
}
