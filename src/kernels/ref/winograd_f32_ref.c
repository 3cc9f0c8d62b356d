#include "kernels/winograd_f32.h"

#include <math.h>

enum {
    BLOCK = 16,
    SIDE_MAX = MD_WINOGRAD_SIDE_MAX
};

/* out = t in Tt for one lane: t[rows][cols], in[cols][cols]. */
static void both_ways(float *out, const float *t, int rows, int cols,
                      const float *in)
{
    float half[SIDE_MAX * SIDE_MAX];

    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            float sum = 0;

            for (int k = 0; k < cols; k++)
                sum += t[i * cols + k] * in[k * cols + j];
            half[i * cols + j] = sum;
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < rows; j++) {
            float sum = 0;

            for (int k = 0; k < cols; k++)
                sum += half[i * cols + k] * t[j * cols + k];
            out[i * rows + j] = sum;
        }
    }
}

static void transform_in(float *v, int64_t v_step, const float *x,
                         int64_t x_row, int m)
{
    const int side = m + 2;

    for (int lane = 0; lane < BLOCK; lane++) {
        float d[SIDE_MAX * SIDE_MAX], out[SIDE_MAX * SIDE_MAX];

        for (int i = 0; i < side * side; i++)
            d[i] = x[i / side * x_row + (int64_t)(i % side) * BLOCK + lane];
        both_ways(out, md_winograd_f32_of(m).bt, side, side, d);
        for (int e = 0; e < side * side; e++)
            v[e * v_step + lane] = out[e];
    }
}

static bool transform_out(float *y, int64_t y_row, const float *sum,
                          int64_t sum_step, const float *bias, int m)
{
    const int side = m + 2;
    bool finite = true;

    for (int lane = 0; lane < BLOCK; lane++) {
        float s[SIDE_MAX * SIDE_MAX], out[SIDE_MAX * SIDE_MAX], all = 0;

        for (int e = 0; e < side * side; e++)
            s[e] = sum[e * sum_step + lane];
        both_ways(out, md_winograd_f32_of(m).at, m, side, s);
        for (int i = 0; i < m * m; i++) {
            all += out[i];
            y[i / m * y_row + (int64_t)(i % m) * BLOCK + lane] =
                out[i] + bias[lane];
        }
        finite &= isfinite(all) != 0;
    }
    return finite;
}

static void transform_weights(float *u, int64_t u_step, const float *g, int m)
{
    const double *t = md_winograd_f32_of(m).g;
    const int side = m + 2;

    for (int64_t i = 0; i < (int64_t)BLOCK * BLOCK; i++) {
        double half[SIDE_MAX][3];

        for (int r = 0; r < side; r++) {
            for (int j = 0; j < 3; j++) {
                half[r][j] = 0;
                for (int k = 0; k < 3; k++)
                    half[r][j] +=
                        t[r * 3 + k] * (double)g[(k * 3 + j) * 256 + i];
            }
        }
        for (int e = 0; e < side * side; e++) {
            double sum = 0;

            for (int k = 0; k < 3; k++)
                sum += half[e / side][k] * t[e % side * 3 + k];
            u[e * u_step + i] = (float)sum;
        }
    }
}

MD_WINOGRAD_F32_TILE(2)
MD_WINOGRAD_F32_TILE(4)

const md_winograd_f32_tile md_winograd_f32_tiles__ref[MD_WINOGRAD_TILES] = {
    { "winograd_f32_2x2__ref", 2, in_2, out_2, weights_2 },
    { "winograd_f32_4x4__ref", 4, in_4, out_4, weights_4 },
};
