#include "kernels/gemm_s8.h"

#include <string.h>

#include "base/size.h"
#include "kernels/gemm_dot.h"

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

/* 256 columns of B stay in L2 while rows of A pass. */
enum {
    CHUNK_N = 256,
    ROWS_MAX = MD_DOT_SUMS / MD_LANES, /* of a tile */
};

int64_t md_gemm_s8_packed_k(const md_gemm_s8_kernel *kernel, int64_t k)
{
    return md_gemm_dot__k_size(kernel, k);
}

size_t md_gemm_s8_packed_size(const md_gemm_s8_kernel *kernel, int64_t n,
                              int64_t k)
{
    return (size_t)(md_div_up(n, MD_LANES) * MD_LANES *
                    md_gemm_s8_packed_k(kernel, k));
}

void md_gemm_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const md_gemm_s8_b *b, int64_t n0, int64_t n1)
{
    const int64_t k_padded = md_gemm_s8_packed_k(kernel, b->k);

    for (int64_t j = n0; j < n1; j += MD_LANES) {
        const int64_t n = md_min_i64(MD_LANES, n1 - j);
        int8_t *block = out + j * k_padded;

        memset(block, 0, (size_t)(k_padded * MD_LANES));
        for (int64_t i = 0; i < b->k; i++) {
            const int8_t *from = b->b + i * b->stride_k + j * b->stride_n;
            int8_t *to = block + i / 4 * MD_LANES * 4 + i % 4;

            for (int64_t c = 0; c < n; c++)
                to[c * 4] = from[c * b->stride_n];
        }
    }
}

/* sums[c] += the sum of column c of a block; modulo 2^32. */
static void add_columns(uint32_t sums[MD_LANES], const int8_t *block,
                        int64_t k_padded)
{
    for (int64_t q = 0; q < k_padded; q += 4, block += MD_LANES * 4) {
        for (int c = 0; c < MD_LANES; c++)
            sums[c] += (uint32_t)(block[c * 4] + block[c * 4 + 1] +
                                  block[c * 4 + 2] + block[c * 4 + 3]);
    }
}

void md_gemm_s8_start(int32_t *start, const int8_t *packed, int64_t n,
                      int64_t k_padded, const int32_t *bias, int32_t zero,
                      bool a_signed)
{
    const uint32_t shift = (uint32_t)zero + (a_signed ? 128 : 0);

    for (int64_t j = 0; j < n; j += MD_LANES) {
        uint32_t sums[MD_LANES] = { 0 };

        add_columns(sums, packed + j * k_padded, k_padded);
        for (int64_t c = 0; c < MD_LANES; c++)
            start[j + c] =
                (int32_t)((bias && j + c < n ? (uint32_t)bias[j + c] : 0) -
                          shift * sums[c]);
    }
}

/* Whether tiles cannot read A itself: they take unsigned whole quads, and
 * rows in units. */
static bool copies_a(const md_gemm_s8_args *g)
{
    return g->k > 0 && (g->a_signed || g->k % (4 * g->kernel->quad_unit) != 0 ||
                        g->m % g->kernel->row_unit != 0);
}

/* Rows m0 .. m1 of A as whole quads of unsigned bytes; the fill meets zero
 * weights. */
static void copy_a(const void *ctx, int64_t m0, int64_t m1, uint8_t *to)
{
    const md_gemm_s8_args *g = ctx;
    const uint8_t flip = g->a_signed ? 0x80 : 0;
    const int64_t width = md_gemm_s8_packed_k(g->kernel, g->k);

    for (int64_t i = m0; i < m1; i++, to += width) {
        const uint8_t *from = (const uint8_t *)g->a + i * g->lda;

        for (int64_t j = 0; j < g->k; j++)
            to[j] = from[j] ^ flip;
        memset(to + g->k, 0, (size_t)(width - g->k));
    }
}

/* Requantize r, all of whose channels are in one block, and what comes
 * after. */
static void finish_block(const md_gemm_s8_args *g, md_requant_tile r, int64_t j)
{
    float sums[ROWS_MAX * MD_LANES];
    const md_finish_tile f = { .sum = sums,
                               .sum_stride = MD_LANES,
                               .out = r.out,
                               .out_stride = g->ldc,
                               .rows = r.rows,
                               .lanes = r.lanes };

    if (r.lanes < MD_LANES) /* the last step reads whole rows */
        memset(sums, 0, (size_t)r.rows * MD_LANES * sizeof(float));
    r.out = sums;
    r.out_stride = MD_LANES * (int64_t)sizeof(float);
    g->requant->run(&g->rq, j, &r);
    g->last->run(&g->ep, &f);
}

/* Requantize a tile at row i, column j. */
static void finish(const void *ctx, const md_dot_tile *t, int64_t i, int64_t j)
{
    const md_gemm_s8_args *g = ctx;
    const int64_t size = md_qout_size(g->rq.out);
    const int lanes = (int)md_min_i64(t->blocks * MD_LANES, g->n - j);
    md_requant_tile r = {
        .acc = t->acc,
        .acc_stride = (int64_t)t->blocks * MD_LANES,
        .out = (char *)g->c + (i * g->ldc + j) * size,
        .out_stride = g->ldc * size,
        .res = g->res ? (const uint8_t *)g->res + i * g->ldr + j : NULL,
        .res_stride = g->ldr,
        .rows = t->rows,
        .lanes = lanes,
        .row_mult = g->row_mult ? g->row_mult + i : NULL,
        .add = g->ep.residual ? g->ep.residual + i * g->ldc + j : NULL,
        .add_stride = g->ldc,
    };

    for (int k = 0; k < MD_REQUANT_TERMS && g->rq.column[k]; k++)
        r.row[k] = g->row[k] + i;
    if (!g->last) {
        g->requant->run(&g->rq, j, &r);
        return;
    }
    for (int b = 0; b < lanes; b += MD_LANES) {
        r.lanes = (int)md_min_i64(MD_LANES, lanes - b);
        finish_block(g, r, j + b);
        md_requant__next(&g->rq, &r);
    }
}

static md_gemm_dot driver(const md_gemm_s8_args *g)
{
    return (md_gemm_dot){ .kernel = g->kernel,
                          .m = g->m,
                          .n = g->n,
                          .k_size = md_gemm_s8_packed_k(g->kernel, g->k),
                          .n_step = CHUNK_N,
                          .a = g->a,
                          .a_stride = g->lda,
                          .copy = copies_a(g) ? copy_a : NULL,
                          .b = g->b,
                          .start = g->start,
                          .finish = finish,
                          .ctx = g };
}

int64_t md_gemm_s8_n_chunks(const md_gemm_s8_args *g)
{
    const md_gemm_dot d = driver(g);

    return md_gemm_dot__n_chunks(&d);
}

size_t md_gemm_s8_scratch_size(const md_gemm_s8_args *g)
{
    const md_gemm_dot d = driver(g);

    return md_gemm_dot__scratch_size(&d);
}

void md_gemm_s8_run(const md_gemm_s8_args *g, int64_t chunk, void *scratch)
{
    const md_gemm_dot d = driver(g);

    md_gemm_dot__run(&d, chunk, scratch);
}
