#include "serve/restrict.h"

#include <string.h>

static const char *const NAMES[MD_N_APIS] = {
    [MD_API_FREE] = "",
    [MD_API_HEALTH] = "health",
    [MD_API_METADATA] = "metadata",
    [MD_API_INFERENCE] = "inference",
    [MD_API_SHARED_MEMORY] = "shared-memory",
    [MD_API_MODEL_CONFIG] = "model-config",
    [MD_API_MODEL_REPOSITORY] = "model-repository",
    [MD_API_STATISTICS] = "statistics",
    [MD_API_TRACE] = "trace",
    [MD_API_LOGGING] = "logging",
};

const char *md_api_name(md_api api)
{
    return NAMES[api];
}

static md_status take_api(md_restrict *r, const char *name, size_t n,
                          const md_restrict_rule *rule, md_error *err)
{
    for (int i = MD_API_FREE + 1; i < MD_N_APIS; i++) {
        if (strlen(NAMES[i]) != n || memcmp(NAMES[i], name, n) != 0)
            continue;
        if (r->rule[i].field)
            return md_fail(err, MD_INVALID, "'%s' is restricted twice",
                           NAMES[i]);
        r->rule[i] = *rule;
        return MD_OK;
    }
    return md_fail(err, MD_INVALID,
                   "unknown API '%.*s', expected health, metadata, inference, "
                   "shared-memory, model-config, model-repository, statistics, "
                   "trace or logging",
                   n > 64 ? 64 : (int)n, name);
}

/* A field's name, which is looked for in lower case. */
static md_status make_rule(md_restrict_rule *out, const char *field, size_t n,
                           const char *value, size_t n_value, md_arena *ar,
                           md_error *err)
{
    char *name = md_arena_strndup(ar, field, n);

    if (!name)
        return md_fail_nomem(err, n);
    if (n == 0 || n_value == 0 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789-_") != n)
        return md_fail(err, MD_INVALID,
                       "'%.*s': the name of a field of letters, digits, '-' "
                       "and '_', '=' and a value expected",
                       n > 64 ? 64 : (int)n, field);
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 0x20);
    out->field = name;
    out->grpc_field = md_arena_printf(ar, "triton-grpc-protocol-%s", name);
    out->value = md_arena_strndup(ar, value, n_value);
    return out->grpc_field && out->value ? MD_OK : md_fail_nomem(err, n_value);
}

/* "API,...:FIELD=VALUE" of n bytes. */
static md_status take_rule(md_restrict *r, const char *text, size_t n,
                           md_arena *ar, md_error *err)
{
    const char *colon = memchr(text, ':', n);
    const size_t left = colon ? n - (size_t)(colon + 1 - text) : 0;
    const char *equals = colon ? memchr(colon + 1, '=', left) : NULL;
    md_restrict_rule rule;

    if (!equals)
        return md_fail(err, MD_INVALID,
                       "API,...:FIELD=VALUE expected, ';' between several");
    MD_TRY(make_rule(&rule, colon + 1, (size_t)(equals - colon - 1), equals + 1,
                     n - (size_t)(equals + 1 - text), ar, err));
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(colon - text));
        const char *end = comma ? comma : colon;

        MD_TRY(take_api(r, text, (size_t)(end - text), &rule, err));
        if (!comma)
            return MD_OK;
        text = comma + 1;
    }
}

md_status md_restrict_parse(md_restrict *out, const char *text, md_arena *ar,
                            md_error *err)
{
    *out = (md_restrict){ .rule = { { NULL, NULL, NULL } } };
    while (*text) {
        const size_t n = strcspn(text, ";");

        MD_TRY(take_rule(out, text, n, ar, err));
        text += n + (text[n] == ';');
    }
    return MD_OK;
}

/* In a time that tells nothing of how much of it is right. */
static bool is_equal(md_slice given, const char *want)
{
    const size_t n = strlen(want);
    unsigned differs = given.size != n;

    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)want[i] ^
                   (unsigned char)(i < given.size ? given.data[i] : 0);
    return differs == 0;
}

md_status md_restrict_check(const md_restrict *r, md_api api,
                            const md_http_request *req, md_error *err)
{
    const md_restrict_rule *rule = &r->rule[api];
    const char *field;

    if (!rule->field)
        return MD_OK;
    field = md_http_request_is_grpc(req) ? rule->grpc_field : rule->field;
    if (md_http_request_field_count(req, field) == 1 &&
        is_equal(md_http_request_field(req, field), rule->value))
        return MD_OK;
    return md_fail(err, MD_DENIED,
                   "'%s' is restricted, expecting header '%s' with its value",
                   NAMES[api], field);
}
