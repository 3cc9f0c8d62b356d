/*
 * ConvWeights in float32, as products that run over positions.
 *
 * The planes of input 0 are copied into frames of zeros, one frame for each
 * remainder of the stride (phase), so that a tap reads a frame from an offset
 * on, without a gap: element (z, y, x) of the output is z * depth + y * pitch +
 * x behind it.  Rows of input 1 get zeros where such a walk leaves the output.
 * Then a tap is a product [channels, positions] [positions, S], with nothing
 * unfolded.
 *
 * Images are summed up in parts, whose number follows from sizes alone, and the
 * parts in their order: any number of threads gives the same bits.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_f32.h"
#include "ops/common/convolve.h"
#include "ops/lower/common.h"

enum {
    PARTS_MAX = 16,
    PARTS_SIZE = 16 << 20, /* bytes of all parts */
    CHUNKS = 32,           /* enough for threads to share */
    CHANNELS = 8           /* of a chunk at least: a tile's rows */
};

typedef struct state {
    const md_gemm_f32_kernel *kernel;
    bool strict;
} state;

typedef struct args {
    md_convolve v;
    int64_t bg, sg, taps;            /* channels of a group */
    int64_t frame[MD_SPATIAL_MAX];   /* sizes of one phase */
    int64_t k;                       /* positions of a walk */
    int64_t n_parts, step, n_blocks; /* blocks of `step` channels */
    size_t framed, rows, packed;     /* floats of scratch: frames, rows, B */
} args;

static md_status lower(md_lower *lo, md_error *err)
{
    state *s;

    for (uint32_t i = 0; i < 3; i++) {
        if (!md_lower__is(lo, i, MD_DTYPE_F32, -1))
            return md_fail(err, MD_UNSUPPORTED, "needs float32");
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_gemm_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    lo->kernel = s->kernel->name;
    return MD_OK;
}

/* Where tap t of axis i begins: its phase and the offset in it. */
static int64_t tap_phase(const md_window *w, int i, int64_t t)
{
    return t * w->dilation[i] % w->stride[i];
}

static int64_t tap_offset(const md_window *w, int i, int64_t t)
{
    return t * w->dilation[i] / w->stride[i];
}

static int64_t n_phases(const md_window *w)
{
    return w->stride[0] * w->stride[1] * w->stride[2];
}

static void set_frame(args *a)
{
    const md_window *w = &a->v.w;

    for (int i = 0; i < MD_SPATIAL_MAX; i++)
        a->frame[i] =
            a->v.out[i] + (w->kernel[i] - 1) * w->dilation[i] / w->stride[i];
    a->k = ((a->v.out[0] - 1) * a->frame[1] + a->v.out[1] - 1) * a->frame[2] +
           a->v.out[2];
}

/* Parts and blocks, and what a chunk needs. */
static bool cut(args *a, int64_t n_weights)
{
    const int64_t plane = a->frame[0] * a->frame[1] * a->frame[2];
    const int64_t group = a->v.group;
    size_t size;

    a->n_parts = PARTS_SIZE / (int64_t)sizeof(float) / n_weights;
    a->n_parts = md_min_i64(a->n_parts, PARTS_MAX);
    a->n_parts = md_max_i64(1, md_min_i64(a->n_parts, a->v.n));
    a->n_blocks = md_div_up(CHUNKS, a->n_parts * group);
    a->n_blocks = md_min_i64(a->n_blocks, md_div_up(a->bg, CHANNELS));
    a->step = md_div_up(a->bg, a->n_blocks);
    a->n_blocks = md_div_up(a->bg, a->step);
    return md_mul_size(&size, (size_t)plane, (size_t)n_phases(&a->v.w)) &&
           md_mul_size(&a->framed, size, (size_t)a->step) &&
           md_mul_size(&a->rows, (size_t)a->k, (size_t)a->sg) &&
           md_gemm_f32_packed_size(&a->packed, a->k, a->sg);
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const md_shape *w = &st->out_shape[0];
    size_t size;
    args *a;

    (void)width;
    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    MD_TRY(md_convolve__sizes(&a->v, st->node, &st->in_shape[0], w, err));
    if (!md_convolve__gives(&a->v, &st->in_shape[1]))
        return md_fail(err, MD_INVALID,
                       "input 1 is not of the shape of the windows");
    st->n_chunks = 0;
    if (md_shape_n(w) == 0)
        return MD_OK;
    a->bg = a->v.c / a->v.group;
    a->sg = a->v.oc / a->v.group;
    a->taps = a->v.w.kernel[0] * a->v.w.kernel[1] * a->v.w.kernel[2];
    set_frame(a);
    if (!cut(a, md_shape_n(w)))
        return md_fail_nomem(err, SIZE_MAX);
    a->framed = md_round_up(a->framed, MD_BLOCK);
    a->rows = md_round_up(a->rows, MD_BLOCK);
    if (!md_add_size(&size, a->framed, a->rows) ||
        !md_mul_size(&size, size, sizeof(float)) ||
        !md_add_size(&st->scratch_size, size, a->packed) ||
        !md_mul_size(&st->shared_size, (size_t)md_shape_n(w) * sizeof(float),
                     (size_t)a->n_parts))
        return md_fail_nomem(err, SIZE_MAX);
    st->n_chunks = a->n_parts * a->v.group * a->n_blocks;
    st->n_more[0] = a->v.group * a->n_blocks; /* adding parts */
    return MD_OK;
}

/* One row of a plane of phase p of the last axis. */
static void copy_row(float *to, const float *x, const args *a, int64_t p)
{
    const md_window *w = &a->v.w;
    const int64_t stride = w->stride[2], n = a->frame[2], in = a->v.in[2];
    int64_t first = w->lo[2] > p ? md_div_up(w->lo[2] - p, stride) : 0;
    int64_t at = first * stride + p - w->lo[2];

    first = md_min_i64(first, n);
    for (int64_t i = 0; i < first; i++)
        to[i] = 0.0f;
    if (stride == 1 && at < in) {
        int64_t some = md_min_i64(n - first, in - at);

        memcpy(to + first, x + at, (size_t)some * sizeof(*to));
        first += some;
    }
    for (at = stride == 1 ? in : at; first < n && at < in; at += stride)
        to[first++] = x[at];
    for (; first < n; first++)
        to[first] = 0.0f;
}

/* All phases of one plane x, one behind the other. */
static float *frame_plane(float *to, const float *x, const args *a)
{
    const md_window *w = &a->v.w;
    const int64_t *in = a->v.in, *f = a->frame;
    int64_t p[3] = { 0 };

    do {
        for (int64_t z = 0; z < f[0]; z++) {
            int64_t iz = z * w->stride[0] + p[0] - w->lo[0];

            for (int64_t y = 0; y < f[1]; y++, to += f[2]) {
                int64_t iy = y * w->stride[1] + p[1] - w->lo[1];

                if (iz >= 0 && iz < in[0] && iy >= 0 && iy < in[1])
                    copy_row(to, x + (iz * in[1] + iy) * in[2], a, p[2]);
                else
                    memset(to, 0, (size_t)f[2] * sizeof(*to));
            }
        }
    } while (md_step_index(p, w->stride, 3));
    return to;
}

/* Output planes with the gaps of a walk, which hold zeros: [sg][k]. */
static void spread_rows(float *to, const float *dy, const args *a)
{
    const int64_t *out = a->v.out, *f = a->frame;

    for (int64_t s = 0; s < a->sg; s++, to += a->k) {
        for (int64_t z = 0; z < out[0]; z++) {
            for (int64_t y = 0; y < out[1]; y++, dy += out[2])
                memcpy(to + (z * f[1] + y) * f[2], dy,
                       (size_t)out[2] * sizeof(*to));
        }
    }
}

/* Add an image's products to y [taps][channels][sg]; frames and B are there. */
static void multiply(const md_step *st, const args *a, const float *frames,
                     const float *b, float *y, int64_t n_channels, bool first)
{
    const state *s = st->state;
    const md_window *w = &a->v.w;
    const int64_t *f = a->frame, plane = f[0] * f[1] * f[2];
    int64_t t[3] = { 0 };
    float *to = y;

    do {
        int64_t phase =
            (tap_phase(w, 0, t[0]) * w->stride[1] + tap_phase(w, 1, t[1])) *
                w->stride[2] +
            tap_phase(w, 2, t[2]);
        int64_t offset =
            (tap_offset(w, 0, t[0]) * f[1] + tap_offset(w, 1, t[1])) * f[2] +
            tap_offset(w, 2, t[2]);
        md_gemm_f32_args g = { .m = n_channels,
                               .n = a->sg,
                               .k = a->k,
                               .a = frames + phase * plane + offset,
                               .lda = plane * n_phases(w),
                               .b = b,
                               .c = to,
                               .ldc = a->sg,
                               .ep = MD_EPILOGUE_INIT,
                               .strict = s->strict };

        g.ep.residual = first ? NULL : to;
        s->kernel->run(&g, 0, g.m, 0, g.n);
        to += n_channels * a->sg;
    } while (md_step_index(t, w->kernel, 3));
}

/* A chunk: block of channels, group, part. */
static void run_part(const md_step *st, int64_t chunk, float *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const md_convolve *v = &a->v;
    const int64_t block = chunk % a->n_blocks,
                  group = chunk / a->n_blocks % v->group,
                  part = chunk / a->n_blocks / v->group;
    const int64_t c0 = block * a->step, n_c = md_min_i64(a->bg - c0, a->step);
    const int64_t in = v->in[0] * v->in[1] * v->in[2];
    const int64_t out = v->out[0] * v->out[1] * v->out[2];
    const int64_t from = v->n * part / a->n_parts,
                  to = v->n * (part + 1) / a->n_parts;
    float *rows = scratch + a->framed, *b = rows + a->rows;
    float *y = (float *)st->shared +
               ((part * v->group + group) * a->bg + c0) * a->sg * a->taps;

    memset(rows, 0, (size_t)(a->sg * a->k) * sizeof(*rows)); /* the gaps */
    for (int64_t n = from; n < to; n++) {
        const float *x =
            (const float *)st->in[0] + (n * v->c + group * a->bg + c0) * in;
        float *frame = scratch;

        for (int64_t c = 0; c < n_c; c++)
            frame = frame_plane(frame, x + c * in, a);
        spread_rows(
            rows, (const float *)st->in[1] + (n * v->oc + group * a->sg) * out,
            a);
        s->kernel->pack_b(
            b,
            &(md_gemm_f32_b){
                .b = rows, .rs = 1, .cs = a->k, .k = a->k, .n = a->sg },
            0, a->sg);
        multiply(st, a, scratch, b, y, n_c, n == from);
    }
    if (from == to)
        memset(y, 0, (size_t)(n_c * a->sg * a->taps) * sizeof(*y));
}

/* Add up the parts of a block of channels; [taps][channels][sg] becomes
 * [sg][channels][taps]. */
static void add_parts(const md_step *st, int64_t chunk)
{
    const args *a = st->args;
    const int64_t group = chunk / a->n_blocks,
                  c0 = chunk % a->n_blocks * a->step;
    const int64_t n_c = md_min_i64(a->bg - c0, a->step);
    const int64_t at = (group * a->bg + c0) * a->sg * a->taps;
    const int64_t part = a->v.group * a->bg * a->sg * a->taps;
    const float *from = (const float *)st->shared + at;
    float *to = (float *)st->out[0] + group * a->sg * a->bg * a->taps;

    for (int64_t t = 0; t < a->taps; t++) {
        for (int64_t c = 0; c < n_c; c++) {
            for (int64_t s = 0; s < a->sg; s++, from++) {
                float sum = from[0];

                for (int64_t p = 1; p < a->n_parts; p++)
                    sum += from[p * part];
                to[(s * a->bg + c0 + c) * a->taps + t] = sum;
            }
        }
    }
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    if (st->phase == 0)
        run_part(st, chunk, scratch);
    else
        add_parts(st, chunk);
}

const md_fast md_fast_conv_weights = { lower, plan, run, NULL, NULL };
