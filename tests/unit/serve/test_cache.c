/* Answers by what was asked: what is the same question, and what stays. */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "serve/cache.h"
#include "support/fail_alloc.h"

static md_cache *open_cache(size_t size)
{
    md_error err = MD_ERROR_INIT;
    md_cache *c = NULL;

    assert_md_ok(md_cache_new(&c, size, md_alloc_default(), &err), &err);
    return c;
}

static md_tensor floats(float *v, int64_t n)
{
    md_tensor t = { .dtype = MD_DTYPE_F32, .shape = { 1, { n } } };

    t.data = v;
    return t;
}

static md_cache_key key_of(const md_cache *c, uint64_t model,
                           const md_tensor *t)
{
    md_cache_key k;

    md_cache_key_begin(c, &k, model);
    md_cache_key_add(c, &k, t);
    return k;
}

static bool same(md_cache_key a, md_cache_key b)
{
    return a.h[0] == b.h[0] && a.h[1] == b.h[1];
}

static void put_floats(md_cache *c, md_cache_key k, float *v, int64_t n)
{
    const md_tensor t = floats(v, n);
    const md_tensor *list[] = { &t };

    md_cache_put(c, &k, list, 1);
}

/* The first number of the answer; -1: there is none. */
static float look(md_cache *c, md_cache_key k)
{
    md_cache_entry *e = md_cache_find(c, &k);
    const md_tensor *t;
    float v = -1;
    uint32_t n;

    if (!e)
        return v;
    t = md_cache_outputs(e, &n);
    assert_int_equal(n, 1);
    v = ((const float *)t->data)[0];
    md_cache_let_go(c, e);
    return v;
}

static void test_cache__whatever_differs_is_another_question(void **state)
{
    float v[] = { 1, 2, 3, 4 };
    float w[] = { 1, 2, 3, 5 };
    md_str a[] = { { "ab", 2 }, { "c", 1 } };
    md_str b[] = { { "a", 1 }, { "bc", 2 } };
    md_cache *c = open_cache(1 << 20);
    md_cache *other = open_cache(1 << 20);
    md_tensor list[8];
    uint32_t n = 0;

    (void)state;
    list[n++] = floats(v, 4);
    list[n++] = floats(w, 4);
    list[n++] = floats(v, 3);
    list[n] = floats(v, 4);
    list[n++].dtype = MD_DTYPE_I32;
    list[n] = floats(v, 4);
    list[n++].shape = (md_shape){ 2, { 2, 2 } };
    list[n] = floats(v, 4);
    list[n++].shape = (md_shape){ 2, { 4, 1 } };
    list[n++] = (md_tensor){ .dtype = MD_DTYPE_STRING,
                             .shape = { 1, { 2 } },
                             .data = a };
    list[n++] = (md_tensor){ .dtype = MD_DTYPE_STRING,
                             .shape = { 1, { 2 } },
                             .data = b };
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(
                same(key_of(c, 1, &list[i]), key_of(c, 1, &list[k])), i == k);
    assert_false(same(key_of(c, 1, &list[0]), key_of(c, 2, &list[0])));
    assert_false(same(key_of(c, 1, &list[0]), key_of(other, 1, &list[0])));
    md_cache_free(c);
    md_cache_free(other);
    md_cache_free(NULL);
}

static void test_cache__keeps_copies(void **state)
{
    float v[] = { 7, 8 };
    md_cache *c = open_cache(1 << 20);
    const md_tensor t = floats(v, 2);
    const md_cache_key k = key_of(c, 1, &t);

    (void)state;
    assert_true(look(c, k) < 0);
    put_floats(c, k, v, 2);
    v[0] = 9;
    assert_true(look(c, k) == 7);
    put_floats(c, k, v, 2); /* what is there stays */
    assert_true(look(c, k) == 7);
    assert_int_equal(md_cache_stats_get(c)->hits, 2);
    assert_int_equal(md_cache_stats_get(c)->misses, 1);
    assert_int_equal(md_cache_stats_get(c)->entries, 1);
    md_cache_free(c);
}

static void test_cache__strings(void **state)
{
    char text[] = "one";
    md_str s[] = { { text, 3 }, { "", 0 }, { "three", 5 } };
    const md_tensor t = { .dtype = MD_DTYPE_STRING,
                          .shape = { 1, { 3 } },
                          .data = s };
    const md_tensor *list[] = { &t, &t };
    md_cache *c = open_cache(1 << 20);
    const md_cache_key k = key_of(c, 1, &t);
    const md_tensor *got;
    md_cache_entry *e;
    uint32_t n = 0;

    (void)state;
    md_cache_put(c, &k, list, 2);
    memset(text, 'x', 3);
    e = md_cache_find(c, &k);
    assert_non_null(e);
    if (!e)
        return;
    got = md_cache_outputs(e, &n);
    assert_int_equal(n, 2);
    for (uint32_t i = 0; i < n; i++) {
        const md_str *p = got[i].data;

        assert_memory_equal(p[0].p, "one", 3);
        assert_int_equal(p[1].n, 0);
        assert_memory_equal(p[2].p, "three", 5);
    }
    md_cache_let_go(c, e);
    md_cache_free(c);
}

static void test_cache__is_bounded_and_forgets_the_oldest(void **state)
{
    static float v[256];
    md_cache *c = open_cache(8 << 10);
    md_cache_key keys[20];
    const md_cache_stats *st = md_cache_stats_get(c);

    (void)state;
    for (int i = 0; i < 20; i++) {
        md_tensor t;

        v[0] = (float)i;
        t = floats(v, 256);
        keys[i] = key_of(c, 1, &t);
        put_floats(c, keys[i], v, 256);
        assert_true(look(c, keys[0]) == 0); /* used: it stays */
        assert_true(st->bytes <= 8 << 10);
    }
    assert_true(look(c, keys[19]) == 19);
    assert_true(look(c, keys[1]) < 0);
    assert_true(st->evictions > 10);
    assert_int_equal(st->entries + st->evictions, 20);
    md_cache_free(c);
}

static void test_cache__what_is_too_large_is_not_kept(void **state)
{
    static float v[4096];
    md_cache *c = open_cache(4 << 10);
    const md_tensor t = floats(v, 4096);
    const md_cache_key k = key_of(c, 1, &t);

    (void)state;
    put_floats(c, k, v, 4096);
    assert_true(look(c, k) < 0);
    assert_int_equal(md_cache_stats_get(c)->bytes, 0);
    md_cache_free(c);
}

/* What is held outlives its eviction. */
static void test_cache__holders_keep_what_they_hold(void **state)
{
    static float v[256];
    md_cache *c = open_cache(3 << 10);
    md_tensor t = floats(v, 256);
    md_cache_key k;
    md_cache_entry *e;
    uint32_t n;

    (void)state;
    v[0] = 5;
    k = key_of(c, 1, &t);
    put_floats(c, k, v, 256);
    e = md_cache_find(c, &k);
    assert_non_null(e);
    if (!e)
        return;
    for (uint64_t i = 2; i < 10; i++) {
        v[0] = (float)i;
        put_floats(c, key_of(c, i, &t), v, 256);
    }
    assert_true(look(c, k) < 0);
    assert_true(((const float *)md_cache_outputs(e, &n)->data)[0] == 5);
    md_cache_let_go(c, e);
    md_cache_free(c);
}

static void *use(void *arg)
{
    md_cache *c = arg;
    float v[64] = { 0 };

    for (int i = 0; i < 2000; i++) {
        md_tensor t;
        float got;

        v[0] = (float)(i % 37);
        t = floats(v, 64);
        got = look(c, key_of(c, 1, &t));
        if (got >= 0 && got != v[0])
            return c;
        put_floats(c, key_of(c, 1, &t), v, 64);
    }
    return NULL;
}

static void test_cache__several_threads(void **state)
{
    md_cache *c = open_cache(6 << 10);
    pthread_t threads[3];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, c), 0);
    for (size_t i = 0; i < MD_COUNT(threads); i++) {
        void *wrong = NULL;

        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    md_cache_free(c);
}

static void test_cache__out_of_memory(void **state)
{
    float v[] = { 1 };
    const md_tensor t = floats(v, 1);
    md_error err = MD_ERROR_INIT;
    md_cache *c = NULL;
    fail_alloc fa;

    (void)state;
    fail_alloc_init(&fa);
    fail_alloc_arm(&fa, 0);
    assert_int_equal(md_cache_new(&c, 1 << 20, &fa.alloc, &err), MD_NOMEM);
    assert_true(fail_alloc_disarm(&fa));
    assert_md_ok(md_cache_new(&c, 1 << 20, &fa.alloc, &err), &err);
    fail_alloc_arm(&fa, 0);
    put_floats(c, key_of(c, 1, &t), v, 1);
    assert_true(fail_alloc_disarm(&fa));
    assert_true(look(c, key_of(c, 1, &t)) < 0);
    md_cache_free(c);
    assert_int_equal(fa.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache__whatever_differs_is_another_question),
        cmocka_unit_test(test_cache__keeps_copies),
        cmocka_unit_test(test_cache__strings),
        cmocka_unit_test(test_cache__is_bounded_and_forgets_the_oldest),
        cmocka_unit_test(test_cache__what_is_too_large_is_not_kept),
        cmocka_unit_test(test_cache__holders_keep_what_they_hold),
        cmocka_unit_test(test_cache__several_threads),
        cmocka_unit_test(test_cache__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
