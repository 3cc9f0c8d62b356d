#include "cli/reload.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

struct md_reload {
    const md_cli *cli;
    void (*fn)(void *ctx);
    void *ctx;
    pthread_t thread;
    sem_t wanted;
    _Atomic bool ends;
};

/* From a signal handler. */
static void want(void *ctx)
{
    md_reload *r = ctx;

    (void)sem_post(&r->wanted);
}

static void *work(void *arg)
{
    md_reload *r = arg;

    for (;;) {
        while (sem_wait(&r->wanted) != 0)
            ;
        while (sem_trywait(&r->wanted) == 0)
            ;
        if (atomic_load(&r->ends))
            return NULL;
        r->fn(r->ctx);
    }
}

md_status md_reload_start(md_reload **out, const md_cli *cli,
                          void (*fn)(void *ctx), void *ctx, md_error *err)
{
    md_reload *r = md_calloc(md_alloc_default(), 1, sizeof(*r));
    sigset_t all;
    sigset_t saved;
    int rc;

    if (!r)
        return md_fail_nomem(err, sizeof(*r));
    r->cli = cli;
    r->fn = fn;
    r->ctx = ctx;
    sem_init(&r->wanted, 0, 0);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    rc = pthread_create(&r->thread, NULL, work, r);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (rc != 0) {
        sem_destroy(&r->wanted);
        md_free(md_alloc_default(), r);
        return md_fail(err, MD_UNAVAILABLE, "cannot start a thread");
    }
    if (cli->on_reload)
        cli->on_reload(want, r);
    *out = r;
    return MD_OK;
}

void md_reload_stop(md_reload *r)
{
    if (!r)
        return;
    if (r->cli->on_reload)
        r->cli->on_reload(NULL, NULL);
    atomic_store(&r->ends, true);
    (void)sem_post(&r->wanted);
    pthread_join(r->thread, NULL);
    sem_destroy(&r->wanted);
    md_free(md_alloc_default(), r);
}
