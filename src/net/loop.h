/*
 * Event loop on epoll: descriptors, timeouts and work posted by other
 * threads.  One thread runs a loop and calls everything below, except
 * md_loop_post.
 *
 * Timeouts come in queues of one duration each: a queue is in order of expiry
 * just because it is in order of arrival, so starting and stopping a timer is
 * a list operation that cannot fail.
 */
#ifndef MD_NET_LOOP_H
#define MD_NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

typedef struct md_loop md_loop;

/* Embedded in what it serves; fd is the owner's to open and to close. */
typedef struct md_loop_io md_loop_io;
struct md_loop_io {
    int fd;
    uint32_t watched; /* EPOLL* bits; 0 with in_epoll: errors only */
    bool in_epoll;
    void (*ready)(md_loop_io *io, uint32_t events);
};

typedef struct md_timer md_timer;
struct md_timer {
    md_timer *prev; /* NULL: not running */
    md_timer *next;
    uint64_t due_ms;
};

typedef struct md_timer_queue md_timer_queue;
struct md_timer_queue {
    md_timer head;
    uint32_t delay_ms;
    void (*fire)(md_timer *t); /* t is stopped already */
    md_loop *loop;
    md_timer_queue *next;
};

/* One piece of work; must stay until it has run. */
typedef struct md_post md_post;
struct md_post {
    md_post *next;
    void (*run)(md_post *post);
};

md_status md_loop_new(md_loop **out, const md_alloc *alloc, md_error *err);
void md_loop_free(md_loop *loop);

/* Handle events until md_loop_stop.  MD_IO when epoll itself fails. */
md_status md_loop_run(md_loop *loop, md_error *err);
void md_loop_stop(md_loop *loop);

/* Monotonic milliseconds, read once per turn. */
uint64_t md_loop_now_ms(const md_loop *loop);

/* Seconds since 1970, read once per turn. */
int64_t md_loop_unix_time(const md_loop *loop);

/* Watch io->fd for `events`, level-triggered; again to change them. */
md_status md_loop_watch(md_loop *loop, md_loop_io *io, uint32_t events,
                        md_error *err);

/* Before the descriptor is closed.  An event of this turn may still arrive:
 * free the object that holds io by md_loop_post. */
void md_loop_unwatch(md_loop *loop, md_loop_io *io);

/* A queue lives as long as the loop.  delay_ms 0: its timers never fire. */
void md_timer_queue_init(md_timer_queue *q, md_loop *loop, uint32_t delay_ms,
                         void (*fire)(md_timer *t));

/* (Re)start; the timer leaves the queue it was in. */
void md_timer_start(md_timer_queue *q, md_timer *t);
void md_timer_stop(md_timer *t);

static inline bool md_timer_runs(const md_timer *t)
{
    return t->prev != NULL;
}

/* The timer that would fire first, or NULL. */
md_timer *md_timer_first(const md_timer_queue *q);

/* Call fn at the end of every turn, behind events, posts and timers: the place
 * to send what several of them have made.  One per loop; before it runs. */
void md_loop_at_turn_end(md_loop *loop, void (*fn)(void *ctx), void *ctx);

/* Run post on the loop's thread, in the order of posting, after the events
 * of the turn.  From any thread; also from a signal handler. */
void md_loop_post(md_loop *loop, md_post *post);

#endif
