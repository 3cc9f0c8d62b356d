#include <immintrin.h>
#include <stdint.h>

#define D_LANES 8
#define D_ROWS 8
#define D_VECTORS 3
#define D_RUN md_gemm_f64_run__avx512

typedef __m512d vd;
typedef __mmask8 vd_mask;

static inline vd_mask vd_first(int64_t n)
{
    return (vd_mask)((1u << n) - 1);
}

#define vd_zero() _mm512_setzero_pd()
#define vd_set(x) _mm512_set1_pd(x)
#define vd_mul(a, b) _mm512_mul_pd(a, b)
#define vd_madd(a, b, c) _mm512_fmadd_pd(a, b, c)
#define vd_load(p) _mm512_loadu_pd(p)
#define vd_store(p, x) _mm512_storeu_pd(p, x)
#define vd_load_some(p, m) _mm512_maskz_loadu_pd(m, p)
#define vd_store_some(p, m, x) _mm512_mask_storeu_pd(p, m, x)

#include "kernels/x86/gemm_f64_vec.h"
