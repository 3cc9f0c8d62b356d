#include "kernels/conv_frame.h"

#include "base/size.h"

int64_t md_conv_frame__covered(const md_conv_shape *s)
{
    return (s->ow - 1) * s->stride_w + (s->kw - 1) * s->dilation_w + 1;
}

int64_t md_conv_frame__width(const md_conv_shape *s)
{
    return md_div_up(md_conv_frame__covered(s), s->stride_w) * s->stride_w;
}

int64_t md_conv_frame__rows(const md_conv_shape *s, int64_t rows)
{
    return md_min_i64(s->ih, (rows - 1) * s->stride_h +
                                 (s->kh - 1) * s->dilation_h + 1);
}

void md_conv_frame__input(const md_conv_shape *s, int64_t row0, int64_t row1,
                          int64_t *iy0, int64_t *iy1)
{
    const int64_t first = row0 * s->stride_h - s->pad_top;
    const int64_t last =
        (row1 - 1) * s->stride_h - s->pad_top + (s->kh - 1) * s->dilation_h;

    *iy0 = md_min_i64(md_max_i64(first, 0), s->ih);
    *iy1 = md_max_i64(*iy0, md_min_i64(last + 1, s->ih));
}

void md_conv_frame__inside(const md_conv_shape *s, int64_t oy, int64_t *ky0,
                           int64_t *ky1)
{
    const int64_t top = oy * s->stride_h - s->pad_top;

    *ky0 = top < 0 ? md_min_i64(s->kh, md_div_up(-top, s->dilation_h)) : 0;
    *ky1 = top >= s->ih
               ? *ky0
               : md_min_i64(s->kh, (s->ih - 1 - top) / s->dilation_h + 1);
    *ky1 = md_max_i64(*ky0, *ky1);
}
