/*
 * A chunk is one channel block of one image.  Rows outside the input are read
 * from a row of zero points; pixels whose window sticks out left or right are
 * computed from a copy of their window.
 */
#include "kernels/dwconv_s8.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"

const md_dwconv_s8_kernel md_dwconv_s8_kernels[] = {
#define K(isa, need) { "dwconv_s8__" #isa, need, md_dw_s8__##isa },
#include "kernels/dwconv_s8.def"
#undef K
    { NULL, 0, NULL },
};

const md_dwconv_s8_kernel *md_dwconv_s8_select(uint32_t cpu_flags)
{
    const md_dwconv_s8_kernel *k = md_dwconv_s8_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

static int64_t n_blocks(const md_conv_shape *s)
{
    return md_div_up(s->oc, MD_LANES);
}

size_t md_dwconv_s8_packed_size(const md_conv_shape *s)
{
    return (size_t)(n_blocks(s) * MD_LANES * s->kh * s->kw) * sizeof(int32_t);
}

void md_dwconv_s8_pack(int32_t *out, int32_t *start, const int8_t *w,
                       const int32_t *bias, int32_t x_zero,
                       const md_conv_shape *s)
{
    const int64_t taps = s->kh * s->kw;

    memset(out, 0, md_dwconv_s8_packed_size(s));
    memset(start, 0, (size_t)(n_blocks(s) * MD_LANES) * sizeof(*start));
    for (int64_t c = 0; c < s->oc; c++) {
        int32_t *to = out + c / MD_LANES * taps * MD_LANES + c % MD_LANES;
        uint32_t sum = 0;

        for (int64_t t = 0; t < taps; t++, w++) {
            to[t * MD_LANES] = *w & 0xffff;
            sum += (uint32_t)*w;
        }
        start[c] =
            (int32_t)((bias ? (uint32_t)bias[c] : 0) - (uint32_t)x_zero * sum);
    }
}

int64_t md_dwconv_s8_n_chunks(const md_dwconv_s8_args *c)
{
    return c->shape.n * n_blocks(&c->shape);
}

/* Scratch: tap pointers, a window, a row of zero points. */
static size_t pointers_size(const md_conv_shape *s)
{
    return md_round_up((size_t)(s->kh * s->kw) * sizeof(void *), MD_CACHE_LINE);
}

static size_t window_size(const md_conv_shape *s)
{
    return md_round_up((size_t)(s->kh * s->kw) * MD_LANES, MD_CACHE_LINE);
}

static size_t zeros_size(const md_conv_shape *s)
{
    return (size_t)((s->ow - 1) * s->stride_w + 1) * MD_LANES;
}

size_t md_dwconv_s8_scratch_size(const md_dwconv_s8_args *c)
{
    return pointers_size(&c->shape) + window_size(&c->shape) +
           zeros_size(&c->shape);
}

/* One channel block at work. */
typedef struct job {
    const md_dwconv_s8_args *c;
    int64_t block;    /* of the image */
    int64_t at;       /* of n and block together */
    const uint8_t *x; /* the block's input plane */
    const uint8_t **taps;
    uint8_t *window;
    uint8_t *zeros;
} job;

/* Pixels x .. x + n of output row y from job->taps. */
static void finish(const job *j, int64_t y, int64_t x, int64_t n,
                   int64_t stride)
{
    const md_dwconv_s8_args *c = j->c;
    const md_conv_shape *s = &c->shape;
    const int64_t taps = s->kh * s->kw;
    const int64_t size = md_qout_size(c->rq.out);
    const int64_t at = ((j->at * s->oh + y) * s->ow + x) * MD_LANES;
    _Alignas(MD_CACHE_LINE) int32_t acc[MD_DW_PIXELS * MD_LANES];
    const md_dw_tile t = {
        .acc = acc,
        .taps = j->taps,
        .n_taps = taps,
        .stride = stride,
        .w = c->w + j->block * taps * MD_LANES,
        .start = c->start + j->block * MD_LANES,
        .pixels = (int)n,
        .x_signed = c->x_signed,
    };
    const md_requant_tile r = {
        .acc = acc,
        .acc_stride = MD_LANES,
        .out = (char *)c->y + at * size,
        .out_stride = MD_LANES * size,
        .res = c->res ? (const uint8_t *)c->res + at : NULL,
        .res_stride = MD_LANES,
        .rows = (int)n,
        .lanes = MD_LANES,
    };

    c->kernel->run(&t);
    c->requant->run(&c->rq, j->block * MD_LANES, &r);
}

/* A pixel whose window may stick out on any side. */
static void border_pixel(const job *j, int64_t oy, int64_t ox)
{
    const md_conv_shape *s = &j->c->shape;
    uint8_t *to = j->window;
    int64_t t = 0;

    for (int64_t i = 0; i < s->kh; i++) {
        const int64_t y = oy * s->stride_h - s->pad_top + i * s->dilation_h;

        for (int64_t k = 0; k < s->kw; k++, to += MD_LANES, t++) {
            const int64_t x =
                ox * s->stride_w - s->pad_left + k * s->dilation_w;
            const bool inside = y >= 0 && y < s->ih && x >= 0 && x < s->iw;

            memcpy(to, inside ? j->x + (y * s->iw + x) * MD_LANES : j->zeros,
                   MD_LANES);
            j->taps[t] = to;
        }
    }
    finish(j, oy, ox, 1, 0);
}

/* Pixels x0 .. x1, whose windows lie inside from left to right. */
static void inner_pixels(const job *j, int64_t oy, int64_t x0, int64_t x1)
{
    const md_conv_shape *s = &j->c->shape;
    const int64_t stride = s->stride_w * MD_LANES;

    for (int64_t n; x0 < x1; x0 += n) {
        const int64_t x = x0 * s->stride_w - s->pad_left;
        int64_t t = 0;

        n = md_min_i64(x1 - x0, MD_DW_PIXELS);
        for (int64_t i = 0; i < s->kh; i++) {
            const int64_t y = oy * s->stride_h - s->pad_top + i * s->dilation_h;
            const bool inside = y >= 0 && y < s->ih;

            for (int64_t k = 0; k < s->kw; k++)
                j->taps[t++] =
                    inside
                        ? j->x + (y * s->iw + x + k * s->dilation_w) * MD_LANES
                        : j->zeros;
        }
        finish(j, oy, x0, n, stride);
    }
}

void md_dwconv_s8_run(const md_dwconv_s8_args *c, int64_t chunk, void *scratch)
{
    const md_conv_shape *s = &c->shape;
    const int64_t reach = (s->kw - 1) * s->dilation_w;
    /* Output columns whose window starts at or right of column 0, and ends
     * at or left of the last. */
    const int64_t x0 =
        md_min_i64(md_div_up(md_max_i64(s->pad_left, 0), s->stride_w), s->ow);
    const int64_t room = s->iw - 1 - reach + s->pad_left;
    const int64_t x1 =
        room < 0 ? x0
                 : md_max_i64(x0, md_min_i64(room / s->stride_w + 1, s->ow));
    job j = { .c = c, .at = chunk, .block = chunk % n_blocks(s) };

    assert(chunk >= 0 && chunk < md_dwconv_s8_n_chunks(c));
    j.x = (const uint8_t *)c->x + chunk * s->ih * s->iw * MD_LANES;
    j.taps = scratch;
    j.window = (uint8_t *)scratch + pointers_size(s);
    j.zeros = j.window + window_size(s);
    memset(j.zeros, (uint8_t)c->x_zero, zeros_size(s));
    for (int64_t y = 0; y < s->oh; y++) {
        for (int64_t x = 0; x < x0; x++)
            border_pixel(&j, y, x);
        inner_pixels(&j, y, x0, x1);
        for (int64_t x = x1; x < s->ow; x++)
            border_pixel(&j, y, x);
    }
}
