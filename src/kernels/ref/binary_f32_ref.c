#include "kernels/binary_f32.h"

#include <math.h>

static float apply(md_binary op, float a, float b)
{
    switch (op) {
#define B(id, name, value)                                                     \
    case MD_BINARY_##id:                                                       \
        return value;
#include "kernels/binary.def"
#undef B
    case MD_BINARY_COUNT:
        break;
    }
    return a;
}

void md_binary_f32__ref(float *y, const float *a, const float *b, size_t n,
                        int a_step, int b_step, const md_binary_op *op)
{
    for (size_t i = 0; i < n; i++, a += a_step, b += b_step)
        y[i] =
            md_act_apply(op->act, op->act_a, op->act_b, apply(op->op, *a, *b));
}
