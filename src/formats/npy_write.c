/* Writing NPY, version 1.0. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "base/utf8.h"
#include "formats/npy.h"

enum {
    ALIGN = 64 /* of the data, as NumPy writes it */
};

static md_status write_header(md_buf *out, const md_shape *shape,
                              const char *descr, md_error *err)
{
    size_t from = out->size;
    size_t n;

    MD_TRY(md_buf_append(out, "\x93NUMPY\x01\x00\x00\x00", 10, err));
    MD_TRY(md_buf_printf(
        out, err, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr));
    for (int d = 0; d < shape->rank; d++)
        MD_TRY(md_buf_printf(out, err, "%s%lld", d ? ", " : "",
                             (long long)shape->dim[d]));
    MD_TRY(md_buf_puts(out, shape->rank == 1 ? ",), }" : "), }", err));
    while ((out->size - from + 1) % ALIGN != 0)
        MD_TRY(md_buf_putc(out, ' ', err));
    MD_TRY(md_buf_putc(out, '\n', err));
    n = out->size - from - 10;
    out->data[from + 8] = (unsigned char)n;
    out->data[from + 9] = (unsigned char)(n >> 8);
    return MD_OK;
}

/* The valid character of n bytes at p. */
static uint32_t decode(const unsigned char *p, size_t n)
{
    uint32_t v = n == 1 ? p[0] : p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        v = v << 6 | (p[i] & 0x3fu);
    return v;
}

/* Characters of the longest string; at least 1, as in NumPy. */
static md_status longest(size_t *out, const md_tensor *t, md_error *err)
{
    const md_str *s = t->data;

    *out = 1;
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        size_t chars = 0;

        for (size_t at = 0, k; at < s[i].n; at += k, chars++) {
            k = md_utf8_next((const unsigned char *)s[i].p + at, s[i].n - at);
            if (k == 0)
                return md_fail(err, MD_UNSUPPORTED,
                               "string %lld is not UTF-8 text", (long long)i);
        }
        if (chars > *out)
            *out = chars;
    }
    return MD_OK;
}

static md_status write_strings(md_buf *out, const md_tensor *t, md_error *err)
{
    const md_str *s = t->data;
    char descr[32];
    size_t width = 0;
    size_t total;

    MD_TRY(longest(&width, t, err));
    snprintf(descr, sizeof(descr), "<U%zu", width);
    MD_TRY(write_header(out, &t->shape, descr, err));
    if (!md_mul_size(&total, width * 4, (size_t)md_tensor_n(t)))
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_buf_reserve(out, total, err));
    memset(out->data + out->size, 0, total);
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        unsigned char *to = out->data + out->size + (size_t)i * width * 4;

        for (size_t at = 0; at < s[i].n; to += 4) {
            const unsigned char *p = (const unsigned char *)s[i].p + at;
            size_t n = md_utf8_next(p, s[i].n - at);
            uint32_t code = decode(p, n);

            for (unsigned k = 0; k < 4; k++)
                to[k] = (unsigned char)(code >> (8 * k));
            at += n;
        }
    }
    out->size += total;
    return MD_OK;
}

/* One byte for each element of a packed type. */
static md_status write_unpacked(md_buf *out, const md_tensor *t, md_error *err)
{
    const unsigned char *p = t->data;
    unsigned bits = md_dtype_bits(t->dtype);
    unsigned per = 8 / bits;
    size_t n = (size_t)md_tensor_n(t);

    MD_TRY(md_buf_reserve(out, n, err));
    for (size_t i = 0; i < n; i++)
        out->data[out->size + i] =
            (unsigned char)((unsigned)p[i / per] >> (i % per * bits) &
                            ((1u << bits) - 1));
    out->size += n;
    return MD_OK;
}

md_status md_npy_write(const md_tensor *t, md_buf *out, md_error *err)
{
    if (t->dtype == MD_DTYPE_STRING)
        return write_strings(out, t, err);
    MD_TRY(write_header(out, &t->shape, md_dtype_npy(t->dtype), err));
    if (md_dtype_bits(t->dtype) < 8)
        return write_unpacked(out, t, err);
    return md_buf_append(out, t->data, md_tensor_size(t), err);
}

md_status md_npy_save(const md_tensor *t, const char *path, md_error *err)
{
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, md_alloc_default(), SIZE_MAX / 2);
    MD_GOTO(md_npy_write(t, &bytes, err));
    MD_GOTO(md_file_write_atomic(path, bytes.data, bytes.size, err));
out:
    md_buf_release(&bytes);
    return s;
}
