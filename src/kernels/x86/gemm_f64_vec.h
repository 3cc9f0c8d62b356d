/*
 * gemm_f64 for one instruction set, included by its file, which defines
 *   D_LANES, D_ROWS, D_VECTORS, D_RUN   lanes, tile, the function's name
 *   vd, vd_mask                 a vector of doubles, which lanes of one
 *   vd_zero, vd_set, vd_mul, vd_madd, vd_load, vd_store, vd_first
 *   vd_load_some, vd_store_some         only lanes of the mask are touched
 * D_ROWS x (D_VECTORS * D_LANES) accumulators, one vector of B and one
 * broadcast of A for each step of k.
 */
#include "kernels/gemm_f64.h"

#include <assert.h>

#include "base/attr.h"
#include "base/size.h"

enum {
    NR = D_VECTORS * D_LANES,
    KC = 256, /* depth of a block: 16 KiB of A under a tile */
    MC = 96,  /* rows that pass over a panel before the next block of k */
};

typedef struct tile {
    const double *a, *b;
    int64_t lda, b_row, depth;
    double *c;
    int64_t ldc;
    bool adds;    /* to what C holds */
    double scale; /* of what it is to hold; 1: none */
    vd_mask last; /* lanes of the last vector of columns */
} tile;

typedef void tile_fn(const tile *t);

/* `edge`: B ends within the last vector, as it is not packed. */
static MD_ALWAYS_INLINE void compute(const tile *t, int64_t mr, int64_t nv,
                                     bool edge)
{
    const double *a = t->a, *b = t->b;
    vd acc[D_ROWS][D_VECTORS], w[D_VECTORS];

    MD_UNROLL(8)
    for (int64_t r = 0; r < mr; r++) {
        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            acc[r][v] = vd_zero();
    }
    if (t->adds) {
        MD_UNROLL(8)
        for (int64_t r = 0; r < mr; r++) {
            const double *c = t->c + r * t->ldc;

            MD_UNROLL(3)
            for (int64_t v = 0; v < nv; v++)
                acc[r][v] = v == nv - 1 ? vd_load_some(c + v * D_LANES, t->last)
                                        : vd_load(c + v * D_LANES);
        }
    }
    for (int64_t k = 0; k < t->depth; k++, a++, b += t->b_row) {
        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            w[v] = edge && v == nv - 1 ? vd_load_some(b + v * D_LANES, t->last)
                                       : vd_load(b + v * D_LANES);
        MD_UNROLL(8)
        for (int64_t r = 0; r < mr; r++) {
            const vd s = vd_set(a[r * t->lda]);

            MD_UNROLL(3)
            for (int64_t v = 0; v < nv; v++)
                acc[r][v] = vd_madd(s, w[v], acc[r][v]);
        }
    }
    if (t->scale != 1.0) {
        MD_UNROLL(8)
        for (int64_t r = 0; r < mr; r++) {
            MD_UNROLL(3)
            for (int64_t v = 0; v < nv; v++)
                acc[r][v] = vd_mul(acc[r][v], vd_set(t->scale));
        }
    }
    MD_UNROLL(8)
    for (int64_t r = 0; r < mr; r++) {
        double *c = t->c + r * t->ldc;

        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++) {
            if (v == nv - 1)
                vd_store_some(c + v * D_LANES, t->last, acc[r][v]);
            else
                vd_store(c + v * D_LANES, acc[r][v]);
        }
    }
}

#define TILE(mr, nv)                                                           \
    static void tile_##mr##x##nv(const tile *t)                                \
    {                                                                          \
        compute(t, mr, nv, false);                                             \
    }                                                                          \
    static void edge_##mr##x##nv(const tile *t)                                \
    {                                                                          \
        compute(t, mr, nv, true);                                              \
    }
#define ROWS(nv)                                                               \
    TILE(1, nv)                                                                \
    TILE(2, nv)                                                                \
    TILE(3, nv)                                                                \
    TILE(4, nv)                                                                \
    TILE(5, nv)                                                                \
    TILE(6, nv)
ROWS(1)
ROWS(2)
#if D_ROWS == 8
TILE(7, 1)
TILE(8, 1)
TILE(7, 2)
TILE(8, 2)
ROWS(3)
TILE(7, 3)
TILE(8, 3)
#define LIST(kind, nv)                                                         \
    {                                                                          \
        kind##_1x##nv, kind##_2x##nv, kind##_3x##nv, kind##_4x##nv,            \
            kind##_5x##nv, kind##_6x##nv, kind##_7x##nv, kind##_8x##nv         \
    }
static tile_fn *const tiles[2][D_VECTORS][D_ROWS] = {
    { LIST(tile, 1), LIST(tile, 2), LIST(tile, 3) },
    { LIST(edge, 1), LIST(edge, 2), LIST(edge, 3) },
};
#else
#define LIST(kind, nv)                                                         \
    {                                                                          \
        kind##_1x##nv, kind##_2x##nv, kind##_3x##nv, kind##_4x##nv,            \
            kind##_5x##nv, kind##_6x##nv                                       \
    }
static tile_fn *const tiles[2][D_VECTORS][D_ROWS] = {
    { LIST(tile, 1), LIST(tile, 2) },
    { LIST(edge, 1), LIST(edge, 2) },
};
#endif

/* Rows m0 .. m1 of the panel at column n, for the k of one block. */
static void run_block(const md_gemm_f64_args *x, int64_t m0, int64_t m1,
                      int64_t n, int64_t k)
{
    const int64_t cols = md_min_i64(NR, x->n - n);
    const int64_t nv = md_div_up(cols, D_LANES);
    const int64_t rest = cols - (nv - 1) * D_LANES;
    const int64_t row = x->ldb ? x->ldb : NR;
    const bool edge = rest < D_LANES && x->ldb;
    tile t = { .lda = x->lda,
               .b = x->b + n * (x->ldb ? 1 : x->k) + k * row,
               .b_row = row,
               .depth = md_min_i64(KC, x->k - k),
               .ldc = x->ldc,
               .adds = k > 0,
               .scale = k + KC >= x->k ? x->scale : 1.0,
               .last = vd_first(rest) };

    for (int64_t i = m0; i < m1; i += D_ROWS) {
        const int64_t rows = md_min_i64(D_ROWS, m1 - i);

        t.a = x->a + i * x->lda + k;
        t.c = x->c + i * x->ldc + n;
        tiles[edge][nv - 1][rows - 1](&t);
    }
}

void D_RUN(const md_gemm_f64_args *x, int64_t m0, int64_t m1, int64_t n0,
           int64_t n1)
{
    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == x->n));
    for (int64_t m = m0; m < m1; m += MC) {
        const int64_t end = md_min_i64(m + MC, m1);

        for (int64_t n = n0; n < n1; n += NR) {
            /* one pass with depth 0 when k is 0 */
            for (int64_t k = 0; k == 0 || k < x->k; k += KC)
                run_block(x, m, end, n, k);
        }
    }
}
