#include "kernels/gemm_s8.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"

const md_gemm_s8_kernel md_gemm_s8_kernels[] = {
#define K(isa, need) { "gemm_s8__" #isa, need, md_dot_s8__##isa },
#include "kernels/gemm_s8.def"
#undef K
    { NULL, 0, NULL },
};

const md_gemm_s8_kernel *md_gemm_s8_select(uint32_t cpu_flags)
{
    const md_gemm_s8_kernel *k = md_gemm_s8_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

/* A chunk's rows of A stay in L1 (48 x 768 bytes) while B streams from L2;
 * 256 columns give enough pieces for a few threads at M = 1. */
enum {
    CHUNK_M = 48,
    CHUNK_N = 256
};

static int64_t quads(int64_t k)
{
    return md_div_up(k, 4);
}

size_t md_gemm_s8_packed_size(int64_t n, int64_t k)
{
    return (size_t)(md_div_up(n, MD_LANES) * MD_LANES * quads(k) * 4);
}

void md_gemm_s8_pack(int8_t *out, const int8_t *b, int64_t n, int64_t k,
                     int64_t stride_n, int64_t stride_k)
{
    memset(out, 0, md_gemm_s8_packed_size(n, k));
    for (int64_t j = 0; j < n; j++) {
        int8_t *column =
            out + (j / MD_LANES) * MD_LANES * quads(k) * 4 + (j % MD_LANES) * 4;

        for (int64_t i = 0; i < k; i++)
            column[i / 4 * MD_LANES * 4 + i % 4] =
                b[i * stride_k + j * stride_n];
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

static int64_t chunks_m(const md_gemm_s8_args *g)
{
    return md_div_up(g->m, CHUNK_M);
}

int64_t md_gemm_s8_n_chunks(const md_gemm_s8_args *g)
{
    return chunks_m(g) * md_div_up(g->n, CHUNK_N);
}

static bool copies_a(const md_gemm_s8_args *g)
{
    return g->a_signed || g->k % 4 != 0;
}

size_t md_gemm_s8_scratch_size(const md_gemm_s8_args *g)
{
    if (!copies_a(g))
        return 0;
    return (size_t)(md_min_i64(g->m, CHUNK_M) * quads(g->k) * 4);
}

/* Rows m0 .. m1 of A as whole quads of unsigned bytes; the fill meets zero
 * weights. */
static void copy_a(const md_gemm_s8_args *g, int64_t m0, int64_t m1,
                   uint8_t *to)
{
    const uint8_t flip = g->a_signed ? 0x80 : 0;
    const int64_t width = quads(g->k) * 4;

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

void md_gemm_s8_run(const md_gemm_s8_args *g, int64_t chunk, void *scratch)
{
    const int64_t m0 = chunk % chunks_m(g) * CHUNK_M;
    const int64_t m1 = md_min_i64(m0 + CHUNK_M, g->m);
    const int64_t n0 = chunk / chunks_m(g) * CHUNK_N;
    const int64_t n1 = md_min_i64(n0 + CHUNK_N, g->n);
    const int64_t tap = 0;
    const int64_t step =
        m1 - m0 > MD_DOT_ROWS / 2 ? 2 * MD_LANES : 4 * MD_LANES;
    _Alignas(MD_CACHE_LINE) int32_t acc[MD_DOT_ROWS * MD_DOT_BLOCKS * MD_LANES];
    md_dot_tile t = { .acc = acc,
                      .taps = &tap,
                      .n_taps = 1,
                      .n_quads = quads(g->k),
                      .b_stride = quads(g->k) * 4 * MD_LANES };
    const uint8_t *a = (const uint8_t *)g->a + m0 * g->lda;

    assert(chunk >= 0 && chunk < md_gemm_s8_n_chunks(g));
    t.a_stride = g->lda;
    if (copies_a(g)) {
        copy_a(g, m0, m1, scratch);
        a = scratch;
        t.a_stride = t.n_quads * 4;
    }
    for (int64_t j = n0; j < n1; j += step) {
        t.blocks = (int)md_div_up(md_min_i64(step, n1 - j), MD_LANES);
        t.b = g->b + j / MD_LANES * t.b_stride;
        t.start = g->start + j;
        for (int64_t i = m0; i < m1; i += t.rows) {
            t.rows = (int)md_min_i64(MD_DOT_ROWS, m1 - i);
            t.a = a + (i - m0) * t.a_stride;
            g->kernel->dot(&t);
            finish(g, &t, i, j);
        }
    }
}
