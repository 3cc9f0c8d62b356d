#include "kernels/gemm_bf16.h"

#include <string.h>

#include "base/size.h"
#include "kernels/gemm_dot.h"

const md_gemm_bf16_kernel md_gemm_bf16_kernels[] = {
#define K(isa, need, rows, wide, row_unit, quad_unit, size, use)               \
    { "gemm_bf16__" #isa, need, rows, wide, row_unit, quad_unit, size, use,    \
      md_dot_bf16__##isa },
#include "kernels/gemm_bf16.def"
#undef K
    { 0 },
};

const md_gemm_bf16_kernel *md_gemm_bf16_select(uint32_t cpu_flags)
{
    const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

enum {
    LANES = 16,
    PAIR = 2 * LANES, /* numbers of B that two rows give a block */
    SIZE = sizeof(uint16_t),
    CHUNK_N = 256, /* columns of B that stay in L2 while rows of A pass */
};

bool md_gemm_bf16_packed_size(size_t *out, const md_gemm_bf16_kernel *kernel,
                              int64_t k, int64_t n)
{
    const size_t columns = (size_t)md_div_up(n, LANES) * LANES;
    size_t size;

    if (!md_mul_size(&size, (size_t)k, SIZE) || size > SIZE_MAX / 4)
        return false;
    size = (size_t)md_gemm_dot__k_size(kernel, (int64_t)size);
    return md_mul_size(out, columns, size);
}

/* Row i of at most 16 columns; zeros where there is none. */
static void pack_row(uint16_t out[LANES], const md_cast_bf16_kernel *cast,
                     const md_gemm_bf16_b *b, int64_t i, int64_t j, int64_t n)
{
    const float *at = b->b;
    float row[LANES];

    memset(out, 0, LANES * SIZE);
    if (i >= b->k)
        return;
    at += i * b->rs + j * b->cs;
    if (b->cs != 1) {
        for (int64_t c = 0; c < n; c++)
            row[c] = at[c * b->cs];
        at = row;
    }
    cast->run(out, LANES, at, n);
}

void md_gemm_bf16_pack(uint16_t *out, const md_gemm_bf16_kernel *kernel,
                       const md_cast_bf16_kernel *cast, const md_gemm_bf16_b *b,
                       int64_t n0, int64_t n1)
{
    const int64_t k = md_gemm_dot__k_size(kernel, b->k * SIZE) / SIZE;

    for (int64_t j = n0; j < n1; j += LANES) {
        const int64_t n = md_min_i64(LANES, n1 - j);
        uint16_t *to = out + j * k;

        for (int64_t i = 0; i < k; i += 2, to += PAIR) {
            uint16_t even[LANES], odd[LANES];

            pack_row(even, cast, b, i, j, n);
            pack_row(odd, cast, b, i + 1, j, n);
            for (int c = 0; c < LANES; c++)
                to[2 * c] = even[c], to[2 * c + 1] = odd[c];
        }
    }
}

/* Bytes of a row of A, rounded. */
static int64_t row_size(const md_gemm_bf16_args *g)
{
    return md_gemm_dot__k_size(g->kernel, g->k * SIZE);
}

/* Rows m0 .. m1 of A, rounded; zeros, which meet zero weights, to the end. */
static void copy_a(const void *ctx, int64_t m0, int64_t m1, uint8_t *to)
{
    const md_gemm_bf16_args *g = ctx;
    const size_t size = (size_t)g->k * SIZE;
    const size_t width = (size_t)row_size(g);

    for (int64_t i = m0; i < m1; i++, to += width) {
        g->cast->run((uint16_t *)(void *)to, LANES, g->a + i * g->lda, g->k);
        memset(to + size, 0, width - size);
    }
}

static void finish(const void *ctx, const md_dot_tile *t, int64_t i, int64_t j)
{
    const md_gemm_bf16_args *g = ctx;

    for (int b = 0; b < t->blocks; b++, j += LANES) {
        const int64_t at = i * g->ldc + j;
        const md_finish_tile f = {
            .sum = (const float *)t->acc + (size_t)b * LANES,
            .sum_stride = (int64_t)t->blocks * LANES,
            .out = g->c + at,
            .out_stride = g->ldc,
            .residual = g->ep.residual ? g->ep.residual + at : NULL,
            .rows = t->rows,
            .lanes = (int)md_min_i64(LANES, g->n - j),
        };

        g->finish->run(&g->ep, &f);
    }
}

static md_gemm_dot driver(const md_gemm_bf16_args *g)
{
    return (md_gemm_dot){ .kernel = g->kernel,
                          .m = g->m,
                          .n = g->n,
                          .k_size = row_size(g),
                          .n_step = CHUNK_N,
                          .a = (const uint8_t *)g->rounded,
                          .a_stride = row_size(g),
                          .copy = g->rounded ? NULL : copy_a,
                          .b = (const int8_t *)g->b,
                          .start = g->ep.bias,
                          .finish = finish,
                          .ctx = g };
}

int64_t md_gemm_bf16_n_roundings(const md_gemm_bf16_args *g)
{
    const md_gemm_dot d = driver(g);

    return md_gemm_dot__n_copies(&d);
}

size_t md_gemm_bf16_rounded_size(const md_gemm_bf16_args *g)
{
    size_t size;

    if (!md_mul_size(&size, (size_t)row_size(g),
                     md_round_up((size_t)g->m, (size_t)g->kernel->row_unit)))
        return SIZE_MAX;
    return size;
}

void md_gemm_bf16_round(const md_gemm_bf16_args *g, int64_t m0, int64_t m1,
                        uint16_t *rounded)
{
    copy_a(g, m0, m1, (uint8_t *)rounded + m0 * row_size(g));
}

int64_t md_gemm_bf16_n_chunks(const md_gemm_bf16_args *g)
{
    const md_gemm_dot d = driver(g);

    return md_gemm_dot__n_chunks(&d);
}

size_t md_gemm_bf16_scratch_size(const md_gemm_bf16_args *g)
{
    const md_gemm_dot d = driver(g);

    return md_gemm_dot__scratch_size(&d);
}

void md_gemm_bf16_run(const md_gemm_bf16_args *g, int64_t chunk, void *scratch)
{
    const md_gemm_dot d = driver(g);

    md_gemm_dot__run(&d, chunk, scratch);
}
