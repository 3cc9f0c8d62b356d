#include "kernels/pool2d.h"

#include <math.h>

static const void *pixel(const md_pool2d_window *w, int64_t i, int64_t j)
{
    return (const char *)w->x + i * w->row_stride + j * w->col_stride;
}

static float max_of(const md_pool2d_window *w, int64_t at, int c)
{
    float top = -INFINITY;

    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t j = 0; j < w->cols; j++) {
            const char *p = pixel(w, i, j);
            const float x = ((const float *)(const void *)(p + at))[c];

            top = top > x ? top : x;
        }
    return top;
}

void md_pool2d_max_f32__ref(float *y, const md_pool2d_window *w, int64_t n,
                            int64_t step)
{
    for (int64_t i = 0; i < n; i++, y += MD_LANES)
        for (int c = 0; c < MD_LANES; c++)
            y[c] = max_of(w, i * step, c);
}

void md_pool2d_sum_f32__ref(float *y, const md_pool2d_window *w)
{
    for (int c = 0; c < MD_LANES; c++) {
        float sum = 0;

        for (int64_t i = 0; i < w->rows; i++) {
            float row = 0;

            for (int64_t j = 0; j < w->cols; j++)
                row += ((const float *)pixel(w, i, j))[c];
            sum += row;
        }
        y[c] = sum;
    }
}

static int32_t value(const void *x, int c, bool is_signed)
{
    return is_signed ? ((const int8_t *)x)[c] : ((const uint8_t *)x)[c];
}

static int32_t max_code(const md_pool2d_window *w, int64_t at, int c,
                        bool is_signed)
{
    int32_t top = -128;

    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t j = 0; j < w->cols; j++) {
            const char *p = pixel(w, i, j);
            const int32_t x = value(p + at, c, is_signed);

            top = top > x ? top : x;
        }
    return top;
}

void md_pool2d_max_q8__ref(uint8_t *y, const md_pool2d_window *w,
                           bool is_signed, int64_t n, int64_t step)
{
    for (int64_t i = 0; i < n; i++, y += MD_LANES)
        for (int c = 0; c < MD_LANES; c++)
            y[c] = (uint8_t)max_code(w, i * step, c, is_signed);
}

void md_pool2d_sum_q8__ref(int32_t *y, const md_pool2d_window *w,
                           bool is_signed)
{
    for (int c = 0; c < MD_LANES; c++) {
        int32_t sum = 0;

        for (int64_t i = 0; i < w->rows; i++)
            for (int64_t j = 0; j < w->cols; j++)
                sum += value(pixel(w, i, j), c, is_signed);
        y[c] = sum;
    }
}
