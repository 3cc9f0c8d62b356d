#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/team.h"

enum {
    N_PARTS_MAX = 5,
    N_STAGES = 3000
};

/* Plain members, so TSan finds a missing order: a part reads what all parts
 * wrote one stage before, and writes its own. */
typedef struct job {
    md_team *team;
    int n_parts;
    int64_t n_stages;
    int64_t value[2][N_PARTS_MAX];
    int n_calls[N_PARTS_MAX];
} job;

static void step(void *ctx, int64_t stage, int part)
{
    job *j = ctx;
    const int64_t *before = j->value[stage % 2];
    int64_t sum = part;

    for (int i = 0; i < j->n_parts; i++)
        sum += before[i];
    j->value[(stage + 1) % 2][part] = sum % 1000003;
    j->n_calls[part]++;
}

static void chunk(void *ctx, int64_t i, int worker)
{
    job *j = ctx;

    (void)worker;
    md_team_work(j->team, (int)i % j->n_parts, j->n_stages, step, j);
}

static job new_job(int n_parts, int64_t n_stages)
{
    job j = { .n_parts = n_parts, .n_stages = n_stages };

    j.team = md_malloc_aligned(md_alloc_default(), md_team_size(n_parts));
    assert_non_null(j.team);
    if (!j.team)
        return j;
    md_team_init(j.team, n_parts);
    for (int i = 0; i < n_parts; i++)
        j.value[0][i] = i + 1;
    return j;
}

static void free_job(job *j)
{
    md_free(md_alloc_default(), j->team);
}

/* What one thread without a team computes. */
static job by_hand(int n_parts, int64_t n_stages)
{
    job j = new_job(n_parts, n_stages);

    for (int64_t s = 0; s < n_stages; s++) {
        for (int i = n_parts; i-- > 0;)
            step(&j, s, i);
    }
    free_job(&j);
    return j;
}

static void check(md_pool *pool, int n_parts, int64_t n_stages, int n_chunks)
{
    job right = by_hand(n_parts, n_stages), j = new_job(n_parts, n_stages);

    md_pool_run(pool, n_chunks, n_chunks, chunk, &j);
    assert_memory_equal(j.value, right.value, sizeof(j.value));
    assert_memory_equal(j.n_calls, right.n_calls, sizeof(j.n_calls));
    free_job(&j);
}

static void test_team__each_part_after_all_before(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        md_error err = MD_ERROR_INIT;
        md_pool *pool = NULL;

        assert_md_ok(md_pool_new(&pool, n_threads, md_alloc_default(), &err),
                     &err);
        for (int n_parts = 1; n_parts <= N_PARTS_MAX; n_parts++) {
            check(pool, n_parts, 0, n_parts);
            check(pool, n_parts, 1, n_parts);
            check(pool, n_parts, N_STAGES, n_parts);
            check(pool, n_parts, 7, 1); /* who is alone does all */
            check(pool, n_parts, 7,
                  3 * n_parts); /* more than there are parts */
        }
        md_pool_free(pool);
    }
}

/* A member that stops after each stage: the others go on without it, and who
 * comes when all is done has nothing to do. */
static void test_team__late(void **state)
{
    job j = new_job(3, 4);

    (void)state;
    md_team_work(j.team, 2, 2, step, &j);
    assert_int_equal(j.n_calls[0], 2);
    md_team_work(j.team, 1, 4, step, &j);
    for (int i = 0; i < 3; i++)
        assert_int_equal(j.n_calls[i], 4);
    md_team_work(j.team, 0, 4, step, &j);
    for (int i = 0; i < 3; i++)
        assert_int_equal(j.n_calls[i], 4);
    free_job(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_team__each_part_after_all_before),
        cmocka_unit_test(test_team__late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
