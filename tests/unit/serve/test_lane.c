/* Which calls of a model are run together, and when: time is made up. */
#include "support/test.h"

#include <string.h>

#include "serve/lane.h"

enum {
    US = 1000,
    MS = 1000000
};

#define NEVER INT64_MAX

static md_config_batching policy(void)
{
    return (md_config_batching){ .on = true };
}

static md_lane_item one(int64_t rows)
{
    return (md_lane_item){ .rows = rows };
}

static void join(md_lane *l, md_lane_item *item, int64_t now)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_lane_join(l, item, now, &err), &err);
}

/* Take what is ready and count it. */
static uint32_t take(md_lane *l, int64_t now, md_lane_item *out[8])
{
    const md_lane_plan p = md_lane_look(l, now, false);
    uint32_t n = 0;

    assert_true(p.ready);
    for (md_lane_item *i = md_lane_take(l, &p); i && n < 8; i = i->next)
        out[n++] = i;
    return n;
}

static void test_lane__nothing_waits_without_a_delay(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[2] = { one(1), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    md_lane_init(&l, &b, 8, 0, 10);
    assert_false(md_lane_look(&l, 5, false).ready);
    assert_true(md_lane_look(&l, 5, false).due_ns == NEVER);
    join(&l, &items[0], 5);
    join(&l, &items[1], 5);
    assert_false(md_lane_look(&l, 5, false).urgent);
    assert_int_equal(take(&l, 5, got), 2);
    assert_ptr_equal(got[0], &items[0]);
    assert_ptr_equal(got[1], &items[1]);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.n_running, 1);
    md_lane_done(&l);
    assert_int_equal(l.n_running, 0);
}

static void test_lane__the_first_one_waits_for_others(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[4] = { one(1), one(2), one(2), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane_plan p;
    md_lane l;

    (void)state;
    b.delay_us = 100;
    md_lane_init(&l, &b, 4, 0, 10);
    join(&l, &items[0], 0);
    p = md_lane_look(&l, 99 * US, false);
    assert_false(p.ready);
    assert_int_equal(p.due_ns, 100 * US);
    assert_true(md_lane_look(&l, 99 * US, true).ready);
    assert_true(md_lane_look(&l, 100 * US, false).ready);
    assert_false(md_lane_look(&l, 100 * US, false).urgent);
    assert_true(md_lane_look(&l, 2 * MS, false).urgent);
    join(&l, &items[1], 50 * US);
    assert_false(md_lane_look(&l, 60 * US, false).ready);
    /* The third does not fit: what is there cannot grow. */
    join(&l, &items[2], 60 * US);
    p = md_lane_look(&l, 60 * US, false);
    assert_true(p.ready && p.urgent);
    assert_int_equal(p.rows, 3);
    assert_int_equal(take(&l, 60 * US, got), 2);
    assert_false(md_lane_look(&l, 60 * US, false).ready);
    join(&l, &items[3], 70 * US);
    assert_int_equal(md_lane_look(&l, 70 * US, false).due_ns, 160 * US);
    assert_int_equal(take(&l, 160 * US, got), 2);
}

static void test_lane__preferred_sizes(void **state)
{
    int64_t sizes[] = { 4, 2 };
    md_config_batching b = policy();
    md_lane_item items[6] = { one(1), one(1), one(1), one(1), one(1), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    b.delay_us = 100;
    b.preferred.v = sizes;
    b.preferred.n = 2;
    md_lane_init(&l, &b, 8, 0, 10);
    join(&l, &items[0], 0);
    assert_false(md_lane_look(&l, 0, false).ready);
    join(&l, &items[1], 0);
    join(&l, &items[2], 0);
    assert_int_equal(take(&l, 0, got), 2);
    for (int i = 3; i < 6; i++)
        join(&l, &items[i], 0);
    assert_int_equal(take(&l, 0, got), 4);
    assert_ptr_equal(got[0], &items[2]);
}

static void test_lane__unlike_calls_are_run_apart(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[4] = { one(1), one(1), one(1), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    items[1].signature = 7;
    md_lane_init(&l, &b, 8, 0, 10);
    for (int i = 0; i < 3; i++)
        join(&l, &items[i], 0);
    assert_int_equal(take(&l, 0, got), 2);
    assert_ptr_equal(got[1], &items[2]);
    join(&l, &items[3], 0);
    assert_int_equal(take(&l, 0, got), 1);
    assert_ptr_equal(got[0], &items[1]);
    assert_int_equal(take(&l, 0, got), 1);
}

static void test_lane__order_is_kept_when_asked_for(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[3] = { one(1), one(1), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    items[1].signature = 7;
    b.preserve_ordering = true;
    md_lane_init(&l, &b, 8, 0, 10);
    for (int i = 0; i < 3; i++)
        join(&l, &items[i], 0);
    assert_int_equal(take(&l, 0, got), 1);
    assert_ptr_equal(got[0], &items[0]);
    assert_false(md_lane_look(&l, 0, false).ready); /* one at a time */
    md_lane_done(&l);
    assert_int_equal(take(&l, 0, got), 1);
    assert_ptr_equal(got[0], &items[1]);
}

static void test_lane__priorities(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[5] = { one(1), one(1), one(1), one(1), one(1) };
    static const int64_t levels[] = { 0, 3, 1, 99, 1 };
    static const int order[] = { 2, 4, 0, 3, 1 };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    b.n_levels = 3;
    b.default_level = 2;
    md_lane_init(&l, &b, 8, 0, 10);
    for (int i = 0; i < 5; i++) {
        items[i].level = levels[i];
        join(&l, &items[i], 0);
    }
    assert_int_equal(take(&l, 0, got), 5);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(got[i], &items[order[i]]);
}

static void test_lane__is_bounded_by_priority(void **state)
{
    md_config_priority first = { 1, { .size_max = 1 } };
    md_config_batching b = policy();
    md_lane_item items[4] = { one(1), one(1), one(1), one(1) };
    md_error err = MD_ERROR_INIT;
    md_lane l;

    (void)state;
    b.n_levels = b.default_level = 2;
    b.levels = &first;
    b.n_level_queues = 1;
    md_lane_init(&l, &b, 8, 0, 2);
    for (int i = 0; i < 4; i++)
        items[i].level = i < 2 ? 1 : 2;
    join(&l, &items[0], 0);
    assert_md_fails(md_lane_join(&l, &items[1], 0, &err), MD_BUSY, &err,
                    "1 requests wait, at most 1 may");
    join(&l, &items[2], 0);
    join(&l, &items[3], 0);
    items[1].level = 2;
    assert_md_fails(md_lane_join(&l, &items[1], 0, &err), MD_BUSY, &err,
                    "2 requests wait, at most 2 may");
    assert_int_equal(l.n, 3);
}

static void test_lane__instances(void **state)
{
    md_config_batching off = { .on = false };
    md_lane_item items[3] = { one(5), one(1), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    md_lane_init(&l, &off, 8, 2, 10);
    for (int i = 0; i < 3; i++)
        join(&l, &items[i], 0);
    assert_int_equal(take(&l, 0, got), 1);
    assert_int_equal(take(&l, 0, got), 1);
    assert_false(md_lane_look(&l, MS, false).ready);
    assert_false(md_lane_look(&l, MS, true).ready);
    md_lane_done(&l);
    assert_true(md_lane_look(&l, MS, false).urgent);
    assert_int_equal(take(&l, 0, got), 1);
    assert_ptr_equal(got[0], &items[2]);
}

static void test_lane__timeouts(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[3] = { one(1), one(1), one(1) };
    md_lane l;

    (void)state;
    b.delay_us = 10000;
    b.queue = (md_config_queue){ .timeout_us = 100, .allow_override = true };
    items[1].timeout_us = 50;
    items[2].timeout_us = 500; /* not longer than the policy's */
    md_lane_init(&l, &b, 8, 0, 10);
    for (int i = 0; i < 3; i++)
        join(&l, &items[i], 0);
    assert_null(md_lane_expire(&l, 49 * US));
    assert_int_equal(md_lane_look(&l, 0, false).due_ns, 50 * US);
    assert_ptr_equal(md_lane_expire(&l, 50 * US), &items[1]);
    assert_null(md_lane_expire(&l, 50 * US));
    assert_ptr_equal(md_lane_expire(&l, 100 * US), &items[0]);
    assert_ptr_equal(md_lane_expire(&l, 100 * US), &items[2]);
    assert_int_equal(l.n, 0);
    b.queue.allow_override = false;
    md_lane_init(&l, &b, 8, 0, 10);
    join(&l, &items[1], 0);
    assert_null(md_lane_expire(&l, 99 * US));
    assert_ptr_equal(md_lane_expire(&l, INT64_MAX - 1), &items[1]);
}

static void test_lane__late_ones_are_served_last(void **state)
{
    md_config_batching b = policy();
    md_lane_item items[3] = { one(1), one(1), one(1) };
    md_lane_item *got[8] = { NULL };
    md_lane l;

    (void)state;
    b.queue = (md_config_queue){ .timeout_us = 100, .delay = true };
    md_lane_init(&l, &b, 1, 0, 10);
    join(&l, &items[0], 0);
    join(&l, &items[1], 60 * US);
    assert_null(md_lane_expire(&l, 120 * US));
    join(&l, &items[2], 120 * US);
    assert_int_equal(take(&l, 120 * US, got), 1);
    assert_ptr_equal(got[0], &items[1]);
    assert_int_equal(take(&l, 120 * US, got), 1);
    assert_ptr_equal(got[0], &items[2]);
    assert_int_equal(take(&l, 120 * US, got), 1);
    assert_ptr_equal(got[0], &items[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane__nothing_waits_without_a_delay),
        cmocka_unit_test(test_lane__the_first_one_waits_for_others),
        cmocka_unit_test(test_lane__preferred_sizes),
        cmocka_unit_test(test_lane__unlike_calls_are_run_apart),
        cmocka_unit_test(test_lane__order_is_kept_when_asked_for),
        cmocka_unit_test(test_lane__priorities),
        cmocka_unit_test(test_lane__is_bounded_by_priority),
        cmocka_unit_test(test_lane__instances),
        cmocka_unit_test(test_lane__timeouts),
        cmocka_unit_test(test_lane__late_ones_are_served_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
