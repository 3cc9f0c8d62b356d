#include "kernels/gemm_s8.h"

#include <assert.h>

/* Sum for row a and one column of b, on top of `sum`. */
static uint32_t dot(const md_dot_tile *t, const uint8_t *a, const int8_t *b,
                    uint32_t sum)
{
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *from = a + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i++, b += MD_LANES * 4)
            for (int j = 0; j < 4; j++)
                sum += (uint32_t)(from[i * 4 + j] * b[j]);
    }
    return sum;
}

void md_dot_s8__ref(const md_dot_tile *t)
{
    const int width = t->blocks * MD_LANES;
    const int32_t *start = t->start;
    int32_t *acc = t->acc;

    assert(t->rows >= 1 && t->rows <= 12);
    assert(t->blocks >= 1 && t->blocks <= MD_DOT_BLOCKS);
    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < width; c++) {
            const int8_t *b =
                t->b + c / MD_LANES * t->b_stride + (size_t)(c % MD_LANES) * 4;

            acc[r * width + c] =
                (int32_t)dot(t, t->a + r * t->a_stride, b, (uint32_t)start[c]);
        }
    }
}
