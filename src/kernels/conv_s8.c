/*
 * A chunk is a rectangle of output pixels of one image times a group of
 * output channels.  Its input window is copied into scratch when it touches
 * padding, is signed, is not NC16 or the kernel wants pixels whole; otherwise
 * tiles read the input itself.  An unpadded 1 x 1 convolution is one row of
 * oh * ow pixels.
 *
 * In a copied window with stride 1 the last pixels of a row are followed by
 * the first of the next, so that tiles of many rows go on over the end: the
 * kw - 1 sums per row that mix two rows are dropped.
 */
#include "kernels/conv_s8.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/window_s8.h"

/* The input window of a chunk should stay in L2 beside the weights; chunks
 * below the kernel's chunk_macs are not worth handing out. */
enum {
    WINDOW_SIZE = 192 << 10,
    CHUNKS_MIN = 8,
};

/* How the window of one output pixel is read: n_taps runs of n_quads * 4
 * bytes, through planes whose pixels have `pixel` bytes. */
typedef struct taps {
    int64_t planes, pixel;
    int64_t n_taps, n_quads;
} taps;

typedef struct plan {
    md_conv_shape s; /* flattened when `flat` */
    bool flat;
    bool copies;
    bool joined; /* tiles go on over the ends of rows */
    taps t;
    int64_t blocks_out;
    int64_t step_h, step_w; /* output pixels per chunk */
    int64_t step_b;         /* output blocks per chunk */
    int64_t n_h, n_w, n_b;
} plan;

static void set_shape(taps *t, const md_gemm_s8_kernel *kernel,
                      const md_conv_shape *s, int x_block)
{
    const bool whole = x_block == MD_LANES && kernel->quad_unit > 1;
    int64_t size;

    t->pixel = whole ? md_div_up(s->ic, MD_LANES) * MD_LANES : x_block;
    t->planes = whole ? 1 : md_div_up(s->ic, x_block);
    t->n_taps = t->planes * s->kh;
    size = s->kw * t->pixel;
    if (s->dilation_w != 1) { /* the pixels of a tap are not neighbours */
        t->n_taps *= s->kw;
        size = t->pixel;
    }
    t->n_quads = md_gemm_s8_packed_k(kernel, size) / 4;
}

int64_t md_conv_s8_packed_k(const md_gemm_s8_kernel *kernel,
                            const md_conv_shape *s, int x_block)
{
    taps t;

    set_shape(&t, kernel, s, x_block);
    return t.n_taps * t.n_quads * 4;
}

size_t md_conv_s8_packed_size(const md_gemm_s8_kernel *kernel,
                              const md_conv_shape *s, int x_block)
{
    return (size_t)(md_div_up(s->oc, MD_LANES) * MD_LANES *
                    md_conv_s8_packed_k(kernel, s, x_block));
}

void md_conv_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const int8_t *w, const md_conv_shape *s, int x_block)
{
    const int64_t k = md_conv_s8_packed_k(kernel, s, x_block);
    const int64_t per_row = s->dilation_w == 1 ? 1 : s->kw;
    taps t;

    set_shape(&t, kernel, s, x_block);
    memset(out, 0, md_conv_s8_packed_size(kernel, s, x_block));
    for (int64_t oc = 0; oc < s->oc; oc++) {
        int8_t *column = out + oc / MD_LANES * MD_LANES * k + oc % MD_LANES * 4;

        for (int64_t ic = 0; ic < s->ic; ic++) {
            const int64_t run = ic / t.pixel * s->kh * per_row;

            for (int64_t j = 0; j < s->kh * s->kw; j++, w++) {
                const int64_t row = j / s->kw, col = j % s->kw;
                const int64_t tap =
                    run + row * per_row + (per_row == 1 ? 0 : col);
                const int64_t i = tap * t.n_quads * 4 + ic % t.pixel +
                                  (per_row == 1 ? col * t.pixel : 0);

                column[i / 4 * MD_LANES * 4 + i % 4] = *w;
            }
        }
    }
}

static int64_t window_h(const plan *p)
{
    return (p->step_h - 1) * p->s.stride_h + (p->s.kh - 1) * p->s.dilation_h +
           1;
}

static int64_t window_w(const plan *p)
{
    return (p->step_w - 1) * p->s.stride_w + (p->s.kw - 1) * p->s.dilation_w +
           1;
}

static int64_t window_size(const plan *p)
{
    const md_window_s8 v = { .h = window_h(p),
                             .w = window_w(p),
                             .pixel = p->t.pixel };

    return (int64_t)md_window_s8_size(&v, p->t.planes);
}

static int64_t halve_to(int64_t n, int64_t multiple)
{
    return md_div_up(n, 2 * multiple) * multiple;
}

/* Halve the pixels of a chunk; false when they are few already. */
static bool halve_pixels(plan *p, int64_t rows)
{
    if (p->flat && p->step_w > 2 * rows)
        p->step_w = halve_to(p->step_w, rows);
    else if (!p->flat && p->step_h > 1)
        p->step_h = halve_to(p->step_h, 1);
    else
        return false;
    return true;
}

static bool halve_channels(plan *p)
{
    if (p->step_b <= 2)
        return false;
    p->step_b = halve_to(p->step_b, 2);
    return true;
}

static int64_t count(plan *p)
{
    p->n_h = md_div_up(p->s.oh, p->step_h);
    p->n_w = md_div_up(p->s.ow, p->step_w);
    p->n_b = md_div_up(p->blocks_out, p->step_b);
    return p->s.n * p->n_h * p->n_w * p->n_b;
}

static void split(plan *p, const md_gemm_s8_kernel *kernel)
{
    const int64_t k = p->t.n_taps * p->t.n_quads * 4;

    p->step_h = p->s.oh;
    p->step_w = p->s.ow;
    p->step_b = p->blocks_out;
    while (window_size(p) > WINDOW_SIZE && halve_pixels(p, kernel->rows)) {
    }
    while (count(p) < CHUNKS_MIN &&
           p->step_h * p->step_w * p->step_b * MD_LANES * k >
               kernel->chunk_macs) {
        if (p->step_b * MD_LANES * k > window_size(p) && halve_channels(p))
            continue;
        if (!halve_pixels(p, kernel->rows) && !halve_channels(p))
            break;
    }
}

static void make_plan(plan *p, const md_conv_s8_args *c)
{
    const bool inside = md_conv_shape_is_inside(&c->shape);
    const bool many = c->kernel->row_unit > 1;

    memset(p, 0, sizeof(*p));
    p->s = c->shape;
    p->copies = c->x_signed || c->x_block != MD_LANES || !inside || many;
    p->flat = c->x_block == MD_LANES && inside && p->s.kh * p->s.kw == 1 &&
              p->s.oh == p->s.ih && p->s.ow == p->s.iw;
    if (p->flat) {
        p->s.iw *= p->s.ih;
        p->s.ow = p->s.iw;
        p->s.ih = p->s.oh = 1;
    }
    p->joined = many && p->s.stride_h == 1 && p->s.stride_w == 1;
    p->blocks_out = md_div_up(p->s.oc, MD_LANES);
    set_shape(&p->t, c->kernel, &p->s, c->x_block);
    split(p, c->kernel);
}

int64_t md_conv_s8_n_chunks(const md_conv_s8_args *c)
{
    plan p;

    if (md_conv_shape_is_empty(&c->shape))
        return 0;
    make_plan(&p, c);
    return count(&p);
}

static size_t taps_size(const plan *p)
{
    return md_round_up((size_t)p->t.n_taps * sizeof(int64_t), MD_CACHE_LINE);
}

/* The last tile may compute rows, and the last tap bytes, that the window
 * does not have. */
static size_t slack(const plan *p, const md_gemm_s8_kernel *kernel)
{
    return (size_t)((kernel->row_unit - 1) * p->s.stride_w * p->t.pixel +
                    (int64_t)kernel->quad_unit * 4);
}

size_t md_conv_s8_scratch_size(const md_conv_s8_args *c)
{
    plan p;

    if (md_conv_shape_is_empty(&c->shape))
        return 0;
    make_plan(&p, c);
    return taps_size(&p) +
           (p.copies ? (size_t)window_size(&p) + slack(&p, c->kernel) : 0);
}

/* Where a chunk reads its input. */
typedef struct window {
    const uint8_t *at;
    int64_t plane, row; /* strides in bytes */
    int64_t n;          /* image */
    int64_t y, x;       /* of the first pixel in the input; may be < 0 */
    int64_t h, w;
} window;

static void copy_row_4(uint8_t *to, const md_conv_s8_args *c, const plan *p,
                       const window *v, int64_t y)
{
    const uint8_t flip = c->x_signed ? 0x80 : 0;
    const uint8_t zero = (uint8_t)c->x_zero ^ flip;
    const uint8_t *row = (const uint8_t *)c->x + v->n * c->x_stride[0];

    memset(to, zero, (size_t)(v->w * 4));
    if (y < 0 || y >= p->s.ih)
        return;
    for (int64_t ch = 0; ch < p->s.ic; ch++) {
        const uint8_t *from = row + ch * c->x_stride[1] + y * c->x_stride[2];

        for (int64_t j = 0; j < v->w; j++) {
            const int64_t x = v->x + j;

            if (x >= 0 && x < p->s.iw)
                to[j * 4 + ch] = from[x * c->x_stride[3]] ^ flip;
        }
    }
}

static void copy_window(uint8_t *to, const md_conv_s8_args *c, const plan *p,
                        const window *v)
{
    const int64_t plane = p->s.ih * p->s.iw * MD_LANES;
    const int64_t blocks_in = md_div_up(p->s.ic, MD_LANES);
    md_window_s8 w = {
        .plane = (const uint8_t *)c->x + v->n * blocks_in * plane,
        .ih = p->s.ih,
        .iw = p->s.iw,
        .y = v->y,
        .x = v->x,
        .h = v->h,
        .w = v->w,
        .pixel = p->t.pixel,
        .zero = c->x_zero,
        .flip = c->x_signed ? 0x80 : 0,
    };

    if (c->x_block != MD_LANES) {
        for (int64_t i = 0; i < v->h && p->t.planes > 0;
             i++, to += v->w * c->x_block)
            copy_row_4(to, c, p, v, v->y + i);
        return;
    }
    for (int64_t b = 0; b < blocks_in; b++, w.plane += plane) {
        md_window_s8_copy(to, &w);
        to += p->t.planes == 1 ? MD_LANES : v->plane;
    }
}

static void set_window(window *v, const md_conv_s8_args *c, const plan *p,
                       uint8_t *scratch)
{
    v->row = (p->copies ? v->w : p->s.iw) * p->t.pixel;
    v->plane = (p->copies ? v->h : p->s.ih) * v->row;
    if (p->copies) {
        copy_window(scratch, c, p, v);
        v->at = scratch;
        return;
    }
    v->at = (const uint8_t *)c->x + v->n * p->t.planes * v->plane +
            v->y * v->row + v->x * MD_LANES;
}

static void set_taps(int64_t *to, const plan *p, const window *v)
{
    const int64_t per_row = p->s.dilation_w == 1 ? 1 : p->s.kw;

    for (int64_t b = 0; b < p->t.planes; b++)
        for (int64_t i = 0; i < p->s.kh; i++)
            for (int64_t j = 0; j < per_row; j++)
                *to++ = b * v->plane + i * p->s.dilation_h * v->row +
                        j * p->s.dilation_w * p->t.pixel;
}

/* Store rows r0 .. r0 + n of a tile, the first of which is `pixel` of the
 * image; its first block is b0. */
static void finish(const md_conv_s8_args *c, const plan *p,
                   const md_dot_tile *t, int64_t image, int64_t b0,
                   int64_t pixel, int64_t r0, int64_t n)
{
    const int64_t size = md_qout_size(c->rq.out);
    const int64_t pixels = p->s.oh * p->s.ow;

    for (int b = 0; b < t->blocks; b++) {
        const int64_t at =
            ((image * p->blocks_out + b0 + b) * pixels + pixel) * MD_LANES;
        const md_requant_tile r = {
            .acc = t->acc + (r0 * t->blocks + b) * MD_LANES,
            .acc_stride = (int64_t)t->blocks * MD_LANES,
            .out = (char *)c->y + at * size,
            .out_stride = MD_LANES * size,
            .res = c->res ? (const uint8_t *)c->res + at : NULL,
            .res_stride = MD_LANES,
            .rows = (int)n,
            .lanes = MD_LANES,
        };

        c->requant->run(&c->rq, (b0 + b) * MD_LANES, &r);
    }
}

/* A rectangle of output pixels. */
typedef struct area {
    int64_t y0, y1, x0, x1;
} area;

/* All pixels of an area for the blocks b0 .. b0 + t->blocks, row by row. */
static void run_rows(const md_conv_s8_args *c, const plan *p, const window *v,
                     const area *o, md_dot_tile *t, int64_t b0, int rows)
{
    const int64_t width = o->x1 - o->x0;
    const int64_t tiles = md_div_up(width, rows);
    const int64_t each =
        c->kernel->row_unit > 1 ? rows : md_div_up(width, tiles);

    for (int64_t y = o->y0; y < o->y1; y++) {
        const uint8_t *row = v->at + (y - o->y0) * p->s.stride_h * v->row;

        for (int64_t x = o->x0; x < o->x1; x += t->rows) {
            t->rows = (int)md_min_i64(each, o->x1 - x);
            t->a = row + (x - o->x0) * t->a_stride;
            c->kernel->dot(t);
            finish(c, p, t, v->n, b0, y * p->s.ow + x, 0, t->rows);
        }
    }
}

/* The same as if rows of the window were one. */
static void run_joined(const md_conv_s8_args *c, const plan *p, const window *v,
                       const area *o, md_dot_tile *t, int64_t b0, int rows)
{
    const int64_t width = o->x1 - o->x0;
    const int64_t end = (o->y1 - o->y0 - 1) * v->w + width;

    for (int64_t i = 0; i < end; i += t->rows) {
        t->rows = (int)md_min_i64(rows, end - i);
        t->a = v->at + i * t->a_stride;
        c->kernel->dot(t);
        for (int64_t r = 0, n; r < t->rows; r += n) {
            const int64_t y = (i + r) / v->w, x = (i + r) % v->w;
            const int64_t left = t->rows - r;

            n = md_min_i64(left, v->w - x);
            if (x < width)
                finish(c, p, t, v->n, b0, (o->y0 + y) * p->s.ow + o->x0 + x, r,
                       md_min_i64(left, width - x));
        }
    }
}

/* A chunk: the pixels and the blocks *b0 .. *b1 of an image. */
static void find_area(area *o, window *v, int64_t *b0, int64_t *b1,
                      const plan *p, int64_t chunk)
{
    o->x0 = chunk % p->n_w * p->step_w;
    chunk /= p->n_w;
    o->y0 = chunk % p->n_h * p->step_h;
    chunk /= p->n_h;
    *b0 = chunk % p->n_b * p->step_b;
    v->n = chunk / p->n_b;
    o->x1 = md_min_i64(o->x0 + p->step_w, p->s.ow);
    o->y1 = md_min_i64(o->y0 + p->step_h, p->s.oh);
    *b1 = md_min_i64(*b0 + p->step_b, p->blocks_out);
    v->y = o->y0 * p->s.stride_h - p->s.pad_top;
    v->x = o->x0 * p->s.stride_w - p->s.pad_left;
    v->h = (o->y1 - o->y0 - 1) * p->s.stride_h +
           (p->s.kh - 1) * p->s.dilation_h + 1;
    v->w = (o->x1 - o->x0 - 1) * p->s.stride_w +
           (p->s.kw - 1) * p->s.dilation_w + 1;
}

void md_conv_s8_run(const md_conv_s8_args *c, int64_t chunk, void *scratch)
{
    const md_gemm_s8_kernel *kernel = c->kernel;
    _Alignas(MD_CACHE_LINE) int32_t acc[MD_DOT_SUMS];
    md_dot_tile t = { .acc = acc };
    window v = { 0 };
    area o;
    plan p;
    int64_t b0, b1, step, n;

    make_plan(&p, c);
    n = count(&p);
    assert(chunk >= 0 && chunk < n);
    find_area(&o, &v, &b0, &b1, &p, chunk);
    set_window(&v, c, &p, (uint8_t *)scratch + taps_size(&p));
    set_taps(scratch, &p, &v);
    t.taps = scratch;
    t.n_taps = p.t.n_taps;
    t.n_quads = p.t.n_quads;
    t.a_stride = p.s.stride_w * p.t.pixel;
    t.b_stride = p.t.n_taps * p.t.n_quads * 4 * MD_LANES;
    n = o.x1 - o.x0;
    if (p.joined)
        n *= o.y1 - o.y0;
    step = n > kernel->rows_wide ? 2 : MD_DOT_BLOCKS;
    if (kernel->use)
        kernel->use(true);
    for (; b0 < b1; b0 += step) {
        const int rows = step > 2 ? kernel->rows_wide : kernel->rows;

        t.blocks = (int)md_min_i64(step, b1 - b0);
        t.b = c->w + b0 * t.b_stride;
        t.start = c->start + b0 * MD_LANES;
        if (p.joined)
            run_joined(c, &p, &v, &o, &t, b0, rows);
        else
            run_rows(c, &p, &v, &o, &t, b0, rows);
    }
    if (kernel->use)
        kernel->use(false);
}
