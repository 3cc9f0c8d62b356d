#include "kernels/dwconv_s8.h"

#include <assert.h>

void md_dw_s8__ref(const md_dw_tile *t)
{
    assert(t->pixels >= 1 && t->pixels <= MD_DW_PIXELS);
    for (int p = 0; p < t->pixels; p++) {
        for (int c = 0; c < MD_LANES; c++) {
            uint32_t sum = (uint32_t)t->start[c];

            for (int64_t k = 0; k < t->n_taps; k++) {
                const int32_t x = t->taps[k][t->at + p * t->stride + c];

                sum += (uint32_t)(x * (int16_t)t->words[k * MD_LANES + c]);
            }
            t->acc[p * MD_LANES + c] = (int32_t)sum;
        }
    }
}
