#include "ops/common/scores.h"

#include <math.h>
#include <string.h>

#include "base/attr.h"

md_status md_post__of(md_post *out, const md_node *n, md_error *err)
{
    static const char *const names[] = { "NONE", "SOFTMAX", "LOGISTIC",
                                         "SOFTMAX_ZERO", "PROBIT" };
    const char *name = md_node_attr_s(n, "post_transform", "NONE");

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (md_post)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "post_transform is '%s', NONE, SOFTMAX, LOGISTIC, "
                   "SOFTMAX_ZERO or PROBIT expected",
                   name);
}

static double logistic(double x)
{
    double v = 1.0 / (1.0 + exp(-fabs(x)));

    return x < 0.0 ? 1.0 - v : v;
}

/* sqrt(2) erf^-1(2x - 1), the inverse by S. Winitzki's formula ("A handy
 * approximation for the error function and its inverse", 2008; a = 0.147). */
static double probit(double x)
{
    const double a = 0.147, pi = 3.14159265358979323846;
    double y = 2.0 * x - 1.0;
    double rest = (1.0 - y) * (1.0 + y);
    double l = log(rest);
    double v = 2.0 / (pi * a) + 0.5 * l;

    if (rest == 0.0)
        return 0.0;
    return copysign(sqrt(2.0 * (sqrt(v * v - l / a) - v)), y);
}

static double largest(const double *v, int64_t n)
{
    double max = -INFINITY;

    for (int64_t i = 0; i < n; i++)
        max = v[i] > max ? v[i] : max;
    return max;
}

static void softmax(double *v, int64_t n)
{
    double max = largest(v, n), sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += v[i] = exp(v[i] - max);
    for (int64_t i = 0; i < n; i++)
        v[i] /= sum;
}

/* Scores up to 1e-7 count as 0; of a row of them all become 0.5. */
static void softmax_zero(double *v, int64_t n)
{
    double max = largest(v, n), sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += v[i] = fabs(v[i]) > 1e-7 ? exp(v[i] - max) : v[i] * exp(-max);
    for (int64_t i = 0; i < n; i++)
        v[i] = sum == 0.0 ? 0.5 : v[i] / sum;
}

void md_post__apply(md_post post, double *v, int64_t n)
{
    if (post == MD_POST_SOFTMAX) {
        softmax(v, n);
    } else if (post == MD_POST_SOFTMAX_ZERO) {
        softmax_zero(v, n);
    } else if (post != MD_POST_NONE) {
        for (int64_t i = 0; i < n; i++)
            v[i] = post == MD_POST_LOGISTIC ? logistic(v[i]) : probit(v[i]);
    }
}

void md_post__pair(md_post post, bool share, double s, double out[2])
{
    out[0] = share ? 1.0 - s : -s;
    out[1] = s;
    md_post__apply(post, out, 2);
}
