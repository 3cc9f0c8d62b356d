#include "base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/num.h"
#include "base/text.h"
#include "base/utf8.h"

enum {
    N_RULES_MAX = 16,
    TAG_SIZE = 32,
    VALUE_SIZE_MAX = 1024, /* of one value, escaped */
    TAIL_SIZE = 24         /* kept free for " truncated=true" and the end */
};

typedef struct rule {
    char tag[TAG_SIZE];
    md_log_level level;
} rule;

typedef struct rules {
    unsigned on, off; /* bits of levels that are switched */
    md_log_level otherwise;
    md_log_level most; /* the most talkative of all */
    int n;
    rule row[N_RULES_MAX];
} rules;

/* The log belongs to the process: one lock, one set of rules, one sink. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rules present = { .otherwise = MD_LOG_INFO, .most = MD_LOG_INFO };
static _Atomic int most = MD_LOG_INFO; /* present.most, read without lock */
static _Atomic int line_format = MD_LOG_TEXT;
static _Atomic int line_style = MD_LOG_AS_SET;
static md_log_sink *line_sink;
static void *sink_ctx;

static const char *const level_names[] = {
    [MD_LOG_ERROR] = "error",
    [MD_LOG_WARN] = "warn",
    [MD_LOG_INFO] = "info",
    [MD_LOG_DEBUG] = "debug",
};

md_log_field md_log_strn(const char *key, const char *s, size_t n)
{
    return (md_log_field){ key, MD_LOG__STR, s ? n : 0, { .s = s } };
}

md_log_field md_log_str(const char *key, const char *s)
{
    return md_log_strn(key, s, s ? strlen(s) : 0);
}

md_log_field md_log_int(const char *key, int64_t x)
{
    return (md_log_field){ key, MD_LOG__INT, 0, { .i = x } };
}

md_log_field md_log_uint(const char *key, uint64_t x)
{
    return (md_log_field){ key, MD_LOG__UINT, 0, { .u = x } };
}

md_log_field md_log_float(const char *key, double x)
{
    return (md_log_field){ key, MD_LOG__FLOAT, 0, { .f = x } };
}

md_log_field md_log_bool(const char *key, bool x)
{
    return (md_log_field){ key, MD_LOG__BOOL, 0, { .i = x } };
}

md_log_field md_log_error(const md_error *err)
{
    return md_log_str("error",
                      err->msg[0] ? err->msg : md_status_text(err->status));
}

md_log_field md_log_end(void)
{
    return (md_log_field){ .kind = MD_LOG__END };
}

/* ---- levels ---- */

/* Whether `tag` is name or continues it behind a dot. */
static bool covers(const char *name, const char *tag)
{
    size_t n = strlen(name);

    return strncmp(name, tag, n) == 0 && (tag[n] == '\0' || tag[n] == '.');
}

static md_log_level level_of(const rules *r, const char *tag)
{
    md_log_level level = r->otherwise;
    size_t longest = 0;

    for (int i = 0; i < r->n; i++) {
        size_t n = strlen(r->row[i].tag);

        if (n >= longest && covers(r->row[i].tag, tag)) {
            longest = n;
            level = r->row[i].level;
        }
    }
    return level;
}

/* Is a level written where the rules say `highest`? */
static bool is_on(const rules *r, md_log_level level, md_log_level highest)
{
    const unsigned bit = 1U << level;

    return (r->on & bit) || (level <= highest && !(r->off & bit));
}

bool md_log_enabled(md_log_level level, const char *tag)
{
    bool enabled;

    if ((int)level > atomic_load_explicit(&most, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&lock);
    enabled = is_on(&present, level, level_of(&present, tag));
    pthread_mutex_unlock(&lock);
    return enabled;
}

static bool parse_level(md_log_level *out, const char *p, size_t n)
{
    for (size_t i = 0; i < MD_COUNT(level_names); i++) {
        if (strlen(level_names[i]) == n && memcmp(level_names[i], p, n) == 0) {
            *out = (md_log_level)i;
            return true;
        }
    }
    return false;
}

/* "level" or "tag=level", n bytes. */
static md_status parse_rule(rules *r, const char *p, size_t n, md_error *err)
{
    const char *equals = memchr(p, '=', n);
    size_t n_tag = equals ? (size_t)(equals - p) : 0;
    const char *name = equals ? equals + 1 : p;
    size_t n_name = n - (size_t)(name - p);
    md_log_level level;

    if (!parse_level(&level, name, n_name))
        return md_fail(err, MD_INVALID,
                       "log level '%.*s' is unknown, expected error, warn, "
                       "info or debug",
                       (int)(n_name < 40 ? n_name : 40), name);
    if (level > r->most)
        r->most = level;
    if (!equals) {
        r->otherwise = level;
        return MD_OK;
    }
    if (n_tag == 0 || n_tag >= TAG_SIZE || r->n == N_RULES_MAX)
        return md_fail(err, MD_INVALID,
                       "log level for '%.*s': expected at most %d tags of 1 "
                       "to %d bytes",
                       (int)(n_tag < 40 ? n_tag : 40), p, N_RULES_MAX,
                       TAG_SIZE - 1);
    memcpy(r->row[r->n].tag, p, n_tag);
    r->row[r->n].tag[n_tag] = '\0';
    r->row[r->n++].level = level;
    return MD_OK;
}

md_status md_log_set_levels(const char *spec, md_error *err)
{
    rules r = { .otherwise = MD_LOG_INFO, .most = MD_LOG_ERROR };

    for (const char *p = spec;;) {
        size_t n = strcspn(p, ",");

        MD_TRY(parse_rule(&r, p, n, err));
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    if (r.otherwise > r.most)
        r.most = r.otherwise;
    pthread_mutex_lock(&lock);
    present = r;
    atomic_store(&most, (int)r.most);
    pthread_mutex_unlock(&lock);
    return MD_OK;
}

void md_log_set_format(md_log_format format)
{
    atomic_store(&line_format, (int)format);
    atomic_store(&line_style, MD_LOG_AS_SET);
}

void md_log_switch(md_log_level level, bool on)
{
    const unsigned bit = 1U << level;

    pthread_mutex_lock(&lock);
    present.on = on ? present.on | bit : present.on & ~bit;
    present.off = on ? present.off & ~bit : present.off | bit;
    if (on && level > present.most)
        present.most = level;
    atomic_store(&most, (int)present.most);
    pthread_mutex_unlock(&lock);
}

bool md_log_is_on(md_log_level level)
{
    bool on;

    pthread_mutex_lock(&lock);
    on = is_on(&present, level, present.otherwise);
    pthread_mutex_unlock(&lock);
    return on;
}

void md_log_set_style(md_log_style style)
{
    atomic_store(&line_style, (int)style);
}

md_log_style md_log_style_now(void)
{
    return (md_log_style)atomic_load(&line_style);
}

static bool is_json(void)
{
    const md_log_style style = md_log_style_now();

    return style == MD_LOG_AS_SET ? atomic_load(&line_format) == MD_LOG_JSON
                                  : style == MD_LOG_AS_JSON;
}

void md_log_set_sink(md_log_sink *sink, void *ctx)
{
    pthread_mutex_lock(&lock);
    line_sink = sink;
    sink_ctx = ctx;
    pthread_mutex_unlock(&lock);
}

/* ---- a line ---- */

typedef struct line {
    char text[MD_LIMIT_LOG_LINE];
    size_t n;
    size_t limit; /* n never exceeds it */
    bool full;    /* something did not fit */
    bool json;
} line;

static void put(line *l, const char *s, size_t n)
{
    if (l->full || n > l->limit - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->n, s, n);
    l->n += n;
}

static void puts_line(line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* U+0080 to U+009F: terminals obey some of them as they do ESC. */
static bool is_c1(const char *s, size_t n)
{
    return n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0;
}

/* One character of n bytes, escaped as JSON has it in both formats; n is 0
 * for a byte that is not UTF-8. */
static void put_char(line *l, const char *s, size_t n)
{
    unsigned char c = (unsigned char)*s;
    char hex[8];

    if (n == 0) {
        puts_line(l, "\xef\xbf\xbd");
    } else if (c == '"' || c == '\\') {
        char escaped[2] = { '\\', (char)c };

        put(l, escaped, 2);
    } else if (c == '\n') {
        puts_line(l, "\\n");
    } else if (c < 0x20 || c == 0x7f || is_c1(s, n)) {
        snprintf(hex, sizeof(hex), "\\u%04x", n == 2 ? (unsigned char)s[1] : c);
        puts_line(l, hex);
    } else {
        put(l, s, n);
    }
}

static void put_quoted(line *l, const char *s, size_t size)
{
    size_t from = l->n;

    puts_line(l, "\"");
    for (size_t at = 0; at < size;) {
        size_t n = md_utf8_next((const unsigned char *)s + at, size - at);

        if (l->n - from > VALUE_SIZE_MAX) {
            puts_line(l, "...");
            break;
        }
        put_char(l, s + at, n);
        at += n ? n : 1;
    }
    puts_line(l, "\"");
}

/* A word that needs no quotes in key=value. */
static bool is_plain(const char *s, size_t n)
{
    if (n == 0 || n > VALUE_SIZE_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~' || strchr("\"\\=", s[i]))
            return false;
    }
    return true;
}

static void put_str(line *l, const char *s, size_t n)
{
    if (!l->json && is_plain(s, n))
        put(l, s, n);
    else
        put_quoted(l, s, n);
}

static void put_float(line *l, double x)
{
    char text[MD_NUM_SIZE];

    if (isfinite(x)) {
        md_num_put_f64(text, x);
        puts_line(l, text);
    } else {
        put_str(l,
                isnan(x) ? "NaN"
                : x > 0  ? "Inf"
                         : "-Inf",
                isnan(x) || x > 0 ? 3 : 4);
    }
}

static void put_value(line *l, const md_log_field *f)
{
    char number[24];

    switch (f->kind) {
    case MD_LOG__END:
        break;
    case MD_LOG__STR:
        put_str(l, f->v.s ? f->v.s : "", f->size);
        break;
    case MD_LOG__INT:
        snprintf(number, sizeof(number), "%lld", (long long)f->v.i);
        puts_line(l, number);
        break;
    case MD_LOG__UINT:
        snprintf(number, sizeof(number), "%llu", (unsigned long long)f->v.u);
        puts_line(l, number);
        break;
    case MD_LOG__FLOAT:
        put_float(l, f->v.f);
        break;
    case MD_LOG__BOOL:
        puts_line(l, f->v.i ? "true" : "false");
        break;
    }
}

/* A field as a whole, or nothing of it. */
static void put_field(line *l, const md_log_field *f)
{
    size_t before = l->n;

    if (l->json) {
        puts_line(l, before > 1 ? ",\"" : "\"");
        puts_line(l, f->key);
        puts_line(l, "\":");
    } else {
        puts_line(l, before ? " " : "");
        puts_line(l, f->key);
        puts_line(l, "=");
    }
    put_value(l, f);
    if (l->full)
        l->n = before;
}

static void finish(line *l)
{
    bool cut = l->full;

    l->full = false;
    l->limit = sizeof(l->text);
    if (cut)
        puts_line(l, l->json ? ",\"truncated\":true" : " truncated=true");
    puts_line(l, l->json ? "}\n" : "\n");
}

static void put_head(line *l, md_log_level level, const char *tag,
                     const char *text)
{
    char time[MD_CLOCK_ISO_SIZE];
    md_log_field head[4];

    md_clock_iso(time, md_clock_wall_ns());
    head[0] = md_log_str("time", time);
    head[1] = md_log_str("level", level_names[level]);
    head[2] = md_log_str("tag", tag);
    head[3] = md_log_str("msg", text);
    if (l->json)
        puts_line(l, "{");
    for (size_t i = 0; i < MD_COUNT(head); i++)
        put_field(l, &head[i]);
}

static void emit(const line *l)
{
    pthread_mutex_lock(&lock);
    if (line_sink) {
        line_sink(sink_ctx, l->text, l->n);
    } else {
        /* Where would a failure to log be logged? */
        ssize_t ignored = write(STDERR_FILENO, l->text, l->n);

        (void)ignored;
    }
    pthread_mutex_unlock(&lock);
}

void md_log_write(md_log_level level, const char *tag, const char *text, ...)
{
    line l;
    va_list ap;

    l.n = 0;
    l.limit = sizeof(l.text) - TAIL_SIZE;
    l.full = false;
    l.json = is_json();
    put_head(&l, level, tag, text);
    va_start(ap, text);
    for (;;) {
        md_log_field f = va_arg(ap, md_log_field);

        if (f.kind == MD_LOG__END)
            break;
        put_field(&l, &f);
    }
    va_end(ap);
    finish(&l);
    emit(&l);
}
