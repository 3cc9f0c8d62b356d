/*
 * Kernels that take whole quads of many pairs (AMX) want all channels of a
 * pixel side by side, as many as fill their unit: so no tap reads past its
 * pixels, where an infinity would meet a zero weight.
 */
#include "kernels/conv_bf16.h"

#include <string.h>

#include "base/size.h"
#include "kernels/conv_dot.h"

enum {
    LANES = 16,
    SIZE = sizeof(uint16_t)
};

static bool is_whole(const md_gemm_bf16_kernel *kernel)
{
    return kernel->quad_unit > 1;
}

/* Two products an instruction, of which rounding takes its part: with 1.7 the
 * rule chooses what is faster in each layer of ResNet-50 and YOLOv8n on Zen 4.
 * AMX makes 16 for each of AVX-512's. */
double md_conv_bf16_speed(const md_gemm_bf16_kernel *kernel)
{
    return is_whole(kernel) ? 12 : 1.7;
}

static void set_taps(md_conv_dot_taps *t, const md_gemm_bf16_kernel *kernel,
                     const md_conv_shape *s)
{
    const int64_t unit = md_max_i64(LANES, (int64_t)kernel->quad_unit * 2);
    const int64_t blocks = md_div_up(s->ic, LANES);

    if (is_whole(kernel))
        md_conv_dot__taps(t, kernel, s, 1,
                          md_div_up(s->ic, unit) * unit * SIZE);
    else
        md_conv_dot__taps(t, kernel, s, blocks, LANES * SIZE);
}

bool md_conv_bf16_packed_size(size_t *out, const md_gemm_bf16_kernel *kernel,
                              const md_conv_shape *s)
{
    const size_t unit = (size_t)kernel->quad_unit * 4 + LANES * SIZE;
    md_conv_dot_taps t;
    size_t size;

    /* as much as any way of padding can make of it */
    if (!md_mul_size(&size, (size_t)s->oc + LANES, (size_t)s->ic + unit) ||
        !md_mul_size(&size, size, (size_t)s->kh * SIZE) ||
        !md_mul_size(&size, size, (size_t)s->kw + unit))
        return false;
    set_taps(&t, kernel, s);
    *out = md_conv_dot__packed_size(&t, s->oc);
    return true;
}

void md_conv_bf16_pack(uint16_t *out, const md_gemm_bf16_kernel *kernel,
                       const md_cast_bf16_kernel *cast, const float *w,
                       const md_conv_shape *s, int64_t b0, int64_t b1)
{
    const int64_t window = s->kh * s->kw, column = s->ic * window;
    md_conv_dot_taps t;
    int64_t k;

    set_taps(&t, kernel, s);
    k = md_conv_dot__packed_k(&t) / SIZE;
    memset(out + b0 * LANES * k, 0, (size_t)((b1 - b0) * LANES * k) * SIZE);
    for (int64_t b = b0; b < b1; b++) {
        const float *from = w + b * LANES * column;
        const int64_t n = md_min_i64(LANES, s->oc - b * LANES);

        for (int64_t i = 0; i < column; i++) {
            const int64_t at =
                md_conv_dot__at(&t, s, i / window * SIZE, i % window);
            uint16_t *to = out + b * LANES * k + at / SIZE;
            uint16_t bits[LANES];
            float row[LANES];

            for (int64_t c = 0; c < n; c++)
                row[c] = from[c * column + i];
            cast->run(bits, LANES, row, n);
            for (int64_t c = 0; c < n; c++)
                to[c * 2] = bits[c];
        }
    }
}

/* One row of the window, channels of one block. */
static void copy_row(const md_conv_bf16_args *c, uint16_t *to, int64_t step,
                     const float *row, const md_conv_dot_window *v)
{
    const int64_t left = md_min_i64(md_max_i64(-v->x, 0), v->w);
    const int64_t first = md_max_i64(v->x, 0);
    const int64_t mid =
        row ? md_max_i64(md_min_i64(v->shape->iw - first, v->w - left), 0) : 0;

    for (int64_t i = 0; i < v->w; i++) {
        if (i < left || i >= left + mid)
            memset(to + i * step, 0, LANES * SIZE);
    }
    if (mid > 0)
        c->cast->run(to + left * step, step, row + first * LANES, mid * LANES);
}

/* Zeros in the channels that only fill the kernel's unit up. */
static void fill_rest(uint16_t *to, int64_t n, int64_t step, int64_t used)
{
    for (int64_t i = 0; i < n && used < step; i++, to += step)
        memset(to + used, 0, (size_t)(step - used) * SIZE);
}

static void copy_window(const void *ctx, uint8_t *to,
                        const md_conv_dot_window *v)
{
    const md_conv_bf16_args *c = ctx;
    const md_conv_shape *s = v->shape;
    const int64_t blocks = md_div_up(s->ic, LANES);
    const bool whole = is_whole(c->kernel);
    const int64_t step = whole ? v->row / v->w / SIZE : LANES;

    for (int64_t b = 0; b < blocks; b++) {
        const float *plane = c->x + (v->n * blocks + b) * s->ih * s->iw * LANES;
        uint8_t *out = to + (whole ? b * LANES * SIZE : b * v->plane);

        for (int64_t y = v->y; y < v->y + v->h; y++, out += v->row)
            copy_row(c, (uint16_t *)(void *)out, step,
                     y >= 0 && y < s->ih ? plane + y * s->iw * LANES : NULL, v);
    }
    if (whole)
        fill_rest((uint16_t *)(void *)to, v->h * v->w, step, blocks * LANES);
}

static void finish(const void *ctx, const md_dot_tile *t,
                   const md_conv_dot_place *to)
{
    const md_conv_bf16_args *c = ctx;
    const int64_t pixels = c->shape.oh * c->shape.ow;
    const int64_t blocks = md_div_up(c->shape.oc, LANES);

    for (int b = 0; b < t->blocks; b++) {
        const int64_t block = to->b0 + b;
        const int64_t at =
            ((to->image * blocks + block) * pixels + to->pixel) * LANES;
        const md_finish_tile f = {
            .sum = (const float *)t->acc + (to->r0 * t->blocks + b) * LANES,
            .sum_stride = (int64_t)t->blocks * LANES,
            .out = c->y + at,
            .out_stride = LANES,
            .residual = c->ep.residual ? c->ep.residual + at : NULL,
            .rows = (int)to->n,
            .lanes = (int)md_min_i64(LANES, c->shape.oc - block * LANES),
            .pad = true,
        };

        c->finish->run(&c->ep, &f);
    }
}

static void set_driver(md_conv_dot *d, const md_conv_bf16_args *c)
{
    *d = (md_conv_dot){ .kernel = c->kernel,
                        .shape = c->shape,
                        .flat = true,
                        .copy = copy_window,
                        .w = (const int8_t *)c->w,
                        .start = c->ep.bias,
                        .finish = finish,
                        .ctx = c };
    set_taps(&d->taps, c->kernel, &c->shape);
}

int64_t md_conv_bf16_n_chunks(const md_conv_bf16_args *c)
{
    md_conv_dot d;

    set_driver(&d, c);
    return md_conv_dot__n_chunks(&d);
}

size_t md_conv_bf16_scratch_size(const md_conv_bf16_args *c)
{
    md_conv_dot d;

    set_driver(&d, c);
    return md_conv_dot__scratch_size(&d);
}

void md_conv_bf16_run(const md_conv_bf16_args *c, int64_t chunk, void *scratch)
{
    md_conv_dot d;

    set_driver(&d, c);
    md_conv_dot__run(&d, chunk, scratch);
}
