#include "kernels/gemm_bf16.h"

#include <string.h>

#include "tensor/float.h"

enum {
    LANES = 16
};

/* Element i of bf16 numbers at any address. */
static float number(const void *p, int64_t i)
{
    uint16_t bits;

    memcpy(&bits, (const uint8_t *)p + i * 2, sizeof(bits));
    return md_bf16_to_f32(bits);
}

/* Sum for row a and one column of b, on top of `sum`. */
static float dot(const md_dot_tile *t, const uint8_t *a, const int8_t *b,
                 float sum)
{
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *from = a + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i++, b += LANES * 4) {
            sum += number(from, 2 * i) * number(b, 0);
            sum += number(from, 2 * i + 1) * number(b, 1);
        }
    }
    return sum;
}

void md_dot_bf16__ref(const md_dot_tile *t)
{
    const int width = t->blocks * LANES;
    const float *start = t->start;
    float *acc = t->acc;

    for (int r = 0; r < t->rows; r++) {
        for (int c = 0; c < width; c++) {
            const int8_t *b =
                t->b + c / LANES * t->b_stride + (size_t)(c % LANES) * 4;

            acc[r * width + c] = dot(t, t->a + r * t->a_stride, b, start[c]);
        }
    }
}
