#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/size.h"

static void test_alloc__accounts_by_tag(void **state)
{
    const md_alloc *a = md_alloc_tagged(MD_MEM_data);
    md_mem_stat before = md_mem_stat_get(MD_MEM_data), now;
    void *p = md_malloc(a, 100000);

    (void)state;
    assert_non_null(p);
    now = md_mem_stat_get(MD_MEM_data);
    assert_true(now.bytes >= before.bytes + 100000);
    assert_int_equal(now.n_allocs, before.n_allocs + 1);
    assert_true(now.bytes_max >= now.bytes);
    p = md_resize(a, p, 100000, 300000);
    assert_non_null(p);
    assert_true(md_mem_stat_get(MD_MEM_data).bytes >= before.bytes + 300000);
    md_free(a, p);
    md_free(a, NULL);
    now = md_mem_stat_get(MD_MEM_data);
    assert_int_equal(now.bytes, before.bytes);
    assert_true(now.bytes_max >= before.bytes + 300000);
    assert_string_equal(now.name, "data");
}

static void test_alloc__every_tag_has_a_name(void **state)
{
    (void)state;
    for (int t = 0; t < MD_MEM_N_TAGS; t++) {
        md_mem_stat s = md_mem_stat_get((md_mem_tag)t);

        assert_true(s.name[0] && s.help[0]);
    }
    assert_ptr_equal(md_alloc_default(), md_alloc_tagged(MD_MEM_general));
}

static void test_alloc__alignment_survives_resize(void **state)
{
    const md_alloc *a = md_alloc_default();
    unsigned char *p = md_malloc_aligned(a, 100), *q;

    (void)state;
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % MD_CACHE_LINE, 0);
    memset(p, 7, 100);
    q = a->resize(a->ctx, p, 100, 100000, MD_CACHE_LINE);
    assert_non_null(q);
    assert_int_equal((uintptr_t)q % MD_CACHE_LINE, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(q[i], 7);
    md_free(a, q);
}

static void test_alloc__sizes_that_cannot_be(void **state)
{
    const md_alloc *a = md_alloc_default();

    (void)state;
    assert_null(md_malloc(a, 0));
    assert_null(md_malloc_aligned(a, 0));
    assert_null(md_malloc(a, SIZE_MAX / 2));
    assert_null(md_calloc(a, SIZE_MAX / 2, 3));
    assert_null(md_malloc_aligned(a, SIZE_MAX / 2));
}

static void test_alloc__strndup(void **state)
{
    const md_alloc *a = md_alloc_default();
    char *s = md_strndup(a, "hello", 4);

    (void)state;
    assert_string_equal(s, "hell");
    md_free(a, s);
}

static void test_alloc__grow(void **state)
{
    const md_alloc *a = md_alloc_default();
    md_error err = MD_ERROR_INIT;
    uint32_t cap = 0;
    int *v = NULL;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_md_ok(md_grow(a, &v, &cap, i, sizeof(*v), &err), &err);
        assert_true(cap > i);
        v[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v[i], i);
    assert_int_equal(cap, 1024);
    cap = UINT32_MAX / 2 + 1;
    assert_md_fails(md_grow(a, &v, &cap, cap, sizeof(*v), &err), MD_TOO_LARGE,
                    &err, "array of 2147483648 elements");
    cap = UINT32_MAX / 2;
    assert_md_fails(md_grow(a, &v, &cap, cap, SIZE_MAX / 8, &err), MD_NOMEM,
                    &err, "out of memory");
    md_free(a, v);
}

static void test_size__overflow(void **state)
{
    size_t n;
    int64_t i;

    (void)state;
    assert_true(md_mul_size(&n, SIZE_MAX / 2, 2));
    assert_int_equal(n, SIZE_MAX - 1);
    assert_false(md_mul_size(&n, SIZE_MAX / 2, 3));
    assert_true(md_add_size(&n, SIZE_MAX - 1, 1));
    assert_false(md_add_size(&n, SIZE_MAX, 1));
    assert_false(md_mul_i64(&i, INT64_MIN, -1));
    assert_true(md_mul_i64(&i, -3, 5));
    assert_int_equal(i, -15);
    assert_false(md_add_i64(&i, INT64_MAX, 1));
    assert_int_equal(md_round_up(0, 64), 0);
    assert_int_equal(md_round_up(1, 64), 64);
    assert_int_equal(md_round_up(64, 64), 64);
    assert_int_equal(md_div_up(0, 3), 0);
    assert_int_equal(md_div_up(7, 3), 3);
    assert_int_equal(md_min_i64(-1, 2), -1);
    assert_int_equal(md_max_i64(-1, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc__accounts_by_tag),
        cmocka_unit_test(test_alloc__every_tag_has_a_name),
        cmocka_unit_test(test_alloc__alignment_survives_resize),
        cmocka_unit_test(test_alloc__sizes_that_cannot_be),
        cmocka_unit_test(test_alloc__strndup),
        cmocka_unit_test(test_alloc__grow),
        cmocka_unit_test(test_size__overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
