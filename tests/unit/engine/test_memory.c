/* Places against the plain rule: buffers alive together must not overlap, the
 * block holds all, and it is no larger than their sum. */
#include "support/test.h"

#include <stdbool.h>

#include "engine/memory.h"

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
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

static size_t size_of(const md_places *s, const md_buffer *b)
{
    return s->size[b->kind];
}

static void check_places(const md_places *s, const md_packing *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const md_buffer *a = &p->buffers[i];
        const size_t begin = s->offset[i], end = begin + size_of(s, a);

        if (size_of(s, a) == 0)
            continue;
        assert_int_equal(begin % MD_CACHE_LINE, 0);
        assert_true(end <= s->total);
        for (uint32_t k = 0; k < i; k++) {
            const md_buffer *b = &p->buffers[k];
            bool together = a->from <= b->to && b->from <= a->to;
            bool apart =
                end <= s->offset[k] || s->offset[k] + size_of(s, b) <= begin;

            if (size_of(s, b) > 0 && together && !apart)
                fail_msg("buffers %u and %u overlap", i, k);
        }
    }
}

enum {
    N_MAX = 80
};

/* Buffers that live for up to `life` steps. */
static uint32_t draw(md_buffer *b, uint32_t n_kinds, uint32_t life,
                     uint32_t *seed)
{
    uint32_t n = 1 + next(seed) % N_MAX;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = next(seed) % 50;

        b[i] = (md_buffer){ .from = from,
                            .to = from + next(seed) % life,
                            .kind = next(seed) % n_kinds };
    }
    return n;
}

/* Places for several sets of sizes, with lists of who meets whom and without:
 * which is the same, whatever sizes there were before. */
static void check_program(uint32_t n_kinds, uint32_t life, uint32_t *seed)
{
    md_error err = MD_ERROR_INIT;
    md_buffer b[N_MAX];
    uint32_t n = draw(b, n_kinds, life, seed);
    md_packing p[2];
    md_places s[2];

    for (int k = 0; k < 2; k++) {
        assert_md_ok(
            md_packing_init(&p[k], b, n, n_kinds, k == 1, &arena, &err), &err);
        assert_md_ok(md_places_init(&s[k], &p[k], &arena, &err), &err);
    }
    assert_null(p[0].meets);
    for (int round = 0; round < 4; round++) {
        size_t sum = 0;

        for (uint32_t i = 0; i < n_kinds; i++)
            s[0].size[i] = s[1].size[i] =
                next(seed) % 8 ? next(seed) % 5000 : 0;
        for (uint32_t i = 0; i < n; i++)
            sum += size_of(&s[0], &b[i]) + MD_CACHE_LINE;
        for (int k = 0; k < 2; k++) {
            assert_md_ok(md_places_find(&s[k], &p[k], &err), &err);
            assert_true(s[k].total <= sum);
            check_places(&s[k], &p[k]);
        }
        assert_int_equal(s[0].total, s[1].total);
        assert_memory_equal(s[0].offset, s[1].offset, n * sizeof(size_t));
    }
}

static void test_memory__random_programs(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 200; round++) {
        check_program(1 + next(&seed) % 64, 10, &seed); /* heaps of kinds too */
        check_program(1 + next(&seed) % 4, 60, &seed);  /* many meet many */
        md_arena_reset(&arena);
    }
}

/* Where everybody meets everybody, nobody is listed. */
static void test_memory__too_many_to_list(void **state)
{
    enum {
        N = 200
    };
    md_error err = MD_ERROR_INIT;
    md_buffer b[N];
    md_packing p;
    md_places s;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        b[i] = (md_buffer){ .from = 0, .to = 1 };
    assert_md_ok(md_packing_init(&p, b, N, 1, true, &arena, &err), &err);
    assert_null(p.meets);
    assert_md_ok(md_places_init(&s, &p, &arena, &err), &err);
    s.size[0] = MD_CACHE_LINE;
    assert_md_ok(md_places_find(&s, &p, &err), &err);
    assert_int_equal(s.total, N * MD_CACHE_LINE);
    check_places(&s, &p);
}

/* As many layers as buffers, and a look at them from the highest down. */
static void test_memory__layers_from_above(void **state)
{
    enum {
        N = 600
    };
    md_error err = MD_ERROR_INIT;
    md_buffer b[N];
    size_t sum = 0;
    md_packing p;
    md_places s;

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        b[i] = (md_buffer){ .from = 0, .to = 1, .kind = i };
    assert_md_ok(md_packing_init(&p, b, N, N, true, &arena, &err), &err);
    assert_md_ok(md_places_init(&s, &p, &arena, &err), &err);
    for (uint32_t i = 0; i < N; i++)
        sum += s.size[i] = (i + 1) * (size_t)MD_CACHE_LINE;
    assert_md_ok(md_places_find(&s, &p, &err), &err);
    assert_int_equal(s.total, sum);
    check_places(&s, &p);
}

static void test_memory__a_chain_needs_two_buffers(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buffer b[10];
    md_packing p;
    md_places s;

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        b[i] = (md_buffer){ .from = i, .to = i + 1 };
    assert_md_ok(md_packing_init(&p, b, 10, 1, true, &arena, &err), &err);
    assert_non_null(p.meets);
    assert_int_equal(p.meet[10], 18); /* each its neighbours */
    assert_md_ok(md_places_init(&s, &p, &arena, &err), &err);
    s.size[0] = 1024;
    assert_md_ok(md_places_find(&s, &p, &err), &err);
    assert_int_equal(s.total, 2048);
}

/* The largest first, whatever was the largest before. */
static void test_memory__order_follows_sizes(void **state)
{
    static const md_buffer b[] = { { 0, 2, 0 }, { 0, 2, 1 } };
    md_error err = MD_ERROR_INIT;
    md_packing p;
    md_places s;

    (void)state;
    assert_md_ok(md_packing_init(&p, b, 2, 2, true, &arena, &err), &err);
    assert_md_ok(md_places_init(&s, &p, &arena, &err), &err);
    for (int larger = 0; larger < 2; larger++) {
        s.size[larger] = 640;
        s.size[1 - larger] = 64;
        assert_md_ok(md_places_find(&s, &p, &err), &err);
        assert_int_equal(s.offset[larger], 0);
        assert_int_equal(s.offset[1 - larger], 640);
    }
}

static void test_memory__overflow_is_refused(void **state)
{
    static const md_buffer b[] = { { 0, 0, 0 }, { 0, 0, 1 }, { 0, 0, 1 } };
    md_error err = MD_ERROR_INIT;
    md_packing p;
    md_places s;

    (void)state;
    assert_md_ok(md_packing_init(&p, b, 3, 2, true, &arena, &err), &err);
    assert_md_ok(md_places_init(&s, &p, &arena, &err), &err);
    s.size[0] = SIZE_MAX;
    assert_md_fails(md_places_find(&s, &p, &err), MD_TOO_LARGE, &err, "2^64");
    s.size[0] = 1;
    s.size[1] = SIZE_MAX / 2;
    assert_md_fails(md_places_find(&s, &p, &err), MD_TOO_LARGE, &err, "2^64");
    assert_md_ok(md_packing_init(&p, NULL, 0, 0, true, &arena, &err), &err);
    assert_md_ok(md_places_init(&s, &p, &arena, &err), &err);
    assert_md_ok(md_places_find(&s, &p, &err), &err);
    assert_int_equal(s.total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__random_programs),
        cmocka_unit_test(test_memory__too_many_to_list),
        cmocka_unit_test(test_memory__layers_from_above),
        cmocka_unit_test(test_memory__a_chain_needs_two_buffers),
        cmocka_unit_test(test_memory__order_follows_sizes),
        cmocka_unit_test(test_memory__overflow_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
