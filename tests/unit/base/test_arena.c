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

/* Contents move, new room is zeroed, sizes double. */
static void test_arena__grow(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_arena ar;
    uint64_t *v = NULL;
    uint32_t cap = 0, n_moves = 0;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (uint32_t n = 0; n < 1000; n++) {
        const uint64_t *before = v;

        assert_md_ok(md_arena_grow(&ar, (void *)&v, &cap, n, sizeof(*v), &err),
                     &err);
        assert_true(cap > n);
        if (!v) { /* said so that the analyser sees it */
            fail_msg("no array of %u elements", cap);
            return;
        }
        n_moves += v != before;
        for (uint32_t i = n; i < cap && v != before; i++)
            assert_int_equal(v[i], 0);
        v[n] = n + 1;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(v[i], i + 1);
    assert_int_equal(cap, 1024);
    assert_int_equal(n_moves, 8); /* 8, 16, ... 1024 */
    md_arena_release(&ar);
}

static void test_arena__grow_fails(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_arena ar;
    uint64_t *v = NULL, *before;
    uint32_t cap = 0, huge = UINT32_MAX / 2 + 1;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 100);
    assert_md_ok(md_arena_grow(&ar, (void *)&v, &cap, 0, sizeof(*v), &err),
                 &err);
    before = v;
    assert_md_fails(md_arena_grow(&ar, (void *)&v, &cap, cap, sizeof(*v), &err),
                    MD_NOMEM, &err, "out of memory: 128 bytes wanted");
    assert_ptr_equal(v, before);
    assert_int_equal(cap, 8);
    assert_md_ok(md_arena_grow(&ar, (void *)&v, &cap, 7, sizeof(*v), &err),
                 &err);
    assert_ptr_equal(v, before);
    assert_md_fails(md_arena_grow(&ar, (void *)&v, &huge, huge, 1, &err),
                    MD_TOO_LARGE, &err, "array of 2147483648 elements");
    cap = 1u << 30;
    assert_md_fails(
        md_arena_grow(&ar, (void *)&v, &cap, cap, SIZE_MAX / 4, &err),
        MD_TOO_LARGE, &err, "array of 1073741824 elements");
    assert_ptr_equal(v, before);
    md_arena_release(&ar);
}

/* Every text and array at every limit: NULL or whole, never more than it. */
static void test_arena__every_limit(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 120; limit++) {
        md_arena ar;
        const char *a, *b, *c;

        md_arena_init(&ar, md_alloc_default(), limit);
        a = md_arena_strdup(&ar, "ten bytes");
        b = md_arena_printf(&ar, "%s %d", "and sixteen:", 256);
        c = md_arena_calloc(&ar, 5, 5);
        assert_true(ar.used <= limit);
        assert_int_equal(a != NULL, limit >= 10);
        assert_int_equal(b != NULL, limit >= (a ? 10 + 17 : 17));
        if (b)
            assert_string_equal(b, "and sixteen: 256");
        if (limit >= 10 + 17 + 25)
            assert_non_null(c);
        md_arena_release(&ar);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__aligned_and_apart),
        cmocka_unit_test(test_arena__reset_keeps_the_memory),
        cmocka_unit_test(test_arena__limit),
        cmocka_unit_test(test_arena__sizes_that_cannot_be),
        cmocka_unit_test(test_arena__texts),
        cmocka_unit_test(test_arena__grow),
        cmocka_unit_test(test_arena__grow_fails),
        cmocka_unit_test(test_arena__every_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
