#include "support/test.h"

#include <string.h>

#include "base/arena.h"
#include "base/size.h"

static void test_arena__aligned_and_apart(void **state)
{
    md_arena ar;
    unsigned char *last = NULL;
    uint64_t x = 1;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (int i = 0; i < 2000; i++) {
        size_t n = 1 + (size_t)(x >> 54);
        unsigned char *p =
            i % 3 ? md_arena_alloc(&ar, n) : md_arena_alloc_aligned(&ar, n);

        x = x * 6364136223846793005u + 1442695040888963407u;
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (i % 3 ? _Alignof(max_align_t) : 64),
                         0);
        memset(p, i & 0xff, n); /* ASan sees an overlap of blocks */
        if (last)
            assert_int_equal(*last, (i - 1) & 0xff);
        last = p;
    }
    md_arena_release(&ar);
    assert_int_equal(ar.used, 0);
}

static void test_arena__reset_keeps_the_memory(void **state)
{
    md_arena ar;
    uint64_t before;
    void *first;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    first = md_arena_alloc(&ar, 100);
    for (int i = 0; i < 1000; i++)
        assert_non_null(md_arena_alloc(&ar, 1000));
    before = md_mem_stat_get(MD_MEM_general).n_allocs;
    for (int round = 0; round < 3; round++) {
        md_arena_reset(&ar);
        assert_int_equal(ar.used, 0);
        assert_ptr_equal(md_arena_alloc(&ar, 100), first);
        for (int i = 0; i < 1000; i++)
            assert_non_null(md_arena_alloc(&ar, 1000));
    }
    assert_int_equal(md_mem_stat_get(MD_MEM_general).n_allocs, before);
    md_arena_release(&ar);
}

static void test_arena__limit(void **state)
{
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 1000);
    assert_non_null(md_arena_alloc(&ar, 600));
    assert_null(md_arena_alloc(&ar, 401));
    assert_non_null(md_arena_alloc(&ar, 400));
    assert_null(md_arena_alloc(&ar, 1));
    md_arena_reset(&ar);
    assert_non_null(md_arena_alloc(&ar, 1000));
    md_arena_release(&ar);
}

static void test_arena__sizes_that_cannot_be(void **state)
{
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_null(md_arena_alloc(&ar, 0));
    assert_null(md_arena_alloc(&ar, SIZE_MAX));
    assert_null(md_arena_alloc(&ar, SIZE_MAX - 100));
    assert_null(md_arena_calloc(&ar, SIZE_MAX / 2, 3));
    assert_null(md_arena_strndup(&ar, "x", SIZE_MAX));
    assert_non_null(md_arena_alloc(&ar, 3 << 20)); /* more than a block */
    md_arena_release(&ar);
}

static void test_arena__texts(void **state)
{
    md_arena ar;
    const int *zeros;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_string_equal(md_arena_strdup(&ar, "hello"), "hello");
    assert_string_equal(md_arena_strndup(&ar, "hello", 2), "he");
    assert_string_equal(md_arena_strndup(&ar, NULL, 0), "");
    assert_string_equal(md_arena_printf(&ar, "%s-%d", "a", 7), "a-7");
    zeros = md_arena_calloc(&ar, 100, sizeof(*zeros));
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    md_arena_release(&ar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__aligned_and_apart),
        cmocka_unit_test(test_arena__reset_keeps_the_memory),
        cmocka_unit_test(test_arena__limit),
        cmocka_unit_test(test_arena__sizes_that_cannot_be),
        cmocka_unit_test(test_arena__texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
