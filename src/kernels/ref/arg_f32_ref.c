#include "kernels/arg_f32.h"

void md_arg_f32__ref(const md_arg_f32_args *a)
{
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t i = 0; i < a->inner; i++)
            a->y[o * a->inner + i] =
                md_arg_f32_scan(a, a->x + o * a->outer_stride + i);
}
