#include "kernels/unpack_f32.h"

#include <assert.h>
#include <immintrin.h>
#include <stdbool.h>

static inline void store(float *y, __m256i code, const float *scale,
                         const float *shift)
{
    const __m256 v =
        _mm256_mul_ps(_mm256_cvtepi32_ps(code), _mm256_loadu_ps(scale));

    _mm256_storeu_ps(y, _mm256_add_ps(v, _mm256_loadu_ps(shift)));
}

static inline __m256i load(const uint8_t *q)
{
    return _mm256_cvtepu8_epi32(
        _mm_loadl_epi64((const __m128i *)(const void *)q));
}

static void unpack_4(const md_unpack_f32_args *a)
{
    const __m256i low = _mm256_set1_epi32(15);

    for (int64_t r = 0; r < a->rows; r += 2) {
        const uint8_t *q = a->q + r / 2 * a->width;
        const bool both = r + 1 < a->rows;
        float *y = a->y + r * a->width;

        for (int64_t c = 0; c < a->width; c += 8) {
            const __m256i v = load(q + c);

            store(y + c, _mm256_and_si256(v, low), a->scale + c, a->shift + c);
            if (both)
                store(y + a->width + c, _mm256_srli_epi32(v, 4), a->scale + c,
                      a->shift + c);
        }
    }
}

void md_unpack_f32__avx2(const md_unpack_f32_args *a)
{
    assert(a->width % 16 == 0 && (a->bits == 4 || a->bits == 8));
    if (a->bits == 4) {
        unpack_4(a);
        return;
    }
    for (int64_t r = 0; r < a->rows; r++) {
        for (int64_t c = 0; c < a->width; c += 8)
            store(a->y + r * a->width + c, load(a->q + r * a->width + c),
                  a->scale + c, a->shift + c);
    }
}
