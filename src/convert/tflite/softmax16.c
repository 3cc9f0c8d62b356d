/*
 * SOFTMAX of 16-bit codes.  The interpreter does not compute exponentials: it
 * looks them up in a table of 513 values over [-10, 0] and interpolates, which
 * is up to 20 steps of 2^-15 away from the function.  Quantized files are
 * calibrated for those numbers, so the same table is made here, with an entry
 * for each code that a number can be below the largest one.
 *
 * Facts from tensorflow/lite/kernels/internal (reference/softmax.h, common.h).
 */
#include <math.h>

#include "convert/tflite/build.h"

enum {
    STEPS = 512,
    ENTRIES_MAX = 65536
};

/* Ties away from zero, as the interpreter rounds. */
static double rounded(double x)
{
    return x < 0 ? -floor(0.5 - x) : floor(x + 0.5);
}

/* exp over [-10, 0] in units of 2^-15; each sample is moved by half of what a
 * line to the next one misses in the middle. */
static void sample(int32_t table[STEPS + 1])
{
    const double low = 10.0 / 65535 * (-32768 - 32767);
    const double step = -low / STEPS;
    const double unit = 32768;

    for (int i = 0; i < STEPS; i++) {
        double here = rounded(exp(low + i * step) * unit);
        double next = exp(low + (i + 1) * step) * unit;
        double middle = rounded(exp(low + (i + 0.5) * step) * unit);
        double line = rounded((next + here) / 2);

        table[i] = (int32_t)fmin(here - rounded((line - middle) / 2), 32767);
    }
    table[STEPS] = 32767;
}

/* Of a number that is `below` codes under the largest one. */
static int32_t look_up(const int32_t table[STEPS + 1], int64_t below,
                       double scale)
{
    double x = rounded(-(double)below * (scale / (10.0 / 65535)));
    int32_t at = (int32_t)fmax(x + 65535, 0); /* 0 to 65535 */
    int32_t base = table[at >> 7];
    int32_t slope = table[(at >> 7) + 1] - base;

    /* Rounded down after adding a half, of negative numbers too. */
    return base + (int32_t)floor((slope * (at & 127) + 64) / 128.0);
}

static md_value_id make_table(md_tfl_build *b, double scale, int64_t n)
{
    md_shape shape = { 1, { n } };
    md_tensor t = MD_TENSOR_INIT;
    int32_t table[STEPS + 1];

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_I16, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    sample(table);
    for (int64_t i = 0; i < n; i++)
        ((int16_t *)t.data)[i] = (int16_t)look_up(table, i, scale);
    return md_emit_const(&b->e, t);
}

void md_tfl_softmax16(md_tfl_build *b, double beta)
{
    md_tfl_value *v = md_tfl_in(b, 0);
    md_tfl_layout l = md_tfl_pick(b, 0, 1);
    int rank = md_tfl_rank(b, v);
    int64_t axis = md_tfl_axis(l, rank, rank - 1);
    double scale = md_tfl_scale_of(v) * beta;
    int64_t n = ENTRIES_MAX;
    md_value_id axes = md_emit_ints(&b->e, &axis, 1);
    md_value_id x;
    md_value_id sum;

    if (!(scale > 0)) {
        md_emit_fail(&b->e, MD_CORRUPT, "scale %g", scale);
        return;
    }
    /* Behind -10 nothing changes any more. */
    if (10 / scale + 2 < ENTRIES_MAX)
        n = (int64_t)(10 / scale) + 2;
    x = md_emit_cast(&b->e, md_tfl_code(b, v, l), MD_DTYPE_I32);
    sum = md_emit_op2(&b->e, "ReduceMax", x, axes);
    x = md_emit_op2(&b->e, "Sub", sum, x);
    x = md_emit_op2(&b->e, "Min", x,
                    md_emit_number(&b->e, MD_DTYPE_I32, (double)(n - 1)));
    x = md_emit_op2(&b->e, "Gather", make_table(b, scale, n), x);
    x = md_emit_cast(&b->e, x, MD_DTYPE_F32);
    sum = md_emit_op2(&b->e, "ReduceSum", x, axes);
    md_tfl_set(b, 0, md_emit_op2(&b->e, "Div", x, sum), l);
}
