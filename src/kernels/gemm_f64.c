#include "kernels/gemm_f64.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/size.h"
#include "kernels/turn.h"

const md_gemm_f64_kernel md_gemm_f64_kernels[] = {
#define K(isa, need, mr, nr)                                                   \
    { "gemm_f64__" #isa, need, mr, nr, md_gemm_f64_run__##isa },
#include "kernels/gemm_f64.def"
#undef K
    { 0 },
};

const md_gemm_f64_kernel *md_gemm_f64_select(uint32_t cpu_flags)
{
    const md_gemm_f64_kernel *k = md_gemm_f64_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

bool md_gemm_f64_packed_size(size_t *out, const md_gemm_f64_kernel *kernel,
                             int64_t k, int64_t n)
{
    const size_t nr = (size_t)kernel->nr;
    size_t width;

    return k >= 0 && n >= 0 && md_add_size(&width, (size_t)n, nr - 1) &&
           md_mul_size(out, width / nr * nr, (size_t)k) &&
           md_mul_size(out, *out, sizeof(double));
}

/* Columns j .. j + cols of B as a panel of nr columns. */
static void pack_panel(double *dst, int64_t nr, const md_gemm_f64_b *b,
                       int64_t j, int64_t cols)
{
    const double *src = b->b + j * b->cs;
    const bool turned = b->cs != 1 && b->rs == 1;

    if (turned)
        md_turn_select(md_cpu_flags())
            ->run(&(md_turn_args){ .y = dst,
                                   .x = src,
                                   .y_stride = nr,
                                   .x_stride = b->cs,
                                   .rows = b->k,
                                   .columns = cols,
                                   .size = sizeof(*dst) });
    for (int64_t k = 0; k < b->k; k++) {
        double *row = dst + k * nr;

        if (b->cs == 1)
            memcpy(row, src + k * b->rs, (size_t)cols * sizeof(*row));
        for (int64_t c = 0; c < cols && b->cs != 1 && !turned; c++)
            row[c] = src[k * b->rs + c * b->cs];
        memset(row + cols, 0, (size_t)(nr - cols) * sizeof(*row));
    }
}

void md_gemm_f64_pack(double *dst, const md_gemm_f64_kernel *kernel,
                      const md_gemm_f64_b *b, int64_t n0, int64_t n1)
{
    const int64_t nr = kernel->nr;

    assert(n0 % nr == 0 && (n1 % nr == 0 || n1 == b->n));
    for (int64_t n = n0; n < n1; n += nr)
        pack_panel(dst + n * b->k, nr, b, n, md_min_i64(nr, b->n - n));
}
