#include "kernels/binary_s8.h"

#include <math.h>

static int32_t value(uint8_t v, bool is_signed, int32_t zero)
{
    return (is_signed ? (int8_t)v : v) - zero;
}

static float combine(const md_binary_s8_op *op, int32_t a, int32_t b)
{
    if (op->mul)
        return (float)(a * b) * op->a_mult;
    return (float)a * op->a_mult + (float)b * op->b_mult;
}

void md_binary_s8__ref(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n,
                       int a_step, int b_step, const md_binary_s8_op *op)
{
    const float lo = (float)(op->q_min - op->zero);
    const float hi = (float)(op->q_max - op->zero);

    for (size_t i = 0; i < n; i++, a += a_step, b += b_step) {
        float t = combine(op, value(*a, op->a_signed, op->a_zero),
                          value(*b, op->b_signed, op->b_zero));
        uint8_t q;

        t = t > lo ? t : lo;
        t = t < hi ? t : hi;
        q = (uint8_t)((int32_t)nearbyintf(t) + op->zero);
        y[i] = op->lut ? op->lut[q] : q;
    }
}
