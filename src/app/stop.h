/* Signals that ask for something: SIGTERM and SIGINT to end, SIGHUP to read
 * certificates again. */
#ifndef MD_APP_STOP_H
#define MD_APP_STOP_H

/*
 * Call stop(ctx) from the handler of SIGTERM and SIGINT, from now on; it must
 * be async-signal-safe.  NULL: back to the default, which ends the process.
 * Call from one thread.
 */
void md_app_on_stop(void (*stop)(void *ctx), void *ctx);

/* The same for SIGHUP. */
void md_app_on_reload(void (*reload)(void *ctx), void *ctx);

#endif
