/*
 * ConvInteger, and modeld's ConvIntegerToFloat, with constant weights by
 * gemm_s8, exact modulo 2^32.
 *
 * The image is first brought into pixels of all channels, as unsigned bytes.
 * A chunk unfolds the windows of some output positions into rows of
 * [tap][channel], padding with the zero point, multiplies them by the weights
 * of a group and writes the sums, or what they are scaled to, as channels.
 * The zero point of x is in the start values, those of the weights are terms
 * of the last step (codes.h).
 *
 * One filter for each channel: conv_integer_depth.c.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/turn.h"
#include "ops/common/convolve.h"
#include "ops/lower/codes.h"
#include "ops/lower/conv_codes.h"

enum {
    ROWS_SIZE = 1 << 17, /* bytes of unfolded rows that stay in L2 */
    ROWS_MAX = 128       /* of a chunk */
};

typedef struct state {
    const md_gemm_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    bool x_signed, w_signed;
    bool has_w_zero; /* other than the middle */
    bool scales;     /* to float32 */
    const md_unary_f32_kernel *unary;
    const md_turn_kernel *turn;
    int64_t k, k_padded; /* bytes of a window, as unfolded */
    int64_t og, width;   /* channels of a group, up to whole blocks */
    int64_t group_size;  /* bytes of its packed weights */
    int8_t *packed;
    int32_t *columns; /* [groups][width]: sums of the weights */
} state;

typedef struct args {
    md_convolve v;
    int64_t in, out;        /* pixels of a plane */
    int64_t step, n_blocks; /* positions of a chunk, chunks of a group */
    int64_t n_copies;       /* chunks that copy an image */
    size_t start_at;        /* of start values, behind the images */
    size_t zero_at;         /* of zero points of the weights */
    size_t turned_at;       /* in a chunk's memory, behind rows and sums: */
    size_t sums_at;
} args;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->packed);
    md_free(alloc, s->columns);
}

/* [oc][channels][taps] as [oc][taps][channels], int8. */
static void arrange(const state *s, int8_t *to, const uint8_t *w, int64_t oc,
                    int64_t cg)
{
    const int64_t taps = s->k / md_max_i64(cg, 1);
    const uint8_t flip = s->w_signed ? 0 : 0x80;

    for (int64_t o = 0; o < oc; o++, w += s->k) {
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t c = 0; c < cg; c++)
                *to++ = (int8_t)(w[c * taps + t] ^ flip);
        }
    }
}

static md_status pack(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *w = lo->cin[1];
    const int64_t groups = md_node_attr_i(lo->node, "group", 1);
    const size_t columns = (size_t)(groups * s->width) * sizeof(int32_t);
    int8_t *ordered = md_malloc_aligned(lo->alloc, md_tensor_size(w) + 1);

    s->packed = md_malloc_aligned(lo->alloc, (size_t)(groups * s->group_size) +
                                                 MD_CACHE_LINE);
    s->columns = md_malloc_aligned(lo->alloc, columns + MD_CACHE_LINE);
    if (!ordered || !s->packed || !s->columns) {
        md_free(lo->alloc, ordered);
        release(s, lo->alloc);
        return md_fail_nomem(err, columns + (size_t)(groups * s->group_size));
    }
    arrange(s, ordered, w->data, w->shape.dim[0], w->shape.dim[1]);
    for (int64_t g = 0; g < groups; g++) {
        const md_gemm_s8_b b = { .b = ordered + g * s->og * s->k,
                                 .n = s->og,
                                 .k = s->k,
                                 .stride_n = s->k,
                                 .stride_k = 1 };

        md_codes__pack(s->packed + g * s->group_size, s->columns + g * s->width,
                       s->kernel, &b);
    }
    md_free(lo->alloc, ordered);
    lo->packed[1] = true;
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_tensor *w = lo->cin[1];
    state *s;

    MD_TRY(md_conv_codes__check(lo, err));
    if (md_conv_codes__is_depthwise(lo)) {
        lo->fast = &md_fast_conv_integer_depth;
        return lo->fast->lower(lo, err);
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_gemm_s8_select(lo->cpu);
    s->requant = md_requant_s8_select(lo->cpu);
    s->x_signed = lo->in[0]->dtype == MD_DTYPE_I8;
    s->w_signed = w->dtype == MD_DTYPE_I8;
    s->has_w_zero = !md_conv_codes__is_central(lo);
    s->scales = md_conv_codes__scales(lo->node);
    s->turn = md_turn_select(lo->cpu);
    s->unary = md_unary_f32_select(lo->cpu);
    s->k = md_shape_span(&w->shape, 1, w->shape.rank);
    s->k_padded = md_gemm_s8_packed_k(s->kernel, s->k);
    s->og = w->shape.dim[0] / md_node_attr_i(lo->node, "group", 1);
    s->width = md_div_up(s->og, MD_BLOCK) * MD_BLOCK;
    s->group_size = (int64_t)md_gemm_s8_packed_size(s->kernel, s->og, s->k);
    lo->kernel = s->kernel->name;
    return pack(s, lo, err);
}

/* --- plan -------------------------------------------------------------- */

/* Rows that the kernel takes as they are. */
static int64_t whole_rows(const state *s, int64_t n)
{
    return md_div_up(n, s->kernel->row_unit) * s->kernel->row_unit;
}

static bool take(size_t *at, size_t *end, size_t n, size_t size)
{
    size_t bytes;

    *at = *end;
    return md_mul_size(&bytes, n, size) &&
           md_add_size(&bytes, bytes, MD_CACHE_LINE) &&
           md_add_size(end, *end, bytes) &&
           (*end &= ~(size_t)(MD_CACHE_LINE - 1), true);
}

static md_status set_memory(md_step *st, args *a, md_error *err)
{
    const state *s = st->state;
    const size_t rows = (size_t)whole_rows(s, a->step);
    const size_t og = (size_t)s->og * sizeof(int32_t);
    const size_t width = (size_t)(a->v.group * s->width);
    size_t at;

    st->shared_size = st->scratch_size = 0;
    if (!take(&at, &st->shared_size, (size_t)(a->v.n * a->v.c),
              (size_t)a->in) ||
        !take(&a->start_at, &st->shared_size, width, sizeof(int32_t)) ||
        !take(&a->zero_at, &st->shared_size, s->has_w_zero ? width : 0,
              sizeof(int32_t)) ||
        !take(&at, &st->scratch_size, rows, (size_t)s->k_padded) ||
        !take(&a->sums_at, &st->scratch_size, rows, og) ||
        !take(&a->turned_at, &st->scratch_size, rows, og))
        return md_fail_nomem(err, SIZE_MAX);
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    int64_t groups, macs;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    MD_TRY(md_convolve__sizes(&a->v, st->node, &st->in_shape[0],
                              &st->in_shape[1], err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    a->in = a->v.in[0] * a->v.in[1] * a->v.in[2];
    a->out = a->v.out[0] * a->v.out[1] * a->v.out[2];
    groups = a->v.n * a->v.group;
    macs = md_max_i64(1, s->k * s->og);
    a->step = md_div_up(a->out, md_div_up((int64_t)width * 2, groups));
    a->step = md_max_i64(a->step, (1 << 19) / macs);
    a->step = md_min_i64(a->step, ROWS_SIZE / md_max_i64(s->k_padded, 1));
    a->step = md_min_i64(md_max_i64(a->step, 16), ROWS_MAX);
    a->n_blocks = md_div_up(a->out, a->step);
    MD_TRY(set_memory(st, a, err));
    a->n_copies = a->v.n;
    st->n_chunks = 1 + a->n_copies;
    st->n_more[0] = groups * a->n_blocks;
    return MD_OK;
}

/* --- run --------------------------------------------------------------- */

/* The zero point of x, as x is copied. */
static uint8_t x_zero(const md_step *st)
{
    const state *s = st->state;
    const uint8_t *z = st->node->n_in > 2 ? st->in[2] : NULL;

    return (uint8_t)((z ? *z : 0) ^ (s->x_signed ? 0x80 : 0));
}

static int32_t *ints_at(const md_step *st, size_t at)
{
    return (int32_t *)((char *)st->shared + at);
}

static void set_start(const md_step *st)
{
    const state *s = st->state;
    const args *a = st->args;
    int32_t *start = ints_at(st, a->start_at), *zero = ints_at(st, a->zero_at);
    const void *z = st->node->n_in > 3 ? st->in[3] : NULL;
    const int64_t n_zero = z ? md_shape_n(&st->in_shape[3]) : 1;

    for (int64_t j = 0; j < a->v.group * s->width; j++)
        start[j] = (int32_t) - ((uint32_t)x_zero(st) * (uint32_t)s->columns[j]);
    for (int64_t j = 0; j < a->v.group * s->width && s->has_w_zero; j++) {
        const int64_t o = j / s->width * s->og + j % s->width;

        zero[j] = j % s->width < s->og
                      ? md_codes__zero(z, n_zero, s->w_signed, o)
                      : 0;
    }
}

/* Image n as [pixel][channel], unsigned. */
static void copy_image(const md_step *st, int64_t n)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t size = a->v.c * a->in;
    uint8_t *to = (uint8_t *)st->shared + n * size;
    md_turn_args t = { .x = (const uint8_t *)st->in[0] + n * size,
                       .y_stride = a->v.c,
                       .x_stride = a->in,
                       .rows = a->in,
                       .columns = a->v.c,
                       .size = 1 };

    t.y = to;
    s->turn->run(&t);
    for (int64_t i = 0; i < size && s->x_signed; i++)
        to[i] ^= 0x80;
}

/* One tap row: kernel[2] windows pixels along the last axis, of which those
 * inside the image are copied. */
static uint8_t *unfold_row(uint8_t *to, const args *a, const uint8_t *row,
                           int64_t x0, uint8_t zero)
{
    const md_window *w = &a->v.w;
    const int64_t cg = a->v.c / a->v.group;

    for (int64_t t = 0; t < w->kernel[2]; t++, to += cg) {
        const int64_t x = x0 + t * w->dilation[2];

        if (row && x >= 0 && x < a->v.in[2])
            memcpy(to, row + x * a->v.c, (size_t)cg);
        else
            memset(to, zero, (size_t)cg);
    }
    return to;
}

/* The window of output position p; image: its pixels, from the group's first
 * channel on. */
static void unfold(uint8_t *to, const md_step *st, const uint8_t *image,
                   int64_t p)
{
    const state *s = st->state;
    const args *a = st->args;
    const md_convolve *v = &a->v;
    const md_window *w = &v->w;
    const int64_t z0 = p / v->out[2] / v->out[1] * w->stride[0] - w->lo[0];
    const int64_t y0 = p / v->out[2] % v->out[1] * w->stride[1] - w->lo[1];
    const int64_t x0 = p % v->out[2] * w->stride[2] - w->lo[2];
    uint8_t *end = to;

    for (int64_t tz = 0; tz < w->kernel[0]; tz++) {
        const int64_t z = z0 + tz * w->dilation[0];

        for (int64_t ty = 0; ty < w->kernel[1]; ty++) {
            const int64_t y = y0 + ty * w->dilation[1];
            const bool inside =
                z >= 0 && z < v->in[0] && y >= 0 && y < v->in[1];

            end = unfold_row(
                end, a,
                inside ? image + (z * v->in[1] + y) * v->in[2] * v->c : NULL,
                x0, x_zero(st));
        }
    }
    memset(end, 0, (size_t)(s->k_padded - s->k)); /* meets zero weights */
}

/* Sums [n][og] of positions become channels y[og][out], from `at` on. */
static void store(const md_step *st, int64_t at, const int32_t *sums,
                  int32_t *turned, int64_t n, int64_t first)
{
    const state *s = st->state;
    const args *a = st->args;

    s->turn->run(&(md_turn_args){ .y = turned,
                                  .x = sums,
                                  .y_stride = n,
                                  .x_stride = s->og,
                                  .rows = s->og,
                                  .columns = n,
                                  .size = sizeof(*sums) });
    for (int64_t o = 0; o < s->og; o++, at += a->out, turned += n) {
        const md_conv_codes_param param =
            s->scales ? md_conv_codes__param(st, first + o)
                      : (md_conv_codes_param){ 0, 0 };

        if (s->scales)
            md_conv_codes__finish(st, s->unary, at, turned, n, &param);
        else
            memcpy((int32_t *)st->out[0] + at, turned,
                   (size_t)n * sizeof(*turned));
    }
}

static void multiply(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t at = chunk / a->n_blocks, n = at / a->v.group;
    const int64_t group = at % a->v.group;
    const int64_t p0 = chunk % a->n_blocks * a->step;
    const int64_t count = md_min_i64(a->step, a->out - p0);
    const uint8_t *image = (const uint8_t *)st->shared + n * a->v.c * a->in +
                           group * (a->v.c / a->v.group);
    int32_t *sums = (int32_t *)((char *)scratch + a->sums_at);
    int32_t inside[ROWS_MAX] = { 0 };
    uint8_t *rows = scratch;
    md_gemm_s8_args g = {
        .kernel = s->kernel,
        .requant = s->requant,
        .m = whole_rows(s, count),
        .n = s->og,
        .k = s->k_padded,
        .a = rows,
        .lda = s->k_padded,
        .b = s->packed + group * s->group_size,
        .start = ints_at(st, a->start_at) + group * s->width,
        .c = sums,
        .ldc = s->og,
        .rq = { .out = MD_QOUT_S32 },
    };

    for (int64_t i = 0; i < count; i++)
        unfold(rows + i * s->k_padded, st, image, p0 + i);
    memset(rows + count * s->k_padded, 0,
           (size_t)((g.m - count) * s->k_padded));
    if (s->has_w_zero) {
        for (int64_t i = 0; i < count; i++)
            inside[i] =
                (int32_t)((uint32_t)s->k * x_zero(st) -
                          md_codes__sum(rows + i * s->k_padded, s->k, false));
        g.row[0] = inside;
        g.rq.column[0] = ints_at(st, a->zero_at) + group * s->width;
    }
    for (int64_t i = 0; i < md_gemm_s8_n_chunks(&g); i++)
        md_gemm_s8_run(&g, i, NULL);
    store(st, at * s->og * a->out + p0, sums,
          (int32_t *)((char *)scratch + a->turned_at), count, group * s->og);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    if (st->phase == 1)
        multiply(st, chunk, scratch);
    else if (chunk == 0)
        set_start(st);
    else
        copy_image(st, chunk - 1);
}

const md_fast md_fast_conv_integer = { lower, plan, run, release,
                                       md_lower__residual_input };
