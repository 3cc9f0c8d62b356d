/*
 * The driver of conv_stem_f32: always copies the rows of a chunk into a frame
 * (see conv_f32.c) of planes, [row][channel][phase][column], which also brings
 * every input layout into one form.  A tap is one channel of one window pixel;
 * taps are ordered by row first, so that rows outside the image are a prefix
 * or suffix of them.
 */
#include "kernels/conv_stem_f32.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "base/size.h"
#include "kernels/conv_frame.h"

enum {
    BLOCK = 16
};

/* Frame of a chunk, bytes: stays in L2 while all output channels pass. */
static const int64_t frame_max = 128 << 10;
/* Less than this many multiply-adds are not worth a second thread. */
static const int64_t share_min = 1 << 18;

const md_conv_stem_f32_kernel md_conv_stem_f32_kernels[] = {
#define K(isa, need)                                                           \
    { "conv_stem_f32__" #isa, need, md_conv_stem_f32_span__##isa },
#include "kernels/conv_stem_f32.def"
#undef K
    { 0 },
};

const md_conv_stem_f32_kernel *md_conv_stem_f32_select(uint32_t cpu_flags)
{
    const md_conv_stem_f32_kernel *k = md_conv_stem_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

bool md_conv_stem_f32_packed_size(size_t *out, const md_conv_shape *s)
{
    *out = sizeof(float) * BLOCK;
    return md_mul_size(out, *out, (size_t)md_div_up(s->oc, BLOCK)) &&
           md_mul_size(out, *out, (size_t)s->ic) &&
           md_mul_size(out, *out, (size_t)s->kh) &&
           md_mul_size(out, *out, (size_t)s->kw);
}

void md_conv_stem_f32_pack(float *dst, const float *w, const md_conv_shape *s)
{
    const int64_t taps = s->kh * s->ic * s->kw;

    for (int64_t i = 0; i < md_div_up(s->oc, BLOCK) * taps; i++) {
        const int64_t t = i % taps;
        const int64_t ky = t / s->kw / s->ic, c = t / s->kw % s->ic;

        for (int64_t o = i / taps * BLOCK; o < (i / taps + 1) * BLOCK; o++)
            *dst++ = o < s->oc
                         ? w[((o * s->ic + c) * s->kh + ky) * s->kw + t % s->kw]
                         : 0;
    }
}

/* Bytes of the taps' offsets, and whether they fit. */
static bool taps_size(size_t *out, const md_conv_shape *s)
{
    *out = sizeof(int64_t);
    if (!md_mul_size(out, *out, (size_t)s->kh) ||
        !md_mul_size(out, *out, (size_t)s->ic) ||
        !md_mul_size(out, *out, (size_t)s->kw) ||
        !md_add_size(out, *out, MD_CACHE_LINE))
        return false;
    *out = *out / MD_CACHE_LINE * MD_CACHE_LINE;
    return true;
}

bool md_conv_stem_f32_split(md_conv_stem_f32_grid *out, const md_conv_shape *s,
                            int threads)
{
    const int64_t row = s->ic * md_conv_frame__width(s);
    const int64_t fit =
        frame_max / (int64_t)sizeof(float) / md_max_i64(1, row) / s->stride_h;
    const int64_t macs = s->oc * s->oh * s->ow * s->ic * s->kh * s->kw;
    int64_t parts = md_div_up(s->oh, md_max_i64(1, fit));
    size_t taps, frame = sizeof(float);

    *out = (md_conv_stem_f32_grid){ 0 };
    if (md_conv_shape_is_empty(s))
        return true;
    if (macs >= share_min)
        parts = md_max_i64(parts, md_div_up(threads, s->n));
    out->row_step = md_div_up(s->oh, md_min_i64(parts, s->oh));
    out->row_parts = md_div_up(s->oh, out->row_step);
    out->n_chunks = s->n * out->row_parts;
    return taps_size(&taps, s) &&
           md_mul_size(&frame, frame,
                       (size_t)md_conv_frame__rows(s, out->row_step)) &&
           md_mul_size(&frame, frame, (size_t)row) &&
           md_add_size(&out->scratch_size, taps, frame);
}

/* dst[i] = src[i step]: four at a time, this is a fifth of a thin layer. */
static void gather(float *dst, const float *src, int64_t step, int64_t n)
{
    int64_t i = 0;

    if (step == 1) {
        memcpy(dst, src, (size_t)n * sizeof(float));
        return;
    }
    for (; i + 4 <= n; i += 4, src += 4 * step) {
        const float a = src[0], b = src[step];
        const float c = src[2 * step], d = src[3 * step];

        dst[i] = a, dst[i + 1] = b;
        dst[i + 2] = c, dst[i + 3] = d;
    }
    for (; i < n; i++, src += step)
        dst[i] = *src;
}

/* One row of one channel: phase by phase, zeros outside the image. */
static float *fill_row(float *dst, const float *src, int64_t x_stride,
                       const md_conv_shape *s)
{
    const int64_t width = md_conv_frame__width(s) / s->stride_w;

    for (int64_t phase = 0; phase < s->stride_w; phase++, dst += width) {
        const int64_t left = s->pad_left - phase;
        const int64_t i0 =
            left > 0 ? md_min_i64(width, md_div_up(left, s->stride_w)) : 0;
        const int64_t ix = i0 * s->stride_w - left;
        int64_t n = 0;

        if (ix < s->iw)
            n = md_min_i64(width - i0, md_div_up(s->iw - ix, s->stride_w));
        for (int64_t i = 0; i < i0; i++)
            dst[i] = 0;
        if (n > 0)
            gather(dst + i0, src + ix * x_stride, x_stride * s->stride_w, n);
        for (int64_t i = i0 + n; i < width; i++)
            dst[i] = 0;
    }
    return dst;
}

static void fill_taps(int64_t *taps, const md_conv_shape *s)
{
    const int64_t width = md_conv_frame__width(s);
    const int64_t phase = width / s->stride_w;

    for (int64_t ky = 0; ky < s->kh; ky++) {
        for (int64_t c = 0; c < s->ic; c++) {
            for (int64_t kx = 0; kx < s->kw; kx++) {
                const int64_t x = kx * s->dilation_w;

                *taps++ = (ky * s->dilation_h * s->ic + c) * width +
                          x % s->stride_w * phase + x / s->stride_w;
            }
        }
    }
}

/* Output row oy of the image whose y begins at `image`. */
static void run_row(const md_conv_stem_f32_kernel *kernel,
                    const md_conv_stem_f32_args *c, md_conv_span s, int64_t iy0,
                    int64_t image, int64_t oy)
{
    const md_conv_shape *sh = &c->shape;
    const int64_t at = image + oy * sh->ow * BLOCK;
    int64_t ky0, ky1;

    md_conv_frame__inside(sh, oy, &ky0, &ky1);
    s.x_at = (oy * sh->stride_h - sh->pad_top - iy0) * sh->ic *
             md_conv_frame__width(sh);
    s.taps += ky0 * sh->ic * sh->kw;
    s.n_taps = (ky1 - ky0) * sh->ic * sh->kw;
    s.w += ky0 * sh->ic * sh->kw * BLOCK;
    s.y = c->y + at;
    s.residual = c->ep.residual ? c->ep.residual + at : NULL;
    kernel->span(&s);
}

void md_conv_stem_f32_run(const md_conv_stem_f32_kernel *kernel,
                          const md_conv_stem_f32_args *c,
                          const md_conv_stem_f32_grid *grid, int64_t chunk,
                          void *scratch)
{
    const md_conv_shape *s = &c->shape;
    const int64_t n = chunk / grid->row_parts;
    const int64_t row0 = chunk % grid->row_parts * grid->row_step;
    const int64_t row1 = md_min_i64(row0 + grid->row_step, s->oh);
    const int64_t n_yb = md_div_up(s->oc, BLOCK), taps = s->kh * s->ic * s->kw;
    const float *x = c->x + n * c->x_stride[0];
    size_t frame_at = 0;
    int64_t iy0, iy1;
    float *dst;

    assert(chunk >= 0 && chunk < grid->n_chunks);
    (void)taps_size(&frame_at, s);
    dst = (float *)((char *)scratch + frame_at);
    md_conv_frame__input(s, row0, row1, &iy0, &iy1);
    for (int64_t iy = iy0; iy < iy1; iy++) {
        for (int64_t k = 0; k < s->ic; k++)
            dst = fill_row(dst, x + k * c->x_stride[1] + iy * c->x_stride[2],
                           c->x_stride[3], s);
    }
    fill_taps(scratch, s);
    for (int64_t oy = row0; oy < row1; oy++)
        run_row(kernel, c,
                (md_conv_span){ .x = (float *)((char *)scratch + frame_at),
                                .n_xb = 1,
                                .taps = scratch,
                                .w = c->w,
                                .w_out = taps * BLOCK,
                                .y_block = s->oh * s->ow * BLOCK,
                                .bias = c->ep.bias,
                                .n_yb = n_yb,
                                .n_px = s->ow,
                                .last_lanes = (int)(s->oc - (n_yb - 1) * BLOCK),
                                .final = true,
                                .act = c->ep.act,
                                .a = c->ep.a,
                                .b = c->ep.b },
                iy0, n * n_yb * s->oh * s->ow * BLOCK, oy);
}
