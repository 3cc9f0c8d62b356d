#include "kernels/requant_s8.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

static float residual(const md_requant *q, const uint8_t *r)
{
    const int32_t v = q->res_signed ? (int32_t)(int8_t)*r : (int32_t)*r;

    return (float)(v - q->res_zero) * q->res_mult;
}

/* Clamping before rounding is the same, as both limits are integers, and
 * keeps the conversion in range. */
static uint8_t to_q8(const md_requant *q, float t)
{
    const float lo = (float)(q->q_min - q->zero);
    const float hi = (float)(q->q_max - q->zero);
    uint8_t b;

    t = t > lo ? t : lo;
    t = t < hi ? t : hi;
    b = (uint8_t)((int32_t)nearbyintf(t) + q->zero);
    return q->lut ? q->lut[b] : b;
}

static void put(const md_requant *q, int64_t c, int32_t acc, void *out,
                const uint8_t *res, int j)
{
    float t = (float)acc * q->mult[c];

    if (res)
        t += residual(q, res);
    if (q->out == MD_QOUT_Q8)
        ((uint8_t *)out)[j] = to_q8(q, t);
    else
        ((float *)out)[j] = q->bias ? t + q->bias[c] : t;
}

void md_requant_s8__ref(const md_requant *q, int64_t c0,
                        const md_requant_tile *t)
{
    assert(c0 % MD_LANES == 0 && t->lanes <= MD_LANES);
    for (int i = 0; i < t->rows; i++) {
        const int32_t *acc = t->acc + i * t->acc_stride;
        char *out = (char *)t->out + i * t->out_stride;
        const uint8_t *res = t->res;

        if (res)
            res += i * t->res_stride;
        for (int j = 0; j < t->lanes; j++) {
            if (q->out == MD_QOUT_S32)
                ((int32_t *)(void *)out)[j] = acc[j];
            else
                put(q, c0 + j, acc[j], out, res ? res + j : NULL, j);
        }
    }
}
