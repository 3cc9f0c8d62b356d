/*
 * ConvInteger and ConvIntegerToFloat with one filter for each channel: no
 * matrix product.  A chunk is a plane: its codes less their zero point become
 * int16 with the padding around them, taken apart by the stride of the last
 * axis, so that each tap adds neighbours to the sums of a row.  Exact modulo
 * 2^32.
 */
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "ops/common/convolve.h"
#include "ops/lower/codes.h"
#include "ops/lower/conv_codes.h"

enum {
    LANES = 8, /* sums that are taken together; behind a row there is room */
    TAPS = 3   /* that are added in one go */
};

typedef struct state {
    const md_unary_f32_kernel *unary;
    bool x_signed, scales;
    int64_t taps;   /* of a filter */
    int64_t padded; /* up to whole groups, whose weights are 0 */
    int16_t *w;     /* [channels][padded], less the zero point */
} state;

typedef struct args {
    md_convolve v;
    int64_t in, out;             /* pixels of a plane */
    int64_t depth, height, line; /* of the padded plane; a line has `stride`
                                  * parts of `part` codes */
    int64_t part;
    int64_t row;    /* sums of a row of the output, up to whole lanes */
    size_t sums_at; /* of a row, behind the plane */
    int64_t *taps;  /* [padded]: where each is, from a window's first */
} args;

static void release(void *p, const md_alloc *alloc)
{
    md_free(alloc, ((state *)p)->w);
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_tensor *w = lo->cin[1];
    const md_tensor *z = lo->node->n_in > 3 && lo->in[3] ? lo->cin[3] : NULL;
    const int64_t n_channels = w->shape.dim[0];
    size_t size;
    state *s;

    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->unary = md_unary_f32_select(lo->cpu);
    s->x_signed = lo->in[0]->dtype == MD_DTYPE_I8;
    s->scales = md_conv_codes__scales(lo->node);
    s->taps = md_shape_span(&w->shape, 1, w->shape.rank);
    s->padded = md_div_up(s->taps, TAPS) * TAPS;
    if (!md_mul_size(&size, (size_t)n_channels,
                     (size_t)s->padded * sizeof(*s->w)))
        return md_fail_nomem(err, SIZE_MAX);
    s->w = md_malloc_aligned(lo->alloc, size + 1);
    if (!s->w)
        return md_fail_nomem(err, size);
    memset(s->w, 0, size);
    for (int64_t c = 0; c < n_channels; c++) {
        const int64_t zero =
            z ? md_tensor_get_i64(z, md_tensor_n(z) == 1 ? 0 : c) : 0;

        for (int64_t t = 0; t < s->taps; t++)
            s->w[c * s->padded + t] =
                (int16_t)(md_tensor_get_i64(w, c * s->taps + t) - zero);
    }
    lo->packed[1] = true;
    lo->kernel = "planes";
    return MD_OK;
}

/* Pixels of axis i that windows reach, padding included. */
static int64_t reach(const md_convolve *v, int i)
{
    return (v->out[i] - 1) * v->w.stride[i] +
           (v->w.kernel[i] - 1) * v->w.dilation[i] + 1;
}

/* Taps are met in the order of the weights. */
static md_status set_taps(args *a, const state *s, md_arena *arena,
                          md_error *err)
{
    const md_window *w = &a->v.w;
    const int64_t n = w->kernel[2];

    a->taps = md_arena_calloc(arena, (size_t)s->padded + 1, sizeof(*a->taps));
    if (!a->taps)
        return md_fail_nomem(err, (size_t)s->padded * sizeof(*a->taps));
    for (int64_t t = 0; t < s->taps; t++) {
        const int64_t z = t / n / w->kernel[1] * w->dilation[0];
        const int64_t y = t / n % w->kernel[1] * w->dilation[1];
        const int64_t x = t % n * w->dilation[2];

        a->taps[t] = (z * a->height + y) * a->line +
                     x % w->stride[2] * a->part + x / w->stride[2];
    }
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    size_t plane, sums;
    args *a;

    (void)width;
    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    MD_TRY(md_convolve__sizes(&a->v, st->node, &st->in_shape[0],
                              &st->in_shape[1], err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    a->in = a->v.in[0] * a->v.in[1] * a->v.in[2];
    a->out = a->v.out[0] * a->v.out[1] * a->v.out[2];
    a->depth = reach(&a->v, 0);
    a->height = reach(&a->v, 1);
    a->part = md_div_up(reach(&a->v, 2), a->v.w.stride[2]);
    a->line = a->part * a->v.w.stride[2];
    a->row = md_div_up(a->v.out[2], LANES) * LANES;
    if (!md_mul_size(&plane, (size_t)a->depth, (size_t)a->height) ||
        !md_mul_size(&plane, plane, (size_t)a->line * sizeof(int16_t)) ||
        !md_add_size(&a->sums_at, plane,
                     MD_CACHE_LINE + LANES * sizeof(int16_t)) ||
        !md_mul_size(&sums, (size_t)a->row, sizeof(int32_t)) ||
        !md_add_size(&st->scratch_size, a->sums_at, sums))
        return md_fail_nomem(err, SIZE_MAX);
    a->sums_at &= ~(size_t)(MD_CACHE_LINE - 1);
    st->n_chunks = a->v.n * a->v.c;
    return set_taps(a, s, arena, err);
}

/* --- run --------------------------------------------------------------- */

static int32_t x_zero(const md_step *st)
{
    const state *s = st->state;
    const void *z = st->node->n_in > 2 ? st->in[2] : NULL;

    if (!z)
        return 0;
    return s->x_signed ? *(const int8_t *)z : *(const uint8_t *)z;
}

/* Every step-th of n codes less the zero point. */
static void load_part(int16_t *to, const uint8_t *from, int64_t step, int64_t n,
                      int32_t zero, uint8_t flip)
{
    const int16_t shift = (int16_t)(zero + flip);

    if (step == 1) {
        MD_SIMD
        for (int64_t i = 0; i < n; i++)
            to[i] = (int16_t)((from[i] ^ flip) - shift);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = (int16_t)((from[i * step] ^ flip) - shift);
}

/* A line of an image, or zeros where there is none (NULL), to `to`. */
static void load_line(const md_step *st, int16_t *to, const uint8_t *from)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t stride = a->v.w.stride[2], lo = a->v.w.lo[2];
    const int64_t end = md_min_i64(a->line, lo + a->v.in[2]);

    memset(to, 0, (size_t)a->line * sizeof(*to));
    for (int64_t p = 0; p < stride && from; p++) {
        /* the first pixel of this part, padding included, in the image */
        const int64_t skip = md_max_i64(0, md_div_up(lo - p, stride));
        const int64_t x = p + skip * stride;

        if (x < end)
            load_part(to + p * a->part + skip, from + (x - lo), stride,
                      md_div_up(end - x, stride), x_zero(st),
                      s->x_signed ? 0x80 : 0);
    }
}

static void load_plane(const md_step *st, int16_t *to, const uint8_t *from)
{
    const args *a = st->args;
    const md_convolve *v = &a->v;

    for (int64_t z = 0; z < a->depth; z++) {
        for (int64_t y = 0; y < a->height; y++, to += a->line) {
            const int64_t iz = z - v->w.lo[0], iy = y - v->w.lo[1];
            const bool inside =
                iz >= 0 && iz < v->in[0] && iy >= 0 && iy < v->in[1];

            load_line(st, to,
                      inside ? from + (iz * v->in[1] + iy) * v->in[2] : NULL);
        }
    }
    memset(to, 0, LANES * sizeof(*to)); /* the last row's sums reach here */
}

/* n sums, whole lanes, of a group of taps; `more`: to those that are there. */
static void add_taps(int32_t *sums, const int16_t *x, const int64_t *at,
                     const int16_t *w, int64_t n, bool more)
{
    const int16_t *a = x + at[0], *b = x + at[1], *c = x + at[2];
    const int32_t keep = more ? -1 : 0;

    for (int64_t i = 0; i < n; i += LANES) {
        MD_SIMD
        for (int64_t j = i; j < i + LANES; j++)
            sums[j] =
                (int32_t)((uint32_t)(sums[j] & keep) + (uint32_t)(a[j] * w[0]) +
                          (uint32_t)(b[j] * w[1]) + (uint32_t)(c[j] * w[2]));
    }
}

/* The sums of row y of slice z of the output. */
static void sum_row(const args *a, int32_t *sums, const int16_t *plane,
                    const int16_t *w, int64_t n_taps, int64_t z, int64_t y)
{
    const md_window *v = &a->v.w;
    const int16_t *x =
        plane + (z * v->stride[0] * a->height + y * v->stride[1]) * a->line;

    for (int64_t t = 0; t < n_taps; t += TAPS)
        add_taps(sums, x, a->taps + t, w + t, a->row, t > 0);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t c = chunk % a->v.c, row = a->v.out[2];
    int32_t *sums = (int32_t *)((char *)scratch + a->sums_at);
    md_conv_codes_param param = { 0, 0 };
    int64_t at = chunk * a->out;

    memset(sums, 0, (size_t)a->row * sizeof(*sums));
    load_plane(st, scratch, (const uint8_t *)st->in[0] + chunk * a->in);
    if (s->scales)
        param = md_conv_codes__param(st, c);
    for (int64_t z = 0; z < a->v.out[0]; z++) {
        for (int64_t y = 0; y < a->v.out[1]; y++, at += row) {
            sum_row(a, sums, scratch, s->w + c * s->padded, s->padded, z, y);
            if (s->scales)
                md_conv_codes__finish(st, s->unary, at, sums, row, &param);
            else
                memcpy((int32_t *)st->out[0] + at, sums,
                       (size_t)row * sizeof(*sums));
        }
    }
}

const md_fast md_fast_conv_integer_depth = { lower, plan, run, release,
                                             md_lower__residual_input };
