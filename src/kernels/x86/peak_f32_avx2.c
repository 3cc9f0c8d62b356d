#include <immintrin.h>

#include "kernels/peak_f32.h"

enum {
    N_CHAINS = 12, /* latency 5 on 2 units takes 10; 16 registers */
    N_LANES = 8
};

/* Variables and not an array: compilers keep an array in memory. */
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(i) __m256 v##i = _mm256_loadu_ps(x + (i) % 2 * N_LANES);
#define STEP(i) v##i = _mm256_fmadd_ps(v##i, half, one);
/* The chains hold the same: without this they would become one. */
#define KEEP(i) __asm__ volatile("" : "+x"(v##i));

int64_t md_peak_f32__avx2(float x[MD_PEAK_N], int64_t n)
{
    const __m256 half = _mm256_set1_ps(0.5F), one = _mm256_set1_ps(1);

    EACH(DECLARE)
    for (int64_t r = 0; r < n; r++) {
        EACH(STEP)
        EACH(KEEP)
    }
    _mm256_storeu_ps(x, v0);
    _mm256_storeu_ps(x + N_LANES, v1);
    return n * N_CHAINS * N_LANES;
}
