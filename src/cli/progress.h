/* What a command that takes longer than a second tells on a terminal. */
#ifndef MD_CLI_PROGRESS_H
#define MD_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct md_progress {
    FILE *f;
    const char *what;
    int64_t start_ns;
    int64_t shown_ns; /* 0: not yet */
    bool terminal;
} md_progress;

/* f is where it goes when it is a terminal; `what` is done ("calibrating"). */
void md_progress_begin(md_progress *p, FILE *f, const char *what);

/* n of total are done (total 0: nobody knows).  Cheap: call it often. */
void md_progress_step(md_progress *p, int64_t n, int64_t total);

/* Wipe the line. */
void md_progress_end(md_progress *p);

#endif
