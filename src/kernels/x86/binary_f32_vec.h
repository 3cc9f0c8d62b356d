#ifndef MD_KERNELS_X86_BINARY_F32_VEC_H
#define MD_KERNELS_X86_BINARY_F32_VEC_H

#include "base/attr.h"
#include "kernels/binary_f32.h"
#include "kernels/unary_f32.h"
#include "kernels/x86/wide.h"

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

static MD_ALWAYS_INLINE vf combine(const md_binary op, vf p, vf q)
{
    switch (op) {
    case MD_BINARY_ADD:
        return vf_add(p, q);
    case MD_BINARY_SUB:
        return vf_sub(p, q);
    case MD_BINARY_MUL:
        return vf_mul(p, q);
    case MD_BINARY_DIV:
        return vf_div(p, q);
    case MD_BINARY_MIN: /* minps gives q when unordered: its NaN passes already */
        return vf_keep_nan(p, vf_min(p, q));
    case MD_BINARY_MAX:
        return vf_keep_nan(p, vf_max(p, q));
    case MD_BINARY_GATE:
        return vf_select_lt(vf_zero(), q, p, vf_zero());
    default: /* PRELU */
        return vf_select_lt(p, vf_zero(), vf_mul(p, q), p);
    }
}

/* n > 0.  What is a constant here is one in each place of use, so that the
 * loop has neither a branch nor a call. */
static MD_ALWAYS_INLINE void loop(const md_binary op, float *y, const float *a,
                                  const float *b, size_t n, const bool a_steps,
                                  const bool b_steps)
{
    const vf p = vf_set(*a), q = vf_set(*b);
    size_t i = 0;

    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(y + i,
                 combine(op, a_steps ? vf_load(a + i, VF_LANES) : p,
                         b_steps ? vf_load(b + i, VF_LANES) : q),
                 VF_LANES);
    if (i < n)
        vf_store(y + i,
                 combine(op, a_steps ? vf_load(a + i, n - i) : p,
                         b_steps ? vf_load(b + i, n - i) : q),
                 n - i);
}

static MD_ALWAYS_INLINE void each(const md_binary op, float *y, const float *a,
                                  const float *b, size_t n, int a_step,
                                  int b_step)
{
    if (a_step && b_step)
        loop(op, y, a, b, n, true, true);
    else if (a_step)
        loop(op, y, a, b, n, true, false);
    else
        loop(op, y, a, b, n, false, b_step != 0);
}

/* y = a op b; n > 0. */
static void compute(float *y, const float *a, const float *b, size_t n,
                    int a_step, int b_step, md_binary op)
{
    if (op == MD_BINARY_POW && !b_step && *b == 2) {
        op = MD_BINARY_MUL;
        b = a;
        b_step = a_step;
    }
    switch (op) {
#define CASE(name)                                                             \
    case MD_BINARY_##name:                                                     \
        each(MD_BINARY_##name, y, a, b, n, a_step, b_step);                    \
        break;
        CASE(ADD)
        CASE(SUB)
        CASE(MUL)
        CASE(DIV)
        CASE(MIN)
        CASE(MAX)
        CASE(PRELU)
        CASE(GATE)
#undef CASE
    case MD_BINARY_POW:
        power(y, a, b, n, a_step, b_step);
        break;
    case MD_BINARY_COUNT:
        break;
    }
}

void VF(md_binary_f32)(float *y, const float *a, const float *b, size_t n,
                       int a_step, int b_step, const md_binary_op *op)
{
    enum {
        BLOCK = 1024 /* results that wait in the first cache for act */
    };
    const size_t step = op->act == MD_ACT_NONE ? n : BLOCK;

    for (size_t i = 0; i < n; i += step) {
        const size_t m = n - i < step ? n - i : step;

        compute(y + i, a_step ? a + i : a, b_step ? b + i : b, m, a_step,
                b_step, op->op);
        if (op->act != MD_ACT_NONE)
            VF(md_act_f32)(y + i, y + i, m, op->act, op->act_a, op->act_b);
    }
}

#endif
