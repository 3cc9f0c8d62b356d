#include "kernels/quantize.h"

#include <math.h>

#include "base/attr.h"

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

/* The smaller and the larger ones of 16 numbers each, so that they are
 * vectors. */
void md_quantize_limits__ref(float *lo, float *hi, const float *x, size_t n)
{
    enum {
        LANES = 16
    };
    float low[LANES] = { 0 }, high[LANES] = { 0 };
    const size_t whole = n / LANES * LANES;

    for (size_t i = 0; i < whole; i += LANES) {
        MD_SIMD
        for (int k = 0; k < LANES; k++) {
            low[k] = x[i + (size_t)k] < low[k] ? x[i + (size_t)k] : low[k];
            high[k] = x[i + (size_t)k] > high[k] ? x[i + (size_t)k] : high[k];
        }
    }
    for (size_t i = whole; i < n; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
    }
    *lo = *hi = 0.0f;
    for (int k = 0; k < LANES; k++) {
        *lo = fminf(*lo, low[k]);
        *hi = fmaxf(*hi, high[k]);
    }
}
