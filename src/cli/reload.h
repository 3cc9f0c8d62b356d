/* A thread that does what SIGHUP asks for, so that neither the handler nor the
 * event loop waits for files. */
#ifndef MD_CLI_RELOAD_H
#define MD_CLI_RELOAD_H

#include "cli/cli.h"

typedef struct md_reload md_reload;

/* Call fn(ctx) on its own thread after each request of cli->on_reload; requests
 * that come while it runs are one.  MD_UNAVAILABLE without a thread. */
md_status md_reload_start(md_reload **out, const md_cli *cli,
                          void (*fn)(void *ctx), void *ctx, md_error *err);

/* Wait for what runs and end; NULL is allowed. */
void md_reload_stop(md_reload *r);

#endif
