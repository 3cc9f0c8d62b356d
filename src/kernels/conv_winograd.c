#include "kernels/conv_winograd.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"

enum {
    BLOCK = 16,
    PAIR = BLOCK * BLOCK, /* weights of one tap of one pair of blocks */
    TAPS = 9,
    TILES_MAX = 112, /* of a chunk */
    TILES_MIN = 28,  /* two tiles of registers, so that weights are used */
    PIXEL = BLOCK * (int)sizeof(float),
};

/* Transformed tiles and products of a chunk, which stay in L2, with the weights
 * if these fit beside them; if not, weights should come by seldom.  Bytes. */
static const int64_t chunk_max = 480 << 10, chunk_alone_max = 1 << 20;
static const int64_t weights_max = 768 << 10;
/* Less than this many multiply-adds are not worth a second thread. */
static const int64_t share_min = 1 << 17;

static int64_t blocks(int64_t channels)
{
    return md_div_up(channels, BLOCK);
}

static int64_t points(const md_winograd_f32_tile *t)
{
    return (int64_t)(t->m + 2) * (t->m + 2);
}

bool md_conv_winograd_takes(const float *w, int64_t n)
{
    /* Rows of G add up to less than 1.5, so 4 |w| bounds both transforms. */
    const uint32_t limit = 0x7e000000; /* 2^125 */
    uint32_t over = 0;

    MD_SIMD_OR(over)
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, w + i, sizeof(bits));
        over |= (bits & 0x7fffffff) >= limit;
    }
    return over == 0;
}

/*
 * Time of a layer, in multiply-adds of 16 lanes.  The constants come from
 * layers of ResNet-50 and YOLOv8n in their nets on a Xeon with AVX-512 at two
 * multiply-adds a cycle, with weights that come from L3 or DRAM every time;
 * they hold within a tenth or so from 16 to 512 channels, 7 to 80 pixels.
 */
enum {
    LINE = 15,  /* to bring 64 bytes of weights in, beside the arithmetic */
    IN_2 = 70,  /* a tile's block of input channels through Bt, m = 2 */
    OUT_2 = 80, /* and of output channels through At, to y */
    IN_4 = 220, /* m = 4 */
    OUT_4 = 260,
    SHORT = 115, /* percent: sums over the channels alone are short */
    UNKNOWN = 32 /* pixels each way of an image whose size is open */
};

static double direct_cost(double pairs, double pixels)
{
    return pairs * TAPS * BLOCK * (pixels + LINE);
}

static double tiled_cost(const md_conv_shape *s, int m, double images)
{
    const double tiles =
        images * (double)md_div_up(s->oh, m) * (double)md_div_up(s->ow, m);
    const double n_xb = (double)blocks(s->ic), n_yb = (double)blocks(s->oc);
    const double products = n_xb * n_yb * (m + 2) * (m + 2) * BLOCK;

    return products * (tiles * SHORT / 100 + LINE) +
           tiles * (n_xb * (m == 2 ? IN_2 : IN_4) +
                    n_yb * (m == 2 ? OUT_2 : OUT_4));
}

/* Weights are 1.8 and 4 times as large when they are transformed, and the
 * estimates are what they are: each step has to be worth it. */
int md_conv_winograd_choose(const md_conv_shape *shape, double speed)
{
    md_conv_shape s = *shape;
    const double images = (double)md_max_i64(1, s.n);
    double best, cost;
    int tile = -1;

    if (s.oh == 0)
        s.oh = UNKNOWN;
    if (s.ow == 0)
        s.ow = UNKNOWN;
    best = direct_cost((double)blocks(s.ic) * (double)blocks(s.oc),
                       images * (double)s.oh * (double)s.ow) /
           speed / 1.15;
    for (int i = 0; i < MD_WINOGRAD_TILES; i++) {
        cost = tiled_cost(&s, 2 * i + 2, images);
        if (cost < best) {
            best = cost / 1.1;
            tile = i;
        }
    }
    return tile;
}

md_conv_winograd md_conv_winograd_select(uint32_t cpu_flags, int tile)
{
    return (md_conv_winograd){
        .tile = &md_winograd_f32_select(cpu_flags)->tiles[tile],
        .dense = md_conv_f32_select(cpu_flags),
        .finish = md_finish_f32_select(cpu_flags),
    };
}

bool md_conv_winograd_packed_size(size_t *out, const md_conv_winograd *k,
                                  const md_conv_shape *s)
{
    *out = sizeof(float) * PAIR * (size_t)points(k->tile);
    return md_mul_size(out, *out, (size_t)blocks(s->oc)) &&
           md_mul_size(out, *out, (size_t)blocks(s->ic));
}

/* Where the weights of a block of output channels are: those of point e and
 * block xb of input channels at [e * step + xb * PAIR]. */
static int64_t weights_at(int64_t *step, const md_conv_winograd *k,
                          const md_conv_shape *s, int64_t b)
{
    const int64_t first = b / k->dense->n_yb * k->dense->n_yb;
    const int64_t n = md_min_i64(k->dense->n_yb, blocks(s->oc) - first);
    const int64_t matrix = blocks(s->ic) * PAIR;

    *step = n * matrix;
    return (first * points(k->tile) + b - first) * matrix;
}

void md_conv_winograd_pack(float *dst, const md_conv_winograd *k,
                           const float *w, const md_conv_shape *s, int64_t b0,
                           int64_t b1)
{
    float g[TAPS * PAIR];

    for (int64_t b = b0; b < b1; b++) {
        int64_t step;
        float *u = dst + weights_at(&step, k, s, b);

        for (int64_t i = 0; i < s->ic; i += BLOCK, u += PAIR) {
            md_conv_f32__pack_pair(g, w + (b * BLOCK * s->ic + i) * TAPS,
                                   s->ic * TAPS, TAPS,
                                   md_min_i64(BLOCK, s->ic - i),
                                   md_min_i64(BLOCK, s->oc - b * BLOCK));
            k->tile->weights(u, step, g);
        }
    }
}

/* Blocks of output channels whose products are made at once. */
static int64_t unit(const md_conv_winograd_args *c)
{
    return md_min_i64(c->k.dense->n_yb, blocks(c->shape.oc));
}

/* Floats from one point of a tile to the next, in what has n blocks: an odd
 * number of cache lines, so that the points of a tile do not fight for a few
 * sets of L1. */
static int64_t point_step(const md_conv_winograd_grid *g, int64_t n)
{
    return (n * g->tile_step | 1) * BLOCK;
}

static bool scratch_size(md_conv_winograd_grid *g,
                         const md_conv_winograd_args *c)
{
    const int64_t n_xb = blocks(c->shape.ic), m = c->k.tile->m;
    size_t in, out, sums = PIXEL;

    return md_mul_size(&in, (size_t)point_step(g, n_xb), sizeof(float)) &&
           md_mul_size(&in, in, (size_t)points(c->k.tile)) &&
           md_mul_size(&out, (size_t)point_step(g, unit(c)), sizeof(float)) &&
           md_mul_size(&out, out, (size_t)points(c->k.tile)) &&
           md_mul_size(&sums, sums, (size_t)(g->tile_step * m * m)) &&
           md_add_size(&g->scratch_size, in, out) &&
           md_add_size(&g->scratch_size, g->scratch_size, sums);
}

/*
 * As many tiles as keep what is between the transforms in L2.  If that gives
 * fewer chunks than threads, output channels are cut where weights are larger
 * than the transformed input, which each chunk then makes for itself, else
 * tiles.
 */
static void cut(md_conv_winograd_grid *g, const md_conv_winograd_args *c,
                int64_t total, int64_t threads)
{
    const int64_t n_xb = blocks(c->shape.ic), n_yb = blocks(c->shape.oc);
    const int64_t units = md_div_up(n_yb, unit(c));
    const int64_t n_points = points(c->k.tile);
    const int64_t max =
        n_xb * n_yb * n_points * PAIR * (int64_t)sizeof(float) > weights_max
            ? chunk_alone_max
            : chunk_max;
    const int64_t fit = md_min_i64(
        TILES_MAX,
        md_max_i64(TILES_MIN, max / (n_points * PIXEL * (n_xb + unit(c)))));
    int64_t tile_parts = md_div_up(total, fit), oc_parts = 1;

    if (total * n_xb * n_yb * n_points * PAIR < share_min)
        threads = 1;
    if (tile_parts < threads && n_yb * BLOCK > total)
        oc_parts = md_min_i64(units, md_div_up(threads, tile_parts));
    if (tile_parts * oc_parts < threads)
        tile_parts = md_min_i64(total, md_div_up(threads, oc_parts));
    else if (oc_parts == 1 && tile_parts < 4 * threads)
        tile_parts =
            md_min_i64(total, md_div_up(tile_parts, threads) * threads);
    g->tile_step = md_div_up(total, tile_parts);
    g->tile_parts = md_div_up(total, g->tile_step);
    g->oc_step = md_div_up(units, oc_parts) * unit(c);
    g->oc_parts = md_div_up(n_yb, g->oc_step);
    g->n_chunks = g->tile_parts * g->oc_parts;
}

bool md_conv_winograd_split(md_conv_winograd_grid *out,
                            const md_conv_winograd_args *c, int threads)
{
    const md_conv_shape *s = &c->shape;
    int64_t total;

    *out = (md_conv_winograd_grid){ .n_th = md_div_up(s->oh, c->k.tile->m),
                                    .n_tw = md_div_up(s->ow, c->k.tile->m) };
    assert(s->kh == 3 && s->kw == 3 && s->stride_h == 1 && s->stride_w == 1 &&
           s->dilation_h == 1 && s->dilation_w == 1);
    if (md_conv_shape_is_empty(s))
        return true;
    if (!md_mul_i64(&total, out->n_th, out->n_tw) ||
        !md_mul_i64(&total, total, s->n))
        return false;
    cut(out, c, total, threads);
    return scratch_size(out, c);
}

/* What a chunk works on. */
typedef struct piece {
    const md_conv_winograd_args *c;
    const md_conv_winograd_grid *grid;
    int64_t n_xb, n_yb;
    int64_t t0, t1;         /* tiles */
    int64_t in_step;        /* floats from point to point of in */
    int64_t out_step;       /* and of out */
    float *in, *out, *sums; /* [point][ic block][tile][16]; [point][oc block of
                             * a unit][tile][16]; pixels of one oc block */
} piece;

/* A tile: its image and first pixel of the output. */
typedef struct place {
    int64_t n, oy, ox;
} place;

static place place_of(const piece *p, int64_t t)
{
    const md_conv_winograd_grid *g = p->grid;
    const int64_t m = p->c->k.tile->m;

    return (place){ t / g->n_tw / g->n_th, t / g->n_tw % g->n_th * m,
                    t % g->n_tw * m };
}

/*
 * The input pixels of a tile in one block of channels: where they are, or,
 * when some are outside of the image, in `copy` with zeros there.  *row: floats
 * from one row to the next.
 */
static const float *window(const piece *p, int64_t t, int64_t xb, float *copy,
                           int64_t *row)
{
    const md_conv_shape *s = &p->c->shape;
    const int64_t side = p->c->k.tile->m + 2;
    const place at = place_of(p, t);
    const int64_t iy = at.oy - s->pad_top, ix = at.ox - s->pad_left;
    const float *x = p->c->x + (at.n * p->n_xb + xb) * s->ih * s->iw * BLOCK;
    const int64_t x0 = md_min_i64(md_max_i64(-ix, 0), side);
    const int64_t x1 = md_max_i64(x0, md_min_i64(side, s->iw - ix));

    *row = s->iw * BLOCK;
    if (iy >= 0 && ix >= 0 && iy + side <= s->ih && ix + side <= s->iw)
        return x + (iy * s->iw + ix) * BLOCK;
    *row = side * BLOCK;
    memset(copy, 0, (size_t)(side * side) * PIXEL);
    for (int64_t i = 0; i < side; i++) {
        if (iy + i >= 0 && iy + i < s->ih && x1 > x0)
            memcpy(copy + (i * side + x0) * BLOCK,
                   x + ((iy + i) * s->iw + ix + x0) * BLOCK,
                   (size_t)(x1 - x0) * PIXEL);
    }
    return copy;
}

static void transform_in(const piece *p)
{
    const int64_t n_tiles = p->grid->tile_step;
    float copy[MD_WINOGRAD_POINTS_MAX * BLOCK];

    for (int64_t xb = 0; xb < p->n_xb; xb++) {
        float *v = p->in + xb * n_tiles * BLOCK;

        for (int64_t t = p->t0; t < p->t1; t++, v += BLOCK) {
            int64_t row;
            const float *x = window(p, t, xb, copy, &row);

            p->c->k.tile->in(v, p->in_step, x, row);
        }
    }
}

/* All points for blocks [yb, yb + n): a 1 x 1 convolution each. */
static void multiply(const piece *p, int64_t yb, int64_t n)
{
    static const int64_t tap = 0;
    const int64_t n_points = points(p->c->k.tile);
    int64_t w_step;
    const float *w = p->c->w + weights_at(&w_step, &p->c->k, &p->c->shape, yb);
    md_conv_span s = { .x_block = p->grid->tile_step * BLOCK,
                       .n_xb = p->n_xb,
                       .n_void = p->n_xb * BLOCK - p->c->shape.ic,
                       .taps = &tap,
                       .n_taps = 1,
                       .w_in = PAIR,
                       .w_out = p->n_xb * PAIR,
                       .y_block = p->grid->tile_step * BLOCK,
                       .n_yb = n,
                       .n_px = p->t1 - p->t0,
                       .last_lanes = BLOCK };

    for (int64_t e = 0; e < n_points; e++) {
        s.x = p->in + e * p->in_step;
        s.w = w + e * w_step;
        s.y = p->out + e * p->out_step;
        s.next = s.w + w_step;
        s.n_next = e + 1 < n_points ? w_step : 0;
        p->c->k.dense->span(&s);
    }
}

/* Tiles [t0, t1) of one row of tiles, whose pixels lie in rows in `sums`. */
typedef struct strip {
    int64_t t0, t1;
    float *sums;
    int64_t row; /* floats */
} strip;

static strip strip_at(const piece *p, int64_t t0)
{
    const int64_t n_tw = p->grid->n_tw, m = p->c->k.tile->m;
    const int64_t t1 = md_min_i64(p->t1, (t0 / n_tw + 1) * n_tw);

    return (strip){ t0, t1, p->sums + (t0 - p->t0) * m * m * BLOCK,
                    (t1 - t0) * m * BLOCK };
}

/*
 * Tiles that are not finite, in one block of output channels, without the
 * transforms: from windows and from the weights that were transformed.
 */
static void mend(const piece *p, int64_t yb, const int64_t *tiles, int n)
{
    const int64_t m = p->c->k.tile->m;
    float g[TAPS * PAIR], copy[MD_WINOGRAD_POINTS_MAX * BLOCK];
    int64_t taps[TAPS], w_step;
    const float *w = p->c->w + weights_at(&w_step, &p->c->k, &p->c->shape, yb);

    for (int64_t xb = 0; xb < p->n_xb; xb++) {
        md_winograd_f32_recover(g, w + xb * PAIR, w_step, (int)m);
        for (int i = 0; i < n; i++) {
            const place at = place_of(p, tiles[i]);
            const strip in =
                strip_at(p, md_max_i64(p->t0, tiles[i] - at.ox / m));
            md_conv_span s = { .n_xb = 1,
                               .taps = taps,
                               .n_taps = TAPS,
                               .w = g,
                               .n_yb = 1,
                               .n_px = m,
                               .last_lanes = BLOCK };
            int64_t row;

            s.x = window(p, tiles[i], xb, copy, &row);
            for (int t = 0; t < TAPS; t++)
                taps[t] = t / 3 * row + (int64_t)(t % 3) * BLOCK;
            for (int64_t r = 0; r < m; r++, s.x += row) {
                s.y = in.sums + r * in.row + (tiles[i] - in.t0) * m * BLOCK;
                s.start = xb > 0 ? s.y : NULL;
                if (p->c->ep.bias && xb == p->n_xb - 1)
                    s.bias = p->c->ep.bias + yb * BLOCK;
                p->c->k.dense->span(&s);
            }
        }
    }
}

/* The pixels of all tiles in one block of output channels: block b of the
 * unit whose products are made. */
static void transform_out(const piece *p, int64_t yb, int64_t b)
{
    static const float zeros[BLOCK];
    const float *bias = p->c->ep.bias ? p->c->ep.bias + yb * BLOCK : zeros;
    const int64_t m = p->c->k.tile->m;
    int64_t bad[TILES_MAX];
    int n_bad = 0;

    for (int64_t t = p->t0; t < p->t1;) {
        const strip st = strip_at(p, t);
        const float *from =
            p->out + (b * p->grid->tile_step + t - p->t0) * BLOCK;

        for (float *to = st.sums; t < st.t1; t++) {
            if (!p->c->k.tile->out(to, st.row, from, p->out_step, bias))
                bad[n_bad++] = t;
            to += m * BLOCK;
            from += BLOCK;
        }
    }
    if (n_bad > 0)
        mend(p, yb, bad, n_bad);
}

/* From sums to y: residual and activation. */
static void finish(const piece *p, int64_t yb)
{
    const md_conv_shape *s = &p->c->shape;
    const int64_t m = p->c->k.tile->m;

    for (int64_t t = p->t0; t < p->t1;) {
        const strip st = strip_at(p, t);
        const place to = place_of(p, t);
        int64_t at =
            (((to.n * p->n_yb + yb) * s->oh + to.oy) * s->ow + to.ox) * BLOCK;

        for (int64_t r = 0; r < m && to.oy + r < s->oh; r++) {
            const md_finish_tile f = {
                .sum = st.sums + r * st.row,
                .sum_stride = BLOCK,
                .out = p->c->y + at,
                .out_stride = BLOCK,
                .residual = p->c->ep.residual ? p->c->ep.residual + at : NULL,
                .rows = (int)md_min_i64((st.t1 - st.t0) * m, s->ow - to.ox),
                .lanes = (int)md_min_i64(BLOCK, s->oc - yb * BLOCK),
                .pad = true,
            };

            p->c->k.finish->run(&p->c->ep, &f);
            at += s->ow * BLOCK;
        }
        t = st.t1;
    }
}

void md_conv_winograd_run(const md_conv_winograd_args *c,
                          const md_conv_winograd_grid *grid, int64_t chunk,
                          void *scratch)
{
    const md_conv_shape *s = &c->shape;
    const int64_t oc_part = chunk % grid->oc_parts;
    const int64_t yb0 = oc_part * grid->oc_step, step = unit(c);
    piece p = { .c = c,
                .grid = grid,
                .n_xb = blocks(s->ic),
                .n_yb = blocks(s->oc),
                .t0 = chunk / grid->oc_parts * grid->tile_step,
                .in = scratch };
    const int64_t yb1 = md_min_i64(yb0 + grid->oc_step, p.n_yb);

    assert(chunk >= 0 && chunk < grid->n_chunks);
    p.t1 = md_min_i64(p.t0 + grid->tile_step, s->n * grid->n_th * grid->n_tw);
    p.in_step = point_step(grid, p.n_xb);
    p.out_step = point_step(grid, step);
    p.out = p.in + points(c->k.tile) * p.in_step;
    p.sums = p.out + points(c->k.tile) * p.out_step;
    transform_in(&p);
    for (int64_t yb = yb0; yb < yb1; yb += step) {
        const int64_t n = md_min_i64(step, yb1 - yb);

        multiply(&p, yb, n);
        for (int64_t b = 0; b < n; b++) {
            transform_out(&p, yb + b, b);
            finish(&p, yb + b);
        }
    }
}
