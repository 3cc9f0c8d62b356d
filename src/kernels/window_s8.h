/* Copying a rectangle of an NC16 byte plane that may stick out of it. */
#ifndef MD_KERNELS_WINDOW_S8_H
#define MD_KERNELS_WINDOW_S8_H

#include <stddef.h>
#include <stdint.h>

typedef struct md_window_s8 {
    const uint8_t *plane; /* [ih][iw][16] */
    int64_t ih, iw;
    int64_t y, x; /* first pixel, may be negative */
    int64_t h, w;
    int64_t pixel; /* bytes from pixel to pixel of the copy, 16 or more */
    int32_t zero;  /* what pixels outside are, in the plane's own type */
    uint8_t flip;  /* 0x80 makes signed bytes unsigned, 128 more; else 0 */
} md_window_s8;

/* Bytes of `planes` copies; SIZE_MAX / 4, which nobody has, when it is more: a
 * model may ask for any window. */
size_t md_window_s8_size(const md_window_s8 *v, int64_t planes);

/* to[h][w][pixel], of which the first 16 bytes are written; no overlap. */
void md_window_s8_copy(uint8_t *to, const md_window_s8 *v);

#endif
