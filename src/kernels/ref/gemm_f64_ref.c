#include "kernels/gemm_f64.h"

#include <assert.h>

enum {
    NR = 8
};

static double dot(const md_gemm_f64_args *x, int64_t i, int64_t j)
{
    const double *a = x->a + i * x->lda;
    const int64_t step = x->ldb ? x->ldb : NR;
    const double *b = x->b + j / NR * NR * (x->ldb ? 1 : x->k) + j % NR;
    double sum = 0;

    for (int64_t k = 0; k < x->k; k++)
        sum += a[k] * b[k * step];
    return sum * x->scale;
}

void md_gemm_f64_run__ref(const md_gemm_f64_args *x, int64_t m0, int64_t m1,
                          int64_t n0, int64_t n1)
{
    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == x->n));
    for (int64_t i = m0; i < m1; i++) {
        for (int64_t j = n0; j < n1; j++)
            x->c[i * x->ldc + j] = dot(x, i, j);
    }
}
