#include "ops/lower/range.h"

#include <math.h>

#include "base/size.h"
#include "ops/common/quantize.h"
#include "ops/lower/common.h"

enum {
    NEAR = 4096 /* elements that both searches find in the first cache */
};

int64_t md_range__n_parts(int64_t n, int width)
{
    return md_step__chunks(n / 4, md_max_i64(1, n), width);
}

/* Where a part begins; parts differ by one element at most. */
static int64_t begin(int64_t n, int64_t n_parts, int64_t part)
{
    return n / n_parts * part + md_min_i64(n % n_parts, part);
}

static float extreme(const md_reduce_f32_kernel *kernel, const float *x,
                     int64_t n, md_reduce op)
{
    float v;

    kernel->run(&(md_reduce_f32_args){ .y = &v,
                                       .x = x,
                                       .outer = 1,
                                       .m = 1,
                                       .n = n,
                                       .inner = 1,
                                       .n_stride = 1,
                                       .op = op });
    return v;
}

void md_range__find(const md_reduce_f32_kernel *kernel, md_range *ranges,
                    const float *x, int64_t n, int64_t n_parts, int64_t part)
{
    const int64_t from = begin(n, n_parts, part);
    const int64_t count = begin(n, n_parts, part + 1) - from;
    md_range r = { 0, 0 };

    for (int64_t i = 0; i < count; i += NEAR) {
        const int64_t some = md_min_i64(NEAR, count - i);
        const float lo = extreme(kernel, x + from + i, some, MD_REDUCE_MIN);
        const float hi = extreme(kernel, x + from + i, some, MD_REDUCE_MAX);

        r.lo = lo < r.lo || isnan(lo) ? lo : r.lo; /* which NaN stays */
        r.hi = hi > r.hi || isnan(hi) ? hi : r.hi;
    }
    if (isnan(r.lo) || isnan(r.hi))
        md_quantize__limits(&r.lo, &r.hi, x + from, count);
    ranges[part] = (md_range){ fminf(r.lo, 0), fmaxf(r.hi, 0) };
}

void md_range__params(float *scale, uint8_t *zero, const md_range *ranges,
                      int64_t n_parts)
{
    md_range r = ranges[0];

    for (int64_t i = 1; i < n_parts; i++) {
        r.lo = fminf(r.lo, ranges[i].lo);
        r.hi = fmaxf(r.hi, ranges[i].hi);
    }
    md_quantize__span(scale, zero, r.lo, r.hi);
}

void md_range__quantize(const md_quantize_kernel *kernel, uint8_t *q,
                        const float *x, int64_t n, const md_range *ranges,
                        int64_t n_parts, int64_t part)
{
    const int64_t from = begin(n, n_parts, part);
    md_qparam p = { .q_max = 255 };
    uint8_t zero;

    md_range__params(&p.scale, &zero, ranges, n_parts);
    p.zero = zero;
    kernel->quantize(q + from, x + from,
                     (size_t)(begin(n, n_parts, part + 1) - from), &p);
}
