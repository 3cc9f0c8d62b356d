#include "net/url.h"

#include <assert.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One character at s[*i], decoded; -1 on a bad escape or NUL. */
static int take_char(md_slice s, size_t *i)
{
    int hi;
    int lo;

    if (s.data[*i] != '%')
        return (unsigned char)s.data[(*i)++];
    if (s.size - *i < 3)
        return -1;
    hi = hex_value(s.data[*i + 1]);
    lo = hex_value(s.data[*i + 2]);
    *i += 3;
    if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
        return -1;
    return hi * 16 + lo;
}

bool md_url_decode(char *out, size_t size, md_slice s, size_t *decoded_size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.size;) {
        int c = take_char(s, &i);

        if (c < 0 || n + 1 >= size)
            return false;
        out[n++] = (char)c;
    }
    if (n >= size)
        return false;
    out[n] = '\0';
    *decoded_size = n;
    return true;
}

/* The segment of s up to the next '/', taken off s together with it. */
static md_slice take_segment(md_slice *s)
{
    const char *slash = s->size ? memchr(s->data, '/', s->size) : NULL;
    md_slice seg = *s;

    if (slash) {
        seg.size = (size_t)(slash - s->data);
        s->data = slash + 1;
        s->size -= seg.size + 1;
    } else {
        s->data = NULL;
        s->size = 0;
    }
    return seg;
}

/* want: one segment of the template; got: decoded, at the end of the store. */
static bool match_segment(md_slice want, md_slice got, md_url_params *out)
{
    const char *close;
    md_slice tail;
    md_url_param *p;

    if (want.size == 0 || want.data[0] != '{')
        return want.size == got.size &&
               (want.size == 0 || memcmp(want.data, got.data, got.size) == 0);
    close = memchr(want.data, '}', want.size);
    assert(close && out->n < MD_URL_PARAMS_MAX);
    tail.data = close + 1;
    tail.size = want.size - (size_t)(tail.data - want.data);
    if (got.size <= tail.size)
        return false;
    got.size -= tail.size;
    if (tail.size && memcmp(got.data + got.size, tail.data, tail.size) != 0)
        return false;
    p = &out->at[out->n++];
    p->name.data = want.data + 1;
    p->name.size = (size_t)(close - p->name.data);
    p->value = got;
    out->store[out->used + got.size] = '\0';
    out->used += got.size + 1;
    return true;
}

bool md_url_match(const char *template, md_slice path, md_url_params *out)
{
    md_slice want = md_slice_of(template);

    out->n = 0;
    out->used = 0;
    while (want.data && path.data) {
        md_slice seg = take_segment(&path);
        md_slice got = { out->store + out->used, 0 };

        if (!md_url_decode(out->store + out->used,
                           MD_URL_STORE_SIZE - out->used, seg, &got.size) ||
            !match_segment(take_segment(&want), got, out))
            return false;
    }
    return !want.data && !path.data;
}

const char *md_url_param_get(const md_url_params *params, const char *name)
{
    for (uint32_t i = 0; i < params->n; i++)
        if (md_slice_eq(params->at[i].name, name))
            return params->at[i].value.data;
    return NULL;
}
