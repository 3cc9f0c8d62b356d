#define PCRE2_CODE_UNIT_WIDTH 8
#include "ops/common/regex.h"

#include <string.h>

#include <pcre2.h>

enum {
    STEPS_MAX = 200000,      /* of backtracking */
    HEAP_MAX_KIB = 4096,     /* of backtracking */
    REPEAT_MAX = 1000,       /* RE2's own limit */
    WORKSPACE = 20000,       /* numbers: some 3000 alternatives at a time */
    ALTERNATIVE_STEPS = 1000 /* calls in such a match */
};

struct md_regex {
    const md_alloc *alloc;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_code *code;
    pcre2_match_data *data;
    int *workspace; /* NULL until needed */
};

/* --- syntax ------------------------------------------------------------ */

/* What may follow a backslash outside and inside of a class. */
static bool escape_is_known(char c, bool in_class)
{
    if ((unsigned char)c >= 0x80)
        return false;
    if (strchr("dDsSwWpPafnrtvx01234567", c))
        return true;
    if (!in_class && strchr("bBAzCQE", c))
        return true;
    return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             (c >= '0' && c <= '9'));
}

static md_status not_re2(const char *what, size_t at, md_error *err)
{
    return md_fail(err, MD_INVALID, "pattern has %s at %zu, which RE2 has not",
                   what, at);
}

/* Behind "\": an octal number has a 0 in front or three digits. */
static md_status check_escape(md_str p, size_t at, bool in_class, md_error *err)
{
    size_t digits = 0;
    char c;

    if (at >= p.n)
        return md_fail(err, MD_INVALID, "pattern ends in a backslash");
    c = p.p[at];
    if (!escape_is_known(c, in_class))
        return not_re2("an escape", at - 1, err);
    while (at + digits < p.n && digits < 3 && p.p[at + digits] >= '0' &&
           p.p[at + digits] <= '7')
        digits++;
    if (c >= '1' && c <= '7' && digits < 3)
        return not_re2("a reference back", at - 1, err);
    return MD_OK;
}

/* Behind "(?": a name, or flags. */
static md_status check_group(md_str p, size_t at, md_error *err)
{
    if (at < p.n && p.p[at] == 'P')
        return at + 1 < p.n && p.p[at + 1] == '<'
                   ? MD_OK
                   : not_re2("a group", at - 2, err);
    if (at + 1 < p.n && p.p[at] == '<' && p.p[at + 1] != '=' &&
        p.p[at + 1] != '!')
        return MD_OK;
    for (; at < p.n && p.p[at] != ':' && p.p[at] != ')'; at++) {
        if (!strchr("imsU-", p.p[at]))
            return not_re2("a group", at, err);
    }
    return MD_OK;
}

/* A repetition {n,m}; *end is behind it, or `at` when it is none. */
static md_status check_repeat(md_str p, size_t at, size_t *end, md_error *err)
{
    size_t i = at + 1;
    long v = 0;
    bool any = false;

    *end = at;
    for (; i < p.n && ((p.p[i] >= '0' && p.p[i] <= '9') || p.p[i] == ',');
         i++) {
        v = p.p[i] == ',' ? 0 : v * 10 + (p.p[i] - '0');
        any |= p.p[i] != ',';
        if (v > REPEAT_MAX)
            return md_fail(err, MD_INVALID,
                           "pattern repeats more than %d times at %zu",
                           REPEAT_MAX, at);
    }
    if (any && i < p.n && p.p[i] == '}')
        *end = i + 1;
    return MD_OK;
}

/* From "[" on; *end is behind "]". */
static md_status check_class(md_str p, size_t at, size_t *end, md_error *err)
{
    size_t i = at + 1;

    i += i < p.n && p.p[i] == '^';
    i += i < p.n && p.p[i] == ']';
    for (; i < p.n && p.p[i] != ']'; i++) {
        if (p.p[i] == '[' && i + 1 < p.n && strchr(".=", p.p[i + 1]))
            return not_re2("a collating element", i, err);
        if (p.p[i] == '[' && i + 1 < p.n && p.p[i + 1] == ':') {
            while (i + 1 < p.n && !(p.p[i] == ':' && p.p[i + 1] == ']'))
                i++;
            i += i + 1 < p.n;
        } else if (p.p[i] == '\\') {
            MD_TRY(check_escape(p, ++i, true, err));
        }
    }
    *end = i + 1;
    return MD_OK;
}

/* The end of \Q...\E. */
static size_t skip_quoted(md_str p, size_t at)
{
    for (; at + 1 < p.n; at++) {
        if (p.p[at] == '\\' && p.p[at + 1] == 'E')
            return at + 2;
    }
    return p.n;
}

static md_status check_syntax(md_str p, md_error *err)
{
    size_t i = 0, end;

    while (i < p.n) {
        char c = p.p[i];

        if (c == '\\') {
            MD_TRY(check_escape(p, i + 1, false, err));
            i = p.p[i + 1] == 'Q' ? skip_quoted(p, i + 2) : i + 2;
            continue;
        }
        if (c == '[') {
            MD_TRY(check_class(p, i, &i, err));
            continue;
        }
        if (c == '(' && i + 1 < p.n && p.p[i + 1] == '*')
            return not_re2("a verb", i, err);
        if (c == '(' && i + 1 < p.n && p.p[i + 1] == '?')
            MD_TRY(check_group(p, i + 2, err));
        end = c == '*' || c == '?' || (c == '+' && i) ? i + 1 : i;
        if (c == '{')
            MD_TRY(check_repeat(p, i, &end, err));
        if (end > i && end < p.n && p.p[end] == '+' && p.p[i - (i > 0)] != '(')
            return not_re2("a possessive repetition", end, err);
        i = end > i ? end : i + 1;
    }
    return MD_OK;
}

/* --- matching ---------------------------------------------------------- */

static void *give_memory(size_t size, void *ctx)
{
    return md_malloc(ctx, size);
}

static void take_memory(void *p, void *ctx)
{
    md_free(ctx, p);
}

static md_status compile(md_regex *re, md_str pattern, md_error *err)
{
    pcre2_compile_context *how = pcre2_compile_context_create(re->general);
    PCRE2_SIZE at;
    int code;

    if (!how)
        return md_fail_nomem(err, sizeof(void *));
    (void)pcre2_set_newline(how, PCRE2_NEWLINE_LF);
    re->code =
        pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.n,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE,
                      &code, &at, how);
    pcre2_compile_context_free(how);
    if (!re->code && code == PCRE2_ERROR_HEAP_FAILED)
        return md_fail_nomem(err, pattern.n);
    if (!re->code) {
        PCRE2_UCHAR text[128] = { 0 };

        (void)pcre2_get_error_message(code, text, sizeof(text));
        return md_fail(err, MD_INVALID, "pattern is wrong at %zu: %s",
                       (size_t)at, (const char *)text);
    }
    re->data = pcre2_match_data_create_from_pattern(re->code, re->general);
    return re->data ? MD_OK : md_fail_nomem(err, sizeof(void *));
}

md_status md_regex_new(md_regex **out, md_str pattern, const md_alloc *alloc,
                       md_error *err)
{
    md_regex *re;
    md_status s;

    MD_TRY(check_syntax(pattern, err));
    re = md_calloc(alloc, 1, sizeof(*re));
    if (!re)
        return md_fail_nomem(err, sizeof(*re));
    re->alloc = alloc;
    re->general =
        pcre2_general_context_create(give_memory, take_memory, (void *)alloc);
    if (re->general)
        re->limits = pcre2_match_context_create(re->general);
    s = re->limits ? compile(re, pattern, err)
                   : md_fail_nomem(err, sizeof(void *));
    if (s != MD_OK) {
        md_regex_free(re);
        return s;
    }
    (void)pcre2_set_heap_limit(re->limits, HEAP_MAX_KIB);
    *out = re;
    return MD_OK;
}

void md_regex_free(md_regex *re)
{
    if (!re)
        return;
    md_free(re->alloc, re->workspace);
    pcre2_match_data_free(re->data);
    pcre2_code_free(re->code);
    pcre2_match_context_free(re->limits);
    pcre2_general_context_free(re->general);
    md_free(re->alloc, re);
}

/* All alternatives side by side: no step is taken back. */
static md_status match_wide(int *out, md_regex *re, md_str text, size_t from,
                            uint32_t flags, md_error *err)
{
    if (!re->workspace)
        re->workspace =
            md_malloc(re->alloc, WORKSPACE * sizeof(*re->workspace));
    if (!re->workspace)
        return md_fail_nomem(err, WORKSPACE * sizeof(*re->workspace));
    (void)pcre2_set_match_limit(re->limits, ALTERNATIVE_STEPS);
    *out = pcre2_dfa_match(re->code, (PCRE2_SPTR)text.p, text.n, from, flags,
                           re->data, re->limits, re->workspace, WORKSPACE);
    return MD_OK;
}

static bool is_not_utf8(int rc)
{
    return rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21;
}

/* What a match that did not come about means. */
static md_status outcome(int rc, md_str text, md_error *err)
{
    if (rc == PCRE2_ERROR_NOMATCH)
        return MD_OK;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return md_fail_nomem(err, text.n);
    return md_fail(err, MD_TOO_LARGE,
                   "matching a text of %zu bytes takes too many steps", text.n);
}

md_status md_regex_full_match(bool *out, md_regex *re, md_str text,
                              md_error *err)
{
    int rc;

    if (!text.p)
        text.p = "";
    (void)pcre2_set_match_limit(re->limits, STEPS_MAX);
    rc = pcre2_match(re->code, (PCRE2_SPTR)text.p, text.n, 0,
                     PCRE2_ANCHORED | PCRE2_ENDANCHORED, re->data, re->limits);
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT)
        MD_TRY(match_wide(&rc, re, text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                          err));
    *out = rc >= 0;
    return rc >= 0 || is_not_utf8(rc) ? MD_OK : outcome(rc, text, err);
}

md_status md_regex_search(bool *out, size_t *begin, size_t *end, md_regex *re,
                          md_str text, size_t from, md_error *err)
{
    const PCRE2_SIZE *at;
    int rc;

    if (!text.p)
        text.p = "";
    MD_TRY(match_wide(&rc, re, text, from, 0, err));
    *out = rc >= 0; /* 0: there are shorter ones too */
    if (rc < 0)
        return is_not_utf8(rc)
                   ? md_fail(err, MD_INVALID, "a text that is not UTF-8")
                   : outcome(rc, text, err);
    at = pcre2_get_ovector_pointer(re->data);
    *begin = at[0];
    *end = at[1];
    return MD_OK;
}
