#include <immintrin.h>
#include <stdint.h>

#define D_LANES 4
#define D_ROWS 6
#define D_VECTORS 2
#define D_RUN md_gemm_f64_run__avx2

typedef __m256d vd;
typedef __m256i vd_mask;

static inline vd_mask vd_first(int64_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n),
                              _mm256_set_epi64x(3, 2, 1, 0));
}

#define vd_zero() _mm256_setzero_pd()
#define vd_set(x) _mm256_set1_pd(x)
#define vd_mul(a, b) _mm256_mul_pd(a, b)
#define vd_madd(a, b, c) _mm256_fmadd_pd(a, b, c)
#define vd_load(p) _mm256_loadu_pd(p)
#define vd_store(p, x) _mm256_storeu_pd(p, x)
#define vd_load_some(p, m) _mm256_maskload_pd(p, m)
#define vd_store_some(p, m, x) _mm256_maskstore_pd(p, m, x)

#include "kernels/x86/gemm_f64_vec.h"
