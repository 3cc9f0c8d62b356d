#include "kernels/quantize.h"

#include <stddef.h>

const md_quantize_kernel md_quantize_kernels[] = {
#define K(isa, need)                                                           \
    { "quantize__" #isa, need, md_quantize__##isa, md_dequantize__##isa,       \
      md_quantize_limits__##isa },
#include "kernels/quantize.def"
#undef K
    { NULL, 0, NULL, NULL, NULL },
};

const md_quantize_kernel *md_quantize_select(uint32_t cpu_flags)
{
    const md_quantize_kernel *k = md_quantize_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

static md_qparam param_of(const md_quantize_args *a, int64_t i)
{
    return (md_qparam){ .scale = a->scale[i],
                        .zero = a->zero ? a->zero[i] : 0,
                        .q_min = a->q_min,
                        .q_max = a->q_max };
}

void md_quantize_run(const md_quantize_args *a, uint8_t *q, const float *x)
{
    for (int64_t i = 0; i < a->outer * a->axis; i++) {
        const md_qparam p = param_of(a, i % a->axis);

        a->kernel->quantize(q + i * a->inner, x + i * a->inner,
                            (size_t)a->inner, &p);
    }
}

void md_dequantize_run(const md_quantize_args *a, float *x, const void *q)
{
    const int64_t size = a->type == MD_QTYPE_S32 ? 4 : 1;

    for (int64_t i = 0; i < a->outer * a->axis; i++) {
        const md_qparam p = param_of(a, i % a->axis);

        a->kernel->dequantize(x + i * a->inner,
                              (const char *)q + i * a->inner * size,
                              (size_t)a->inner, a->type, &p);
    }
}

void md_table_apply(uint8_t *y, const uint8_t *x, size_t n,
                    const uint8_t lut[256])
{
    for (size_t i = 0; i < n; i++)
        y[i] = lut[x[i]];
}
