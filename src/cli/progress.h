/* What a command that takes longer than a second tells on a terminal. */
#ifndef MD_CLI_PROGRESS_H
#define MD_CLI_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A line that a thread of its own keeps up to date, so that what is waited
 * for need not call back.  begin, step and end are called by one thread. */
typedef struct md_progress {
    FILE *f;
    const char *what;
    _Atomic int64_t n, total;
    bool running; /* the thread is there */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done; /* under lock */
} md_progress;

/* f is where it goes when it is a terminal; `what` is done ("calibrating").
 * Without a thread to be had nothing is told. */
void md_progress_begin(md_progress *p, FILE *f, const char *what);

/* n of total are done (total 0: nobody knows).  Cheap: call it often, or
 * never: then the seconds are told. */
void md_progress_step(md_progress *p, int64_t n, int64_t total);

/* Wipe the line. */
void md_progress_end(md_progress *p);

#endif
