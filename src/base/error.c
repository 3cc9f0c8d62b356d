#define MD_ERROR_IMPL /* defines what the analyser sees as macros */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const struct {
    const char *name;
    const char *text;
    int http;
    int grpc;
} info[] = {
#define X(name, value, http, grpc, text) [value] = { #name, text, http, grpc },
#include "base/status.def"
#undef X
};

/* A status out of range can only come from a bug; show it as internal. */
static md_status known(md_status s)
{
    return (unsigned)s < MD_COUNT(info) ? s : MD_INTERNAL;
}

const char *md_status_text(md_status s)
{
    return info[known(s)].text;
}

const char *md_status_name(md_status s)
{
    return info[known(s)].name;
}

int md_status_http(md_status s)
{
    return info[known(s)].http;
}

int md_status_grpc(md_status s)
{
    return info[known(s)].grpc;
}

/* Names from files and requests get into messages, and messages to terminals
 * and pages: leave one line of UTF-8 that nobody obeys. */
static void make_plain(char *msg)
{
    unsigned char *p = (unsigned char *)msg;
    size_t left = strlen(msg);

    while (left > 0) {
        size_t n = md_utf8_next(p, left);
        bool is_c1 = n == 2 && p[0] == 0xc2 && p[1] < 0xa0;

        if (n == 0 || *p < 0x20 || *p == 0x7f || is_c1) {
            n = n ? n : 1;
            memset(p, '?', n);
        }
        p += n;
        left -= n;
    }
}

md_status md_fail(md_error *err, md_status s, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return s;
    err->status = s;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    make_plain(err->msg);
    return s;
}

md_status md_fail_nomem(md_error *err, unsigned long long size)
{
    return md_fail(err, MD_NOMEM, "out of memory: %llu bytes wanted", size);
}

md_status md_wrap(md_error *err, md_status s, const char *fmt, ...)
{
    char inner[MD_ERROR_MSG_SIZE];
    va_list ap;
    int n;

    if (!err)
        return s;
    memcpy(inner, err->msg, sizeof(inner));
    err->status = s;
    va_start(ap, fmt);
    n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->msg))
        snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, "%s", inner);
    make_plain(err->msg);
    return s;
}
