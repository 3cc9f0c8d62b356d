#include "kernels/dwconv_f32.h"

#include <assert.h>
#include <string.h>

#include "base/cpu.h"
#include "base/size.h"
#include "kernels/conv_frame.h"

enum {
    BLOCK = 16
};

/* Less than this many multiply-adds are not worth a second thread. */
static const int64_t share_min = 1 << 18;

const md_dwconv_f32_kernel md_dwconv_f32_kernels[] = {
#define K(isa, need) { "dwconv_f32__" #isa, need, md_dwconv_f32_row__##isa },
#include "kernels/dwconv_f32.def"
#undef K
    { 0 },
};

const md_dwconv_f32_kernel *md_dwconv_f32_select(uint32_t cpu_flags)
{
    const md_dwconv_f32_kernel *k = md_dwconv_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

bool md_dwconv_f32_packed_size(size_t *out, const md_conv_shape *s)
{
    *out = sizeof(float) * BLOCK;
    return md_mul_size(out, *out, (size_t)md_div_up(s->oc, BLOCK)) &&
           md_mul_size(out, *out, (size_t)s->kh) &&
           md_mul_size(out, *out, (size_t)s->kw);
}

void md_dwconv_f32_pack(float *dst, const float *w, const md_conv_shape *s)
{
    const int64_t taps = s->kh * s->kw;

    for (int64_t c0 = 0; c0 < s->oc; c0 += BLOCK) {
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t c = c0; c < c0 + BLOCK; c++)
                *dst++ = c < s->oc ? w[c * taps + t] : 0;
        }
    }
}

int64_t md_dwconv_f32_n_chunks(const md_conv_shape *s, int threads)
{
    const int64_t planes = s->n * md_div_up(s->oc, BLOCK);
    const int64_t macs = planes * BLOCK * s->oh * s->ow * s->kh * s->kw;
    int64_t parts = 1;

    if (planes == 0 || s->oh == 0 || s->ow == 0)
        return 0;
    /* One block each is fine grain already; rows only when blocks are few. */
    if (macs >= share_min && planes < 4 * (int64_t)threads)
        parts = md_min_i64(s->oh, md_div_up(4 * (int64_t)threads, planes));
    return planes * parts;
}

void md_dwconv_f32__interior(const md_dwconv_f32_row *r, int64_t *ox0,
                             int64_t *ox1)
{
    const int64_t last = (r->kw - 1) * r->dilation - r->pad_left;

    *ox0 = md_min_i64(md_div_up(md_max_i64(0, r->pad_left), r->stride), r->ow);
    *ox1 = r->iw - 1 < last ? 0 : (r->iw - 1 - last) / r->stride + 1;
    *ox1 = md_max_i64(*ox0, md_min_i64(*ox1, r->ow));
}

void md_dwconv_f32__inside(const md_dwconv_f32_row *r, int64_t ox, int64_t *kx0,
                           int64_t *kx1)
{
    const int64_t left = ox * r->stride - r->pad_left;

    *kx0 = left < 0 ? md_min_i64(r->kw, md_div_up(-left, r->dilation)) : 0;
    *kx1 = left >= r->iw
               ? *kx0
               : md_min_i64(r->kw, (r->iw - 1 - left) / r->dilation + 1);
    *kx1 = md_max_i64(*kx0, *kx1);
}

void md_dwconv_f32_run(const md_dwconv_f32_kernel *kernel,
                       const md_dwconv_f32_args *c, int64_t chunk,
                       int64_t n_chunks)
{
    const md_conv_shape *s = &c->shape;
    const int64_t n_b = md_div_up(s->oc, BLOCK);
    const int64_t parts = n_chunks / (s->n * n_b);
    const int64_t step = md_div_up(s->oh, parts);
    const int64_t plane = chunk / parts, b = plane % n_b;
    const int64_t row0 = chunk % parts * step;
    const int64_t row1 = md_min_i64(row0 + step, s->oh);
    const float *x = c->x + plane * s->ih * s->iw * BLOCK;
    md_dwconv_f32_row r = { .x_row = s->dilation_h * s->iw * BLOCK,
                            .kw = s->kw,
                            .stride = s->stride_w,
                            .dilation = s->dilation_w,
                            .pad_left = s->pad_left,
                            .iw = s->iw,
                            .ow = s->ow,
                            .lanes = (int)md_min_i64(BLOCK, s->oc - b * BLOCK),
                            .act = c->ep.act,
                            .a = c->ep.a,
                            .b = c->ep.b };

    assert(chunk >= 0 && chunk < n_chunks && s->ic == s->oc);
    if (c->ep.bias)
        r.bias = c->ep.bias + b * BLOCK;
    for (int64_t oy = row0; oy < row1; oy++) {
        const int64_t at = (plane * s->oh + oy) * s->ow * BLOCK;
        int64_t ky0, ky1, iy;

        md_conv_frame__inside(s, oy, &ky0, &ky1);
        iy = oy * s->stride_h - s->pad_top + ky0 * s->dilation_h;
        r.x = ky1 > ky0 ? x + iy * s->iw * BLOCK : x;
        r.n_ky = ky1 - ky0;
        r.w = c->w + (b * s->kh + ky0) * s->kw * BLOCK;
        r.y = c->y + at;
        r.residual = c->ep.residual ? c->ep.residual + at : NULL;
        kernel->row(&r);
    }
}
