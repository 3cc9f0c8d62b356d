#include "kernels/unpack_f32.h"

#include <assert.h>

#include "base/size.h"

/* Row r of column c. */
static int code(const uint8_t *q, int64_t r, int64_t c, int64_t width, int bits)
{
    const int64_t per = 32 / bits, bit = r % per * bits;
    const int u =
        q[(r / per * width + c) * 4 + bit / 8] >> bit % 8 & ((1 << bits) - 1);

    return u < 1 << (bits - 1) ? u : u - (1 << bits);
}

void md_unpack_f32__ref(const md_unpack_f32_args *a)
{
    assert(a->width % 16 == 0 && (a->bits == 4 || a->bits == 8));
    for (int64_t r = 0; r < a->rows; r++) {
        for (int64_t c = 0; c < a->width; c++) {
            float w = (float)code(a->q, r, c, a->width, a->bits) * a->scale[c];

            if (a->shift)
                w += a->shift[c];
            a->y[r * a->width + c] = w;
        }
    }
}

static float dot(const md_unpack_f32_product *a, int64_t c)
{
    float y = 0;

    for (int64_t r = 0; r < a->rows; r += a->block) {
        const uint8_t *q = a->q + r * a->bits / 8 * a->width;
        const int64_t at = r / a->block * a->width + c;
        float dot = 0, sum = 0;

        for (int64_t i = 0; i < md_min_i64(a->block, a->rows - r); i++) {
            dot += a->x[r + i] * (float)code(q, i, c, a->width, a->bits);
            sum += a->x[r + i];
        }
        y += dot * a->scale[at];
        if (a->shift)
            y += sum * a->shift[at];
    }
    return y;
}

void md_unpack_f32_product__ref(const md_unpack_f32_product *a)
{
    assert(a->width % 16 == 0 && (a->bits == 4 || a->bits == 8));
    assert(a->block % 8 == 0);
    for (int64_t c = 0; c < a->width; c++)
        a->y[c] = dot(a, c);
}
