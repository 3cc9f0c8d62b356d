/* The page for a browser, embedded from console/index.html. */
#include "serve/console_html.h"
#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    /* Nothing from elsewhere, no frames; the page's own script and style. */
    MD_TRY(md_http_reply_field(
        c->http, "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src "
        "'unsafe-inline'; connect-src 'self'; img-src blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        err));
    MD_TRY(
        md_http_reply_field(c->http, "X-Content-Type-Options", "nosniff", err));
    MD_TRY(md_http_reply_field(c->http, "Content-Type",
                               "text/html; charset=utf-8", err));
    md_http_reply_static(c->http, (md_slice){ (const char *)md_console_html,
                                              sizeof(md_console_html) });
    return MD_OK;
}

const md_route md_route_console = {
    .method = "GET",
    .paths = { "/", NULL },
    .summary = "A page that shows the models and lets one try them.",
    .tag = "operation",
    .reply_type = "text/html",
    .handle = handle,
};
