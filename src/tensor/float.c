#include "tensor/float.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof(u));
    return u;
}

static float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof(f));
    return f;
}

float md_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exp = (h >> 10) & 0x1fu;
    uint32_t man = h & 0x3ffu;

    if (exp == 0x1f)
        return float_of(sign | 0x7f800000u | man << 13);
    if (exp == 0) /* subnormal: man * 2^-24 */
        return (sign ? -1.0f : 1.0f) * (float)man * 0x1p-24f;
    return float_of(sign | (exp + 112) << 23 | man << 13);
}

uint16_t md_f32_to_f16(float f)
{
    uint32_t u = bits_of(f);
    uint32_t sign = (u >> 16) & 0x8000u;
    uint32_t mag = u & 0x7fffffffu;

    if (mag > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (mag >= 0x477ff000u) /* rounds to 2^16 or more: Inf */
        return (uint16_t)(sign | 0x7c00u);
    if (mag < 0x38800000u) { /* below 2^-14: the addition rounds at 2^-24 */
        float shifted = float_of(mag) + 0.5f;

        return (uint16_t)(sign | (bits_of(shifted) - 0x3f000000u));
    }
    mag += 0xfffu + ((mag >> 13) & 1u);
    return (uint16_t)(sign | ((mag - 0x38000000u) >> 13));
}

float md_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t md_f32_to_bf16(float f)
{
    uint32_t u = bits_of(f);

    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    u += 0x7fffu + ((u >> 16) & 1u);
    return (uint16_t)(u >> 16);
}

/* S. Boldo, G. Melquiond, "Emulation of a FMA and Correctly Rounded Sums:
 * Proved Algorithms Using Rounding to Odd" (2008): right for every type that
 * has at least two bits less than float, at each exponent. */
float md_f64_to_f32_odd(double d)
{
    float f = (float)d;
    uint32_t u = bits_of(f);

    if (isnan(d) || (double)f == d)
        return f;
    if (fabs((double)f) > fabs(d))
        u--; /* one step towards zero, from Inf too */
    return float_of(u | 1u);
}

/* A narrow format with a sign bit. */
typedef struct narrow {
    int man;      /* mantissa bits */
    int bias;     /* of the exponent */
    uint8_t max;  /* code of the largest finite value */
    uint8_t sign; /* the sign bit */
    uint8_t nan;  /* code of NaN; 0: none */
    uint8_t inf;  /* code of Inf; 0: none, overflow becomes NaN */
    bool uz;      /* no negative zero, its code is the only NaN */
} narrow;

static narrow format_of(md_dtype t)
{
    switch (t) {
    case MD_DTYPE_F8E4M3FN:
        return (narrow){ 3, 7, 0x7e, 0x80, 0x7f, 0, false };
    case MD_DTYPE_F8E4M3FNUZ:
        return (narrow){ 3, 8, 0x7f, 0x80, 0x80, 0, true };
    case MD_DTYPE_F8E5M2:
        return (narrow){ 2, 15, 0x7b, 0x80, 0x7f, 0x7c, false };
    case MD_DTYPE_F8E5M2FNUZ:
        return (narrow){ 2, 16, 0x7f, 0x80, 0x80, 0, true };
    default:
        assert(t == MD_DTYPE_F4E2M1);
        return (narrow){ 1, 1, 0x7, 0x8, 0, 0, false };
    }
}

float md_f8_to_f32(md_dtype t, uint8_t code)
{
    narrow n;
    int magnitude, man, exp;
    float r;

    if (t == MD_DTYPE_F8E8M0)
        return code == 0xff ? NAN : ldexpf(1.0f, code - 127);
    n = format_of(t);
    magnitude = code & (n.sign - 1);
    if (n.uz && code == n.nan)
        return NAN;
    if (magnitude > n.max) {
        if (!n.inf || magnitude != n.inf)
            return NAN;
        return code & n.sign ? -INFINITY : INFINITY;
    }
    exp = magnitude >> n.man;
    man = magnitude & ((1 << n.man) - 1);
    if (exp == 0)
        r = ldexpf((float)man, 1 - n.bias - n.man);
    else
        r = ldexpf((float)(man + (1 << n.man)), exp - n.bias - n.man);
    return code & n.sign ? -r : r;
}

/* Code of the finite magnitude m, which may come out above n->max. */
static int round_code(const narrow *n, float m)
{
    int exp;

    if (m == 0.0f)
        return 0;
    (void)frexpf(m, &exp); /* m = f * 2^exp, f in [0.5, 1) */
    exp--;
    if (exp < 1 - n->bias)
        exp = 1 - n->bias;
    if (exp > 31)
        return 0xff;
    /* nearbyint: m in units of the last place; a carry moves to the next
     * exponent by itself */
    return (exp + n->bias - 1) * (1 << n->man) +
           (int)nearbyintf(ldexpf(m, n->man - exp));
}

/* E8M0 holds powers of two only: the nearest, ties up. */
static uint8_t to_e8m0(float f, bool saturate)
{
    int exp;
    float m;

    if (isnan(f) || f < 0.0f)
        return 0xff;
    if (isinf(f))
        return saturate ? 0xfe : 0xff;
    if (f == 0.0f)
        return 0;
    m = frexpf(f, &exp);
    exp += 126 + (m >= 0.75f);
    if (exp > 0xfe)
        return saturate ? 0xfe : 0xff;
    return (uint8_t)(exp < 0 ? 0 : exp);
}

uint8_t md_f32_to_f8(md_dtype t, float f, bool saturate)
{
    narrow n;
    uint8_t sign;
    int code;

    if (t == MD_DTYPE_F8E8M0)
        return to_e8m0(f, saturate);
    n = format_of(t);
    sign = signbit(f) ? n.sign : 0;
    if (t == MD_DTYPE_F4E2M1)
        saturate = true; /* it has neither Inf nor NaN */
    if (isnan(f))
        return n.uz ? n.nan : (uint8_t)(sign | n.nan);
    code = isinf(f) ? 0xff : round_code(&n, fabsf(f));
    if (code > n.max) {
        if (saturate)
            return (uint8_t)(sign | n.max);
        if (n.uz)
            return n.nan;
        return (uint8_t)(sign | (n.inf ? n.inf : n.nan));
    }
    if (n.uz && code == 0)
        sign = 0;
    return (uint8_t)(sign | code);
}
