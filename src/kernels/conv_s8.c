/*
 * The input window of a chunk is copied when it touches padding, is signed, is
 * not NC16 or the kernel wants pixels whole; otherwise tiles read the input
 * itself.
 */
#include "kernels/conv_s8.h"

#include <string.h>

#include "base/size.h"
#include "kernels/conv_dot.h"
#include "kernels/window_s8.h"

static void set_taps(md_conv_dot_taps *t, const md_gemm_s8_kernel *kernel,
                     const md_conv_shape *s, int x_block)
{
    const bool whole = x_block == MD_LANES && kernel->quad_unit > 1;

    md_conv_dot__taps(t, kernel, s, whole ? 1 : md_div_up(s->ic, x_block),
                      whole ? md_div_up(s->ic, MD_LANES) * MD_LANES : x_block);
}

int64_t md_conv_s8_packed_k(const md_gemm_s8_kernel *kernel,
                            const md_conv_shape *s, int x_block)
{
    md_conv_dot_taps t;

    set_taps(&t, kernel, s, x_block);
    return md_conv_dot__packed_k(&t);
}

size_t md_conv_s8_packed_size(const md_gemm_s8_kernel *kernel,
                              const md_conv_shape *s, int x_block)
{
    md_conv_dot_taps t;

    set_taps(&t, kernel, s, x_block);
    return md_conv_dot__packed_size(&t, s->oc);
}

void md_conv_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const int8_t *w, const md_conv_shape *s, int x_block,
                     int64_t b0, int64_t b1)
{
    const int64_t k = md_conv_s8_packed_k(kernel, s, x_block) * MD_LANES;
    const int64_t window = s->kh * s->kw, column = s->ic * window;
    md_conv_dot_taps t;

    set_taps(&t, kernel, s, x_block);
    memset(out + b0 * k, 0, (size_t)((b1 - b0) * k));
    for (int64_t b = b0; b < b1; b++) {
        const int8_t *from = w + b * MD_LANES * column;
        const int64_t n = md_min_i64(MD_LANES, s->oc - b * MD_LANES);

        for (int64_t i = 0; i < column; i++) {
            int8_t *to =
                out + b * k + md_conv_dot__at(&t, s, i / window, i % window);

            for (int64_t c = 0; c < n; c++)
                to[c * 4] = from[c * column + i];
        }
    }
}

static void copy_row_4(uint8_t *to, const md_conv_s8_args *c,
                       const md_conv_dot_window *v, int64_t y)
{
    const uint8_t flip = c->x_signed ? 0x80 : 0;
    const uint8_t zero = (uint8_t)c->x_zero ^ flip;
    const uint8_t *row = (const uint8_t *)c->x + v->n * c->x_stride[0];

    memset(to, zero, (size_t)(v->w * 4));
    if (y < 0 || y >= v->shape->ih)
        return;
    for (int64_t ch = 0; ch < v->shape->ic; ch++) {
        const uint8_t *from = row + ch * c->x_stride[1] + y * c->x_stride[2];

        for (int64_t j = 0; j < v->w; j++) {
            const int64_t x = v->x + j;

            if (x >= 0 && x < v->shape->iw)
                to[j * 4 + ch] = from[x * c->x_stride[3]] ^ flip;
        }
    }
}

static void copy_window(const void *ctx, uint8_t *to,
                        const md_conv_dot_window *v)
{
    const md_conv_s8_args *c = ctx;
    const md_conv_shape *s = v->shape;
    const int64_t plane = s->ih * s->iw * MD_LANES;
    const int64_t blocks_in = md_div_up(s->ic, MD_LANES);
    const bool whole = c->kernel->quad_unit > 1;
    md_window_s8 w = {
        .plane = (const uint8_t *)c->x + v->n * blocks_in * plane,
        .ih = s->ih,
        .iw = s->iw,
        .y = v->y,
        .x = v->x,
        .h = v->h,
        .w = v->w,
        .pixel = whole ? blocks_in * MD_LANES : MD_LANES,
        .zero = c->x_zero,
        .flip = c->x_signed ? 0x80 : 0,
    };

    if (c->x_block != MD_LANES) {
        for (int64_t i = 0; i < v->h && s->ic > 0; i++, to += v->w * c->x_block)
            copy_row_4(to, c, v, v->y + i);
        return;
    }
    for (int64_t b = 0; b < blocks_in; b++, w.plane += plane) {
        md_window_s8_copy(to, &w);
        to += whole ? MD_LANES : v->plane;
    }
}

static void finish(const void *ctx, const md_dot_tile *t,
                   const md_conv_dot_place *to)
{
    const md_conv_s8_args *c = ctx;
    const int64_t size = md_qout_size(c->rq.out);
    const int64_t pixels = c->shape.oh * c->shape.ow;
    const int64_t blocks_out = md_div_up(c->shape.oc, MD_LANES);

    for (int b = 0; b < t->blocks; b++) {
        const int64_t at =
            ((to->image * blocks_out + to->b0 + b) * pixels + to->pixel) *
            MD_LANES;
        const md_requant_tile r = {
            .acc =
                (const int32_t *)t->acc + (to->r0 * t->blocks + b) * MD_LANES,
            .acc_stride = (int64_t)t->blocks * MD_LANES,
            .out = (char *)c->y + at * size,
            .out_stride = MD_LANES * size,
            .res = c->res ? (const uint8_t *)c->res + at : NULL,
            .res_stride = MD_LANES,
            .rows = (int)to->n,
            .lanes = MD_LANES,
        };

        c->requant->run(&c->rq, (to->b0 + b) * MD_LANES, &r);
    }
}

static void set_driver(md_conv_dot *d, const md_conv_s8_args *c)
{
    const bool copies = c->x_signed || c->x_block != MD_LANES ||
                        !md_conv_shape_is_inside(&c->shape) ||
                        c->kernel->row_unit > 1;

    *d = (md_conv_dot){ .kernel = c->kernel,
                        .shape = c->shape,
                        .flat = c->x_block == MD_LANES,
                        .copy = copies ? copy_window : NULL,
                        .x = c->x,
                        .w = c->w,
                        .start = c->start,
                        .finish = finish,
                        .ctx = c };
    set_taps(&d->taps, c->kernel, &c->shape, c->x_block);
}

int64_t md_conv_s8_n_chunks(const md_conv_s8_args *c)
{
    md_conv_dot d;

    set_driver(&d, c);
    return md_conv_dot__n_chunks(&d);
}

size_t md_conv_s8_scratch_size(const md_conv_s8_args *c)
{
    md_conv_dot d;

    set_driver(&d, c);
    return md_conv_dot__scratch_size(&d);
}

void md_conv_s8_run(const md_conv_s8_args *c, int64_t chunk, void *scratch)
{
    md_conv_dot d;

    set_driver(&d, c);
    md_conv_dot__run(&d, chunk, scratch);
}
