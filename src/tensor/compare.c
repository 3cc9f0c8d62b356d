#include "tensor/compare.h"

#include <math.h>
#include <string.h>

static void compare_strings(md_diff *d, const md_tensor *got,
                            const md_tensor *want)
{
    const md_str *a = got->data;
    const md_str *b = want->data;
    int64_t n = md_tensor_n(got);

    for (int64_t i = 0; i < n; i++) {
        if (a[i].n == b[i].n &&
            (a[i].n == 0 || memcmp(a[i].p, b[i].p, a[i].n) == 0))
            continue;
        d->n_misses++;
        if (d->first < 0)
            d->first = i;
    }
}

static bool within(double got, double want, double abs, double rel)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    return fabs(got - want) <= abs + rel * fabs(want);
}

static void compare_numbers(md_diff *d, const md_tensor *got,
                            const md_tensor *want, double abs, double rel)
{
    int64_t n = md_tensor_n(got);
    double ab = 0.0, aa = 0.0, bb = 0.0;

    for (int64_t i = 0; i < n; i++) {
        double a = md_tensor_get_f64(got, i);
        double b = md_tensor_get_f64(want, i);
        double delta = fabs(a - b);

        if (isfinite(a) && isfinite(b)) {
            ab += a * b;
            aa += a * a;
            bb += b * b;
            d->abs_max = fmax(d->abs_max, delta);
            d->want_max = fmax(d->want_max, fabs(b));
            if (b != 0.0)
                d->rel_max = fmax(d->rel_max, delta / fabs(b));
        }
        if (within(a, b, abs, rel))
            continue;
        d->n_misses++;
        if (d->first < 0) {
            d->first = i;
            d->got = a;
            d->want = b;
        }
    }
    d->cosine = aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : aa == bb;
}

md_status md_tensor_compare(md_diff *out, const md_tensor *got,
                            const md_tensor *want, double abs, double rel,
                            md_error *err)
{
    char ts[MD_SHAPE_TEXT], tw[MD_SHAPE_TEXT];
    md_diff d = { .first = -1, .cosine = 1.0 };

    if (got->dtype != want->dtype || !md_shape_equal(&got->shape, &want->shape))
        return md_fail(err, MD_MISMATCH, "%s %s given, %s %s expected",
                       md_dtype_name(got->dtype),
                       md_shape_format(ts, sizeof(ts), &got->shape),
                       md_dtype_name(want->dtype),
                       md_shape_format(tw, sizeof(tw), &want->shape));
    if (got->dtype == MD_DTYPE_STRING)
        compare_strings(&d, got, want);
    else
        compare_numbers(&d, got, want, abs, rel);
    if (out)
        *out = d;
    if (d.n_misses == 0)
        return MD_OK;
    return md_fail(err, MD_MISMATCH,
                   "%lld of %lld elements differ, first at %lld: %.9g given, "
                   "%.9g expected (max |difference| %.3g)",
                   (long long)d.n_misses, (long long)md_tensor_n(got),
                   (long long)d.first, d.got, d.want, d.abs_max);
}
