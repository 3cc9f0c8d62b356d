#include "tensor/shape.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

md_status md_shape_count(int64_t *out, const md_shape *s, md_error *err)
{
    char text[MD_SHAPE_TEXT];
    int64_t n = 1;
    bool empty = false;
    bool fits = true;

    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 0)
            return md_fail(
                err, MD_INVALID, "shape %s has the negative dimension %lld",
                md_shape_format(text, sizeof(text), s), (long long)s->dim[i]);
        if (s->dim[i] == 0)
            empty = true;
        else if (fits)
            fits = md_mul_i64(&n, n, s->dim[i]);
    }
    if (!fits)
        return md_fail(err, MD_TOO_LARGE,
                       "shape %s has more elements than 2^63",
                       md_shape_format(text, sizeof(text), s));
    *out = empty ? 0 : n;
    return MD_OK;
}

int64_t md_shape_n(const md_shape *s)
{
    return md_shape_span(s, 0, s->rank);
}

int64_t md_shape_span(const md_shape *s, int from, int to)
{
    int64_t n = 1;

    for (int i = from; i < to; i++)
        n *= s->dim[i];
    return n;
}

bool md_shape_equal(const md_shape *a, const md_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, sizeof(a->dim[0]) * (size_t)a->rank) == 0;
}

void md_shape_strides(int64_t stride[MD_RANK_MAX], const md_shape *s)
{
    int64_t n = 1;

    for (int i = s->rank; i-- > 0;) {
        stride[i] = n;
        n *= s->dim[i];
    }
}

md_status md_shape_broadcast(md_shape *out, const md_shape *a,
                             const md_shape *b, md_error *err)
{
    md_shape r = { .rank = a->rank > b->rank ? a->rank : b->rank };

    for (int i = 0; i < r.rank; i++) {
        int ia = i - (r.rank - a->rank);
        int ib = i - (r.rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia];
        int64_t db = ib < 0 ? 1 : b->dim[ib];

        if (da != db && da != 1 && db != 1) {
            char ta[MD_SHAPE_TEXT], tb[MD_SHAPE_TEXT];

            return md_fail(err, MD_INVALID, "shapes %s and %s do not broadcast",
                           md_shape_format(ta, sizeof(ta), a),
                           md_shape_format(tb, sizeof(tb), b));
        }
        r.dim[i] = da == 1 ? db : da;
    }
    *out = r;
    return MD_OK;
}

void md_shape_broadcast_strides(int64_t stride[MD_RANK_MAX], const md_shape *s,
                                const md_shape *to)
{
    int64_t own[MD_RANK_MAX] = { 0 };
    int skip = to->rank - s->rank;

    assert(skip >= 0);
    md_shape_strides(own, s);
    for (int i = 0; i < to->rank; i++) {
        bool repeated = i < skip || (s->dim[i - skip] == 1 && to->dim[i] != 1);

        stride[i] = repeated ? 0 : own[i - skip];
    }
}

md_status md_axis_normalize(int *out, int64_t axis, int rank, md_error *err)
{
    if (axis < -rank || axis >= rank)
        return md_fail(err, MD_INVALID,
                       "axis %lld is outside [%d, %d) of a rank %d tensor",
                       (long long)axis, -rank, rank, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return MD_OK;
}

char *md_shape_format(char *buf, size_t size, const md_shape *s)
{
    size_t at = 0;

    if (size == 0)
        return buf;
    at += (size_t)snprintf(buf, size, "[");
    for (int i = 0; i < s->rank && at < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s%lld", i ? "," : "",
                               (long long)s->dim[i]);
    if (at < size)
        snprintf(buf + at, size - at, "]");
    return buf;
}
