/* Settings that clients read and change while the server runs, of the log and
 * of traces, as REST and gRPC carry them. */
#ifndef MD_SERVE_SETTINGS_H
#define MD_SERVE_SETTINGS_H

#include "base/log.h"
#include "serve/call.h"

typedef enum md_setting_kind {
    MD_SETTING_CLEAR, /* null: as if it had never been set */
    MD_SETTING_BOOL,
    MD_SETTING_NUMBER,
    MD_SETTING_TEXTS
} md_setting_kind;

enum {
    MD_SETTING_TEXTS_MAX = 4
};

typedef struct md_setting {
    const char *name;
    md_setting_kind kind;
    bool yes;
    int64_t number;
    const char *texts[MD_SETTING_TEXTS_MAX];
    uint32_t n_texts;
} md_setting;

/* Call `take` for each member of the call's body, a JSON object; all texts are
 * the request's. */
md_status md_settings_read(md_call *call,
                           md_status (*take)(void *ctx, const md_setting *s,
                                             md_error *err),
                           void *ctx, md_error *err);

/* The setting is a whole number, also when it is written as a text.
 * MD_INVALID unless it is from min to max. */
md_status md_setting_number(const md_setting *s, int64_t min, int64_t max,
                            int64_t *out, md_error *err);

/* MD_INVALID: the setting's name, and what was expected. */
md_status md_setting_fail(const md_setting *s, const char *expected,
                          md_error *err);

/* ---- Triton's log settings ---- */

/* What a request changes; nothing before all of it has been read. */
typedef struct md_log_change {
    bool has_level[MD_LOG_DEBUG + 1];
    bool level[MD_LOG_DEBUG + 1];
    int64_t verbose; /* of log_verbose_level; -1: not told */
    bool has_style;
    md_log_style style;
} md_log_change;

#define MD_LOG_CHANGE_INIT                                                     \
    {                                                                          \
        .verbose = -1                                                          \
    }

/* An md_setting of the log; ctx: md_log_change. */
md_status md_log_change_take(void *ctx, const md_setting *s, md_error *err);
void md_log_change_apply(const md_log_change *change, md_server *s);

/* Call put for each setting as it is now. */
void md_log_settings_each(md_server *s,
                          void (*put)(void *ctx, const md_setting *s),
                          void *ctx);

#endif
