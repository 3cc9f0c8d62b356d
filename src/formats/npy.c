/* Reading NPY; see npy_write.c for the other way. */
#include "formats/npy.h"

#include <stdbool.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/utf8.h"
#include "formats/format.h"

enum {
    HEADER_MAX = 64 * 1024,
    ITEM_MAX = 1 << 28, /* bytes of one string */
};

static const char magic[6] = { '\x93', 'N', 'U', 'M', 'P', 'Y' };

/* What a header says. */
typedef struct header {
    md_dtype dtype;
    char kind;   /* of descr: b i u f c S U */
    bool swap;   /* big endian */
    size_t item; /* bytes of one element */
    size_t word; /* bytes that are swapped together */
    bool fortran;
    md_shape shape;
} header;

/* The text of the dictionary. */
typedef struct text {
    const char *p, *end;
} text;

static void skip_blanks(text *t)
{
    while (t->p < t->end && *t->p == ' ')
        t->p++;
}

/* Take c, blanks before it allowed. */
static bool take(text *t, char c)
{
    skip_blanks(t);
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool take_word(text *t, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(t);
    if ((size_t)(t->end - t->p) < n || memcmp(t->p, word, n) != 0)
        return false;
    t->p += n;
    return true;
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* Shows what is there up to the first byte that has no place in a message. */
static md_status fail_header(const text *t, const char *want, md_error *err)
{
    int n = 0;

    while (n < 20 && t->p + n < t->end && is_printable(t->p[n]))
        n++;
    return md_fail(err, MD_CORRUPT, "npy header: '%.*s' where %s is expected",
                   n, t->p, want);
}

/* A string in quotes without escapes. */
static md_status take_string(text *out, text *t, md_error *err)
{
    char quote;

    skip_blanks(t);
    if (t->p == t->end || (*t->p != '\'' && *t->p != '"'))
        return fail_header(t, "a string", err);
    quote = *t->p++;
    out->p = t->p;
    while (t->p < t->end && *t->p != quote && *t->p != '\\' &&
           is_printable(*t->p))
        t->p++;
    if (t->p == t->end || *t->p != quote)
        return fail_header(t, "the end of a string", err);
    out->end = t->p++;
    return MD_OK;
}

/* A number without sign; at most `max`. */
static md_status take_number(int64_t *out, text *t, int64_t max, md_error *err)
{
    int64_t v = 0;
    const char *from = t->p;

    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        if (!md_mul_i64(&v, v, 10) || !md_add_i64(&v, v, *t->p - '0') ||
            v > max)
            return md_fail(err, MD_TOO_LARGE,
                           "npy header: number larger than %lld",
                           (long long)max);
    }
    if (t->p == from)
        return fail_header(t, "a number", err);
    *out = v;
    return MD_OK;
}

static md_status take_shape(md_shape *shape, text *t, md_error *err)
{
    shape->rank = 0;
    if (!take(t, '('))
        return fail_header(t, "a shape", err);
    while (!take(t, ')')) {
        if (shape->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED,
                           "npy header: rank larger than %d", MD_RANK_MAX);
        skip_blanks(t);
        MD_TRY(take_number(&shape->dim[shape->rank++], t, INT64_MAX, err));
        if (t->p < t->end && *t->p == 'L') /* a long of Python 2 */
            t->p++;
        if (!take(t, ',') && (t->p == t->end || *t->p != ')'))
            return fail_header(t, "',' or ')'", err);
    }
    return MD_OK;
}

/* The types of NumPy that have a place here. */
static const struct {
    char kind;
    unsigned char size;
    md_dtype dtype;
} types[] = {
    { 'b', 1, MD_DTYPE_BOOL }, { 'i', 1, MD_DTYPE_I8 },
    { 'i', 2, MD_DTYPE_I16 },  { 'i', 4, MD_DTYPE_I32 },
    { 'i', 8, MD_DTYPE_I64 },  { 'u', 1, MD_DTYPE_U8 },
    { 'u', 2, MD_DTYPE_U16 },  { 'u', 4, MD_DTYPE_U32 },
    { 'u', 8, MD_DTYPE_U64 },  { 'f', 2, MD_DTYPE_F16 },
    { 'f', 4, MD_DTYPE_F32 },  { 'f', 8, MD_DTYPE_F64 },
    { 'c', 8, MD_DTYPE_C64 },  { 'c', 16, MD_DTYPE_C128 },
};

static md_status find_type(header *h, int64_t size, text descr, md_error *err)
{
    bool is_text = h->kind == 'S' || h->kind == 'U';

    h->item = (size_t)size;
    h->word = h->kind == 'c' ? h->item / 2 : h->item;
    if (is_text) {
        h->dtype = MD_DTYPE_STRING;
        h->item = h->kind == 'U' ? h->item * 4 : h->item;
        h->word = h->kind == 'U' ? 4 : 1;
        return MD_OK;
    }
    for (size_t i = 0; i < MD_COUNT(types); i++) {
        if (types[i].kind == h->kind && types[i].size == size) {
            h->dtype = types[i].dtype;
            return MD_OK;
        }
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "npy header: type '%.*s' is not a number, bool or string",
                   (int)(descr.end - descr.p), descr.p);
}

static bool is_order(char c)
{
    return c == '<' || c == '>' || c == '|' || c == '=';
}

/* "<f4": byte order, kind, size. */
static md_status take_descr(header *h, text *t, md_error *err)
{
    text d = { NULL, NULL };
    text whole;
    int64_t size = 0;

    skip_blanks(t);
    if (t->p < t->end && *t->p == '[')
        return md_fail(err, MD_UNSUPPORTED, "npy header: records");
    MD_TRY(take_string(&d, t, err));
    whole = d;
    if (d.end - d.p < 2 || d.end - d.p > 16 || !is_order(*d.p))
        return fail_header(&d, "a type", err);
    h->swap = *d.p == '>';
    h->kind = d.p[1];
    d.p += 2;
    if (d.p < d.end)
        MD_TRY(take_number(&size, &d, ITEM_MAX, err));
    if (d.p < d.end)
        return md_fail(err, MD_UNSUPPORTED,
                       "npy header: type '%.*s' is not a number, bool or "
                       "string",
                       (int)(whole.end - whole.p), whole.p);
    return find_type(h, size, whole, err);
}

static bool text_is(text t, const char *s)
{
    size_t n = strlen(s);

    return (size_t)(t.end - t.p) == n && memcmp(t.p, s, n) == 0;
}

static md_status take_item(header *h, unsigned *seen, text *t, md_error *err)
{
    unsigned bit;
    text key;

    MD_TRY(take_string(&key, t, err));
    if (!take(t, ':'))
        return fail_header(t, "':'", err);
    if (text_is(key, "descr")) {
        bit = 1;
        MD_TRY(take_descr(h, t, err));
    } else if (text_is(key, "fortran_order")) {
        bit = 2;
        h->fortran = take_word(t, "True");
        if (!h->fortran && !take_word(t, "False"))
            return fail_header(t, "True or False", err);
    } else if (text_is(key, "shape")) {
        bit = 4;
        MD_TRY(take_shape(&h->shape, t, err));
    } else {
        return fail_header(&key, "descr, fortran_order or shape", err);
    }
    if (*seen & bit)
        return fail_header(&key, "another key", err);
    *seen |= bit;
    return MD_OK;
}

static md_status parse_dict(header *h, text t, md_error *err)
{
    unsigned seen = 0;

    if (!take(&t, '{'))
        return fail_header(&t, "'{'", err);
    while (!take(&t, '}')) {
        MD_TRY(take_item(h, &seen, &t, err));
        if (!take(&t, ',') && (t.p == t.end || *t.p != '}'))
            return fail_header(&t, "',' or '}'", err);
    }
    skip_blanks(&t);
    if (t.p < t.end && *t.p == '\n')
        t.p++;
    if (t.p != t.end)
        return fail_header(&t, "the end", err);
    if (seen != 7)
        return md_fail(err, MD_CORRUPT,
                       "npy header lacks descr, fortran_order or shape");
    return MD_OK;
}

/* Find and parse the header; *at is where the data begins. */
static md_status read_header(header *h, size_t *at, const unsigned char *p,
                             size_t size, md_error *err)
{
    size_t prefix;
    size_t n;

    if (size < 10 || memcmp(p, magic, sizeof(magic)) != 0)
        return md_fail(err, MD_CORRUPT, "not an npy file: magic missing");
    if (p[6] < 1 || p[6] > 3 || p[7] != 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "npy version %u.%u given, 1.0 to 3.0 expected", p[6],
                       p[7]);
    prefix = p[6] == 1 ? 10 : 12;
    n = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1 && size >= prefix)
        n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (size < prefix || n > size - prefix)
        return md_fail(err, MD_CORRUPT,
                       "npy header of %zu bytes in a file of %zu", n, size);
    if (n > HEADER_MAX)
        return md_fail(err, MD_TOO_LARGE, "npy header of %zu bytes, limit %d",
                       n, HEADER_MAX);
    *at = prefix + n;
    return parse_dict(
        h, (text){ (const char *)p + prefix, (const char *)p + *at }, err);
}

static md_status check_size(int64_t *n, const header *h, size_t given,
                            md_error *err)
{
    char shape[MD_SHAPE_TEXT];
    size_t need;

    MD_TRY(md_shape_count(n, &h->shape, err));
    if (h->item == 0 && *n > 0)
        return md_fail(err, MD_CORRUPT, "npy elements of no bytes");
    if (!md_mul_size(&need, (size_t)*n, h->item) || need != given)
        return md_fail(err, MD_CORRUPT,
                       "npy data of %zu bytes given, %lld elements of %zu "
                       "expected for %s %s",
                       given, (long long)*n, h->item, md_dtype_name(h->dtype),
                       md_shape_format(shape, sizeof(shape), &h->shape));
    return MD_OK;
}

/* Walks the elements in row-major order; gives where each lies in the file. */
typedef struct walk {
    int64_t index[MD_RANK_MAX];
    int64_t stride[MD_RANK_MAX]; /* in elements, of the file */
    const md_shape *shape;
    int64_t at;
} walk;

static walk walk_init(const header *h)
{
    walk w = { .shape = &h->shape };
    int64_t n = 1;

    if (!h->fortran) {
        md_shape_strides(w.stride, &h->shape);
        return w;
    }
    for (int d = 0; d < h->shape.rank; d++) {
        w.stride[d] = n;
        n *= h->shape.dim[d];
    }
    return w;
}

static void walk_next(walk *w)
{
    for (int d = w->shape->rank; d-- > 0;) {
        w->at += w->stride[d];
        if (++w->index[d] < w->shape->dim[d])
            return;
        w->at -= w->stride[d] * w->index[d];
        w->index[d] = 0;
    }
}

static void copy_item(unsigned char *to, const unsigned char *from,
                      const header *h)
{
    if (!h->swap) {
        memcpy(to, from, h->item);
        return;
    }
    for (size_t i = 0; i < h->item; i++)
        to[i] = from[i - i % h->word + (h->word - 1 - i % h->word)];
}

static md_status read_numbers(md_tensor *out, const header *h, int64_t n,
                              const unsigned char *data, const md_alloc *alloc,
                              md_error *err)
{
    walk w = walk_init(h);
    unsigned char *to;

    MD_TRY(md_tensor_alloc(out, h->dtype, &h->shape, alloc, err));
    to = out->data;
    if (!h->fortran && !h->swap && n > 0) {
        memcpy(to, data, (size_t)n * h->item);
    } else {
        for (int64_t i = 0; i < n; i++, to += h->item) {
            copy_item(to, data + (size_t)w.at * h->item, h);
            walk_next(&w);
        }
    }
    if (h->dtype == MD_DTYPE_BOOL) {
        to = out->data;
        for (int64_t i = 0; i < n; i++)
            to[i] = to[i] != 0;
    }
    return MD_OK;
}

/* The element's UTF-8 into `to` (NULL: only its length into *n). */
static md_status convert_text(char *to, size_t *n, const unsigned char *from,
                              const header *h, md_error *err)
{
    size_t units = h->item / h->word;

    *n = 0;
    while (units > 0 && h->word == 1 && from[units - 1] == 0)
        units--;
    if (h->word == 1) {
        if (to && units)
            memcpy(to, from, units);
        *n = units;
        return MD_OK;
    }
    while (units > 0 && memcmp(from + 4 * (units - 1), "\0\0\0", 4) == 0)
        units--;
    for (size_t i = 0; i < units; i++) {
        const unsigned char *p = from + 4 * i;
        uint32_t code = h->swap ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
                                      (uint32_t)p[2] << 8 | p[3]
                                : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 |
                                      (uint32_t)p[1] << 8 | p[0];
        char bytes[4];
        size_t k;

        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return md_fail(err, MD_CORRUPT,
                           "npy string holds 0x%x, which is no character",
                           (unsigned)code);
        k = md_utf8_put(bytes, code);
        if (to)
            memcpy(to + *n, bytes, k);
        *n += k;
    }
    return MD_OK;
}

static md_status read_strings(md_tensor *out, const header *h, int64_t n,
                              const unsigned char *data, const md_alloc *alloc,
                              md_error *err)
{
    size_t total = (size_t)n * sizeof(md_str);
    walk w = walk_init(h);
    md_str *items;
    char *to;
    size_t k;

    *out = (md_tensor){ .dtype = MD_DTYPE_STRING, .shape = h->shape };
    if (n == 0)
        return MD_OK;
    for (int64_t i = 0; i < n; i++) {
        MD_TRY(convert_text(NULL, &k, data + (size_t)i * h->item, h, err));
        total += k;
    }
    items = md_malloc_aligned(alloc, total);
    if (!items)
        return md_fail_nomem(err, total);
    to = (char *)(items + n);
    for (int64_t i = 0; i < n; i++) {
        /* Cannot fail: the first pass saw every element. */
        (void)convert_text(to, &k, data + (size_t)w.at * h->item, h, NULL);
        items[i] = (md_str){ to, k };
        to += k;
        walk_next(&w);
    }
    out->data = items;
    out->owner = alloc;
    return MD_OK;
}

md_status md_npy_parse(md_tensor *out, const void *bytes, size_t size,
                       const md_alloc *alloc, md_error *err)
{
    const unsigned char *p = bytes;
    header h = { .dtype = MD_DTYPE_NONE };
    size_t at = 0;
    int64_t n = 0;

    MD_TRY(read_header(&h, &at, p, size, err));
    MD_TRY(check_size(&n, &h, size - at, err));
    if (h.dtype == MD_DTYPE_STRING)
        return read_strings(out, &h, n, p + at, alloc, err);
    return read_numbers(out, &h, n, p + at, alloc, err);
}

/* Truth values may be other bytes than 0 and 1. */
static bool is_as_in_memory(const header *h, const unsigned char *data)
{
    const md_tensor t = { .dtype = h->dtype,
                          .shape = h->shape,
                          .data = (void *)(uintptr_t)data };

    return h->dtype != MD_DTYPE_STRING && h->dtype != MD_DTYPE_BOOL &&
           !h->fortran && (!h->swap || h->word == 1) &&
           md_tensor_is_aligned(&t);
}

md_status md_npy_view(md_tensor *out, const void *bytes, size_t size,
                      const md_alloc *alloc, md_error *err)
{
    const unsigned char *p = bytes;
    header h = { .dtype = MD_DTYPE_NONE };
    size_t at = 0;
    int64_t n = 0;

    MD_TRY(read_header(&h, &at, p, size, err));
    MD_TRY(check_size(&n, &h, size - at, err));
    if (n == 0 || !is_as_in_memory(&h, p + at))
        return md_npy_parse(out, bytes, size, alloc, err);
    *out = (md_tensor){ .dtype = h.dtype,
                        .shape = h.shape,
                        .data = (void *)(uintptr_t)(p + at) };
    return MD_OK;
}

md_status md_npy_load(md_tensor *out, const char *path, const md_alloc *alloc,
                      md_error *err)
{
    md_map map;
    md_status s;

    MD_TRY(md_map_open(&map, path, err));
    s = md_npy_parse(out, map.data, map.size, alloc, err);
    md_map_release(&map);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}

static bool probe(const void *bytes, size_t size)
{
    return size >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0;
}

const md_format md_format_npy = {
    .name = "npy",
    .title = "NumPy array",
    .ending = ".npy",
    .probe = probe,
    .load_tensor = md_npy_load,
};
