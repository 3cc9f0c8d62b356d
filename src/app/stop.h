/* SIGTERM and SIGINT: the process shall end. */
#ifndef MD_APP_STOP_H
#define MD_APP_STOP_H

/*
 * Call stop(ctx) from the handler of either signal, from now on; it must be
 * async-signal-safe.  NULL: back to the default, which ends the process.
 * Call from one thread.
 */
void md_app_on_stop(void (*stop)(void *ctx), void *ctx);

#endif
