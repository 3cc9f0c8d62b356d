#include "kernels/reduce_f32.h"

#include <math.h>
#include <stddef.h>

const md_reduce_f32_kernel md_reduce_f32_kernels[] = {
#define K(isa, need) { "reduce_f32__" #isa, need, md_reduce_f32__##isa },
#include "kernels/reduce_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_reduce_f32_kernel *md_reduce_f32_select(uint32_t cpu_flags)
{
    const md_reduce_f32_kernel *k = md_reduce_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

double md_reduce_finish(md_reduce op, double sum, double top, int64_t count)
{
    switch (op) {
    case MD_REDUCE_MEAN:
        return sum / (double)count;
    case MD_REDUCE_L2:
        return sqrt(sum);
    case MD_REDUCE_LOG_SUM:
        return log(sum);
    case MD_REDUCE_LOG_SUM_EXP:
        /* of nothing but -Inf, or of some Inf, the sum says nothing */
        return isinf(top) ? top : top + log(sum);
    default:
        return sum;
    }
}
