/*
 * The log: one line per event, key=value or JSON.
 *
 *     #define MD_LOG_TAG "serve.http"
 *     MD_LOG(MD_LOG_INFO, "model loaded", md_log_str("model", name),
 *            md_log_int("load_ms", ms));
 *
 * The level is tested before any argument is evaluated.  Values are escaped,
 * so text from outside cannot forge a line.  Nothing is allocated and nothing
 * fails; a line is written with one call of the sink.  All threads may log.
 *
 * Modules below engine return errors and do not log, but for net, where a
 * refused client is nobody else's event.
 */
#ifndef MD_BASE_LOG_H
#define MD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum md_log_level {
    MD_LOG_ERROR, /* something is lost: a request, a model */
    MD_LOG_WARN,  /* someone should look at it */
    MD_LOG_INFO,  /* what an operator wants to know afterwards */
    MD_LOG_DEBUG,
} md_log_level;

typedef enum md_log_format {
    MD_LOG_TEXT,
    MD_LOG_JSON,
} md_log_format;

typedef enum md_log_kind {
    MD_LOG__END,
    MD_LOG__STR,
    MD_LOG__INT,
    MD_LOG__UINT,
    MD_LOG__FLOAT,
    MD_LOG__BOOL,
} md_log_kind;

/* One key with its value; made by the functions below. */
typedef struct md_log_field {
    const char *key;
    md_log_kind kind;
    size_t size; /* of s */
    union {
        const char *s;
        int64_t i;
        uint64_t u;
        double f;
    } v;
} md_log_field;

/* Keys are literals of letters, digits, '_' and '.'; s may be NULL. */
md_log_field md_log_str(const char *key, const char *s);
md_log_field md_log_strn(const char *key, const char *s, size_t n);
md_log_field md_log_int(const char *key, int64_t x);
md_log_field md_log_uint(const char *key, uint64_t x);
md_log_field md_log_float(const char *key, double x);
md_log_field md_log_bool(const char *key, bool x);

/* error="<message>"; the status is in the message's place when it is empty. */
md_log_field md_log_error(const md_error *err);

/* What ends the fields of md_log_write. */
md_log_field md_log_end(void);

/* MD_LOG(level, "what happened", fields...).  The file defines MD_LOG_TAG. */
#define MD_LOG(level, ...)                                                     \
    do {                                                                       \
        if (md_log_enabled((level), MD_LOG_TAG))                               \
            md_log_write((level), MD_LOG_TAG, __VA_ARGS__, md_log_end());      \
    } while (0)

bool md_log_enabled(md_log_level level, const char *tag);

/* Fields of type md_log_field up to md_log_end(); use MD_LOG. */
void md_log_write(md_log_level level, const char *tag, const char *text, ...);

/*
 * Levels by tag: "info", or "warn,serve=debug,net.http=error".  A name means
 * the tag itself and those that continue it behind a dot; the longest wins.
 * MD_INVALID names what is wrong and leaves the levels as they were.
 */
md_status md_log_set_levels(const char *spec, md_error *err);

void md_log_set_format(md_log_format format);

/*
 * What is switched while the program runs, on top of levels and format, until
 * these are set anew: a level for all tags, and the form of lines.
 */
void md_log_switch(md_log_level level, bool on);

/* Is it written, of tags that have no level of their own? */
bool md_log_is_on(md_log_level level);

typedef enum md_log_style {
    MD_LOG_AS_SET, /* as md_log_set_format says */
    MD_LOG_AS_TEXT,
    MD_LOG_AS_JSON
} md_log_style;

void md_log_set_style(md_log_style style);
md_log_style md_log_style_now(void);

/* Where lines go, each with its newline; NULL: standard error.  Called by any
 * thread, one at a time.  Not to be changed while others log. */
typedef void md_log_sink(void *ctx, const char *line, size_t n);
void md_log_set_sink(md_log_sink *sink, void *ctx);

#endif
