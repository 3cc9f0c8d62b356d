/*
 * A chunk is a rectangle of output pixels of one image times a group of
 * output channels.  An unpadded 1 x 1 convolution is one row of oh * ow
 * pixels.
 *
 * In a copied window with stride 1 the last pixels of a row are followed by
 * the first of the next, so that tiles of many rows go on over the end: the
 * kw - 1 sums per row that mix two rows are dropped.
 */
#include "kernels/conv_dot.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/window_s8.h"

enum {
    LANES = 16,
    SUM_SIZE = 4, /* int32_t or float */
    ACC_N = 2,    /* tiles' room for sums that are finished at once */
};

/* The input window of a chunk should stay in L2 beside the weights; chunks
 * below the kernel's chunk_macs are not worth handing out. */
enum {
    WINDOW_SIZE = 192 << 10,
    CHUNKS_MIN = 8,
};

typedef struct plan {
    md_conv_shape s; /* flattened when `flat` */
    const md_conv_dot_taps *t;
    bool flat;
    bool joined; /* tiles go on over the ends of rows */
    int64_t blocks_out;
    int64_t step_h, step_w; /* output pixels per chunk */
    int64_t step_b;         /* output blocks per chunk */
    int64_t n_h, n_w, n_b;
} plan;

void md_conv_dot__taps(md_conv_dot_taps *out, const md_dot_kernel *kernel,
                       const md_conv_shape *s, int64_t planes, int64_t pixel)
{
    const int64_t unit = (int64_t)kernel->quad_unit * 4;
    /* dilated: the pixels of a tap are not neighbours */
    const int64_t per_row = s->dilation_w == 1 ? 1 : s->kw;
    const int64_t size = per_row == 1 ? s->kw * pixel : pixel;

    *out = (md_conv_dot_taps){ .planes = planes,
                               .pixel = pixel,
                               .per_row = per_row,
                               .n_taps = planes * s->kh * per_row,
                               .n_quads = md_div_up(size, unit) * unit / 4 };
}

int64_t md_conv_dot__packed_k(const md_conv_dot_taps *t)
{
    return t->n_taps * t->n_quads * 4;
}

size_t md_conv_dot__packed_size(const md_conv_dot_taps *t, int64_t oc)
{
    return (size_t)(md_div_up(oc, LANES) * LANES * md_conv_dot__packed_k(t));
}

int64_t md_conv_dot__at(const md_conv_dot_taps *t, const md_conv_shape *s,
                        int64_t c, int64_t j)
{
    const int64_t row = j / s->kw, col = j % s->kw;
    const int64_t run = c / t->pixel * s->kh * t->per_row;
    const int64_t tap = run + row * t->per_row + (t->per_row == 1 ? 0 : col);
    const int64_t i = tap * t->n_quads * 4 + c % t->pixel +
                      (t->per_row == 1 ? col * t->pixel : 0);

    return i / 4 * LANES * 4 + i % 4;
}

bool md_conv_dot__is_flat(const md_conv_shape *s)
{
    return md_conv_shape_is_inside(s) && s->kh * s->kw == 1 && s->oh == s->ih &&
           s->ow == s->iw;
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
                             .pixel = p->t->pixel };

    return (int64_t)md_window_s8_size(&v, p->t->planes);
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

static void split(plan *p, const md_dot_kernel *kernel)
{
    const int64_t k = md_conv_dot__packed_k(p->t);

    p->step_h = p->s.oh;
    p->step_w = p->s.ow;
    p->step_b = p->blocks_out;
    while (window_size(p) > WINDOW_SIZE && halve_pixels(p, kernel->rows)) {
    }
    while (count(p) < CHUNKS_MIN &&
           p->step_h * p->step_w * p->step_b * LANES * k > kernel->chunk_macs) {
        if (p->step_b * LANES * k > window_size(p) && halve_channels(p))
            continue;
        if (!halve_pixels(p, kernel->rows) && !halve_channels(p))
            break;
    }
}

static void make_plan(plan *p, const md_conv_dot *c)
{
    memset(p, 0, sizeof(*p));
    p->s = c->shape;
    p->t = &c->taps;
    p->flat = c->flat && md_conv_dot__is_flat(&c->shape);
    if (p->flat) {
        p->s.iw *= p->s.ih;
        p->s.ow = p->s.iw;
        p->s.ih = p->s.oh = 1;
        p->s.stride_w = 1; /* it had no second pixel to go to */
    }
    p->joined =
        c->kernel->row_unit > 1 && p->s.stride_h == 1 && p->s.stride_w == 1;
    p->blocks_out = md_div_up(p->s.oc, LANES);
    split(p, c->kernel);
}

int64_t md_conv_dot__n_chunks(const md_conv_dot *c)
{
    plan p;

    if (md_conv_shape_is_empty(&c->shape))
        return 0;
    make_plan(&p, c);
    return count(&p);
}

static size_t taps_size(const plan *p)
{
    return md_round_up((size_t)p->t->n_taps * sizeof(int64_t), MD_CACHE_LINE);
}

/* The last tile may compute rows, and the last tap bytes, that the window
 * does not have. */
static size_t slack(const plan *p, const md_dot_kernel *kernel)
{
    return (size_t)((kernel->row_unit - 1) * p->s.stride_w * p->t->pixel +
                    (int64_t)kernel->quad_unit * 4);
}

size_t md_conv_dot__scratch_size(const md_conv_dot *c)
{
    plan p;

    if (md_conv_shape_is_empty(&c->shape))
        return 0;
    make_plan(&p, c);
    return taps_size(&p) +
           (c->copy ? (size_t)window_size(&p) + slack(&p, c->kernel) : 0);
}

static void set_window(md_conv_dot_window *v, const md_conv_dot *c,
                       const plan *p, uint8_t *scratch)
{
    v->shape = &p->s;
    v->row = (c->copy ? v->w : p->s.iw) * p->t->pixel;
    v->plane = (c->copy ? v->h : p->s.ih) * v->row;
    if (c->copy) {
        c->copy(c->ctx, scratch, v);
        v->at = scratch;
        return;
    }
    v->at = c->x + v->n * p->t->planes * v->plane + v->y * v->row +
            v->x * p->t->pixel;
}

static void set_taps(int64_t *to, const plan *p, const md_conv_dot_window *v)
{
    for (int64_t b = 0; b < p->t->planes; b++)
        for (int64_t i = 0; i < p->s.kh; i++)
            for (int64_t j = 0; j < p->t->per_row; j++)
                *to++ = b * v->plane + i * p->s.dilation_h * v->row +
                        j * p->s.dilation_w * p->t->pixel;
}

/* A rectangle of output pixels. */
typedef struct area {
    int64_t y0, y1, x0, x1;
} area;

/* Tiles of at most `each` rows from x on, up to x1, as many as t->acc has room
 * for: finishing a few rows would cost as much as computing them where products
 * are few.  How many rows that were. */
static int64_t run_tiles(const md_conv_dot *c, md_dot_tile *t, int64_t x,
                         int64_t x1, int64_t each)
{
    const int64_t sums = (int64_t)t->blocks * LANES;
    const int64_t room = (int64_t)ACC_N * MD_DOT_SUMS / sums;
    const int64_t used =
        (int64_t)md_round_up((size_t)each, (size_t)c->kernel->row_unit);
    char *acc = t->acc;
    int64_t n = 0;

    while (x + n < x1 && n + used <= room) {
        t->rows = (int)md_min_i64(each, x1 - x - n);
        t->acc = acc + n * sums * SUM_SIZE;
        c->kernel->dot(t);
        t->a += t->rows * t->a_stride;
        n += t->rows;
    }
    t->acc = acc;
    return n;
}

/* All pixels of an area for the blocks b0 .. b0 + t->blocks, row by row. */
static void run_rows(const md_conv_dot *c, const plan *p,
                     const md_conv_dot_window *v, const area *o, md_dot_tile *t,
                     int64_t b0, int rows)
{
    const int64_t width = o->x1 - o->x0;
    const int64_t tiles = md_div_up(width, rows);
    const int64_t each =
        c->kernel->row_unit > 1 ? rows : md_div_up(width, tiles);

    for (int64_t y = o->y0; y < o->y1; y++) {
        const uint8_t *row = v->at + (y - o->y0) * p->s.stride_h * v->row;

        t->a = row;
        for (int64_t x = o->x0, n; x < o->x1; x += n) {
            n = run_tiles(c, t, x, o->x1, each);
            c->finish(c->ctx, t,
                      &(md_conv_dot_place){ v->n, b0, y * p->s.ow + x, 0, n });
        }
    }
}

/* The same as if rows of the window were one. */
static void run_joined(const md_conv_dot *c, const plan *p,
                       const md_conv_dot_window *v, const area *o,
                       md_dot_tile *t, int64_t b0, int rows)
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
                c->finish(c->ctx, t,
                          &(md_conv_dot_place){
                              v->n, b0, (o->y0 + y) * p->s.ow + o->x0 + x, r,
                              md_min_i64(left, width - x) });
        }
    }
}

/* A chunk: the pixels and the blocks *b0 .. *b1 of an image. */
static void find_area(area *o, md_conv_dot_window *v, int64_t *b0, int64_t *b1,
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

void md_conv_dot__run(const md_conv_dot *c, int64_t chunk, void *scratch)
{
    static const int32_t zeros[MD_DOT_BLOCKS * LANES];
    const char *start = c->start;
    const md_dot_kernel *kernel = c->kernel;
    _Alignas(MD_CACHE_LINE) md_dot_sums acc[ACC_N];
    md_dot_tile t = { .acc = acc };
    md_conv_dot_window v = { 0 };
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
    t.n_taps = c->taps.n_taps;
    t.n_quads = c->taps.n_quads;
    t.a_stride = p.s.stride_w * c->taps.pixel;
    t.b_stride = md_conv_dot__packed_k(&c->taps) * LANES;
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
        t.start = start ? start + b0 * LANES * SUM_SIZE : (const char *)zeros;
        if (p.joined)
            run_joined(c, &p, &v, &o, &t, b0, rows);
        else
            run_rows(c, &p, &v, &o, &t, b0, rows);
    }
    if (kernel->use)
        kernel->use(false);
}
