/*
 * The driver of conv_f32, the same for every instruction set: cuts the work,
 * copies the rows that a chunk reads into a frame where that is needed, and
 * walks output rows in an order that keeps weights in L2.
 *
 * The frame.  Windows that reach over the left or right edge, or steps of more
 * than one pixel, would need other code per pixel.  So such a chunk first
 * copies its rows to scratch with zero pixels at both ends, and for a stride s
 * as s rows of every s-th pixel: then neighbours in the output are neighbours
 * in the input for every tap.  Rows above and below the image are never
 * stored: their taps are left out.  The copy costs a few loads a pixel, the
 * convolution kh kw oc / 32 as many multiply-adds.
 *
 * Windows of one pixel, wherever they step, have no rows: the pixels that they
 * are, one after the other, are cut in segments.  With steps of more than one,
 * a chunk's frame holds just these pixels.
 */
#include "kernels/conv_f32.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "base/size.h"
#include "kernels/conv_frame.h"

enum {
    BLOCK = 16,
    TAP = BLOCK * BLOCK, /* weights of one tap of one pair of blocks */
    SEGMENT = 56,        /* pixels of a pointwise row: four tiles of 14 */
};

/* Input that a chunk should keep in L2 beside the weights; bytes. */
static const int64_t input_max = 512 << 10;
/* Weights of a span that its rows should find in L2; bytes. */
static const int64_t weights_max = 768 << 10;
/* Less than this many multiply-adds are not worth a second thread. */
static const int64_t share_min = 1 << 18;

const md_conv_f32_kernel md_conv_f32_kernels[] = {
#define K(isa, need, n_yb)                                                     \
    { "conv_f32__" #isa, need, n_yb, md_conv_f32_span__##isa },
#include "kernels/conv_f32.def"
#undef K
    { 0 },
};

const md_conv_f32_kernel *md_conv_f32_select(uint32_t cpu_flags)
{
    const md_conv_f32_kernel *k = md_conv_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

static int64_t blocks(int64_t channels)
{
    return md_div_up(channels, BLOCK);
}

bool md_conv_f32_packed_size(size_t *out, const md_conv_shape *s,
                             int64_t groups)
{
    *out = sizeof(float) * TAP;
    return md_mul_size(out, *out, (size_t)groups) &&
           md_mul_size(out, *out, (size_t)blocks(s->oc / groups)) &&
           md_mul_size(out, *out, (size_t)blocks(s->ic / groups)) &&
           md_mul_size(out, *out, (size_t)s->kh) &&
           md_mul_size(out, *out, (size_t)s->kw);
}

typedef float v4 __attribute__((vector_size(16)));

/* to[j][o] = from[o][j] for one quarter of the columns each way. */
static void transpose4(float *to, const float *from)
{
    v4 r[4], a, b, c, d;

    for (int i = 0; i < 4; i++)
        memcpy(&r[i], from + i * BLOCK, sizeof(r[i]));
    a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
    for (int i = 0; i < 4; i++)
        memcpy(to + i * BLOCK, &r[i], sizeof(r[i]));
}

/* Up to 16 numbers; nearly always all, and then without a loop. */
static void copy_block(float *to, const float *from, int64_t n)
{
    if (n == BLOCK) {
        memcpy(to, from, BLOCK * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* Input channels and taps of an output channel lie side by side, so this
 * transposes [16 oc][n_ic * taps], in squares that both sides read and write
 * whole cache lines of. */
void md_conv_f32__pack_pair(float *dst, const float *w, int64_t w_oc,
                            int64_t taps, int64_t n_ic, int64_t n_oc)
{
    float square[TAP] = { 0 }, turned[TAP];
    int64_t i = 0, t = 0;

    if (n_ic < BLOCK)
        memset(dst, 0, (size_t)(taps * TAP) * sizeof(float));
    for (int64_t at = 0; at < n_ic * taps; at += BLOCK) {
        int64_t n = md_min_i64(BLOCK, n_ic * taps - at);

        for (int64_t o = 0; o < n_oc; o++)
            copy_block(square + o * BLOCK, w + o * w_oc + at, n);
        for (int o = 0; o < BLOCK; o += 4) {
            for (int j = 0; j < BLOCK; j += 4)
                transpose4(turned + j * BLOCK + o, square + o * BLOCK + j);
        }
        for (int64_t j = 0; j < n; j++) {
            memcpy(dst + t * TAP + i * BLOCK, turned + j * BLOCK,
                   BLOCK * sizeof(float));
            if (++t == taps) {
                t = 0;
                i++;
            }
        }
    }
}

void md_conv_f32_pack(float *dst, const float *w, const md_conv_shape *s,
                      int64_t groups)
{
    const int64_t taps = s->kh * s->kw;
    const int64_t ic = s->ic / groups, oc = s->oc / groups;

    assert(groups == 1 || (ic % BLOCK == 0 && oc % BLOCK == 0));
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t o = 0; o < oc; o += BLOCK) {
            for (int64_t i = 0; i < ic; i += BLOCK) {
                md_conv_f32__pack_pair(
                    dst, w + ((g * oc + o) * ic + i) * taps, ic * taps, taps,
                    md_min_i64(BLOCK, ic - i), md_min_i64(BLOCK, oc - o));
                dst += taps * TAP;
            }
        }
    }
}

static bool is_direct(const md_conv_shape *s)
{
    return s->pad_left == 0 && s->stride_w == 1 &&
           md_conv_frame__covered(s) <= s->iw;
}

static bool is_pointwise(const md_conv_shape *s)
{
    return s->kh == 1 && s->kw == 1 && s->pad_top == 0 && s->pad_left == 0 &&
           md_conv_shape_is_inside(s);
}

/* Whether the input is in one piece where the output is. */
static bool is_whole(const md_conv_shape *s)
{
    return s->stride_h == 1 && s->stride_w == 1 && s->oh == s->ih &&
           s->ow == s->iw;
}

static bool scratch_size(md_conv_f32_grid *g, const md_conv_shape *s,
                         int64_t groups)
{
    size_t taps, frame = 0;

    if (!md_mul_size(&taps, (size_t)s->kh, (size_t)s->kw) ||
        !md_mul_size(&taps, taps, sizeof(int64_t)) ||
        !md_add_size(&taps, taps, MD_CACHE_LINE))
        return false;
    taps = taps / MD_CACHE_LINE * MD_CACHE_LINE;
    if (!g->direct) {
        const int64_t rows =
            g->pointwise ? g->row_step : md_conv_frame__rows(s, g->row_step);
        const int64_t width = g->pointwise ? SEGMENT : md_conv_frame__width(s);

        frame = BLOCK * sizeof(float);
        if (!md_mul_size(&frame, frame, (size_t)blocks(s->ic / groups)) ||
            !md_mul_size(&frame, frame, (size_t)rows) ||
            !md_mul_size(&frame, frame, (size_t)width))
            return false;
    }
    return md_add_size(&g->scratch_size, taps, frame);
}

/*
 * Rows of a chunk: as many as keep its input in L2.  If that gives fewer
 * chunks than threads, output channels are cut too where weights are larger
 * than the input (each thread then reads its own weights), else rows.
 */
static void cut(md_conv_f32_grid *g, const md_conv_f32_kernel *kernel,
                const md_conv_shape *s, int64_t groups, int64_t threads)
{
    const int64_t n_xb = blocks(s->ic / groups), n_yb = blocks(s->oc / groups);
    const int64_t row_px = g->pointwise ? SEGMENT : s->iw;
    const int64_t row_size = n_xb * row_px * BLOCK * (int64_t)sizeof(float);
    const int64_t rows_in = g->pointwise ? 1 : s->stride_h; /* per output row */
    const int64_t fit =
        md_max_i64(1, input_max / md_max_i64(1, row_size) / rows_in);
    const int64_t x_count = n_xb * s->ih * s->iw;
    const int64_t w_count = n_xb * n_yb * s->kh * s->kw * BLOCK;
    const int64_t images = s->n * groups;
    const int64_t units = md_div_up(n_yb, kernel->n_yb);
    int64_t row_parts = md_div_up(g->rows, fit), oc_parts = 1, want;

    if (w_count * s->oh * s->ow * BLOCK < share_min)
        threads = 1;
    want = md_div_up(threads, images);
    if (want > row_parts && w_count > x_count)
        oc_parts = md_min_i64(units, md_div_up(want, row_parts));
    if (want > row_parts * oc_parts)
        row_parts = md_min_i64(g->rows, md_div_up(want, oc_parts));
    if (want > row_parts * oc_parts)
        oc_parts = md_min_i64(units, md_div_up(want, row_parts));
    g->row_step = md_div_up(g->rows, row_parts);
    g->oc_step = md_div_up(units, oc_parts) * kernel->n_yb;
    g->row_parts = md_div_up(g->rows, g->row_step);
    g->oc_parts = md_div_up(n_yb, g->oc_step);
    g->n_chunks = images * g->row_parts * g->oc_parts;
}

bool md_conv_f32_split(md_conv_f32_grid *out, const md_conv_f32_kernel *kernel,
                       const md_conv_shape *s, int64_t groups, int threads)
{
    *out = (md_conv_f32_grid){ .pointwise = is_pointwise(s) };
    out->direct = out->pointwise ? is_whole(s) : is_direct(s);
    if (md_conv_shape_is_empty(s))
        return true;
    out->rows = out->pointwise ? md_div_up(s->oh * s->ow, SEGMENT) : s->oh;
    cut(out, kernel, s, groups, threads);
    return scratch_size(out, s, groups);
}

/* Where a chunk reads its input. */
typedef struct frame {
    const float *x;
    int64_t block, row; /* floats to the next channel block and row */
    int64_t iy;         /* image row (or segment) of frame row 0 */
} frame;

/* Whether some output row's window has a tap in image row iy. */
static bool row_used(const md_conv_shape *s, int64_t iy)
{
    for (int64_t ky = 0; ky < s->kh && ky < s->stride_h; ky++) {
        if ((iy + s->pad_top - ky * s->dilation_h) % s->stride_h == 0)
            return true;
    }
    return false;
}

/* One image row into its row of the frame: phase by phase, zeros outside. */
static void fill_row(float *dst, const float *src, const md_conv_shape *s)
{
    const int64_t width =
        md_conv_frame__width(s) / s->stride_w; /* of a phase */
    const size_t pixel = BLOCK * sizeof(float);

    for (int64_t phase = 0; phase < s->stride_w; phase++) {
        float *d = dst + phase * width * BLOCK;
        int64_t ix = phase - s->pad_left, i = 0;

        for (; i < width && ix < 0; i++, ix += s->stride_w)
            memset(d + i * BLOCK, 0, pixel);
        if (s->stride_w == 1 && i < width && ix < s->iw) {
            const int64_t n = md_min_i64(width - i, s->iw - ix);

            memcpy(d + i * BLOCK, src + ix * BLOCK, (size_t)n * pixel);
            i += n, ix += n;
        }
        for (; i < width && ix < s->iw; i++, ix += s->stride_w)
            memcpy(d + i * BLOCK, src + ix * BLOCK, pixel);
        if (i < width)
            memset(d + i * BLOCK, 0, (size_t)(width - i) * pixel);
    }
}

/* The rows [iy0, iy1) of all input blocks of one group, copied to dst. */
static frame fill_frame(float *dst, const float *x, const md_conv_shape *s,
                        int64_t n_xb, int64_t iy0, int64_t iy1)
{
    const int64_t row = md_conv_frame__width(s) * BLOCK;
    const frame f = { dst, (iy1 - iy0) * row, row, iy0 };

    for (int64_t b = 0; b < n_xb; b++) {
        for (int64_t iy = iy0; iy < iy1; iy++, dst += row) {
            if (row_used(s, iy))
                fill_row(dst, x + (b * s->ih + iy) * s->iw * BLOCK, s);
        }
    }
    return f;
}

/* The pixels under segments [r0, r1) of a window of one pixel, copied to dst. */
static frame fill_segments(float *dst, const float *x, const md_conv_shape *s,
                           int64_t n_xb, int64_t r0, int64_t r1)
{
    const int64_t first = r0 * SEGMENT;
    const int64_t last = md_min_i64(r1 * SEGMENT, s->oh * s->ow);
    const frame f = { dst, (last - first) * BLOCK, SEGMENT * BLOCK, r0 };

    for (int64_t b = 0; b < n_xb; b++, x += s->ih * s->iw * BLOCK) {
        int64_t oy = first / s->ow, ox = first % s->ow;

        for (int64_t at = first; at < last; at++, dst += BLOCK) {
            memcpy(dst,
                   x + (oy * s->stride_h * s->iw + ox * s->stride_w) * BLOCK,
                   BLOCK * sizeof(float));
            if (++ox == s->ow) {
                ox = 0;
                oy++;
            }
        }
    }
    return f;
}

/* What a chunk works on. */
typedef struct piece {
    const md_conv_f32_kernel *kernel;
    const md_conv_f32_args *c;
    const md_conv_f32_grid *grid;
    int64_t n_xb, n_yb; /* of a group */
    int64_t row0, row1;
    int64_t yb0, yb1; /* blocks of output channels */
    int64_t y_first;  /* channel block of y where this group begins */
    const int64_t *taps;
    frame f;
    md_conv_span s; /* what all spans of the chunk have in common */
} piece;

/* Offsets of all taps from the first pixel of a window. */
static void fill_taps(int64_t *taps, const md_conv_shape *s, bool direct,
                      int64_t row)
{
    const int64_t phase = direct ? 0 : md_conv_frame__width(s) / s->stride_w;

    for (int64_t ky = 0; ky < s->kh; ky++) {
        for (int64_t kx = 0; kx < s->kw; kx++) {
            const int64_t x = kx * s->dilation_w;

            *taps++ = ky * s->dilation_h * row +
                      (x % s->stride_w * phase + x / s->stride_w) * BLOCK;
        }
    }
}

/* Point the span at output row r: its taps, pixels and place in y. */
static int64_t aim(const piece *p, md_conv_span *s, int64_t r)
{
    const md_conv_shape *sh = &p->c->shape;
    int64_t ky0, ky1;

    if (p->grid->pointwise) {
        s->x_at = (r - p->f.iy) * SEGMENT * BLOCK;
        s->n_px = md_min_i64(SEGMENT, sh->oh * sh->ow - r * SEGMENT);
        s->taps = p->taps;
        s->n_taps = 1;
        return r * SEGMENT * BLOCK;
    }
    md_conv_frame__inside(sh, r, &ky0, &ky1);
    s->x_at = (r * sh->stride_h - sh->pad_top - p->f.iy) * p->f.row;
    s->taps = p->taps + ky0 * sh->kw;
    s->n_taps = (ky1 - ky0) * sh->kw;
    s->w += ky0 * sh->kw * TAP;
    s->n_px = sh->ow;
    return r * sh->ow * BLOCK;
}

/* Parts of a sum: the weights of one stay in L2 while rows pass. */
static int64_t parts_of(const piece *p)
{
    const md_conv_shape *s = &p->c->shape;
    const int64_t pair = s->kh * s->kw * TAP * (int64_t)sizeof(float);

    return md_div_up(p->n_xb * pair * p->kernel->n_yb, weights_max);
}

/* Some blocks of output channels, summed over some of input channels. */
typedef struct part {
    int64_t yb, n;    /* output blocks [yb, yb + n) of the group */
    int64_t xb0, xb1; /* input blocks */
} part;

/*
 * While the rows of a part are computed, the weights of the next one are
 * asked for, evenly: span s, row i of n_rows, gets its share.  The first row
 * of a chunk also asks for those of its own blocks that it does not begin
 * with.
 */
static void ask_ahead(const piece *p, md_conv_span *s, const part *now,
                      const part *next, int64_t i, int64_t n_rows)
{
    const int64_t taps = p->s.w_in;
    const int64_t tile = (now->xb1 - now->xb0) * taps; /* asks for that much */
    int64_t run = (next->xb1 - next->xb0) * taps, n_runs = next->n, rows, share;

    if (run == p->s.w_out) { /* blocks lie behind each other */
        run *= n_runs;
        n_runs = 1;
    }
    rows = md_max_i64(1, n_rows / md_max_i64(1, n_runs)); /* of a run */
    share = md_div_up(md_div_up(run, tile), rows) * tile;
    if (i / rows < n_runs && i % rows * share < run) {
        s->next = p->s.w + (next->yb + i / rows) * p->s.w_out +
                  next->xb0 * taps + i % rows * share;
        s->n_next = md_min_i64(share, run - i % rows * share);
    }
    if (i == 0 && now->yb == p->yb0 && now->xb0 == 0 && tile == p->s.w_out) {
        const int64_t own = md_max_i64(0, now->n - 2) * tile;

        s->next = s->w + 2 * tile;
        s->n_next += own;
    }
}

/* All rows of the chunk for a part of the sums. */
static void run_rows(const piece *p, const part *now, const part *next)
{
    const md_epilogue *ep = &p->c->ep;
    const int64_t plane = p->c->shape.oh * p->c->shape.ow * BLOCK;
    const int64_t channel = (p->y_first + now->yb) * BLOCK;
    const int64_t image = p->s.y - p->c->y;
    const bool final = now->xb1 == p->n_xb;
    /* The residual is added to the finished sum, unless a first part of the
     * sum might overwrite it: also where rows are few and the sum is built in
     * one go, since how rows are cut must not show in the bits. */
    const bool early = ep->residual == p->c->y && parts_of(p) > 1;

    for (int64_t r = p->row0; r < p->row1; r++) {
        md_conv_span s = p->s;
        int64_t at;

        s.x += now->xb0 * s.x_block;
        s.n_xb = now->xb1 - now->xb0;
        s.n_void = final ? p->n_xb * BLOCK - p->c->shape.ic / p->c->groups : 0;
        s.w += now->yb * s.w_out + now->xb0 * s.w_in;
        s.n_yb = now->n;
        s.final = final;
        s.last_lanes =
            now->yb + now->n == p->n_yb
                ? (int)(p->c->shape.oc / p->c->groups - (p->n_yb - 1) * BLOCK)
                : BLOCK;
        ask_ahead(p, &s, now, next, r - p->row0, p->row1 - p->row0);
        at = aim(p, &s, r) + image + (p->y_first + now->yb) * plane;
        s.y = p->c->y + at;
        if (now->xb0 > 0)
            s.start = s.y;
        else if (early)
            s.start = ep->residual + at;
        if (final && ep->residual && !early)
            s.residual = ep->residual + at;
        if (final && ep->bias)
            s.bias = ep->bias + channel;
        p->kernel->span(&s);
    }
}

static void run_piece(const piece *p)
{
    int64_t parts = parts_of(p), xb_step;
    part now;

    if (parts < 1 || p->row1 - p->row0 == 1)
        parts = 1; /* nothing to keep weights for */
    xb_step = md_max_i64(1, md_div_up(p->n_xb, parts));
    now = (part){ p->yb0, md_min_i64(p->kernel->n_yb, p->yb1 - p->yb0), 0,
                  md_min_i64(xb_step, p->n_xb) };
    /* one pass for no input channels at all */
    while (now.n > 0) {
        part next = now;

        next.xb0 = now.xb1;
        if (next.xb0 >= p->n_xb) {
            next.xb0 = 0;
            next.yb += now.n;
            next.n = md_min_i64(p->kernel->n_yb, p->yb1 - next.yb);
        }
        next.xb1 = md_min_i64(next.xb0 + xb_step, p->n_xb);
        run_rows(p, &now, &next);
        now = next;
    }
}

void md_conv_f32_run(const md_conv_f32_kernel *kernel,
                     const md_conv_f32_args *c, const md_conv_f32_grid *grid,
                     int64_t chunk, void *scratch)
{
    const md_conv_shape *s = &c->shape;
    const int64_t oc_part = chunk % grid->oc_parts;
    const int64_t row_part = chunk / grid->oc_parts % grid->row_parts;
    const int64_t image = chunk / grid->oc_parts / grid->row_parts;
    const int64_t n = image / c->groups, g = image % c->groups;
    const int64_t n_xb = blocks(s->ic / c->groups);
    const int64_t n_yb = blocks(s->oc / c->groups);
    const int64_t taps = s->kh * s->kw;
    const int64_t x_plane = s->ih * s->iw * BLOCK;
    const float *x = c->x + (n * c->groups + g) * n_xb * x_plane;
    const size_t taps_size = ((size_t)taps * sizeof(int64_t) + MD_CACHE_LINE) /
                             MD_CACHE_LINE * MD_CACHE_LINE;
    float *copy = (float *)((char *)scratch + taps_size);
    piece p = { .kernel = kernel,
                .c = c,
                .grid = grid,
                .n_xb = n_xb,
                .n_yb = n_yb,
                .row0 = row_part * grid->row_step,
                .yb0 = oc_part * grid->oc_step,
                .yb1 = md_min_i64((oc_part + 1) * grid->oc_step, n_yb),
                .y_first = g * n_yb,
                .taps = scratch,
                .f = { x, x_plane, s->iw * BLOCK, 0 } };
    int64_t iy0, iy1;

    assert(chunk >= 0 && chunk < grid->n_chunks);
    p.row1 = md_min_i64(p.row0 + grid->row_step, grid->rows);
    if (!grid->direct && grid->pointwise) {
        p.f = fill_segments(copy, x, s, n_xb, p.row0, p.row1);
    } else if (!grid->direct) {
        md_conv_frame__input(s, p.row0, p.row1, &iy0, &iy1);
        p.f = fill_frame(copy, x, s, n_xb, iy0, iy1);
    }
    fill_taps(scratch, s, grid->direct, p.f.row);
    p.s = (md_conv_span){ .x = p.f.x,
                          .x_block = p.f.block,
                          .w = c->w + g * n_yb * n_xb * taps * TAP,
                          .w_in = taps * TAP,
                          .w_out = n_xb * taps * TAP,
                          .y = c->y +
                               n * c->groups * n_yb * s->oh * s->ow * BLOCK,
                          .y_block = s->oh * s->ow * BLOCK,
                          .act = c->ep.act,
                          .a = c->ep.a,
                          .b = c->ep.b };
    run_piece(&p);
}
