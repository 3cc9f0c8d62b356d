/* What the files of the JSON reader share. */
#ifndef MD_BASE_JSON_IMPL_H
#define MD_BASE_JSON_IMPL_H

#include "base/json.h"

/* md_json.state: what comes next. */
enum {
    MD_JSON__VALUE,        /* at the start, behind a name or a comma */
    MD_JSON__VALUE_OR_END, /* behind '[' */
    MD_JSON__NAME,         /* behind a comma in an object */
    MD_JSON__NAME_OR_END,  /* behind '{' */
    MD_JSON__COMMA,        /* behind a value: a comma or the end */
    MD_JSON__DONE          /* behind the outermost value */
};

static inline void md_json__skip_space(md_json *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
                              *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* Fail with what stands at r->at: "'x' given, expected <want>". */
md_status md_json__unexpected(const md_json *r, const char *want,
                              md_error *err);

/* Move to the first byte of the value that must come. */
md_status md_json__start_value(md_json *r, md_error *err);

/* That value was passed. */
void md_json__value_done(md_json *r);

/* Pass NaN or an infinity, when these are allowed. */
bool md_json__pass_nonfinite(md_json *r, double *out);

#endif
