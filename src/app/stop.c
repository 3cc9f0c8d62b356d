#include "app/stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Set before the handler is installed, cleared after it is gone. */
static void (*_Atomic stop_fn)(void *ctx);
static void *_Atomic stop_ctx;

static void handle(int number)
{
    void (*fn)(void *) = atomic_load(&stop_fn);

    (void)number;
    if (fn)
        fn(atomic_load(&stop_ctx));
}

void md_app_on_stop(void (*stop)(void *ctx), void *ctx)
{
    struct sigaction action = { .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    action.sa_handler = stop ? handle : SIG_DFL;
    if (stop) {
        atomic_store(&stop_ctx, ctx);
        atomic_store(&stop_fn, stop);
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (!stop)
        atomic_store(&stop_fn, NULL);
}
