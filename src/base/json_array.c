/* Arrays of numbers, read without a token per element. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/json_impl.h"
#include "base/num.h"
#include "base/size.h"

enum {
    GROW_SIZE = 16 * 1024
};

void md_json_nest_init(md_json_nest *nest)
{
    *nest = (md_json_nest){ 0 };
    for (int i = 0; i < MD_LIMIT_JSON_RANK; i++)
        nest->dims[i] = -1;
}

static md_status fail_ragged(size_t at, md_error *err)
{
    return md_json_fail(at, err, "ragged array: value and array on one level");
}

md_status md_json_nest_open(md_json_nest *nest, size_t at, md_error *err)
{
    if (nest->depth == MD_LIMIT_JSON_RANK)
        return md_json_fail(at, err, "array nested deeper than the limit of %d",
                            MD_LIMIT_JSON_RANK);
    if (nest->leafs && nest->depth == nest->rank)
        return fail_ragged(at, err);
    if (nest->depth)
        nest->count[nest->depth - 1]++;
    nest->count[nest->depth++] = 0;
    if (nest->depth > nest->rank)
        nest->rank = nest->depth;
    return MD_OK;
}

md_status md_json_nest_close(md_json_nest *nest, size_t at, md_error *err)
{
    int i = nest->depth - 1;

    assert(i >= 0);
    if (nest->dims[i] < 0)
        nest->dims[i] = nest->count[i];
    if (nest->dims[i] != nest->count[i])
        return md_json_fail(at, err,
                            "ragged array: %lld elements on level %d, expected "
                            "%lld",
                            (long long)nest->count[i], i + 1,
                            (long long)nest->dims[i]);
    nest->depth--;
    return MD_OK;
}

md_status md_json_nest_leaf(md_json_nest *nest, size_t at, md_error *err)
{
    if (nest->depth != nest->rank)
        return fail_ragged(at, err);
    nest->leafs = true;
    if (nest->depth)
        nest->count[nest->depth - 1]++;
    return MD_OK;
}

static const struct {
    size_t size;
    const char *want;
} items[] = {
    [MD_JSON_F32] = { sizeof(float), "a number" },
    [MD_JSON_F64] = { sizeof(double), "a number" },
    [MD_JSON_I64] = { sizeof(int64_t), "an integer" },
    [MD_JSON_U64] = { sizeof(uint64_t), "an integer" },
    [MD_JSON_BOOL] = { sizeof(uint8_t), "true or false" },
};

/* What the plain number parsers do not take. */
static bool read_odd(md_json *r, md_json_item item, void *dst)
{
    md_json_token t;
    double x;

    if (item == MD_JSON_F32 && md_json__pass_nonfinite(r, &x)) {
        float f = (float)x;

        memcpy(dst, &f, sizeof(f));
        return true;
    }
    if (item == MD_JSON_F64 && md_json__pass_nonfinite(r, &x)) {
        memcpy(dst, &x, sizeof(x));
        return true;
    }
    if (item != MD_JSON_BOOL)
        return false;
    r->state = MD_JSON__VALUE;
    if ((md_json_peek(r) != MD_JSON_TRUE && md_json_peek(r) != MD_JSON_FALSE) ||
        md_json_next(r, &t, NULL) != MD_OK)
        return false;
    *(uint8_t *)dst = t.kind == MD_JSON_TRUE;
    return true;
}

static md_status fail_leaf(md_json *r, md_json_item item, md_num_status s,
                           md_error *err)
{
    size_t at = (size_t)(r->at - r->begin);
    const bool is_number =
        r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'));
    size_t n = 0;

    if (s == MD_NUM_SYNTAX && !is_number)
        return md_json__unexpected(r, items[item].want, err);
    while (n < 40 && r->at + n < r->end && r->at[n] > ' ' && r->at[n] != ',' &&
           r->at[n] != ']')
        n++;
    if (s == MD_NUM_SYNTAX)
        return md_json_fail(at, err, "%.*s given, expected %s", (int)n, r->at,
                            items[item].want);
    return md_json_fail(at, err, "%.*s does not fit %s", (int)n, r->at,
                        item == MD_JSON_F32   ? "float32"
                        : item == MD_JSON_F64 ? "float64"
                        : item == MD_JSON_I64 ? "int64"
                                              : "uint64");
}

/* One leaf to dst, which is aligned for it. */
static inline md_status read_leaf(md_json *r, md_json_item item, void *dst,
                                  md_error *err)
{
    const unsigned char *after = r->at;
    md_num_status s = MD_NUM_SYNTAX;

    switch (item) {
    case MD_JSON_F32:
        s = md_num_f32(dst, &after, r->at, r->end);
        break;
    case MD_JSON_F64:
        s = md_num_f64(dst, &after, r->at, r->end);
        break;
    case MD_JSON_I64:
        s = md_num_i64(dst, &after, r->at, r->end);
        break;
    case MD_JSON_U64:
        s = md_num_u64(dst, &after, r->at, r->end);
        break;
    case MD_JSON_BOOL:
        break;
    }
    if (MD_LIKELY(s == MD_NUM_OK)) {
        r->at = after;
        return MD_OK;
    }
    if (s == MD_NUM_SYNTAX && read_odd(r, item, dst))
        return MD_OK;
    return fail_leaf(r, item, s, err);
}

/* Room for one more item, asked for in large steps. */
static md_status make_room(md_buf *out, size_t size, size_t at, md_error *err)
{
    size_t room = out->limit - out->size;

    if (room < size) {
        md_json_fail(at, err, "array is larger than the limit of %zu elements",
                     out->limit / size);
        if (err)
            err->status = MD_TOO_LARGE;
        return MD_TOO_LARGE;
    }
    return md_buf_reserve(out, room < GROW_SIZE ? room : GROW_SIZE, err);
}

/* Leaves up to the end of their array, or to what is no leaf: on return r->at
 * is behind a leaf. */
static md_status read_leafs(md_json *r, md_json_item item, md_buf *out,
                            md_json_nest *nest, md_error *err)
{
    const size_t size = items[item].size;
    int64_t n = 0;

    MD_TRY(md_json_nest_leaf(nest, (size_t)(r->at - r->begin), err));
    for (;;) {
        const unsigned char *p;

        if (MD_UNLIKELY(out->cap < out->size + size + 1 ||
                        out->limit - out->size < size))
            MD_TRY(make_room(out, size, (size_t)(r->at - r->begin), err));
        MD_TRY(read_leaf(r, item, out->data + out->size, err));
        out->size += size;
        p = r->at;
        if (nest->depth == 0 || p == r->end || *p != ',')
            break;
        p++;
        while (p < r->end && *p <= ' ')
            p++;
        if (p == r->end || *p == '[' || *p == ']')
            break;
        r->at++;
        md_json__skip_space(r);
        n++;
    }
    out->data[out->size] = '\0';
    if (n)
        nest->count[nest->depth - 1] += n;
    return MD_OK;
}

/* After a value: *more tells whether another one follows. */
static md_status close_arrays(md_json *r, md_json_nest *nest, bool *more,
                              md_error *err)
{
    *more = true;
    while (nest->depth) {
        size_t at;

        md_json__skip_space(r);
        at = (size_t)(r->at - r->begin);
        if (r->at < r->end && *r->at == ',') {
            r->at++;
            return MD_OK;
        }
        if (r->at == r->end || *r->at != ']')
            return md_json__unexpected(r, "',' or ']'", err);
        MD_TRY(md_json_nest_close(nest, at, err));
        r->at++;
    }
    *more = false;
    return MD_OK;
}

static md_status read_nested(md_json *r, md_json_item item, md_buf *out,
                             md_json_nest *nest, md_error *err)
{
    bool more = true;

    while (more) {
        md_json__skip_space(r);
        if (r->at < r->end && *r->at == '[') {
            MD_TRY(md_json_nest_open(nest, (size_t)(r->at - r->begin), err));
            r->at++;
            md_json__skip_space(r);
            if (r->at == r->end || *r->at != ']')
                continue;
        } else {
            MD_TRY(read_leafs(r, item, out, nest, err));
        }
        MD_TRY(close_arrays(r, nest, &more, err));
    }
    return MD_OK;
}

md_status md_json_read_array(md_json *r, md_json_item item, md_buf *out,
                             md_json_nest *nest, md_error *err)
{
    md_json_nest_init(nest);
    MD_TRY(md_json__start_value(r, err));
    MD_TRY(read_nested(r, item, out, nest, err));
    for (int i = 0; i < nest->rank; i++) {
        if (nest->dims[i] < 0)
            nest->dims[i] = 0;
    }
    md_json__value_done(r);
    return MD_OK;
}
