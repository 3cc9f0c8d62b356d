#include "support/test.h"

#include <string.h>

#include "ops/common/util.h"

enum {
    N_MAX = 100000
};

typedef struct seen {
    uint8_t times[N_MAX];
    _Atomic int64_t n_parts;
} seen;

static void count(void *ctx, int64_t from, int64_t to)
{
    seen *s = ctx;

    assert_true(from < to);
    for (int64_t i = from; i < to; i++)
        s->times[i]++;
    s->n_parts++;
}

static int64_t parts(md_pool *pool, int width, int64_t n, double cost)
{
    static seen s;
    md_exec x = { .pool = pool, .width = width };

    memset(&s, 0, sizeof(s));
    md_exec__share(&x, n, cost, count, &s);
    for (int64_t i = 0; i < N_MAX; i++)
        assert_int_equal(s.times[i], i < n);
    return s.n_parts;
}

static void test_share__every_index_once_in_the_same_parts(void **state)
{
    static const int64_t sizes[] = { 0, 1, 2, 999, 30001, N_MAX };
    static const double costs[] = { 0.01, 1, 300, 1e6 };
    md_error err = MD_ERROR_INIT;
    md_pool *pool;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    for (size_t i = 0; i < MD_COUNT(sizes); i++) {
        for (size_t k = 0; k < MD_COUNT(costs); k++) {
            int64_t n = (double)sizes[i] * costs[k] < 1e7 ? sizes[i] : 300;
            int64_t one = parts(NULL, 0, n, costs[k]);

            assert_int_equal(parts(pool, 0, n, costs[k]), one);
            assert_int_equal(parts(pool, 2, n, costs[k]), one);
        }
    }
    assert_int_equal(parts(pool, 0, 1000, 1), 1); /* not worth a thread */
    assert_int_equal(parts(pool, 0, 7, 1e6), 7);
    md_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share__every_index_once_in_the_same_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
