#include "tensor/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/text.h"
#include "tensor/container.h"

enum {
    ELEMENT_TEXT = 96 /* of an element in a message; longer strings are cut */
};

/* One element of both tensors, as the numbers [real, imaginary]. */
typedef struct pair {
    double got[2], want[2];
    double delta; /* |got - want|, not 0 when they differ */
    double size;  /* |want| */
} pair;

static bool is_complex(md_dtype t)
{
    return t == MD_DTYPE_C64 || t == MD_DTYPE_C128;
}

static double get_part(const md_tensor *t, int64_t i, int part)
{
    if (t->dtype == MD_DTYPE_C64)
        return (double)((const float *)t->data)[2 * i + part];
    return ((const double *)t->data)[2 * i + part];
}

/* |got - want| of integers; double could not tell 2^53 from 2^53 + 1. */
static uint64_t distance(const md_tensor *got, const md_tensor *want, int64_t i)
{
    int64_t a = md_tensor_get_i64(got, i);
    int64_t b = md_tensor_get_i64(want, i);
    bool less = got->dtype == MD_DTYPE_U64 ? (uint64_t)a < (uint64_t)b : a < b;

    return less ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b;
}

static pair read_pair(const md_tensor *got, const md_tensor *want, int64_t i)
{
    pair p = { .delta = 0.0 };

    if (is_complex(got->dtype)) {
        for (int k = 0; k < 2; k++) {
            p.got[k] = get_part(got, i, k);
            p.want[k] = get_part(want, i, k);
        }
        p.delta = hypot(p.got[0] - p.want[0], p.got[1] - p.want[1]);
        p.size = hypot(p.want[0], p.want[1]);
        return p;
    }
    p.got[0] = md_tensor_get_f64(got, i);
    p.want[0] = md_tensor_get_f64(want, i);
    p.size = fabs(p.want[0]);
    p.delta = md_dtype_is_float(got->dtype) ? fabs(p.got[0] - p.want[0])
                                            : (double)distance(got, want, i);
    return p;
}

static bool is_finite(const pair *p)
{
    return isfinite(p->got[0]) && isfinite(p->got[1]) && isfinite(p->want[0]) &&
           isfinite(p->want[1]);
}

static bool part_within(double got, double want, double abs, double rel)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    return fabs(got - want) <= abs + rel * fabs(want);
}

/* What is not finite is compared part by part. */
static bool within(const pair *p, double abs, double rel)
{
    if (is_finite(p))
        return p->delta <= abs + rel * p->size;
    return part_within(p->got[0], p->want[0], abs, rel) &&
           part_within(p->got[1], p->want[1], abs, rel);
}

static void compare_numbers(md_diff *d, const md_tensor *got,
                            const md_tensor *want, double abs, double rel)
{
    int64_t n = md_tensor_n(got);
    double ab = 0.0, aa = 0.0, bb = 0.0;

    for (int64_t i = 0; i < n; i++) {
        pair p = read_pair(got, want, i);

        if (is_finite(&p)) {
            ab += p.got[0] * p.want[0] + p.got[1] * p.want[1];
            aa += p.got[0] * p.got[0] + p.got[1] * p.got[1];
            bb += p.want[0] * p.want[0] + p.want[1] * p.want[1];
            d->abs_max = fmax(d->abs_max, p.delta);
            d->want_max = fmax(d->want_max, p.size);
            if (p.size != 0.0)
                d->rel_max = fmax(d->rel_max, p.delta / p.size);
        }
        if (within(&p, abs, rel))
            continue;
        d->n_misses++;
        if (d->first < 0)
            d->first = i;
    }
    /* aa * bb could overflow where the roots do not. */
    d->cosine = aa > 0.0 && bb > 0.0 ? ab / (sqrt(aa) * sqrt(bb)) : aa == bb;
}

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

static void format_real(char buf[MD_NUM_SIZE], md_dtype t, double v)
{
    if (!isfinite(v))
        snprintf(buf, MD_NUM_SIZE, "%g", v);
    else if (t == MD_DTYPE_F64 || t == MD_DTYPE_C128)
        md_num_put_f64(buf, v);
    else
        md_num_put_f32(buf, (float)v);
}

/* Element i with all the digits that tell it from its neighbours. */
static void format_element(char buf[ELEMENT_TEXT], const md_tensor *t,
                           int64_t i)
{
    char re[MD_NUM_SIZE], im[MD_NUM_SIZE];

    if (t->dtype == MD_DTYPE_STRING) {
        md_str s = ((const md_str *)t->data)[i];

        md_text_quote(buf, ELEMENT_TEXT, s.p, s.n);
    } else if (is_complex(t->dtype)) {
        double imaginary = get_part(t, i, 1);

        format_real(re, t->dtype, get_part(t, i, 0));
        format_real(im, t->dtype, fabs(imaginary));
        snprintf(buf, ELEMENT_TEXT, "%s%c%si", re,
                 signbit(imaginary) ? '-' : '+', im);
    } else if (md_dtype_is_float(t->dtype)) {
        format_real(re, t->dtype, md_tensor_get_f64(t, i));
        snprintf(buf, ELEMENT_TEXT, "%s", re);
    } else if (t->dtype == MD_DTYPE_U64) {
        snprintf(buf, ELEMENT_TEXT, "%" PRIu64,
                 (uint64_t)md_tensor_get_i64(t, i));
    } else {
        snprintf(buf, ELEMENT_TEXT, "%" PRId64, md_tensor_get_i64(t, i));
    }
}

static md_status fail_different(const md_diff *d, const md_tensor *got,
                                const md_tensor *want, md_error *err)
{
    char is[ELEMENT_TEXT], wanted[ELEMENT_TEXT], most[48] = "";

    format_element(is, got, d->first);
    format_element(wanted, want, d->first);
    if (got->dtype != MD_DTYPE_STRING)
        snprintf(most, sizeof(most), " (max |difference| %.3g)", d->abs_max);
    return md_fail(err, MD_MISMATCH,
                   "%lld of %lld elements differ, first at %lld: %s given, %s "
                   "expected%s",
                   (long long)d->n_misses, (long long)md_tensor_n(got),
                   (long long)d->first, is, wanted, most);
}

static md_status fail_kind(const md_tensor *got, const md_tensor *want,
                           md_error *err)
{
    return md_fail(err, MD_MISMATCH,
                   "%s of %lld items of %s given, %s of %lld of %s expected",
                   md_kind_name(got->kind), (long long)md_tensor_n(got),
                   md_dtype_name(got->dtype), md_kind_name(want->kind),
                   (long long)md_tensor_n(want), md_dtype_name(want->dtype));
}

/* What differs in one item is told of it; *d is of all of them. */
static md_status compare_items(md_diff *d, const md_tensor *got,
                               const md_tensor *want, double abs, double rel,
                               md_error *err)
{
    int64_t n = md_tensor_n(got);
    md_status s = MD_OK;

    if (got->kind != want->kind || got->of != want->of ||
        got->key != want->key || got->dtype != want->dtype ||
        n != md_tensor_n(want))
        return fail_kind(got, want, err);
    for (int64_t i = 0; i < n; i++) {
        md_diff one = { .first = -1, .cosine = 1.0 };
        md_status of_one = md_tensor_compare(&one, md_container_item(got, i),
                                             md_container_item(want, i), abs,
                                             rel, s == MD_OK ? err : NULL);

        if (of_one != MD_OK && s == MD_OK)
            s = md_wrap(err, of_one, "item %lld: ", (long long)i);
        if (d->first < 0 && of_one != MD_OK)
            d->first = i;
        d->abs_max = fmax(d->abs_max, one.abs_max);
        d->rel_max = fmax(d->rel_max, one.rel_max);
        d->want_max = fmax(d->want_max, one.want_max);
        d->cosine = fmin(d->cosine, one.cosine);
        d->n_misses += of_one == MD_OK || one.n_misses ? one.n_misses : 1;
    }
    return s;
}

static md_status compare_elements(md_diff *out, const md_tensor *got,
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
    return d.n_misses ? fail_different(&d, got, want, err) : MD_OK;
}

md_status md_tensor_compare(md_diff *out, const md_tensor *got,
                            const md_tensor *want, double abs, double rel,
                            md_error *err)
{
    md_diff d = { .first = -1, .cosine = 1.0 };
    md_status s;

    if (got->kind == MD_KIND_TENSOR && want->kind == MD_KIND_TENSOR)
        return compare_elements(out, got, want, abs, rel, err);
    s = compare_items(&d, got, want, abs, rel, err);
    if (out)
        *out = d;
    return s;
}
