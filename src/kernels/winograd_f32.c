#include "kernels/winograd_f32.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

enum {
    WINDOWS = 256 /* of a pair of blocks of channels */
};

/* sqrt(1/2) and sqrt(2), and the cubes of them that At holds. */
#define A 0.70710678118654752440
#define B 1.41421356237309504880

static const float at2[] = { 1, 1, 1, 0, 0, 1, -1, 1 };
static const float bt2[] = {
    1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, -1, 0, 1
};
static const double g2[] = { 1, 0, 0, .5, .5, .5, .5, -.5, .5, 0, 0, 1 };

/* clang-format off */
static const float at4[] = {
    1, 1,            1,             1,        1,             0,
    0, (float)A,     (float)-A,     (float)B, (float)-B,     0,
    0, .5f,          .5f,           2,        2,             0,
    0, (float)(A/2), (float)(-A/2), (float)(2*B), (float)(-2*B), 1,
};
static const float bt4[] = {
    1, 0,             -2.5f, 0,         1, 0,
    0, (float)(-2*A), -2,    (float)A,  1, 0,
    0, (float)(2*A),  -2,    (float)-A, 1, 0,
    0, (float)(-B/2), -.5f,  (float)B,  1, 0,
    0, (float)(B/2),  -.5f,  (float)-B, 1, 0,
    0, 1,             0,     -2.5f,     0, 1,
};
static const double g4[] = {
    1,      0,        0,
    -2/3.,  -2/3.*A,  -1/3.,
    -2/3.,  2/3.*A,   -1/3.,
    1/6.,   B/6,      1/3.,
    1/6.,   -B/6,     1/3.,
    0,      0,        1,
};
/* clang-format on */

const md_winograd_f32_kernel md_winograd_f32_kernels[] = {
#define K(isa, need)                                                           \
    { "winograd_f32__" #isa, need, md_winograd_f32_tiles__##isa },
#include "kernels/winograd_f32.def"
#undef K
    { 0 },
};

const md_winograd_f32_kernel *md_winograd_f32_select(uint32_t cpu_flags)
{
    const md_winograd_f32_kernel *k = md_winograd_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

md_winograd_f32_matrices md_winograd_f32_of(int m)
{
    return m == 2 ? (md_winograd_f32_matrices){ at2, bt2, g2 }
                  : (md_winograd_f32_matrices){ at4, bt4, g4 };
}

/*
 * One dimension of `recover`.  The first and the last row of G pick g0 and
 * g2; the difference of the rows of a pair +-p is 2 c p g1, c the factor of
 * that pair.
 */
static void recover_row(double g[3], const double *u, int m)
{
    g[0] = u[0];
    g[1] = m == 2 ? u[1] - u[2] : (u[1] - u[2]) / (-4 / 3. * A);
    g[2] = u[m + 1];
}

/* The window behind u[side][side]. */
static void recover_window(double g[9], const double *u, int m)
{
    double rows[MD_WINOGRAD_SIDE_MAX][3], line[MD_WINOGRAD_SIDE_MAX], max = 0;

    assert(m == 2 || m == 4);
    for (int r = 0; r < m + 2; r++)
        recover_row(rows[r], u + (ptrdiff_t)r * (m + 2), m);
    for (int j = 0; j < 3; j++) {
        double column[3];

        for (int r = 0; r < m + 2; r++)
            line[r] = rows[r][j];
        recover_row(column, line, m);
        for (int r = 0; r < 3; r++)
            g[r * 3 + j] = column[r];
    }
    for (int t = 0; t < 9; t++)
        max = fmax(max, fabs(g[t]));
    for (int t = 0; t < 9; t++) {
        if (fabs(g[t]) < max * 0x1p-20)
            g[t] = 0;
    }
}

void md_winograd_f32_recover(float *g, const float *u, int64_t u_step, int m)
{
    for (int64_t i = 0; i < WINDOWS; i++) {
        double in[MD_WINOGRAD_POINTS_MAX], out[9];

        for (int64_t e = 0; e < (m + 2) * (m + 2); e++)
            in[e] = u[e * u_step + i];
        recover_window(out, in, m);
        for (int64_t t = 0; t < 9; t++)
            g[t * WINDOWS + i] = (float)out[t];
    }
}
