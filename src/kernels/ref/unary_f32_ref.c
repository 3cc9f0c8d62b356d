#include "kernels/unary_f32.h"

#include <math.h>

float md_unary_apply(md_unary op, float a, float b, float x)
{
    (void)a;
    (void)b;
    switch (op) {
#define U(id, name, value)                                                     \
    case MD_UNARY_##id:                                                        \
        return value;
#include "kernels/unary.def"
#undef U
    case MD_UNARY_COUNT:
        break;
    }
    return x;
}

void md_unary_f32__ref(float *y, const float *x, size_t n, md_unary op, float a,
                       float b)
{
    for (size_t i = 0; i < n; i++)
        y[i] = md_unary_apply(op, a, b, x[i]);
}

void md_act_f32__ref(float *y, const float *x, size_t n, md_act act, float a,
                     float b)
{
    for (size_t i = 0; i < n; i++)
        y[i] = md_act_apply(act, a, b, x[i]);
}
