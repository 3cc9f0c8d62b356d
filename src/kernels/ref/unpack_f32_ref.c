#include "kernels/unpack_f32.h"

#include <assert.h>

void md_unpack_f32__ref(const md_unpack_f32_args *a)
{
    assert(a->width % 16 == 0 && (a->bits == 4 || a->bits == 8));
    for (int64_t r = 0; r < a->rows; r++) {
        const uint8_t *q = a->q + (a->bits == 4 ? r / 2 : r) * a->width;

        for (int64_t c = 0; c < a->width; c++) {
            int code = a->bits == 8 ? q[c] : q[c] >> r % 2 * 4 & 15;

            a->y[r * a->width + c] = (float)code * a->scale[c] + a->shift[c];
        }
    }
}
