/*
 * A chunk is a band of output rows of one channel block of one image.  Its
 * input window is copied into scratch when it touches padding or is signed;
 * otherwise the input itself is read.
 */
#include "kernels/dwconv_s8.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/window_s8.h"

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

/* A window should leave room in L2; of 3 x 3 windows 64 KiB waste at most a
 * tenth on rows shared by two bands. */
enum {
    WINDOW_SIZE = 64 << 10
};

static int64_t n_blocks(const md_conv_shape *s)
{
    return md_div_up(s->oc, MD_LANES);
}

static int64_t n_taps(const md_conv_shape *s)
{
    return s->kh * s->kw;
}

static md_dw_quads form_of(const md_conv_shape *s)
{
    if (s->dilation_w != 1 || (s->kw != 3 && s->kw != 4))
        return MD_DW_ANY;
    return s->kw == 3 && s->kh == 3 && s->stride_w == 1 ? MD_DW_COLUMNS
                                                        : MD_DW_ROWS;
}

static int64_t n_quads(const md_conv_shape *s)
{
    const int64_t n[] = { [MD_DW_ANY] = md_div_up(n_taps(s), 4),
                          [MD_DW_ROWS] = s->kh,
                          [MD_DW_COLUMNS] = s->kw };

    return n[form_of(s)];
}

/* Where tap t stands among the quads of a channel: 4 * quad + byte. */
static int64_t quad_place(const md_conv_shape *s, int64_t t)
{
    const int64_t y = t / s->kw, x = t % s->kw;

    switch (form_of(s)) {
    case MD_DW_ROWS:
        return y * 4 + x;
    case MD_DW_COLUMNS:
        return x * 4 + y;
    default:
        return t;
    }
}

/* Of one channel block: words, then quads. */
static int64_t words_size(const md_conv_shape *s)
{
    return n_taps(s) * MD_LANES * (int64_t)sizeof(int32_t);
}

static int64_t block_size(const md_conv_shape *s)
{
    return words_size(s) + n_quads(s) * MD_LANES * 4;
}

size_t md_dwconv_s8_packed_size(const md_conv_shape *s)
{
    return (size_t)(n_blocks(s) * block_size(s));
}

void md_dwconv_s8_pack(void *out, int32_t *start, const int8_t *w,
                       const int32_t *bias, int32_t x_zero, bool x_signed,
                       const md_conv_shape *s)
{
    const uint32_t shift = (uint32_t)x_zero + (x_signed ? 128 : 0);

    memset(out, 0, md_dwconv_s8_packed_size(s));
    memset(start, 0, (size_t)(n_blocks(s) * MD_LANES) * sizeof(*start));
    for (int64_t c = 0; c < s->oc; c++) {
        char *block = (char *)out + c / MD_LANES * block_size(s);
        int8_t *quads = (int8_t *)block + words_size(s);
        const int64_t lane = c % MD_LANES;
        uint32_t sum = 0;

        for (int64_t t = 0; t < n_taps(s); t++, w++) {
            const int64_t at = quad_place(s, t);

            ((int32_t *)(void *)block)[t * MD_LANES + lane] = *w & 0xffff;
            quads[(at / 4 * MD_LANES + lane) * 4 + at % 4] = *w;
            sum += (uint32_t)*w;
        }
        start[c] = (int32_t)((bias ? (uint32_t)bias[c] : 0) - shift * sum);
    }
}

static int64_t window_w(const md_conv_shape *s)
{
    return (s->ow - 1) * s->stride_w + (s->kw - 1) * s->dilation_w + 1;
}

static int64_t window_h(const md_conv_shape *s, int64_t rows)
{
    return (rows - 1) * s->stride_h + (s->kh - 1) * s->dilation_h + 1;
}

/* Output rows of a chunk. */
static int64_t band_rows(const md_conv_shape *s)
{
    const int64_t room = WINDOW_SIZE / (window_w(s) * MD_LANES) -
                         (s->kh - 1) * s->dilation_h - 1;

    return md_min_i64(s->oh, md_max_i64(room / s->stride_h + 1, 1));
}

static int64_t n_bands(const md_conv_shape *s)
{
    return md_div_up(s->oh, band_rows(s));
}

int64_t md_dwconv_s8_n_chunks(const md_dwconv_s8_args *c)
{
    const md_conv_shape *s = &c->shape;

    return md_conv_shape_is_empty(s) ? 0 : s->n * n_blocks(s) * n_bands(s);
}

static bool copies(const md_dwconv_s8_args *c)
{
    return c->x_signed || !md_conv_shape_is_inside(&c->shape);
}

static size_t taps_size(const md_conv_shape *s)
{
    return md_round_up((size_t)n_quads(s) * 4 * sizeof(void *), MD_CACHE_LINE);
}

size_t md_dwconv_s8_scratch_size(const md_dwconv_s8_args *c)
{
    const md_conv_shape *s = &c->shape;
    md_window_s8 v = { .w = window_w(s), .pixel = MD_LANES };

    if (!copies(c) || md_conv_shape_is_empty(s))
        return taps_size(s);
    v.h = window_h(s, band_rows(s));
    return taps_size(s) + md_window_s8_size(&v, 1);
}

/* A chunk at work.  The pixels of its band lie one behind the other in the
 * output, whichever rows they are in: sums are collected until there is no more
 * room, and requantized together. */
typedef struct job {
    const md_dwconv_s8_args *c;
    int64_t block; /* of the image */
    int64_t done;  /* pixels of y before those in acc */
    int n;         /* pixels in acc */
    int32_t *acc;  /* [MD_DW_PIXELS][16] */
    const uint8_t **taps;
    md_dw_tile tile;
} job;

static void flush(job *j)
{
    const md_dwconv_s8_args *c = j->c;
    const int64_t size = md_qout_size(c->rq.out);
    const int64_t at = j->done * MD_LANES;
    const md_requant_tile r = {
        .acc = j->acc,
        .acc_stride = MD_LANES,
        .out = (char *)c->y + at * size,
        .out_stride = MD_LANES * size,
        .res = c->res ? (const uint8_t *)c->res + at : NULL,
        .res_stride = MD_LANES,
        .rows = j->n,
        .lanes = MD_LANES,
    };

    c->requant->run(&c->rq, j->block * MD_LANES, &r);
    j->done += j->n;
    j->n = 0;
}

/* The taps of the window at x, whose rows are `row` bytes apart. */
static void set_taps(const job *j, const uint8_t *x, int64_t row)
{
    const md_conv_shape *s = &j->c->shape;
    int64_t t = 0;

    for (int64_t i = 0; i < s->kh; i++)
        for (int64_t k = 0; k < s->kw; k++)
            j->taps[t++] =
                x + i * s->dilation_h * row + k * s->dilation_w * MD_LANES;
    for (; t < n_quads(s) * 4; t++)
        j->taps[t] = x;
}

static void set_tile(job *j)
{
    const md_conv_shape *s = &j->c->shape;
    const char *block = (const char *)j->c->w + j->block * block_size(s);

    j->tile = (md_dw_tile){
        .taps = j->taps,
        .n_taps = n_taps(s),
        .form = form_of(s),
        .row = s->kw,
        .stride = s->stride_w * MD_LANES,
        .words = (const int32_t *)(const void *)block,
        .quads = (const int8_t *)block + words_size(s),
        .start = j->c->start + j->block * MD_LANES,
    };
}

/* A row of output whose first window is `at` bytes behind the taps. */
static void run_row(job *j, int64_t at)
{
    const md_conv_shape *s = &j->c->shape;

    for (int64_t x = 0, n; x < s->ow; x += n) {
        n = md_min_i64(s->ow - x, MD_DW_PIXELS - j->n);
        j->tile.acc = j->acc + (ptrdiff_t)j->n * MD_LANES;
        j->tile.at = at + x * j->tile.stride;
        j->tile.pixels = (int)n;
        j->c->kernel->run(&j->tile);
        j->n += (int)n;
        if (j->n == MD_DW_PIXELS)
            flush(j);
    }
}

void md_dwconv_s8_run(const md_dwconv_s8_args *c, int64_t chunk, void *scratch)
{
    const md_conv_shape *s = &c->shape;
    const int64_t y0 = chunk % n_bands(s) * band_rows(s);
    const int64_t y1 = md_min_i64(y0 + band_rows(s), s->oh);
    const int64_t plane = chunk / n_bands(s);
    _Alignas(MD_CACHE_LINE) int32_t acc[MD_DW_PIXELS * MD_LANES];
    job j = { .c = c,
              .block = plane % n_blocks(s),
              .done = (plane * s->oh + y0) * s->ow,
              .acc = acc,
              .taps = scratch };
    md_window_s8 v = {
        .plane = (const uint8_t *)c->x + plane * s->ih * s->iw * MD_LANES,
        .ih = s->ih,
        .iw = s->iw,
        .y = y0 * s->stride_h - s->pad_top,
        .x = -s->pad_left,
        .h = window_h(s, y1 - y0),
        .w = window_w(s),
        .pixel = MD_LANES,
        .zero = c->x_zero,
        .flip = c->x_signed ? 0x80 : 0,
    };
    int64_t row;

    assert(chunk >= 0 && chunk < md_dwconv_s8_n_chunks(c));
    set_tile(&j);
    if (copies(c)) {
        uint8_t *window = (uint8_t *)scratch + taps_size(s);

        row = v.w * MD_LANES;
        md_window_s8_copy(window, &v);
        set_taps(&j, window, row);
    } else {
        row = s->iw * MD_LANES;
        set_taps(&j, v.plane + v.y * row + v.x * MD_LANES, row);
    }
    for (int64_t y = 0; y < y1 - y0; y++)
        run_row(&j, y * s->stride_h * row);
    if (j.n)
        flush(&j);
}
