#define MD_ERROR_IMPL /* defines what the analyser sees as macros */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

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

md_status md_fail(md_error *err, md_status s, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return s;
    err->status = s;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    md_text_plain(err->msg, strlen(err->msg));
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
    md_text_plain(err->msg, strlen(err->msg));
    return s;
}
