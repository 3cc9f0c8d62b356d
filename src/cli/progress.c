#include "cli/progress.h"

#include <unistd.h>

#include "base/clock.h"

enum {
    FIRST_NS = 1000000000, /* shorter work needs no words */
    EVERY_NS = 100000000
};

void md_progress_begin(md_progress *p, FILE *f, const char *what)
{
    int fd = fileno(f); /* -1 for a stream in memory */

    *p = (md_progress){ .f = f,
                        .what = what,
                        .start_ns = md_clock_ns(),
                        .terminal = fd >= 0 && isatty(fd) };
}

void md_progress_step(md_progress *p, int64_t n, int64_t total)
{
    int64_t now;

    if (!p->terminal)
        return;
    now = md_clock_ns();
    if (now - p->start_ns < FIRST_NS || now - p->shown_ns < EVERY_NS)
        return;
    p->shown_ns = now;
    if (total > 0)
        fprintf(p->f, "\r\033[K%s: %lld of %lld (%d %%)", p->what, (long long)n,
                (long long)total, (int)(100 * n / total));
    else
        fprintf(p->f, "\r\033[K%s: %lld", p->what, (long long)n);
    fflush(p->f);
}

void md_progress_end(md_progress *p)
{
    if (p->shown_ns) {
        fputs("\r\033[K", p->f);
        fflush(p->f);
    }
    p->shown_ns = 0;
}
