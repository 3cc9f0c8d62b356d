#include "serve/settings.h"

#include <string.h>

#include "base/num.h"
#include "serve/server_impl.h"

md_status md_setting_fail(const md_setting *s, const char *expected,
                          md_error *err)
{
    return md_fail(err, MD_INVALID, "setting '%.64s': %s expected", s->name,
                   expected);
}

md_status md_setting_number(const md_setting *s, int64_t min, int64_t max,
                            int64_t *out, md_error *err)
{
    bool is_number = s->kind == MD_SETTING_NUMBER;

    *out = s->number;
    if (s->kind == MD_SETTING_TEXTS && s->n_texts == 1) {
        const unsigned char *p = (const unsigned char *)s->texts[0];
        const unsigned char *end = p + strlen(s->texts[0]);

        is_number = md_num_i64(out, &p, p, end) == MD_NUM_OK && p == end;
    }
    if (is_number && *out >= min && *out <= max)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "setting '%.64s': a number from %lld to %lld expected",
                   s->name, (long long)min, (long long)max);
}

/* ---- JSON ---- */

static md_status take_text(md_call *call, md_setting *s, const md_json_token *t,
                           md_error *err)
{
    if (t->kind != MD_JSON_STRING || s->n_texts == MD_SETTING_TEXTS_MAX)
        return md_setting_fail(s, "at most 4 strings", err);
    return md_json_string(t, md_http_request_arena(call->http),
                          &s->texts[s->n_texts++], NULL, err);
}

static md_status take_value(md_call *call, md_json *r, md_setting *s,
                            md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(r, &t, err));
    switch (t.kind) {
    case MD_JSON_NULL:
        s->kind = MD_SETTING_CLEAR;
        return MD_OK;
    case MD_JSON_TRUE:
    case MD_JSON_FALSE:
        s->kind = MD_SETTING_BOOL;
        return md_json_bool(&t, &s->yes, err);
    case MD_JSON_NUMBER:
        s->kind = MD_SETTING_NUMBER;
        return md_json_i64(&t, &s->number, err);
    case MD_JSON_STRING:
        s->kind = MD_SETTING_TEXTS;
        return take_text(call, s, &t, err);
    case MD_JSON_ARRAY:
        break;
    default:
        return md_setting_fail(s, "a value or a list of strings", err);
    }
    s->kind = MD_SETTING_TEXTS;
    for (;;) {
        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_ARRAY_END)
            return MD_OK;
        MD_TRY(take_text(call, s, &t, err));
    }
}

md_status md_settings_read(md_call *call,
                           md_status (*take)(void *ctx, const md_setting *s,
                                             md_error *err),
                           void *ctx, md_error *err)
{
    const md_slice body = md_http_request_body(call->http);
    md_json_token t;
    md_json r;

    md_json_init(&r, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        md_setting s = { .name = NULL };

        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return md_json_expect(&r, MD_JSON_END, &t, err);
        MD_TRY(md_json_string(&t, md_http_request_arena(call->http), &s.name,
                              NULL, err));
        MD_TRY(take_value(call, &r, &s, err));
        MD_TRY(take(ctx, &s, err));
    }
}

/* ---- the log ---- */

static const struct {
    const char *name;
    md_log_level level;
} LEVELS[] = { { "log_info", MD_LOG_INFO },
               { "log_warning", MD_LOG_WARN },
               { "log_error", MD_LOG_ERROR } };

/* In the order of md_log_style. */
static const char *const STYLES[] = { "default", "ISO8601", "json" };

static md_status take_style(md_log_change *c, const md_setting *s,
                            md_error *err)
{
    for (size_t i = 0; s->n_texts == 1 && i < MD_COUNT(STYLES); i++) {
        if (strcmp(s->texts[0], STYLES[i]) != 0)
            continue;
        c->has_style = true;
        c->style = (md_log_style)i;
        return MD_OK;
    }
    return md_setting_fail(s, "default, ISO8601 or json", err);
}

md_status md_log_change_take(void *ctx, const md_setting *s, md_error *err)
{
    md_log_change *c = ctx;

    for (size_t i = 0; i < MD_COUNT(LEVELS); i++) {
        if (strcmp(s->name, LEVELS[i].name) != 0)
            continue;
        if (s->kind != MD_SETTING_BOOL)
            return md_setting_fail(s, "true or false", err);
        c->has_level[LEVELS[i].level] = true;
        c->level[LEVELS[i].level] = s->yes;
        return MD_OK;
    }
    if (strcmp(s->name, "log_verbose_level") == 0)
        return md_setting_number(s, 0, UINT32_MAX, &c->verbose, err);
    if (strcmp(s->name, "log_format") == 0)
        return take_style(c, s, err);
    if (strcmp(s->name, "log_file") == 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "log file location can not be updated through network "
                       "protocol");
    return md_fail(err, MD_INVALID,
                   "unknown log setting '%.64s', expected log_info, "
                   "log_warning, log_error, log_verbose_level or log_format",
                   s->name);
}

void md_log_change_apply(const md_log_change *c, md_server *s)
{
    for (int i = 0; i <= MD_LOG_DEBUG; i++)
        if (c->has_level[i])
            md_log_switch((md_log_level)i, c->level[i]);
    if (c->verbose >= 0) {
        md_log_switch(MD_LOG_DEBUG, c->verbose > 0);
        atomic_store(&s->log_verbose, (uint32_t)c->verbose);
    }
    if (c->has_style)
        md_log_set_style(c->style);
}

void md_log_settings_each(md_server *s,
                          void (*put)(void *ctx, const md_setting *s),
                          void *ctx)
{
    const uint32_t verbose = atomic_load(&s->log_verbose);
    md_setting one = { .name = "log_file",
                       .kind = MD_SETTING_TEXTS,
                       .texts = { "" },
                       .n_texts = 1 };

    put(ctx, &one);
    for (size_t i = 0; i < MD_COUNT(LEVELS); i++) {
        one.name = LEVELS[i].name;
        one.kind = MD_SETTING_BOOL;
        one.yes = md_log_is_on(LEVELS[i].level);
        put(ctx, &one);
    }
    one.name = "log_verbose_level";
    one.kind = MD_SETTING_NUMBER;
    one.number = !md_log_is_on(MD_LOG_DEBUG) ? 0 : verbose ? verbose : 1;
    put(ctx, &one);
    one.name = "log_format";
    one.kind = MD_SETTING_TEXTS;
    one.texts[0] = STYLES[md_log_style_now()];
    put(ctx, &one);
}
