#include "kernels/quantize.h"

#include <math.h>

void md_quantize__ref(uint8_t *q, const float *x, size_t n, const md_qparam *p)
{
    /* Clamped first: both limits are integers, so rounding cannot pass them,
     * and the conversion stays in range. */
    const float lo = (float)(p->q_min - p->zero);
    const float hi = (float)(p->q_max - p->zero);

    for (size_t i = 0; i < n; i++) {
        float t = x[i] / p->scale;

        t = t > lo ? t : lo;
        t = t < hi ? t : hi;
        q[i] = (uint8_t)((int32_t)nearbyintf(t) + p->zero);
    }
}

static int32_t value_at(const void *q, size_t i, md_qtype type)
{
    if (type == MD_QTYPE_U8)
        return ((const uint8_t *)q)[i];
    if (type == MD_QTYPE_S8)
        return ((const int8_t *)q)[i];
    return ((const int32_t *)q)[i];
}

void md_dequantize__ref(float *x, const void *q, size_t n, md_qtype type,
                        const md_qparam *p)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(int32_t)((uint32_t)value_at(q, i, type) -
                                (uint32_t)p->zero) *
               p->scale;
}
