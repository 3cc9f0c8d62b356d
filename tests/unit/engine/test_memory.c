/* md_memory_pack against the plain rule: buffers alive together must not
 * overlap, the block holds all, and it is no larger than their sum. */
#include "support/test.h"

#include <stdbool.h>

#include "engine/memory.h"

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void check_packed(const md_buffer *b, uint32_t n, size_t total)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(b[i].offset % MD_CACHE_LINE, 0);
        if (b[i].size == 0)
            continue;
        assert_true(b[i].offset + b[i].size <= total);
        for (uint32_t k = 0; k < i; k++) {
            bool together = b[i].from <= b[k].to && b[k].from <= b[i].to;
            bool apart = b[i].offset + b[i].size <= b[k].offset ||
                         b[k].offset + b[k].size <= b[i].offset;

            if (b[k].size > 0 && together && !apart)
                fail_msg("buffers %u and %u overlap", i, k);
        }
    }
}

static md_arena arena; /* of each test */

static int setup(void **state)
{
    (void)state;
    md_arena_init(&arena, md_alloc_default(), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_arena_release(&arena);
    return 0;
}

static void test_memory__random_programs(void **state)
{
    md_error err = MD_ERROR_INIT;
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 500; round++) {
        md_buffer b[64];
        uint32_t n = 1 + next(&seed) % 64;
        size_t sum = 0, total;

        for (uint32_t i = 0; i < n; i++) {
            uint32_t from = next(&seed) % 50;

            b[i] = (md_buffer){ .size = next(&seed) % 5000,
                                .from = from,
                                .to = from + next(&seed) % 10 };
            sum += b[i].size + MD_CACHE_LINE;
        }
        assert_md_ok(md_memory_pack(b, n, &total, &arena, &err), &err);
        assert_true(total <= sum);
        check_packed(b, n, total);
    }
}

static void test_memory__a_chain_needs_two_buffers(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buffer b[10];
    size_t total;

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        b[i] = (md_buffer){ .size = 1024, .from = i, .to = i + 1 };
    assert_md_ok(md_memory_pack(b, 10, &total, &arena, &err), &err);
    assert_int_equal(total, 2048);
}

static void test_memory__overflow_is_refused(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buffer b[2] = { { .size = SIZE_MAX / 2 }, { .size = SIZE_MAX } };
    size_t total;

    (void)state;
    assert_md_fails(md_memory_pack(b, 2, &total, &arena, &err), MD_TOO_LARGE,
                    &err, "2^64");
    assert_md_ok(md_memory_pack(NULL, 0, &total, &arena, &err), &err);
    assert_int_equal(total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__random_programs),
        cmocka_unit_test(test_memory__a_chain_needs_two_buffers),
        cmocka_unit_test(test_memory__overflow_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
