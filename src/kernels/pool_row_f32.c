#include "kernels/pool_row_f32.h"

#include "base/size.h"

const md_pool_row_f32_kernel md_pool_row_f32_kernels[] = {
#define K(isa, need) { "pool_row_f32__" #isa, need, md_pool_row_f32__##isa },
#include "kernels/pool_row_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_pool_row_f32_kernel *md_pool_row_f32_select(uint32_t cpu_flags)
{
    const md_pool_row_f32_kernel *k = md_pool_row_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

int64_t md_pool_row_f32_line(const md_pool_row_f32_args *a)
{
    const int64_t n = md_div_up(a->n, MD_POOL_ROW_UNIT) * MD_POOL_ROW_UNIT;

    return md_max_i64(a->left + a->width, n * a->stride + a->taps * a->step);
}
