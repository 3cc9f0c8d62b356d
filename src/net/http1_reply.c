#include "net/http1_reply.h"

#include <stdio.h>
#include <string.h>

const char *md_http_reason(int status)
{
    switch (status) {
#define REASON(code, phrase)                                                   \
    case code:                                                                 \
        return phrase;
#include "net/http_reason.def"
#undef REASON
    default:
        return "Unknown";
    }
}

void md_http_date_format(char out[MD_HTTP_DATE_SIZE], int64_t unix_time)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01: Thu */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const int64_t last = 253402300799; /* 9999-12-31 23:59:59 */
    int64_t t = unix_time < 0 ? 0 : unix_time > last ? last : unix_time;
    unsigned day = (unsigned)(t / 86400);
    unsigned sec = (unsigned)(t % 86400);
    /* Civil date from a day count: shift to 0000-03-01, so that the leap day
     * ends the year, then take 400-year eras of 146097 days apart. */
    unsigned z = day + 719468;
    unsigned era = z / 146097;
    unsigned doe = z % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153; /* March is 0 */
    unsigned month = mp < 10 ? mp + 2 : mp - 10;
    unsigned year = yoe + era * 400 + (month < 2);
    unsigned mday = doy - (153 * mp + 2) / 5 + 1;

    (void)snprintf(out, MD_HTTP_DATE_SIZE,
                   "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                   days + (size_t)(3 * (day % 7)), mday % 100,
                   months + (size_t)(3 * (month % 12)), year % 10000,
                   sec / 3600, sec / 60 % 60, sec % 60);
}

static bool is_name(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
            !(*p >= '0' && *p <= '9') && *p != '-' && *p != '_')
            return false;
    return *s != '\0';
}

static bool is_value(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
    return true;
}

/* "name: value\r\n", all of it or nothing.  printf would take longer than all
 * the rest of a small answer. */
static md_status put_field(md_buf *out, const char *name, const char *value,
                           md_error *err)
{
    const size_t n_name = strlen(name);
    const size_t n_value = strlen(value);

    MD_TRY(md_buf_reserve(out, n_name + n_value + 4, err));
    (void)md_buf_append(out, name, n_name, NULL);
    (void)md_buf_append(out, ": ", 2, NULL);
    (void)md_buf_append(out, value, n_value, NULL);
    return md_buf_append(out, "\r\n", 2, NULL);
}

md_status md_http1_field_write(md_buf *out, const char *name, const char *value,
                               md_error *err)
{
    if (!is_name(name) || !is_value(value))
        return md_fail(err, MD_INVALID,
                       "response field '%.64s' has an invalid character", name);
    return put_field(out, name, value, err);
}

static const char *connection_line(const md_http1_reply *r)
{
    if (!r->keep_alive)
        return "Connection: close\r\n";
    return r->minor == 0 ? "Connection: keep-alive\r\n" : "";
}

md_status md_http1_reply_write(md_buf *out, const md_http1_reply *r,
                               md_error *err)
{
    if (r->status == 200)
        MD_TRY(md_buf_puts(out, "HTTP/1.1 200 OK\r\n", err));
    else
        MD_TRY(md_buf_printf(out, err, "HTTP/1.1 %d %s\r\n", r->status,
                             md_http_reason(r->status)));
    if (r->date)
        MD_TRY(put_field(out, "Date", r->date, err));
    /* RFC 9110 8.6: these carry no content, so no length either. */
    if (r->status != 204 && r->status != 304)
        MD_TRY(md_buf_printf(out, err, "Content-Length: %zu\r\n",
                             r->content_size));
    MD_TRY(md_buf_puts(out, connection_line(r), err));
    MD_TRY(md_buf_append(out, r->fields.data, r->fields.size, err));
    return md_buf_puts(out, "\r\n", err);
}
