#include "ops/lower/range.h"

#include <math.h>

#include "base/size.h"
#include "ops/common/quantize.h"
#include "ops/lower/common.h"

int64_t md_range__n_parts(int64_t n, int width)
{
    return md_step__chunks(n / 4, md_max_i64(1, n), width);
}

/* Where a part begins; parts differ by one element at most. */
static int64_t begin(int64_t n, int64_t n_parts, int64_t part)
{
    return n / n_parts * part + md_min_i64(n % n_parts, part);
}

void md_range__find(const md_quantize_kernel *kernel, md_range *ranges,
                    const float *x, int64_t n, int64_t n_parts, int64_t part)
{
    const int64_t from = begin(n, n_parts, part);

    kernel->limits(&ranges[part].lo, &ranges[part].hi, x + from,
                   (size_t)(begin(n, n_parts, part + 1) - from));
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
