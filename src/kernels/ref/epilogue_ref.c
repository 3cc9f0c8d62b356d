#include "kernels/epilogue.h"

#include <math.h>

/* 110 exp(-110) rounds to zero, so below it SILU and the like are at their
 * limit; stopping there keeps -Inf * 0 from becoming NaN. */
static const float floor_x = -110.0f;

/* (lo > x ? lo : x) keeps NaN, as maxps with x as second operand does. */
static float at_least(float lo, float x)
{
    return lo > x ? lo : x;
}

static float at_most(float hi, float x)
{
    return hi < x ? hi : x;
}

static float gelu_erf(float x)
{
    /* relu(x) - |x| erfc(|x| / sqrt(2)) / 2: no cancellation for x < 0. */
    const float m = at_most(-floor_x, fabsf(x));

    return at_least(0, x) -
           0.5f * m * (float)erfc((double)m * 0.70710678118654752);
}

static float gelu_tanh(float x)
{
    /* (1 + tanh(u)) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
    const double t = at_least(floor_x, x);
    const double u2 = 1.5957691216057308 * (t + 0.044715 * t * t * t);

    return (float)(t / (1 + exp(-u2)));
}

float md_act_apply(md_act act, float a, float b, float x)
{
    switch (act) {
    case MD_ACT_RELU:
        return at_least(0, x);
    case MD_ACT_CLIP:
        return at_most(b, at_least(a, x));
    case MD_ACT_SCALE:
        return a * x;
    case MD_ACT_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case MD_ACT_SIGMOID:
        return (float)(1 / (1 + exp(-(double)x)));
    case MD_ACT_TANH:
        return tanhf(x);
    case MD_ACT_SILU:
        x = at_least(floor_x, x);
        return (float)(x / (1 + exp(-(double)x)));
    case MD_ACT_HARD_SIGMOID:
        return at_least(0, at_most(1, a * x + b));
    case MD_ACT_HARD_SWISH:
        x = at_least(floor_x, x);
        return x * at_least(0, at_most(1, x * (1.0f / 6) + 0.5f));
    case MD_ACT_GELU_ERF:
        return gelu_erf(x);
    case MD_ACT_GELU_TANH:
        return gelu_tanh(x);
    case MD_ACT_NONE:
    case MD_ACT_COUNT:
        break;
    }
    return x;
}
