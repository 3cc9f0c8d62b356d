#include "support/test.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/loop.h"

enum {
    N_TIMERS = 3,
    N_THREADS = 4,
    N_POSTS = 1000
};

static md_loop *open_loop(void)
{
    md_error err = MD_ERROR_INIT;
    md_loop *loop = NULL;

    assert_md_ok(md_loop_new(&loop, md_alloc_default(), &err), &err);
    return loop;
}

static void run_loop(md_loop *loop)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_loop_run(loop, &err), &err);
}

/* ---- timers ---- */

static md_loop *timer_loop;
static md_timer timers[N_TIMERS];
static int fired[8];
static int n_fired;

static void note(md_timer *t)
{
    assert_null(t->prev);
    fired[n_fired++] = (int)(t - timers);
}

static void note_and_stop(md_timer *t)
{
    note(t);
    md_loop_stop(timer_loop);
}

static void test_loop__timers_fire_in_order(void **state)
{
    md_timer_queue slow;
    md_timer_queue fast;
    md_timer_queue never;
    uint64_t start;

    (void)state;
    timer_loop = open_loop();
    memset(timers, 0, sizeof(timers));
    n_fired = 0;
    md_timer_queue_init(&slow, timer_loop, 30, note_and_stop);
    md_timer_queue_init(&fast, timer_loop, 10, note);
    md_timer_queue_init(&never, timer_loop, 0, note);
    start = md_loop_now_ms(timer_loop);
    md_timer_start(&slow, &timers[0]);
    md_timer_start(&fast, &timers[1]);
    md_timer_start(&never, &timers[2]);
    assert_ptr_equal(md_timer_first(&slow), &timers[0]);
    assert_ptr_equal(md_timer_first(&never), &timers[2]);
    run_loop(timer_loop);
    assert_int_equal(n_fired, 2);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 0);
    assert_true(md_loop_now_ms(timer_loop) >= start + 30);
    md_loop_free(timer_loop);
}

static void test_loop__timers_stop_and_move(void **state)
{
    md_timer_queue slow;
    md_timer_queue fast;

    (void)state;
    timer_loop = open_loop();
    memset(timers, 0, sizeof(timers));
    n_fired = 0;
    md_timer_queue_init(&fast, timer_loop, 5, note);
    md_timer_queue_init(&slow, timer_loop, 20, note_and_stop);
    md_timer_start(&fast, &timers[0]);
    md_timer_start(&fast, &timers[1]);
    md_timer_start(&fast, &timers[2]);
    md_timer_stop(&timers[1]);
    md_timer_stop(&timers[1]); /* again: nothing */
    md_timer_start(&slow, &timers[0]);
    assert_ptr_equal(md_timer_first(&fast), &timers[2]);
    run_loop(timer_loop);
    assert_int_equal(n_fired, 2);
    assert_int_equal(fired[0], 2);
    assert_int_equal(fired[1], 0);
    assert_null(md_timer_first(&fast));
    md_loop_free(timer_loop);
}

/* ---- posts ---- */

typedef struct counted {
    md_post post;
    md_loop *loop;
    int *n_left;
    int id;
    int *last_id; /* of its thread */
} counted;

static void count_down(md_post *p)
{
    counted *c = (counted *)p;

    assert_int_equal(c->id, *c->last_id + 1);
    *c->last_id = c->id;
    if (--*c->n_left == 0)
        md_loop_stop(c->loop);
}

static void *post_all(void *arg)
{
    counted *c = arg;

    for (int i = 0; i < N_POSTS; i++)
        md_loop_post(c[i].loop, &c[i].post);
    return NULL;
}

static void test_loop__posts_from_threads_keep_their_order(void **state)
{
    static counted posts[N_THREADS][N_POSTS];
    pthread_t threads[N_THREADS];
    int last[N_THREADS];
    int n_left = N_THREADS * N_POSTS;
    md_loop *loop = open_loop();

    (void)state;
    for (int t = 0; t < N_THREADS; t++) {
        last[t] = -1;
        for (int i = 0; i < N_POSTS; i++)
            posts[t][i] = (counted){ .post = { .run = count_down },
                                     .loop = loop,
                                     .n_left = &n_left,
                                     .id = i,
                                     .last_id = &last[t] };
        assert_int_equal(pthread_create(&threads[t], NULL, post_all, posts[t]),
                         0);
    }
    run_loop(loop);
    assert_int_equal(n_left, 0);
    for (int t = 0; t < N_THREADS; t++)
        pthread_join(threads[t], NULL);
    md_loop_free(loop);
}

static md_post again;
static int n_again;

static void post_again(md_post *p)
{
    if (++n_again == 3)
        md_loop_stop(timer_loop);
    else
        md_loop_post(timer_loop, p);
}

static void test_loop__post_from_a_post(void **state)
{
    (void)state;
    timer_loop = open_loop();
    again.run = post_again;
    md_loop_post(timer_loop, &again);
    run_loop(timer_loop);
    assert_int_equal(n_again, 3);
    md_loop_free(timer_loop);
}

/* ---- descriptors ---- */

typedef struct pair {
    md_loop_io io[2];
    md_loop *loop;
    int n_ready;
} pair;

static pair pipes;

/* Both are ready in one turn; the first one closes both. */
static void close_both(md_loop_io *io, uint32_t events)
{
    (void)io;
    assert_true(events & EPOLLIN);
    pipes.n_ready++;
    for (int i = 0; i < 2; i++) {
        md_loop_unwatch(pipes.loop, &pipes.io[i]);
        close(pipes.io[i].fd);
    }
    md_loop_stop(pipes.loop);
}

static void test_loop__event_of_a_closed_descriptor(void **state)
{
    md_error err = MD_ERROR_INIT;
    int ends[2][2];

    (void)state;
    pipes.loop = open_loop();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(ends[i]), 0);
        assert_int_equal(write(ends[i][1], "x", 1), 1);
        pipes.io[i] = (md_loop_io){ .fd = ends[i][0], .ready = close_both };
        assert_md_ok(md_loop_watch(pipes.loop, &pipes.io[i], EPOLLIN, &err),
                     &err);
    }
    run_loop(pipes.loop);
    assert_int_equal(pipes.n_ready, 1);
    for (int i = 0; i < 2; i++)
        close(ends[i][1]);
    md_loop_free(pipes.loop);
}

static void test_loop__watching_a_bad_descriptor(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_loop *loop = open_loop();
    md_loop_io io = { .fd = -1, .ready = close_both };

    (void)state;
    assert_md_fails(md_loop_watch(loop, &io, EPOLLIN, &err), MD_IO, &err,
                    "cannot watch descriptor -1");
    assert_false(io.in_epoll);
    md_loop_unwatch(loop, &io);
    md_loop_free(loop);
    md_loop_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop__timers_fire_in_order),
        cmocka_unit_test(test_loop__timers_stop_and_move),
        cmocka_unit_test(test_loop__posts_from_threads_keep_their_order),
        cmocka_unit_test(test_loop__post_from_a_post),
        cmocka_unit_test(test_loop__event_of_a_closed_descriptor),
        cmocka_unit_test(test_loop__watching_a_bad_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
