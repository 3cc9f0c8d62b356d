#include "support/test.h"

#include <pthread.h>
#include <unistd.h>

#include "serve/queue.h"

enum {
    N_ITEMS = 5000,
    N_TAKERS = 3
};

static int items[N_ITEMS];
static int taken[N_ITEMS];

static md_queue *open_queue(uint32_t limit, uint32_t n_workers)
{
    md_error err = MD_ERROR_INIT;
    md_queue *q = NULL;

    assert_md_ok(md_queue_new(&q, limit, n_workers, md_alloc_default(), &err),
                 &err);
    return q;
}

/* The next new item; NULL at the end. */
static void *pop(md_queue *q)
{
    md_work w;

    return md_queue_take(q, &w) ? w.item : NULL;
}

static void test_queue__is_bounded_and_in_order(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_queue *q = open_queue(3, 1);

    (void)state;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            assert_md_ok(md_queue_push(q, &items[i], &err), &err);
        assert_md_fails(md_queue_push(q, &items[3], &err), MD_BUSY, &err,
                        "3 requests wait, at most 3 may");
        assert_int_equal(md_queue_depth(q), 3);
        for (int i = 0; i < 3; i++)
            assert_ptr_equal(pop(q), &items[i]);
        assert_int_equal(md_queue_depth(q), 0);
    }
    assert_int_equal(md_queue_limit(q), 3);
    md_queue_free(q);
    md_queue_free(NULL);
}

static void test_queue__closed_hands_out_the_rest(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_queue *q = open_queue(2, 1);

    (void)state;
    assert_md_ok(md_queue_push(q, &items[0], &err), &err);
    md_queue_close(q);
    assert_md_fails(md_queue_push(q, &items[1], &err), MD_UNAVAILABLE, &err,
                    "shutting down");
    assert_ptr_equal(pop(q), &items[0]);
    assert_null(pop(q));
    assert_null(pop(q));
    md_queue_free(q);
}

static void *pop_one(void *q)
{
    return pop(q);
}

/* A limit of 0: in only when a worker waits, and then at once. */
static void test_queue__without_waiting(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_queue *q = open_queue(0, 1);
    pthread_t t;
    void *got = NULL;

    (void)state;
    assert_md_fails(md_queue_push(q, &items[0], &err), MD_BUSY, &err,
                    "at most 0");
    pthread_create(&t, NULL, pop_one, q);
    while (md_queue_push(q, &items[0], NULL) != MD_OK)
        usleep(1000);
    pthread_join(t, &got);
    assert_ptr_equal(got, &items[0]);
    md_queue_free(q);
}

static void *take_all(void *q)
{
    int *item;

    while ((item = pop(q)))
        taken[item - items]++;
    return NULL;
}

static void test_queue__each_item_once(void **state)
{
    md_queue *q = open_queue(16, N_TAKERS);
    pthread_t t[N_TAKERS];

    (void)state;
    for (int i = 0; i < N_TAKERS; i++)
        pthread_create(&t[i], NULL, take_all, q);
    for (int i = 0; i < N_ITEMS; i++)
        while (md_queue_push(q, &items[i], NULL) != MD_OK)
            usleep(100);
    md_queue_close(q);
    for (int i = 0; i < N_TAKERS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < N_ITEMS; i++)
        assert_int_equal(taken[i], 1);
    md_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue__is_bounded_and_in_order),
        cmocka_unit_test(test_queue__closed_hands_out_the_rest),
        cmocka_unit_test(test_queue__without_waiting),
        cmocka_unit_test(test_queue__each_item_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
