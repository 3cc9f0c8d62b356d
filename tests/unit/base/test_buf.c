#include "support/test.h"

#include <string.h>

#include "base/buf.h"

static void test_buf__appends_and_terminates(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), 1000);
    assert_null(b.data);
    assert_md_ok(md_buf_append(&b, NULL, 0, &err), &err);
    assert_md_ok(md_buf_puts(&b, "ab", &err), &err);
    assert_md_ok(md_buf_putc(&b, 'c', &err), &err);
    assert_md_ok(md_buf_printf(&b, &err, "%d%s", 4, "d"), &err);
    assert_int_equal(b.size, 5);
    assert_string_equal(b.data, "abc4d");
    md_buf_consume(&b, 0);
    md_buf_consume(&b, 2);
    assert_string_equal(b.data, "c4d");
    md_buf_consume(&b, 3);
    assert_int_equal(b.size, 0);
    assert_string_equal(b.data, "");
    assert_md_ok(md_buf_puts(&b, "x", &err), &err);
    md_buf_reset(&b);
    assert_string_equal(b.data, "");
    md_buf_release(&b);
    assert_null(b.data);
    assert_md_ok(md_buf_puts(&b, "again", &err), &err);
    md_buf_release(&b);
}

static void test_buf__limit_is_exact(void **state)
{
    static const char text[300] = { 0 };

    (void)state;
    for (size_t limit = 0; limit < 200; limit++) {
        md_error err = MD_ERROR_INIT;
        md_buf b;

        md_buf_init(&b, md_alloc_default(), limit);
        assert_md_ok(md_buf_append(&b, text, limit, &err), &err);
        assert_md_fails(md_buf_putc(&b, 'x', &err), MD_TOO_LARGE, &err,
                        "cannot take 1 more");
        assert_int_equal(b.size, limit);
        assert_md_fails(md_buf_printf(&b, &err, "%s", "xx"), MD_TOO_LARGE, &err,
                        "cannot take 2 more");
        md_buf_release(&b);
    }
}

static void test_buf__absurd_sizes(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), SIZE_MAX);
    assert_md_ok(md_buf_putc(&b, 'x', &err), &err);
    assert_md_fails(md_buf_reserve(&b, SIZE_MAX, &err), MD_TOO_LARGE, &err,
                    "limit");
    assert_md_fails(md_buf_reserve(&b, SIZE_MAX - 1, &err), MD_TOO_LARGE, &err,
                    "limit");
    assert_md_fails(md_buf_reserve(&b, SIZE_MAX / 2, &err), MD_NOMEM, &err,
                    "out of memory");
    assert_string_equal(b.data, "x");
    md_buf_release(&b);
}

/* Random pieces against one flat array. */
static void test_buf__against_a_model(void **state)
{
    static char model[70000];
    md_error err = MD_ERROR_INIT;
    md_buf b;
    size_t n = 0;
    uint64_t x = 7;

    (void)state;
    md_buf_init(&b, md_alloc_default(), sizeof(model));
    for (int i = 0; i < 3000; i++) {
        char piece[40];
        size_t k = (size_t)(x >> 59);

        x = x * 6364136223846793005u + 1442695040888963407u;
        memset(piece, 'a' + i % 26, sizeof(piece));
        if (i % 5 == 4 && k <= n) {
            md_buf_consume(&b, k);
            memmove(model, model + k, n - k);
            n -= k;
        } else {
            assert_md_ok(md_buf_append(&b, piece, k, &err), &err);
            memcpy(model + n, piece, k);
            n += k;
        }
        assert_int_equal(b.size, n);
    }
    assert_memory_equal(b.data, model, n);
    md_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__appends_and_terminates),
        cmocka_unit_test(test_buf__limit_is_exact),
        cmocka_unit_test(test_buf__absurd_sizes),
        cmocka_unit_test(test_buf__against_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
