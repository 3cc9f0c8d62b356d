#ifndef MD_KERNELS_X86_BINARY_F32_VEC_H
#define MD_KERNELS_X86_BINARY_F32_VEC_H

#include "base/attr.h"
#include "kernels/binary_f32.h"
#include "kernels/unary_f32.h"
#include "kernels/x86/wide.h"

static inline vf operand(const float *p, size_t i, int step, size_t m)
{
    return step ? vf_load(p + i, m) : vf_set(*p);
}

#define POWER(p, q)                                                            \
    MD_SIMD                                                                    \
    for (size_t i = 0; i < n; i++)                                             \
    y[i] = (q) == 2 ? (p) * (p) : (float)wide_pow((double)(p), (double)(q))

/* y = a to the b, in double. */
static void power(float *y, const float *a, const float *b, size_t n,
                  int a_step, int b_step)
{
    if (a_step && b_step) {
        POWER(a[i], b[i]);
    } else if (b_step) {
        const float p = *a;

        POWER(p, b[i]);
    } else {
        const float q = *b;

        for (size_t i = 0; i < n && !a_step; i++)
            y[i] = *a;
        a = a_step ? a : y;
        POWER(a[i], q);
    }
}

#undef POWER

/* y = act(value) for vectors p of a and q of b. */
#define EACH(value)                                                            \
    for (size_t i = 0; i < n; i += VF_LANES) {                                 \
        const size_t m = n - i < VF_LANES ? n - i : VF_LANES;                  \
        const vf p = operand(a, i, a_step, m);                                 \
        const vf q = operand(b, i, b_step, m);                                 \
                                                                               \
        vf_store(y + i, vf_act(op->act, va, vb, value), m);                    \
    }                                                                          \
    break

void VF(md_binary_f32)(float *y, const float *a, const float *b, size_t n,
                       int a_step, int b_step, const md_binary_op *op)
{
    const vf va = vf_set(op->act_a);
    const vf vb = vf_set(op->act_b);
    md_binary what = op->op;

    if (what == MD_BINARY_POW && !b_step && *b == 2) {
        what = MD_BINARY_MUL;
        b = a;
        b_step = a_step;
    }
    switch (what) {
    case MD_BINARY_ADD:
        EACH(vf_add(p, q));
    case MD_BINARY_SUB:
        EACH(vf_sub(p, q));
    case MD_BINARY_MUL:
        EACH(vf_mul(p, q));
    case MD_BINARY_DIV:
        EACH(vf_div(p, q));
    case MD_BINARY_MIN: /* minps gives q when unordered: its NaN passes already */
        EACH(vf_keep_nan(p, vf_min(p, q)));
    case MD_BINARY_MAX:
        EACH(vf_keep_nan(p, vf_max(p, q)));
    case MD_BINARY_PRELU:
        EACH(vf_select_lt(p, vf_zero(), vf_mul(p, q), p));
    case MD_BINARY_POW:
        power(y, a, b, n, a_step, b_step);
        VF(md_act_f32)(y, y, n, op->act, op->act_a, op->act_b);
        break;
    case MD_BINARY_COUNT:
        break;
    }
}

#undef EACH
#endif
