#include "kernels/array_f64.h"

#include <math.h>

const md_array_f64_kernel md_array_f64_kernels[] = {
#define K(isa, need)                                                           \
    { "array_f64__" #isa,                                                      \
      need,                                                                    \
      md_array_f64_map__##isa,                                                 \
      md_array_f64_exp_sum__##isa,                                             \
      md_array_f64_fold_rows__##isa,                                           \
      md_array_f64_fold_columns__##isa,                                        \
      md_array_f64_norm__##isa },
#include "kernels/array_f64.def"
#undef K
    { 0 },
};

const md_array_f64_kernel *md_array_f64_select(uint32_t cpu_flags)
{
    const md_array_f64_kernel *k = md_array_f64_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

double md_fold_f64_start(md_fold_f64 op)
{
    return op == MD_FOLD_F64_MAX    ? -INFINITY
           : op == MD_FOLD_F64_MIN  ? INFINITY
           : op == MD_FOLD_F64_PROD ? 1.0
                                    : 0.0;
}
