#include "kernels/requant_s8.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

/* Clamping before rounding is the same, as both limits are integers, and
 * keeps the conversion in range. */
static int32_t to_code(float t, int32_t least, int32_t most)
{
    const float lo = (float)least, hi = (float)most;

    t = t > lo ? t : lo;
    t = t < hi ? t : hi;
    return (int32_t)nearbyintf(t);
}

/* What the code of t stands for. */
static float own_value(const md_requant *q, float t)
{
    return (float)to_code(t, q->own_min, q->own_max) * q->own_mult;
}

static float add_residual(const md_requant *q, float t, uint8_t res)
{
    const int32_t r = q->res_signed ? (int32_t)(int8_t)res : (int32_t)res;

    return own_value(q, t) + (float)(r - q->res_zero) * q->res_mult;
}

static uint8_t to_q8(const md_requant *q, float t)
{
    const uint8_t b =
        (uint8_t)(to_code(t, q->q_min - q->zero, q->q_max - q->zero) + q->zero);

    return q->lut ? q->lut[b] : b;
}

static int32_t with_terms(const md_requant *q, const md_requant_tile *t, int i,
                          int64_t c, int32_t acc)
{
    for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++)
        acc = (int32_t)((uint32_t)acc +
                        (uint32_t)t->row[k][i] * (uint32_t)q->column[k][c]);
    return acc;
}

static void put(const md_requant *q, int64_t c, int32_t acc, float mult,
                void *out, const uint8_t *res, int j)
{
    float t = (float)acc * mult;

    if (q->out == MD_QOUT_Q8) {
        ((uint8_t *)out)[j] = to_q8(q, res ? add_residual(q, t, *res) : t);
        return;
    }
    if (q->codes)
        t = own_value(q, t);
    ((float *)out)[j] = q->bias ? t + q->bias[c] : t;
}

static float mult_of(const md_requant *q, const md_requant_tile *t, int i,
                     int64_t c)
{
    if (q->out == MD_QOUT_F32 && t->row_mult)
        return t->row_mult[i] * q->mult[c];
    return q->mult[c];
}

void md_requant_s8__ref(const md_requant *q, int64_t c0,
                        const md_requant_tile *t)
{
    assert(c0 % MD_LANES == 0 && (q->out != MD_QOUT_Q8 || !q->column[0]) &&
           (q->out == MD_QOUT_Q8 || !t->res));
    for (int i = 0; i < t->rows; i++) {
        const int32_t *acc = t->acc + i * t->acc_stride;
        char *out = (char *)t->out + i * t->out_stride;
        const uint8_t *res = t->res;

        if (res)
            res += i * t->res_stride;
        for (int j = 0; j < t->lanes; j++) {
            const int32_t sum = with_terms(q, t, i, c0 + j, acc[j]);
            /* read before out, which may lie in the same place */
            const float add = t->add ? t->add[i * t->add_stride + j] : 0;

            if (q->out == MD_QOUT_S32)
                ((int32_t *)(void *)out)[j] = sum;
            else
                put(q, c0 + j, sum, mult_of(q, t, i, c0 + j), out,
                    res ? res + j : NULL, j);
            if (q->out == MD_QOUT_F32 && t->add)
                ((float *)(void *)out)[j] += add;
        }
    }
}
