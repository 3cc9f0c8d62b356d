#include "kernels/gemm_s8.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"

const md_gemm_s8_kernel md_gemm_s8_kernels[] = {
#define K(isa, need, rows, wide, row_unit, quad_unit, macs, use)               \
    { "gemm_s8__" #isa, need, rows, wide, row_unit, quad_unit, macs, use,      \
      md_dot_s8__##isa },
#include "kernels/gemm_s8.def"
#undef K
    { 0 },
};

const md_gemm_s8_kernel *md_gemm_s8_select(uint32_t cpu_flags)
{
    const md_gemm_s8_kernel *k = md_gemm_s8_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

/* The rows of A of a chunk (48 or 128, times some hundred bytes) stay in L1 or
 * near it while B streams from L2; 256 columns, or 128 where that gives few
 * pieces, leave some for a few threads at M = 1. */
enum {
    CHUNK_TILES = 4,
    CHUNK_N = 256,
    CHUNKS_MIN = 8,
};

int64_t md_gemm_s8_packed_k(const md_gemm_s8_kernel *kernel, int64_t k)
{
    const int64_t unit = (int64_t)kernel->quad_unit * 4;

    return md_div_up(k, unit) * unit;
}

size_t md_gemm_s8_packed_size(const md_gemm_s8_kernel *kernel, int64_t n,
                              int64_t k)
{
    return (size_t)(md_div_up(n, MD_LANES) * MD_LANES *
                    md_gemm_s8_packed_k(kernel, k));
}

void md_gemm_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const md_gemm_s8_b *b)
{
    const int64_t k_padded = md_gemm_s8_packed_k(kernel, b->k);

    memset(out, 0, md_gemm_s8_packed_size(kernel, b->n, b->k));
    for (int64_t j = 0; j < b->n; j++) {
        int8_t *column =
            out + j / MD_LANES * MD_LANES * k_padded + j % MD_LANES * 4;

        for (int64_t i = 0; i < b->k; i++)
            column[i / 4 * MD_LANES * 4 + i % 4] =
                b->b[i * b->stride_k + j * b->stride_n];
    }
}

void md_gemm_s8_start(int32_t *start, const int8_t *packed, int64_t n,
                      int64_t k_padded, const int32_t *bias, int32_t zero,
                      bool a_signed)
{
    const int32_t shift = zero + (a_signed ? 128 : 0);

    for (int64_t j = 0; j < md_div_up(n, MD_LANES) * MD_LANES; j++) {
        const int8_t *column =
            packed + j / MD_LANES * MD_LANES * k_padded + j % MD_LANES * 4;
        uint32_t sum = 0;

        for (int64_t i = 0; i < k_padded; i++)
            sum += (uint32_t)column[i / 4 * MD_LANES * 4 + i % 4];
        start[j] = (int32_t)((bias && j < n ? (uint32_t)bias[j] : 0) -
                             (uint32_t)shift * sum);
    }
}

/* How C is cut: m_step rows by n_step columns. */
typedef struct grid {
    int64_t m_step, n_step;
    int64_t m_chunks, n_chunks;
} grid;

static grid cut(const md_gemm_s8_args *g)
{
    grid s = { (int64_t)CHUNK_TILES * g->kernel->rows, CHUNK_N, 0, 0 };

    s.m_chunks = md_div_up(g->m, s.m_step);
    s.n_chunks = md_div_up(g->n, s.n_step);
    if (s.m_chunks * s.n_chunks < CHUNKS_MIN) {
        s.n_step = CHUNK_N / 2;
        s.n_chunks = md_div_up(g->n, s.n_step);
    }
    return s;
}

int64_t md_gemm_s8_n_chunks(const md_gemm_s8_args *g)
{
    const grid s = cut(g);

    return s.m_chunks * s.n_chunks;
}

/* Whether tiles cannot read A itself: they take unsigned whole quads, and
 * rows in units. */
static bool copies_a(const md_gemm_s8_args *g)
{
    return g->k > 0 && (g->a_signed || g->k % (4 * g->kernel->quad_unit) != 0 ||
                        g->m % g->kernel->row_unit != 0);
}

size_t md_gemm_s8_scratch_size(const md_gemm_s8_args *g)
{
    const int64_t unit = g->kernel->row_unit;

    if (!copies_a(g))
        return 0;
    return (size_t)(md_div_up(md_min_i64(g->m, cut(g).m_step), unit) * unit *
                    md_gemm_s8_packed_k(g->kernel, g->k));
}

/* Rows m0 .. m1 of A as whole quads of unsigned bytes; the fill meets zero
 * weights. */
static void copy_a(const md_gemm_s8_args *g, int64_t m0, int64_t m1,
                   uint8_t *to)
{
    const uint8_t flip = g->a_signed ? 0x80 : 0;
    const int64_t width = md_gemm_s8_packed_k(g->kernel, g->k);

    for (int64_t i = m0; i < m1; i++, to += width) {
        const uint8_t *from = (const uint8_t *)g->a + i * g->lda;

        for (int64_t j = 0; j < g->k; j++)
            to[j] = from[j] ^ flip;
        memset(to + g->k, 0, (size_t)(width - g->k));
    }
}

/* Requantize a tile at row i, column j. */
static void finish(const md_gemm_s8_args *g, const md_dot_tile *t, int64_t i,
                   int64_t j)
{
    const int64_t size = md_qout_size(g->rq.out);

    for (int b = 0; b < t->blocks; b++, j += MD_LANES) {
        const md_requant_tile r = {
            .acc = t->acc + (size_t)b * MD_LANES,
            .acc_stride = (int64_t)t->blocks * MD_LANES,
            .out = (char *)g->c + (i * g->ldc + j) * size,
            .out_stride = g->ldc * size,
            .res = g->res ? (const uint8_t *)g->res + i * g->ldr + j : NULL,
            .res_stride = g->ldr,
            .rows = t->rows,
            .lanes = (int)md_min_i64(MD_LANES, g->n - j),
        };

        g->requant->run(&g->rq, j, &r);
    }
}

/* Rows of `t` from row i0 on, m of them, for its columns from j on. */
static void run_strip(const md_gemm_s8_args *g, md_dot_tile *t, int64_t i0,
                      int64_t m, int64_t j)
{
    const uint8_t *a = t->a;

    for (int64_t i = 0; i < m; i += t->rows) {
        t->rows = (int)md_min_i64(
            t->blocks > 2 ? g->kernel->rows_wide : g->kernel->rows, m - i);
        t->a = a + i * t->a_stride;
        g->kernel->dot(t);
        finish(g, t, i0 + i, j);
    }
    t->a = a;
}

void md_gemm_s8_run(const md_gemm_s8_args *g, int64_t chunk, void *scratch)
{
    const md_gemm_s8_kernel *kernel = g->kernel;
    const grid s = cut(g);
    const int64_t m0 = chunk % s.m_chunks * s.m_step;
    const int64_t m1 = md_min_i64(m0 + s.m_step, g->m);
    const int64_t n0 = chunk / s.m_chunks * s.n_step;
    const int64_t n1 = md_min_i64(n0 + s.n_step, g->n);
    const int64_t tap = 0, k_padded = md_gemm_s8_packed_k(kernel, g->k);
    const int64_t step = MD_LANES * (m1 - m0 > kernel->rows_wide ? 2 : 4);
    _Alignas(MD_CACHE_LINE) int32_t acc[MD_DOT_SUMS];
    md_dot_tile t = { .acc = acc,
                      .a = (const uint8_t *)g->a + m0 * g->lda,
                      .a_stride = g->lda,
                      .taps = &tap,
                      .n_taps = 1,
                      .n_quads = k_padded / 4,
                      .b_stride = k_padded * MD_LANES };

    assert(chunk >= 0 && chunk < s.m_chunks * s.n_chunks);
    if (copies_a(g)) {
        copy_a(g, m0, m1, scratch);
        t.a = scratch;
        t.a_stride = k_padded;
    }
    if (kernel->use)
        kernel->use(true);
    for (int64_t j = n0; j < n1; j += step) {
        t.blocks = (int)md_div_up(md_min_i64(step, n1 - j), MD_LANES);
        t.b = g->b + j / MD_LANES * t.b_stride;
        t.start = g->start + j;
        run_strip(g, &t, m0, m1 - m0, j);
    }
    if (kernel->use)
        kernel->use(false);
}
