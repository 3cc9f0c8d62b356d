/* Containers: what they hold, share and give back. */
#include "support/test.h"

#include <string.h>

#include "base/size.h"
#include "support/fail_alloc.h"
#include "tensor/compare.h"
#include "tensor/container.h"

static const md_tensor f32_sequence = { .kind = MD_KIND_SEQUENCE,
                                        .dtype = MD_DTYPE_F32 };

static md_status make_vector(md_tensor *t, int64_t n, float first,
                             const md_alloc *alloc, md_error *err)
{
    md_shape shape = { 1, { n } };

    MD_TRY(md_tensor_alloc(t, MD_DTYPE_F32, &shape, alloc, err));
    for (int64_t i = 0; i < n; i++)
        md_tensor_set_f64(t, i, (double)first + (double)i);
    return MD_OK;
}

/* A sequence of vectors of 0, 1, ... elements. */
static md_status make_sequence(md_tensor *c, int64_t n, const md_alloc *alloc,
                               md_error *err)
{
    md_status s = MD_OK;

    MD_TRY(md_container_alloc(c, &f32_sequence, n, alloc, err));
    for (int64_t i = 0; i < n && s == MD_OK; i++) {
        md_tensor t = MD_TENSOR_INIT;

        s = make_vector(&t, i, 10 * (float)i, alloc, err);
        if (s == MD_OK)
            s = md_container_give(c, i, &t, err);
        md_tensor_release(&t);
    }
    if (s != MD_OK)
        md_tensor_release(c);
    return s;
}

static void test_container__holds_what_it_was_given(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tensor c;

    (void)state;
    assert_md_ok(make_sequence(&c, 3, md_alloc_default(), &err), &err);
    assert_int_equal(c.kind, MD_KIND_SEQUENCE);
    assert_int_equal(md_tensor_n(&c), 3);
    assert_int_equal(md_tensor_n(md_container_item(&c, 2)), 2);
    assert_true(md_tensor_get_f64(md_container_item(&c, 2), 1) == 21);
    md_tensor_release(&c);
    assert_int_equal(c.kind, MD_KIND_TENSOR);
    assert_null(c.data);
}

static void test_container__shares_items(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tensor a, b, c;
    fail_alloc fa;

    (void)state;
    fail_alloc_init(&fa);
    assert_md_ok(make_sequence(&a, 3, &fa.alloc, &err), &err);
    assert_md_ok(md_container_clone(&b, &a, &fa.alloc, &err), &err);
    assert_ptr_equal(md_container_item(&a, 1), md_container_item(&b, 1));
    assert_md_ok(md_container_alloc(&c, &a, 1, &fa.alloc, &err), &err);
    md_container_share(&c, 0, &a, 2);
    md_tensor_release(&a);
    assert_true(md_tensor_get_f64(md_container_item(&b, 1), 0) == 10);
    md_tensor_release(&b);
    assert_true(md_tensor_get_f64(md_container_item(&c, 0), 1) == 21);
    md_tensor_release(&c);
    assert_int_equal(atomic_load(&fa.n_live), 0);
}

static void test_container__copies_are_deep(void **state)
{
    const md_tensor optional = { .kind = MD_KIND_OPTIONAL,
                                 .of = MD_KIND_SEQUENCE,
                                 .dtype = MD_DTYPE_F32 };
    md_error err = MD_ERROR_INIT;
    md_tensor seq, o, copy;

    (void)state;
    assert_md_ok(make_sequence(&seq, 2, md_alloc_default(), &err), &err);
    assert_md_ok(md_container_alloc(&o, &optional, 1, md_alloc_default(), &err),
                 &err);
    assert_md_ok(md_container_put(&o, 0, &seq, &err), &err);
    assert_md_ok(md_tensor_copy(&copy, &o, md_alloc_default(), &err), &err);
    assert_md_ok(md_tensor_compare(NULL, &copy, &o, 0, 0, &err), &err);
    assert_ptr_not_equal(md_container_item(&copy, 0), md_container_item(&o, 0));
    assert_md_ok(
        md_tensor_compare(NULL, md_container_item(&copy, 0), &seq, 0, 0, &err),
        &err);
    md_tensor_release(&o);
    md_tensor_release(&seq);
    md_tensor_release(&copy);
}

static void test_container__map(void **state)
{
    static const int64_t numbers[] = { 7, -1 };
    md_shape two = { 1, { 2 } };
    md_error err = MD_ERROR_INIT;
    md_tensor keys, values, map;

    (void)state;
    assert_md_ok(
        md_tensor_alloc(&keys, MD_DTYPE_I64, &two, md_alloc_default(), &err),
        &err);
    memcpy(keys.data, numbers, sizeof(numbers));
    assert_md_ok(make_vector(&values, 2, 1, md_alloc_default(), &err), &err);
    assert_md_ok(
        md_container_map(&map, &keys, &values, md_alloc_default(), &err), &err);
    assert_null(keys.data);
    assert_int_equal(map.kind, MD_KIND_MAP);
    assert_int_equal(map.key, MD_DTYPE_I64);
    assert_int_equal(map.dtype, MD_DTYPE_F32);
    assert_true(md_tensor_get_i64(md_container_item(&map, 0), 1) == -1);
    assert_true(md_tensor_get_f64(md_container_item(&map, 1), 1) == 2);
    md_tensor_release(&map);
}

static void test_container__compare_names_the_item(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tensor a, b, one;
    md_diff d;

    (void)state;
    assert_md_ok(make_sequence(&a, 3, md_alloc_default(), &err), &err);
    assert_md_ok(md_tensor_copy(&b, &a, md_alloc_default(), &err), &err);
    memcpy(&one, md_container_item(&b, 2), sizeof(one));
    md_tensor_set_f64(&one, 1, 22);
    assert_md_fails(md_tensor_compare(&d, &a, &b, 0, 0, &err), MD_MISMATCH,
                    &err, "item 2: 1 of 2 elements differ");
    assert_int_equal(d.n_misses, 1);
    assert_int_equal(d.first, 2);
    assert_md_ok(md_tensor_compare(NULL, &a, &b, 1, 0, &err), &err);
    md_tensor_release(&b);
    assert_md_ok(make_sequence(&b, 2, md_alloc_default(), &err), &err);
    assert_md_fails(md_tensor_compare(NULL, &a, &b, 0, 0, &err), MD_MISMATCH,
                    &err,
                    "sequence of 3 items of float32 given, sequence of 2");
    assert_md_fails(md_tensor_compare(NULL, &a, &one, 0, 0, &err), MD_MISMATCH,
                    &err, "tensor of");
    md_tensor_release(&a);
    md_tensor_release(&b);
}

static void test_container__too_many_items(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_tensor c;

    (void)state;
    assert_md_fails(md_container_alloc(&c, &f32_sequence,
                                       (int64_t)MD_ITEMS_MAX + 1,
                                       md_alloc_default(), &err),
                    MD_TOO_LARGE, &err, "at most 16777216 allowed");
}

static void test_container__out_of_memory(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        md_tensor a = MD_TENSOR_INIT, b = MD_TENSOR_INIT;
        md_tensor keys = MD_TENSOR_INIT, values = MD_TENSOR_INIT,
                  map = MD_TENSOR_INIT;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, n);
        s = make_sequence(&a, 3, &fa.alloc, &err);
        if (s == MD_OK)
            s = md_tensor_copy(&b, &a, &fa.alloc, &err);
        if (s == MD_OK)
            s = make_vector(&keys, 2, 0, &fa.alloc, &err);
        if (s == MD_OK)
            s = make_vector(&values, 2, 0, &fa.alloc, &err);
        if (s == MD_OK)
            s = md_container_map(&map, &keys, &values, &fa.alloc, &err);
        failed = fail_alloc_disarm(&fa);
        assert_int_equal(s, failed ? MD_NOMEM : MD_OK);
        md_tensor_release(&a);
        md_tensor_release(&b);
        md_tensor_release(&keys);
        md_tensor_release(&values);
        md_tensor_release(&map);
        assert_int_equal(atomic_load(&fa.n_live), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container__holds_what_it_was_given),
        cmocka_unit_test(test_container__shares_items),
        cmocka_unit_test(test_container__copies_are_deep),
        cmocka_unit_test(test_container__map),
        cmocka_unit_test(test_container__compare_names_the_item),
        cmocka_unit_test(test_container__too_many_items),
        cmocka_unit_test(test_container__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
