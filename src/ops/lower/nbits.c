/*
 * MatMulNBits (com.microsoft) in float32: the codes are arranged at load as
 * panels of columns.  A row or a few are multiplied with them as they are; for
 * more they become floats a slice at a time, in scratch, and go through
 * gemm_f32 from there.
 */
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_f32.h"
#include "kernels/unpack_f32.h"
#include "ops/lower/common.h"

enum { /* inputs */
    IN_A,
    IN_B,
    IN_SCALES,
    IN_ZEROS,
    IN_GROUPS,
    IN_BIAS
};

enum {
    SLICE = 128, /* rows of a panel: 24 KiB of 48 columns */
    FEW = 3      /* rows of A up to which codes are not worth unpacking */
};

typedef struct state {
    const md_gemm_f32_kernel *gemm;
    const md_unpack_f32_kernel *unpack;
    int64_t n, k, block, n_blocks;
    int given; /* bits of a code in the file, and here */
    int bits;
    uint8_t *codes; /* [panel][block][words of a block][width] */
    float *scale;   /* [panel][block][width] */
    float *shift;   /* NULL: no code stands for 0 but the middle one */
    float *bias;    /* padded, or NULL */
    bool strict;
} state;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->codes);
    md_free(alloc, s->scale);
    md_free(alloc, s->shift);
    md_free(alloc, s->bias);
}

/* Columns up to a multiple of 16, in panels of nr but the last. */
static int64_t wide(const state *s)
{
    return md_div_up(s->n, MD_BLOCK) * MD_BLOCK;
}

static int64_t width_of(const state *s, int64_t panel)
{
    return md_min_i64(s->gemm->nr, wide(s) - panel * s->gemm->nr);
}

/* Bytes of a column's codes in a block. */
static int64_t blob(const state *s)
{
    return s->block * s->bits / 8;
}

/* --- lowering ---------------------------------------------------------- */

static int code_of(const uint8_t *p, int64_t i, int bits)
{
    return p[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

/* The code that stands for 0 unless zero points are given; 0 in a panel. */
static int middle(const state *s)
{
    return 1 << (s->given - 1);
}

/* Column j of block g: its codes, from the file's to the panel's order. */
static void place_codes(const state *s, const uint8_t *from, int64_t j,
                        int64_t g)
{
    int64_t panel = j / s->gemm->nr, width = width_of(s, panel);
    int64_t per = 32 / s->bits;
    uint8_t *to = s->codes + panel * s->gemm->nr * blob(s) * s->n_blocks +
                  g * blob(s) * width + j % s->gemm->nr * 4;

    for (int64_t i = 0; i < s->block; i++) {
        int code = code_of(from, i, s->given) - middle(s);
        int64_t bit = i % per * s->bits;
        uint8_t *byte = to + i / per * width * 4 + bit / 8;

        *byte = (uint8_t)(*byte | (code & ((1 << s->bits) - 1)) << bit % 8);
    }
}

/* What stands for 0 in block g of column j. */
static float zero_of(const state *s, const md_tensor *z, int64_t j, int64_t g)
{
    int64_t row = md_div_up(s->n_blocks * s->given, 8);

    if (z->dtype == MD_DTYPE_U8)
        return (float)code_of((const uint8_t *)z->data + j * row, g, s->given);
    return ((const float *)z->data)[j * s->n_blocks + g];
}

typedef struct pack_job {
    const state *s;
    const uint8_t *codes;
    const float *scales;
    const md_tensor *zeros;
} pack_job;

static void pack_panel(void *ctx, int64_t panel, int worker)
{
    const pack_job *p = ctx;
    const state *s = p->s;
    int64_t size = s->block * s->given / 8, width = width_of(s, panel);
    int64_t from = panel * s->gemm->nr;

    (void)worker;
    for (int64_t j = from; j < md_min_i64(from + width, s->n); j++) {
        for (int64_t g = 0; g < s->n_blocks; g++) {
            float scale = p->scales[j * s->n_blocks + g];
            int64_t at = from * s->n_blocks + g * width + j - from;

            place_codes(s, p->codes + (j * s->n_blocks + g) * size, j, g);
            s->scale[at] = scale;
            if (p->zeros)
                s->shift[at] =
                    ((float)middle(s) - zero_of(s, p->zeros, j, g)) * scale;
        }
    }
}

static md_status pack(state *s, const md_lower *lo, md_error *err)
{
    const md_tensor *bias = md_lower__const(lo, IN_BIAS, MD_DTYPE_F32);
    const size_t columns = (size_t)(wide(s) * s->n_blocks);
    const size_t codes = columns * (size_t)blob(s);
    const size_t floats = columns * sizeof(float);
    bool ready;
    pack_job job = { .s = s,
                     .codes = lo->cin[IN_B]->data,
                     .scales = lo->cin[IN_SCALES]->data,
                     .zeros =
                         lo->node->n_in > IN_ZEROS ? lo->cin[IN_ZEROS] : NULL };

    MD_TRY(md_lower__pack(lo, (void *)&s->codes, codes, &ready, err));
    MD_TRY(md_lower__pack(lo, (void *)&s->scale, floats, &ready, err));
    if (job.zeros)
        MD_TRY(md_lower__pack(lo, (void *)&s->shift, floats, &ready, err));
    if (bias)
        s->bias = md_lower__padded(lo, bias->data, s->n);
    if (bias && !s->bias)
        return md_fail_nomem(err, md_tensor_size(bias));
    if (ready)
        return MD_OK;
    memset(s->codes, 0, codes); /* of columns that are not there */
    memset(s->scale, 0, floats);
    if (job.zeros)
        memset(s->shift, 0, floats);
    md_pool_run(lo->pool, MD_POOL_WIDTH_MAX, md_div_up(s->n, s->gemm->nr),
                pack_panel, &job);
    return MD_OK;
}

static bool is_given(const md_lower *lo, uint32_t i)
{
    return lo->node->n_in > i && lo->in[i];
}

static md_status check(const md_lower *lo, md_error *err)
{
    const md_tensor *b = md_lower__const(lo, IN_B, MD_DTYPE_U8);

    if (!md_lower__is(lo, IN_A, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    if (is_given(lo, IN_GROUPS))
        return md_fail(err, MD_UNSUPPORTED, "blocks by index");
    if (!b || md_tensor_n(b) == 0 ||
        !md_lower__const(lo, IN_SCALES, MD_DTYPE_F32))
        return md_fail(err, MD_UNSUPPORTED, "the weights are no constants");
    if (is_given(lo, IN_ZEROS) && !md_lower__const(lo, IN_ZEROS, MD_DTYPE_U8) &&
        !md_lower__const(lo, IN_ZEROS, MD_DTYPE_F32))
        return md_fail(err, MD_UNSUPPORTED, "the zero points are no constants");
    if (is_given(lo, IN_BIAS) && !md_lower__const(lo, IN_BIAS, MD_DTYPE_F32))
        return md_fail(err, MD_UNSUPPORTED, "the bias is no constant");
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    md_status st;
    state *s;

    MD_TRY(check(lo, err));
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->n = md_node_attr_i(n, "N", 0);
    s->k = md_node_attr_i(n, "K", 0);
    s->block = md_node_attr_i(n, "block_size", 0);
    s->n_blocks = md_div_up(s->k, s->block);
    s->given = (int)md_node_attr_i(n, "bits", 4);
    s->bits = s->given == 8 ? 8 : 4;
    s->gemm = md_gemm_f32_select(lo->cpu);
    s->unpack = md_unpack_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    lo->kernel = s->unpack->name;
    st = pack(s, lo, err);
    if (st != MD_OK)
        release(s, lo->alloc);
    lo->packed[IN_B] = lo->packed[IN_SCALES] = st == MD_OK;
    return st;
}

/* --- planning and running ---------------------------------------------- */

/* A chunk is a panel. */
static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;

    (void)width;
    (void)arena;
    (void)err;
    st->n_chunks = md_div_up(s->n, s->gemm->nr);
    st->scratch_size = (size_t)(SLICE * s->gemm->nr) * sizeof(float);
    if (md_shape_n(&st->out_shape[0]) == 0)
        st->n_chunks = 0;
    return MD_OK;
}

/* Rows [k0, k1) of a panel as floats. */
static void unpack(const state *s, float *to, int64_t panel, int64_t k0,
                   int64_t k1)
{
    int64_t width = width_of(s, panel), first = panel * s->gemm->nr;
    const uint8_t *codes = s->codes + first * blob(s) * s->n_blocks;

    for (int64_t k = k0; k < k1;) {
        int64_t g = k / s->block, in = k % s->block;
        int64_t rows = md_min_i64(k1 - k, s->block - in);
        int64_t at = first * s->n_blocks + g * width;

        s->unpack->run(&(md_unpack_f32_args){
            .y = to + (k - k0) * width,
            .q = codes + (g * blob(s) + in * s->bits / 8) * width,
            .scale = s->scale + at,
            .shift = s->shift ? s->shift + at : NULL,
            .rows = rows,
            .width = width,
            .bits = s->bits });
        k += rows;
    }
}

/* A row of C in a panel, from the codes; y is scratch. */
static void multiply(const state *s, const float *a, float *c, float *y,
                     int64_t panel)
{
    int64_t first = panel * s->gemm->nr, at = first * s->n_blocks;
    int64_t n = md_min_i64(s->gemm->nr, s->n - first);

    s->unpack->product(
        &(md_unpack_f32_product){ .y = y,
                                  .x = a,
                                  .q = s->codes + at * blob(s),
                                  .scale = s->scale + at,
                                  .shift = s->shift ? s->shift + at : NULL,
                                  .rows = s->k,
                                  .block = s->block,
                                  .width = width_of(s, panel),
                                  .bits = s->bits });
    for (int64_t j = 0; j < n; j++)
        c[first + j] = s->bias ? y[j] + s->bias[first + j] : y[j];
}

static void run(const md_step *st, int64_t panel, void *scratch)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[IN_A];
    int64_t m = md_shape_span(x, 0, x->rank - 1), n0 = panel * s->gemm->nr;
    int64_t n = md_min_i64(s->gemm->nr, s->n - n0);
    float *c = (float *)st->out[0] + n0;

    if (m <= FEW && !s->strict) {
        for (int64_t i = 0; i < m; i++)
            multiply(s, (const float *)st->in[IN_A] + i * s->k,
                     (float *)st->out[0] + i * s->n, scratch, panel);
        return;
    }
    for (int64_t k = 0; k < s->k; k += SLICE) {
        int64_t end = md_min_i64(k + SLICE, s->k);
        md_epilogue ep = MD_EPILOGUE_INIT;

        unpack(s, scratch, panel, k, end);
        ep.residual = k > 0 ? c : NULL;
        if (end == s->k && s->bias)
            ep.bias = s->bias + n0;
        s->gemm->run(&(md_gemm_f32_args){ .m = m,
                                          .n = n,
                                          .k = end - k,
                                          .a = (const float *)st->in[IN_A] + k,
                                          .lda = s->k,
                                          .b = scratch,
                                          .c = c,
                                          .ldc = s->n,
                                          .ep = ep,
                                          .strict = s->strict },
                     0, m, 0, n);
    }
}

const md_fast md_fast_nbits = { lower, plan, run, release, NULL };
