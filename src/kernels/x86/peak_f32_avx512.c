#include <immintrin.h>

#include "kernels/peak_f32.h"

enum {
    N_CHAINS = 12, /* latency 4 on 2 units takes 8; some to spare */
    N_LANES = 16
};

/* Variables and not an array: compilers keep an array in memory. */
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(i) __m512 v##i = _mm512_loadu_ps(x);
#define STEP(i) v##i = _mm512_fmadd_ps(v##i, half, one);
/* The chains hold the same: without this they would become one. */
#define KEEP(i) __asm__ volatile("" : "+v"(v##i));

int64_t md_peak_f32__avx512(float x[MD_PEAK_N], int64_t n)
{
    const __m512 half = _mm512_set1_ps(0.5F), one = _mm512_set1_ps(1);

    EACH(DECLARE)
    for (int64_t r = 0; r < n; r++) {
        EACH(STEP)
        EACH(KEEP)
    }
    _mm512_storeu_ps(x, v0);
    return n * N_CHAINS * N_LANES;
}
