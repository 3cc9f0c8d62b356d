#include "support/test.h"

#include <string.h>

static void test_error__fail_records(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_int_equal(md_fail(&err, MD_INVALID, "axis %d", 7), MD_INVALID);
    assert_int_equal(err.status, MD_INVALID);
    assert_string_equal(err.msg, "axis 7");
    assert_int_equal(md_fail(NULL, MD_NOMEM, "x"), MD_NOMEM);
}

static void test_error__wrap_prefixes_and_truncates(void **state)
{
    md_error err = MD_ERROR_INIT;
    char longer[2 * MD_ERROR_MSG_SIZE];

    (void)state;
    md_fail(&err, MD_INVALID, "axis 7");
    md_wrap(&err, MD_CORRUPT, "node '%s': ", "a");
    assert_string_equal(err.msg, "node 'a': axis 7");
    assert_int_equal(err.status, MD_CORRUPT);
    memset(longer, 'y', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    md_wrap(&err, MD_CORRUPT, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void test_error__every_status_maps(void **state)
{
    (void)state;
    for (int s = MD_OK; s <= MD_INTERNAL; s++) {
        assert_true(md_status_http((md_status)s) >= 200);
        assert_in_range(md_status_grpc((md_status)s), 0, 16);
        assert_true(md_status_text((md_status)s)[0] != '\0');
    }
    assert_string_equal(md_status_name((md_status)999), "INTERNAL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__fail_records),
        cmocka_unit_test(test_error__wrap_prefixes_and_truncates),
        cmocka_unit_test(test_error__every_status_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
