#include "app/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* What a signal calls: set before its handler is installed, cleared after that
 * is gone. */
typedef struct hook {
    void (*_Atomic fn)(void *ctx);
    void *_Atomic ctx;
} hook;

static hook on_stop;
static hook on_reload;

static void call(hook *h)
{
    void (*fn)(void *) = atomic_load(&h->fn);

    if (fn)
        fn(atomic_load(&h->ctx));
}

static void handle_stop(int number)
{
    (void)number;
    call(&on_stop);
}

static void handle_reload(int number)
{
    (void)number;
    call(&on_reload);
}

static void set(hook *h, void (*fn)(void *ctx), void *ctx)
{
    if (fn) {
        atomic_store(&h->ctx, ctx);
        atomic_store(&h->fn, fn);
    }
}

static void handle(int number, void (*handler)(int number))
{
    struct sigaction action = { .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    action.sa_handler = handler;
    sigaction(number, &action, NULL);
}

void md_app_on_stop(void (*stop)(void *ctx), void *ctx)
{
    set(&on_stop, stop, ctx);
    handle(SIGTERM, stop ? handle_stop : SIG_DFL);
    handle(SIGINT, stop ? handle_stop : SIG_DFL);
    if (!stop)
        atomic_store(&on_stop.fn, NULL);
}

void md_app_on_reload(void (*reload)(void *ctx), void *ctx)
{
    set(&on_reload, reload, ctx);
    handle(SIGHUP, reload ? handle_reload : SIG_DFL);
    if (!reload)
        atomic_store(&on_reload.fn, NULL);
}
