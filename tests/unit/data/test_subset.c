/* Splitting and shuffling. */
#include "support/test.h"

#include <string.h>

#include "data/subset.h"
#include "support/data.h"
#include "support/net.h"

enum {
    N = 1000
};

static float values[N * 2];

/* Each sample holds its number; the second half of `twice` repeats the first. */
static md_dataset make(md_model *m, bool twice)
{
    md_tensor x = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { N, 2 } },
                    .data = values };

    for (int i = 0; i < N * 2; i++)
        values[i] = (float)(i / 2 % (twice ? N / 2 : N));
    return data_make(m, &x, NULL);
}

static void test_subset__a_split_is_of_contents(void **state)
{
    md_model *m = net_parse("x f32[B,2]; y = Relu(x); -> y");
    md_dataset d = make(m, true);
    md_error err = MD_ERROR_INIT;
    md_subset rest, held;
    bool side[N] = { false };

    (void)state;
    assert_md_ok(md_subset_split(&rest, &held, &d, 0.2, 5, &err), &err);
    assert_int_equal(rest.n + held.n, N);
    /* 200 expected of 500 different ones, each counting twice: a deviation of
     * 2 * sqrt(500 * 0.16) = 18; four of them. */
    assert_in_range(held.n, 128, 272);
    for (int64_t i = 0; i < held.n; i++)
        side[held.at[i]] = true;
    for (int i = 0; i < N / 2; i++)
        assert_int_equal(side[i], side[i + N / 2]);
    md_subset_release(&rest);
    md_subset_release(&held);
    assert_md_ok(md_subset_split(&rest, &held, &d, 0.0, 5, &err), &err);
    assert_int_equal(held.n, 0);
    md_subset_release(&rest);
    md_subset_release(&held);
    assert_md_ok(md_subset_split(&rest, &held, &d, 1.0, 5, &err), &err);
    assert_int_equal(held.n, N);
    md_subset_release(&rest);
    md_subset_release(&held);
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_subset__a_shuffle_is_named_by_seed_and_epoch(void **state)
{
    md_model *m = net_parse("x f32[B,2]; y = Relu(x); -> y");
    md_dataset d = make(m, false);
    md_error err = MD_ERROR_INIT;
    md_subset a, b;
    bool seen[N] = { false };
    int moved = 0, same = 0;

    (void)state;
    assert_md_ok(md_subset_all(&a, &d, &err), &err);
    assert_md_ok(md_subset_all(&b, &d, &err), &err);
    md_subset_shuffle(&a, 1, 3);
    for (uint64_t e = 0; e < 4; e++)
        md_subset_shuffle(&b, 1, e);
    assert_memory_equal(a.at, b.at, sizeof(*a.at) * N);
    for (int i = 0; i < N; i++) {
        assert_false(seen[a.at[i]]);
        seen[a.at[i]] = true;
        moved += a.at[i] != i;
    }
    assert_true(moved > N - 20); /* about one stays */
    md_subset_shuffle(&b, 2, 3);
    for (int i = 0; i < N; i++)
        same += a.at[i] == b.at[i];
    assert_true(same < 20);
    md_subset_release(&a);
    md_subset_release(&b);
    md_dataset_release(&d);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subset__a_split_is_of_contents),
        cmocka_unit_test(test_subset__a_shuffle_is_named_by_seed_and_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
