#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/process.h"

static void test_process__rss_follows_what_is_touched(void **state)
{
    const size_t size = (size_t)64 << 20;
    uint64_t before = md_process_rss();
    char *p = md_malloc(md_alloc_default(), size);

    (void)state;
    assert_non_null(p);
    assert_true(before > 100000);
    memset(p, 1, size);
    assert_true(md_process_rss() >= before + size / 2);
    md_free(md_alloc_default(), p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process__rss_follows_what_is_touched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
