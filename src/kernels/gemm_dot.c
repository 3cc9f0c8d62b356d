#include "kernels/gemm_dot.h"

#include <assert.h>

#include "base/attr.h"
#include "base/size.h"

/* The rows of A of a chunk (48 or 128, times some hundred bytes) stay in L1 or
 * near it while B streams from L2; n_step columns, or half of them where that
 * gives few pieces, leave some for a few threads at M = 1. */
enum {
    LANES = 16,
    SUM_SIZE = 4, /* int32_t or float */
    CHUNK_TILES = 4,
    CHUNKS_MIN = 8,
};

int64_t md_gemm_dot__k_size(const md_dot_kernel *kernel, int64_t size)
{
    const int64_t unit = (int64_t)kernel->quad_unit * 4;

    return md_div_up(size, unit) * unit;
}

/* How C is cut: m_step rows by n_step columns. */
typedef struct grid {
    int64_t m_step, n_step;
    int64_t m_chunks, n_chunks;
} grid;

static grid cut(const md_gemm_dot *g)
{
    grid s = { (int64_t)CHUNK_TILES * g->kernel->rows, g->n_step, 0, 0 };

    s.m_chunks = md_div_up(g->m, s.m_step);
    s.n_chunks = md_div_up(g->n, s.n_step);
    if (s.m_chunks * s.n_chunks < CHUNKS_MIN) {
        s.n_step = g->n_step / 2;
        s.n_chunks = md_div_up(g->n, s.n_step);
    }
    return s;
}

int64_t md_gemm_dot__n_chunks(const md_gemm_dot *g)
{
    const grid s = cut(g);

    return s.m_chunks * s.n_chunks;
}

int64_t md_gemm_dot__n_copies(const md_gemm_dot *g)
{
    return cut(g).n_chunks;
}

size_t md_gemm_dot__scratch_size(const md_gemm_dot *g)
{
    const int64_t unit = g->kernel->row_unit;

    if (!g->copy)
        return 0;
    return (size_t)(md_div_up(md_min_i64(g->m, cut(g).m_step), unit) * unit *
                    g->k_size);
}

/* Rows of `t` from row i0 on, m of them, for its columns from j on. */
static void run_strip(const md_gemm_dot *g, md_dot_tile *t, int64_t i0,
                      int64_t m, int64_t j)
{
    const uint8_t *a = t->a;

    for (int64_t i = 0; i < m; i += t->rows) {
        t->rows = (int)md_min_i64(
            t->blocks > 2 ? g->kernel->rows_wide : g->kernel->rows, m - i);
        t->a = a + i * t->a_stride;
        g->kernel->dot(t);
        g->finish(g->ctx, t, i0 + i, j);
    }
    t->a = a;
}

void md_gemm_dot__run(const md_gemm_dot *g, int64_t chunk, void *scratch)
{
    static const int32_t zeros[MD_DOT_BLOCKS * LANES];
    const char *start = g->start;
    const md_dot_kernel *kernel = g->kernel;
    const grid s = cut(g);
    const int64_t m0 = chunk % s.m_chunks * s.m_step;
    const int64_t m1 = md_min_i64(m0 + s.m_step, g->m);
    const int64_t n0 = chunk / s.m_chunks * s.n_step;
    const int64_t n1 = md_min_i64(n0 + s.n_step, g->n);
    const int64_t tap = 0;
    const int64_t step = LANES * (m1 - m0 > kernel->rows_wide ? 2 : 4);
    _Alignas(MD_CACHE_LINE) md_dot_sums acc;
    md_dot_tile t = { .acc = &acc,
                      .a = g->a + m0 * g->a_stride,
                      .a_stride = g->a_stride,
                      .taps = &tap,
                      .n_taps = 1,
                      .n_quads = g->k_size / 4,
                      .b_stride = g->k_size * LANES };

    assert(chunk >= 0 && chunk < s.m_chunks * s.n_chunks);
    if (g->copy) {
        g->copy(g->ctx, m0, m1, scratch);
        t.a = scratch;
        t.a_stride = g->k_size;
    }
    if (kernel->use)
        kernel->use(true);
    for (int64_t j = n0; j < n1; j += step) {
        t.blocks = (int)md_div_up(md_min_i64(step, n1 - j), LANES);
        t.b = g->b + j / LANES * t.b_stride;
        t.start = start ? start + j * SUM_SIZE : (const char *)zeros;
        run_strip(g, &t, m0, m1 - m0, j);
    }
    if (kernel->use)
        kernel->use(false);
}
