#include "kernels/gemm_f32.h"

#include <assert.h>

enum {
    NR = 16
};

void md_gemm_f32_pack_b__ref(float *dst, const md_gemm_f32_b *b, int64_t n0,
                             int64_t n1)
{
    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == b->n));
    for (int64_t p = n0; p < n1; p += NR) {
        for (int64_t k = 0; k < b->k; k++) {
            for (int64_t j = p; j < p + NR; j++)
                dst[p * b->k + k * NR + j - p] =
                    j < b->n ? b->b[k * b->rs + j * b->cs] : 0;
        }
    }
}

static float dot(const md_gemm_f32_args *x, int64_t i, int64_t j)
{
    const float *a = x->a + i * x->lda;
    const float *b = x->b + j / NR * NR * x->k + j % NR;
    float sum = 0;

    for (int64_t k = 0; k < x->k; k++)
        sum += a[k] * b[k * NR];
    return sum;
}

void md_gemm_f32_run__ref(const md_gemm_f32_args *x, int64_t m0, int64_t m1,
                          int64_t n0, int64_t n1)
{
    const md_epilogue *ep = &x->ep;

    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == x->n));
    for (int64_t i = m0; i < m1; i++) {
        for (int64_t j = n0; j < n1; j++) {
            float y = dot(x, i, j);

            if (ep->bias)
                y += ep->bias[j];
            if (ep->residual)
                y += ep->residual[i * x->ldc + j];
            x->c[i * x->ldc + j] = md_act_apply(ep->act, ep->a, ep->b, y);
        }
    }
}
