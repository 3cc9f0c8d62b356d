/* The allocator that keeps what is freed. */
#include "support/test.h"

#include <string.h>

#include "engine/recycle.h"

static uint64_t count_allocs(void)
{
    return md_mem_stat_get(MD_MEM_general).n_allocs;
}

static void test_recycle__reuses(void **state)
{
    static const size_t sizes[] = { 1, 64, 65, 127, 128, 129, 4097, 1 << 20 };
    md_recycle r;

    (void)state;
    md_recycle_init(&r, md_alloc_default());
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        unsigned char *p = md_malloc_aligned(&r.alloc, sizes[i]);
        uint64_t before;

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(r.used_size >= sizes[i]);
        assert_true(r.used_size <= sizes[i] + sizes[i] / 4 + 64);
        memset(p, 1, sizes[i]);
        md_free(&r.alloc, p);
        assert_int_equal(r.used_size, 0);
        before = count_allocs();
        assert_ptr_equal(md_malloc_aligned(&r.alloc, sizes[i]), p);
        assert_int_equal(count_allocs(), before);
        md_free(&r.alloc, p);
    }
    md_recycle_release(&r);
}

static void test_recycle__resize_keeps_contents(void **state)
{
    md_recycle r;
    unsigned char *p;

    (void)state;
    md_recycle_init(&r, md_alloc_default());
    p = md_resize(&r.alloc, NULL, 0, 100);
    assert_non_null(p);
    for (int i = 0; i < 100; i++)
        p[i] = (unsigned char)i;
    p = md_resize(&r.alloc, p, 100, 5000);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], i);
    assert_ptr_equal(md_resize(&r.alloc, p, 5000, 50), p);
    md_free(&r.alloc, p);
    md_recycle_release(&r);
}

/* What four executions had no use for is given back, the rest is kept. */
static void test_recycle__trims(void **state)
{
    md_recycle r;
    void *p;

    (void)state;
    md_recycle_init(&r, md_alloc_default());
    p = md_malloc(&r.alloc, 1 << 20);
    md_free(&r.alloc, p);
    for (int i = 0; i < 3; i++) {
        md_recycle_trim(&r);
        assert_true(r.kept_size >= 1 << 20);
        p = md_malloc(&r.alloc, 1000);
        md_free(&r.alloc, p);
    }
    md_recycle_trim(&r);
    assert_true(r.kept_size >= 1000);
    assert_true(r.kept_size <= 2000);
    md_recycle_release(&r);
    assert_int_equal(r.kept_size, 0);
}

static void test_recycle__absurd_sizes(void **state)
{
    md_recycle r;

    (void)state;
    md_recycle_init(&r, md_alloc_default());
    assert_null(md_malloc(&r.alloc, SIZE_MAX));
    assert_null(md_malloc(&r.alloc, SIZE_MAX / 2));
    assert_null(md_malloc(&r.alloc, 0));
    assert_int_equal(r.used_size, 0);
    md_recycle_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recycle__reuses),
        cmocka_unit_test(test_recycle__resize_keeps_contents),
        cmocka_unit_test(test_recycle__trims),
        cmocka_unit_test(test_recycle__absurd_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
