/* Conversion between element types. */
#include "ops/common/convert.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "kernels/vcast.h"
#include "tensor/float.h"

enum {
    SHOWN_TEXT = 40 /* of a string that is no number */
};

/* Digits and what stands between them, or inf or nan with or without a sign:
 * strtod would take hexadecimal digits and spaces, too. */
static bool may_be_number(const char *text)
{
    const char *word = text + (*text == '-' || *text == '+');

    return text[strspn(text, "0123456789+-.eE")] == '\0' ||
           strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0 ||
           strcasecmp(word, "nan") == 0;
}

/* Decimal text (also inf and nan) of a string element. */
static md_status parse(double *out, md_str s, md_error *err)
{
    char text[MD_NUM_LENGTH_MAX + 1], *end;

    if (s.n > 0 && s.n < sizeof(text)) {
        memcpy(text, s.p, s.n);
        text[s.n] = '\0';
        *out = md_num_strtod(text, &end);
        if (end == text + s.n && may_be_number(text))
            return MD_OK;
    }
    return md_fail(err, MD_INVALID, "string '%.*s' is not a number",
                   (int)(s.n < SHOWN_TEXT ? s.n : SHOWN_TEXT), s.p);
}

/* A decimal integer; false for any other text and beyond 64 bits. */
static bool parse_whole(int64_t *out, md_str s, bool is_signed)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t v = 0, limit = is_signed ? INT64_MAX + (uint64_t)minus
                                      : (minus ? 0 : UINT64_MAX);
    size_t i = minus;

    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(s.p[i] - '0');

        if (v > (limit - digit) / 10 || digit > limit)
            return false;
        v = v * 10 + digit;
    }
    *out = (int64_t)(minus ? 0 - v : v);
    return i == s.n && i > minus;
}

static md_status from_strings(md_tensor *out, const md_tensor *in,
                              md_error *err)
{
    bool whole = md_dtype_is_integer(out->dtype);
    int64_t n = md_tensor_n(in);

    for (int64_t i = 0; i < n; i++) {
        md_str s = ((const md_str *)in->data)[i];
        double v = 0.0;
        int64_t k;

        if (whole && parse_whole(&k, s, md_dtype_is_signed(out->dtype))) {
            md_tensor_set_i64(out, i, k);
            continue;
        }
        MD_TRY(parse(&v, s, err));
        md_tensor_set_f64(out, i, v);
    }
    return MD_OK;
}

/* The shortest decimal text that reads back as the same value; what is not
 * finite as the standard spells it. */
static size_t put_number(char buf[MD_NUM_SIZE], const md_tensor *t, int64_t i)
{
    double v = md_tensor_get_f64(t, i);

    if (!md_dtype_is_float(t->dtype)) {
        int64_t k = md_tensor_get_i64(t, i);

        if (t->dtype == MD_DTYPE_U64)
            return (size_t)snprintf(buf, MD_NUM_SIZE, "%" PRIu64, (uint64_t)k);
        return (size_t)snprintf(buf, MD_NUM_SIZE, "%" PRId64, k);
    }
    if (isnan(v))
        return (size_t)snprintf(buf, MD_NUM_SIZE, "NaN");
    if (isinf(v))
        return (size_t)snprintf(buf, MD_NUM_SIZE, v < 0.0 ? "-INF" : "INF");
    return t->dtype == MD_DTYPE_F64 ? md_num_put_f64(buf, v)
                                    : md_num_put_f32(buf, (float)v);
}

static md_status to_strings(md_tensor *out, const md_tensor *in, md_arena *text,
                            md_error *err)
{
    int64_t n = md_tensor_n(in);

    for (int64_t i = 0; i < n; i++) {
        char buf[MD_NUM_SIZE];
        size_t size = put_number(buf, in, i);
        char *p = md_arena_strndup(text, buf, size);

        if (!p)
            return md_fail_nomem(err, size);
        ((md_str *)out->data)[i] = (md_str){ p, size };
    }
    return MD_OK;
}

/* E8M0 holds powers of two.  round_mode: "up" (to the larger one, which is the
 * default), "down", "nearest". */
static uint8_t to_e8m0(float f, const char *mode, bool saturate)
{
    int exp;

    if (isfinite(f) && f > 0.0f && strcmp(mode, "nearest") != 0) {
        float m = frexpf(f, &exp); /* f = m * 2^exp, m in [0.5, 1) */

        if (strcmp(mode, "up") == 0 && m > 0.5f)
            f = ldexpf(1.0f, exp);
        else
            f = ldexpf(0.5f, exp);
    }
    return md_f32_to_f8(MD_DTYPE_F8E8M0, f, saturate);
}

md_status md_convert__check_attrs(const md_node *n, md_error *err)
{
    const char *mode = md_node_attr_s(n, "round_mode", "up");

    if (strcmp(mode, "up") == 0 || strcmp(mode, "down") == 0 ||
        strcmp(mode, "nearest") == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "round_mode is '%s', up, down or nearest expected", mode);
}

/* One conversion of numbers, in blocks of MD_CHUNK elements, which are whole
 * bytes of every type. */
typedef struct job {
    const md_tensor *in;
    md_tensor *out;
    md_vcast_fn *fn; /* from the input, or from float32 where `codes` is set */
    md_vcast_fn *first; /* where there is no fn: to a float that holds all of */
    md_vcast_fn *last;  /* the input's numbers, and from it */
    const float *codes; /* what the codes of a small float stand for */
    bool saturate;
    const char *mode;
} job;

static void to_f8(const job *j, int64_t from, int64_t to)
{
    md_dtype type = j->out->dtype;
    uint8_t *out = j->out->data;
    double v[MD_CHUNK];

    md_load_f64(v, j->in, from, to - from);
    for (int64_t i = from; i < to; i++) {
        float f = md_f64_to_f32_odd(v[i - from]);

        out[i] = type == MD_DTYPE_F8E8M0 ? to_e8m0(f, j->mode, j->saturate)
                                         : md_f32_to_f8(type, f, j->saturate);
    }
}

static char *element(const md_tensor *t, int64_t i)
{
    return (char *)t->data + i * (md_dtype_bits(t->dtype) / 8);
}

static void from_f8(const job *j, int64_t from, int64_t to)
{
    const uint8_t *code = j->in->data;
    float v[MD_CHUNK];

    assert(j->fn);
    for (int64_t i = from; i < to; i++)
        v[i - from] = j->codes[code[i]];
    j->fn(element(j->out, from), v, (size_t)(to - from));
}

/* Other types: integers by way of int64, floats of double. */
static void to_number(const job *j, int64_t from, int64_t to)
{
    const md_tensor *in = j->in;
    bool whole = md_dtype_is_integer(in->dtype) || in->dtype == MD_DTYPE_BOOL;
    int64_t w[MD_CHUNK];
    double v[MD_CHUNK];

    if (j->first) {
        j->first(v, element(in, from), (size_t)(to - from));
        j->last(element(j->out, from), v, (size_t)(to - from));
    } else if (in->dtype == MD_DTYPE_U64) { /* may be beyond int64 */
        for (int64_t i = from; i < to; i++)
            md_tensor_set_from(j->out, i, in, i);
    } else if (whole) {
        md_load_i64(w, in, from, to - from);
        md_store_i64(j->out, from, w, to - from);
    } else {
        md_load_f64(v, in, from, to - from);
        md_store_f64(j->out, from, v, to - from);
    }
}

static bool is_f8(md_dtype t)
{
    return t == MD_DTYPE_F8E8M0 || (MD_TYPES_F8 >> t & 1);
}

static void convert(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    int64_t n = md_tensor_n(j->in);

    if (j->fn && !j->codes) {
        from *= MD_CHUNK;
        to = md_min_i64(to * MD_CHUNK, n);
        j->fn(element(j->out, from), element(j->in, from), (size_t)(to - from));
        return;
    }
    for (int64_t i = from; i < to; i++) {
        int64_t end = md_min_i64((i + 1) * MD_CHUNK, n);

        if (j->codes)
            from_f8(j, i * MD_CHUNK, end);
        else if (is_f8(j->out->dtype))
            to_f8(j, i * MD_CHUNK, end);
        else
            to_number(j, i * MD_CHUNK, end);
    }
}

/* Integers to halves, and halves to each other: by way of a float that all of
 * them fit into, so that they are rounded once. */
static void set_detour(job *j, md_vcast_find *find)
{
    const md_dtype from = j->in->dtype, to = j->out->dtype;
    const bool wide = from == MD_DTYPE_I32 || from == MD_DTYPE_U32;
    const md_dtype by = wide ? MD_DTYPE_F64 : MD_DTYPE_F32;

    if (j->fn || from == MD_DTYPE_I64 || from == MD_DTYPE_U64)
        return;
    j->last = find(to, by);
    j->first = j->last ? find(by, from) : NULL;
}

static void convert_numbers(const md_exec *x, md_tensor *out)
{
    md_vcast_find *find = md_vcast_select(x->cpu)->find;
    const md_tensor *in = x->in[0];
    float codes[256];
    job j = { .in = in,
              .out = out,
              .fn = find(out->dtype, in->dtype),
              .saturate = md_node_attr_i(x->node, "saturate", 1) != 0,
              .mode = md_node_attr_s(x->node, "round_mode", "up") };

    if (is_f8(in->dtype) && find(out->dtype, MD_DTYPE_F32)) {
        for (int i = 0; i < 256; i++)
            codes[i] = md_f8_to_f32(in->dtype, (uint8_t)i);
        j.fn = find(out->dtype, MD_DTYPE_F32);
        j.codes = codes;
    }
    set_detour(&j, find);
    md_exec__share(x, md_div_up(md_tensor_n(in), MD_CHUNK),
                   MD_CHUNK * (j.fn || j.first ? 0.5 : 5.0), convert, &j);
}

md_status md_convert__compute(md_exec *x, md_tensor *out, md_arena *ar,
                              md_error *err)
{
    const md_tensor *in = x->in[0];

    (void)ar;
    if (in->dtype == out->dtype) {
        md_move_all(out, in);
        return MD_OK;
    }
    if (out->dtype == MD_DTYPE_STRING)
        return to_strings(out, in, x->text, err);
    if (in->dtype == MD_DTYPE_STRING)
        return from_strings(out, in, err);
    convert_numbers(x, out);
    return MD_OK;
}
