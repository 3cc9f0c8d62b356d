#include "cli/progress.h"

#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    FIRST_MS = 1000, /* shorter work needs no words */
    EVERY_MS = 100,
    MS = 1000000 /* nanoseconds */
};

static void show(md_progress *p, int64_t since_ns)
{
    const int64_t total = atomic_load(&p->total), n = atomic_load(&p->n);

    fprintf(p->f, "\r\033[K%s: ", p->what);
    if (total > 0)
        fprintf(p->f, "%lld of %lld (%d %%)", (long long)n, (long long)total,
                (int)(100 * n / total));
    else if (n > 0)
        fprintf(p->f, "%lld", (long long)n);
    else
        fprintf(p->f, "%lld s", (long long)(since_ns / MS / 1000));
    fflush(p->f);
}

/* With the lock held: until p is done, which is true, or for `ms`. */
static bool is_done_after(md_progress *p, int ms)
{
    struct timespec until;
    int64_t ns;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns = until.tv_nsec + (int64_t)ms * MS;
    until.tv_sec += ns / (1000LL * MS);
    until.tv_nsec = ns % (1000LL * MS);
    while (!p->done) {
        if (pthread_cond_timedwait(&p->wake, &p->lock, &until) != 0)
            break;
    }
    return p->done;
}

static void *tell(void *ctx)
{
    md_progress *p = ctx;
    const int64_t start_ns = md_clock_ns();
    bool shown = false;

    pthread_mutex_lock(&p->lock);
    while (!is_done_after(p, shown ? EVERY_MS : FIRST_MS)) {
        show(p, md_clock_ns() - start_ns);
        shown = true;
    }
    pthread_mutex_unlock(&p->lock);
    if (shown) {
        fputs("\r\033[K", p->f);
        fflush(p->f);
    }
    return NULL;
}

static void release(md_progress *p)
{
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
}

void md_progress_begin(md_progress *p, FILE *f, const char *what)
{
    int fd = fileno(f); /* -1 for a stream in memory */
    pthread_condattr_t attr;

    p->f = f;
    p->what = what;
    p->running = p->done = false;
    atomic_init(&p->n, 0);
    atomic_init(&p->total, 0);
    if (fd < 0 || !isatty(fd))
        return;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &attr);
    pthread_condattr_destroy(&attr);
    p->running = pthread_create(&p->thread, NULL, tell, p) == 0;
    if (!p->running)
        release(p);
}

void md_progress_step(md_progress *p, int64_t n, int64_t total)
{
    atomic_store(&p->n, n);
    atomic_store(&p->total, total);
}

void md_progress_end(md_progress *p)
{
    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->done = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    release(p);
    p->running = false;
}
