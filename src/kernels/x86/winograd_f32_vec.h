/*
 * winograd_f32 over vectors: each lane is a channel and goes by itself.  A
 * tile is transformed column by column into a buffer in L1, then row by row;
 * pairs of points +-p share all but the last addition of a row.
 */
#ifndef MD_KERNELS_X86_WINOGRAD_F32_VEC_H
#define MD_KERNELS_X86_WINOGRAD_F32_VEC_H

#include "base/attr.h"
#include "kernels/winograd_f32.h"

enum {
    BLOCK = 16,
    WINDOWS = BLOCK * BLOCK
};

/* The points of m = 4: +-A, +-B. */
#define A 0.70710678118654752440
#define B 1.41421356237309504880

/* Bt d, one row or column. */
static MD_ALWAYS_INLINE void in_row(vf *o, const vf *d, int m)
{
    if (m == 2) {
        o[0] = vf_sub(d[0], d[2]);
        o[1] = vf_add(d[1], d[2]);
        o[2] = vf_sub(d[2], d[1]);
        o[3] = vf_sub(d[3], d[1]);
    } else {
        const vf half = vf_set(-.5f), two = vf_set(-2), sum = vf_set(-2.5f);
        const vf even_a = vf_fmadd(two, d[2], d[4]);
        const vf odd_a = vf_fmadd(two, d[1], d[3]);
        const vf even_b = vf_fmadd(half, d[2], d[4]);
        const vf odd_b = vf_fmadd(half, d[1], d[3]);

        o[0] = vf_fmadd(sum, d[2], vf_add(d[0], d[4]));
        o[1] = vf_fmadd(vf_set((float)A), odd_a, even_a);
        o[2] = vf_fmadd(vf_set((float)-A), odd_a, even_a);
        o[3] = vf_fmadd(vf_set((float)B), odd_b, even_b);
        o[4] = vf_fmadd(vf_set((float)-B), odd_b, even_b);
        o[5] = vf_fmadd(sum, d[3], vf_add(d[1], d[5]));
    }
}

/* At s, one row or column. */
static MD_ALWAYS_INLINE void out_row(vf *o, const vf *s, int m)
{
    if (m == 2) {
        o[0] = vf_add(s[0], vf_add(s[1], s[2]));
        o[1] = vf_add(vf_sub(s[1], s[2]), s[3]);
    } else {
        const vf even_a = vf_add(s[1], s[2]), odd_a = vf_sub(s[1], s[2]);
        const vf even_b = vf_add(s[3], s[4]), odd_b = vf_sub(s[3], s[4]);

        o[0] = vf_add(s[0], vf_add(even_a, even_b));
        o[1] = vf_mul(vf_set((float)A), vf_fmadd(vf_set(2), odd_b, odd_a));
        o[2] = vf_fmadd(vf_set(2), even_b, vf_mul(vf_set(.5f), even_a));
        o[3] = vf_fmadd(vf_set((float)(2 * B)), odd_b,
                        vf_fmadd(vf_set((float)(A / 2)), odd_a, s[5]));
    }
}

/* G g, one row or column. */
static MD_ALWAYS_INLINE void weights_row(vd *o, const vd *g, int m)
{
    if (m == 2) {
        const vd half = vd_set(.5);
        const vd even = vd_mul(half, vd_add(g[0], g[2]));

        o[1] = vd_fmadd(half, g[1], even);
        o[2] = vd_fmadd(vd_set(-.5), g[1], even);
    } else {
        const vd even_a =
            vd_mul(vd_set(-2 / 3.), vd_fmadd(vd_set(.5), g[2], g[0]));
        const vd even_b =
            vd_mul(vd_set(1 / 6.), vd_fmadd(vd_set(2), g[2], g[0]));

        o[1] = vd_fmadd(vd_set(-2 / 3. * A), g[1], even_a);
        o[2] = vd_fmadd(vd_set(2 / 3. * A), g[1], even_a);
        o[3] = vd_fmadd(vd_set(B / 6), g[1], even_b);
        o[4] = vd_fmadd(vd_set(-B / 6), g[1], even_b);
    }
    o[0] = g[0];
    o[m + 1] = g[2];
}

static MD_ALWAYS_INLINE void transform_in(float *v, int64_t v_step,
                                          const float *x, int64_t x_row, int m)
{
    const int side = m + 2;

    for (int i = 0; i < BLOCK; i += VF_LANES) {
        vf half[MD_WINOGRAD_SIDE_MAX][MD_WINOGRAD_SIDE_MAX];
        vf line[MD_WINOGRAD_SIDE_MAX], o[MD_WINOGRAD_SIDE_MAX];

        MD_UNROLL(6)
        for (int j = 0; j < side; j++) {
            MD_UNROLL(6)
            for (int r = 0; r < side; r++)
                line[r] = vf_load(x + r * x_row + j * BLOCK + i, VF_LANES);
            in_row(o, line, m);
            MD_UNROLL(6)
            for (int r = 0; r < side; r++)
                half[r][j] = o[r];
        }
        MD_UNROLL(6)
        for (int r = 0; r < side; r++) {
            in_row(o, half[r], m);
            MD_UNROLL(6)
            for (int j = 0; j < side; j++)
                vf_store(v + (r * side + j) * v_step + i, o[j], VF_LANES);
        }
    }
}

static MD_ALWAYS_INLINE bool transform_out(float *y, int64_t y_row,
                                           const float *sum, int64_t sum_step,
                                           const float *bias, int m)
{
    const int side = m + 2;
    vf all = vf_zero();

    for (int i = 0; i < BLOCK; i += VF_LANES) {
        const vf add = vf_load(bias + i, VF_LANES);
        vf half[MD_WINOGRAD_M_MAX][MD_WINOGRAD_SIDE_MAX];
        vf line[MD_WINOGRAD_SIDE_MAX], o[MD_WINOGRAD_M_MAX];

        MD_UNROLL(6)
        for (int j = 0; j < side; j++) {
            MD_UNROLL(6)
            for (int r = 0; r < side; r++)
                line[r] =
                    vf_load(sum + (r * side + j) * sum_step + i, VF_LANES);
            out_row(o, line, m);
            MD_UNROLL(4)
            for (int r = 0; r < m; r++)
                half[r][j] = o[r];
        }
        MD_UNROLL(4)
        for (int r = 0; r < m; r++) {
            out_row(o, half[r], m);
            MD_UNROLL(4)
            for (int j = 0; j < m; j++) {
                all = vf_add(all, o[j]);
                vf_store(y + r * y_row + j * BLOCK + i, vf_add(o[j], add),
                         VF_LANES);
            }
        }
    }
    return !vf_any_nan(vf_mul(all, vf_zero()));
}

/* Half of a vector of windows, or the other: as many as doubles fit. */
static MD_ALWAYS_INLINE void widen(vd g[9], const vf w[9], bool high)
{
    MD_UNROLL(9)
    for (int t = 0; t < 9; t++)
        g[t] = high ? vd_high(w[t]) : vd_low(w[t]);
}

/* u[e] of some windows, column by column of g, then row by row. */
static MD_ALWAYS_INLINE void transform_windows(vd *u, const vd g[9], int m)
{
    const int side = m + 2;
    vd half[MD_WINOGRAD_SIDE_MAX][3];

    MD_UNROLL(3)
    for (int j = 0; j < 3; j++) {
        const vd line[3] = { g[j], g[3 + j], g[6 + j] };
        vd o[MD_WINOGRAD_SIDE_MAX];

        weights_row(o, line, m);
        MD_UNROLL(6)
        for (int r = 0; r < side; r++)
            half[r][j] = o[r];
    }
    MD_UNROLL(6)
    for (int r = 0; r < side; r++)
        weights_row(u + r * side, half[r], m);
}

static MD_ALWAYS_INLINE void transform_weights(float *u, int64_t u_step,
                                               const float *g, int m)
{
    const int n = (m + 2) * (m + 2);

    for (int i = 0; i < WINDOWS; i += VF_LANES) {
        vd lo[MD_WINOGRAD_POINTS_MAX], hi[MD_WINOGRAD_POINTS_MAX], half[9];
        vf w[9];

        for (int t = 0; t < 9; t++)
            w[t] = vf_load(g + t * WINDOWS + i, VF_LANES);
        widen(half, w, false);
        transform_windows(lo, half, m);
        widen(half, w, true);
        transform_windows(hi, half, m);
        for (int e = 0; e < n; e++)
            vf_store(u + e * u_step + i, vd_join(lo[e], hi[e]), VF_LANES);
    }
}

MD_WINOGRAD_F32_TILE(2)
MD_WINOGRAD_F32_TILE(4)

#undef A
#undef B

#define NAME(size, isa) "winograd_f32_" size "__" isa
#define TILES(isa)                                                             \
    {                                                                          \
        { NAME("2x2", isa), 2, in_2, out_2, weights_2 },                       \
        {                                                                      \
            NAME("4x4", isa), 4, in_4, out_4, weights_4                        \
        }                                                                      \
    }

#endif
