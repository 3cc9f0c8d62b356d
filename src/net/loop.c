#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    EVENTS_PER_TURN = 64
};

struct md_loop {
    const md_alloc *alloc;
    int epoll_fd;
    md_loop_io waker; /* an eventfd */
    bool stopped;
    uint64_t now_ms;
    int64_t unix_time;
    md_timer_queue *queues;
    void (*turn_end)(void *ctx); /* may be NULL */
    void *turn_ctx;
    _Atomic(md_post *) posted; /* last one first */
    _Atomic int n_posting;     /* threads inside md_loop_post */
};

static void read_clocks(md_loop *loop)
{
    loop->now_ms = (uint64_t)(md_clock_ns() / 1000000);
    loop->unix_time = md_clock_wall_ns() / 1000000000;
}

/* Nothing to do but to empty it: posts are run in every turn anyway. */
static void on_wake(md_loop_io *io, uint32_t events)
{
    uint64_t n;

    (void)events;
    while (read(io->fd, &n, sizeof(n)) < 0 && errno == EINTR)
        ;
}

md_status md_loop_new(md_loop **out, const md_alloc *alloc, md_error *err)
{
    md_loop *loop = md_calloc(alloc, 1, sizeof(*loop));
    md_status s = MD_OK;

    if (!loop)
        return md_fail_nomem(err, sizeof(*loop));
    loop->alloc = alloc;
    loop->waker = (md_loop_io){ .fd = -1, .ready = on_wake };
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->waker.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->waker.fd < 0)
        s = md_fail(err, MD_IO, "cannot make an event loop: %s",
                    strerror(errno));
    else
        s = md_loop_watch(loop, &loop->waker, EPOLLIN, err);
    if (s != MD_OK) {
        md_loop_free(loop);
        return s;
    }
    read_clocks(loop);
    *out = loop;
    return MD_OK;
}

void md_loop_free(md_loop *loop)
{
    if (!loop)
        return;
    /* The post that ended the run may be seen before its wake-up is done. */
    while (atomic_load(&loop->n_posting) > 0)
        sched_yield();
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->waker.fd >= 0)
        close(loop->waker.fd);
    md_free(loop->alloc, loop);
}

uint64_t md_loop_now_ms(const md_loop *loop)
{
    return loop->now_ms;
}

int64_t md_loop_unix_time(const md_loop *loop)
{
    return loop->unix_time;
}

/* ---- descriptors ---- */

md_status md_loop_watch(md_loop *loop, md_loop_io *io, uint32_t events,
                        md_error *err)
{
    struct epoll_event e = { .events = events, .data.ptr = io };

    if (io->in_epoll && io->watched == events)
        return MD_OK;
    if (epoll_ctl(loop->epoll_fd, io->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
                  io->fd, &e) != 0)
        return md_fail(err, MD_IO, "cannot watch descriptor %d: %s", io->fd,
                       strerror(errno));
    io->in_epoll = true;
    io->watched = events;
    return MD_OK;
}

void md_loop_unwatch(md_loop *loop, md_loop_io *io)
{
    if (io->in_epoll)
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    io->in_epoll = false;
    io->watched = 0;
}

/* ---- timers ---- */

void md_timer_queue_init(md_timer_queue *q, md_loop *loop, uint32_t delay_ms,
                         void (*fire)(md_timer *t))
{
    *q = (md_timer_queue){ .delay_ms = delay_ms, .fire = fire, .loop = loop };
    q->head.prev = &q->head;
    q->head.next = &q->head;
    q->next = loop->queues;
    loop->queues = q;
}

void md_timer_start(md_timer_queue *q, md_timer *t)
{
    md_timer_stop(t);
    t->due_ms = q->loop->now_ms + q->delay_ms;
    t->prev = q->head.prev;
    t->next = &q->head;
    t->prev->next = t;
    q->head.prev = t;
}

void md_timer_stop(md_timer *t)
{
    if (!t->prev)
        return;
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->prev = NULL;
    t->next = NULL;
}

md_timer *md_timer_first(const md_timer_queue *q)
{
    return q->head.next == &q->head ? NULL : q->head.next;
}

static void fire_timers(md_loop *loop)
{
    for (md_timer_queue *q = loop->queues; q; q = q->next) {
        md_timer *t = md_timer_first(q);

        while (q->delay_ms && t && t->due_ms <= loop->now_ms) {
            md_timer_stop(t);
            q->fire(t);
            t = md_timer_first(q);
        }
    }
}

/* Milliseconds until the next timer; -1 when there is none. */
static int sleep_ms(const md_loop *loop)
{
    uint64_t wait = INT_MAX;

    for (const md_timer_queue *q = loop->queues; q; q = q->next) {
        const md_timer *t = md_timer_first(q);

        if (!q->delay_ms || !t)
            continue;
        if (t->due_ms <= loop->now_ms)
            return 0;
        if (t->due_ms - loop->now_ms < wait)
            wait = t->due_ms - loop->now_ms;
    }
    return wait == INT_MAX ? -1 : (int)wait;
}

/* ---- posts ---- */

void md_loop_post(md_loop *loop, md_post *post)
{
    const uint64_t one = 1;
    int saved = errno;
    md_post *head;

    atomic_fetch_add(&loop->n_posting, 1);
    head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, post,
                                                    memory_order_release,
                                                    memory_order_relaxed));
    /* Whoever found the list empty wakes the loop; the others ride along.
     * A full eventfd (EAGAIN) wakes it as well. */
    while (!head && write(loop->waker.fd, &one, sizeof(one)) < 0 &&
           errno == EINTR)
        ;
    atomic_fetch_sub(&loop->n_posting, 1);
    errno = saved;
}

static void run_posts(md_loop *loop)
{
    md_post *list =
        atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    md_post *in_order = NULL;

    while (list) {
        md_post *next = list->next;

        list->next = in_order;
        in_order = list;
        list = next;
    }
    while (in_order) {
        md_post *p = in_order;

        in_order = p->next;
        p->run(p);
    }
}

/* ---- the loop ---- */

void md_loop_at_turn_end(md_loop *loop, void (*fn)(void *ctx), void *ctx)
{
    loop->turn_end = fn;
    loop->turn_ctx = ctx;
}

void md_loop_stop(md_loop *loop)
{
    loop->stopped = true;
}

md_status md_loop_run(md_loop *loop, md_error *err)
{
    struct epoll_event events[EVENTS_PER_TURN];

    loop->stopped = false;
    while (!loop->stopped) {
        int n =
            epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, sleep_ms(loop));

        if (n < 0 && errno != EINTR)
            return md_fail(err, MD_IO, "cannot wait for events: %s",
                           strerror(errno));
        read_clocks(loop);
        for (int i = 0; i < n; i++) {
            md_loop_io *io = events[i].data.ptr;

            /* Closed by an earlier event of this turn? */
            if (io->in_epoll)
                io->ready(io, events[i].events);
        }
        run_posts(loop);
        fire_timers(loop);
        if (loop->turn_end)
            loop->turn_end(loop->turn_ctx);
    }
    return MD_OK;
}
