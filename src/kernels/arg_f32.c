#include "kernels/arg_f32.h"

#include <math.h>
#include <stddef.h>

const md_arg_f32_kernel md_arg_f32_kernels[] = {
#define K(isa, need) { "arg_f32__" #isa, need, md_arg_f32__##isa },
#include "kernels/arg_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_arg_f32_kernel *md_arg_f32_select(uint32_t cpu_flags)
{
    const md_arg_f32_kernel *k = md_arg_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

static bool is_beyond(const md_arg_f32_args *a, float x, float best)
{
    if (isnan(x) || isnan(best))
        return isnan(x) && (a->last || !isnan(best));
    if (x == best)
        return a->last;
    return a->min ? x < best : x > best;
}

int64_t md_arg_f32_scan(const md_arg_f32_args *a, const float *x)
{
    int64_t best = 0;

    for (int64_t k = 1; k < a->n; k++)
        if (is_beyond(a, x[k * a->stride], x[best * a->stride]))
            best = k;
    return best;
}
