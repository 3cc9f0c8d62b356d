#include "support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "cli/progress.h"

static void test_print__sizes_and_counts(void **state)
{
    static const struct {
        double x;
        const char *size, *count;
    } cases[] = {
        { 0, "0 B", "0" },
        { 12, "12 B", "12" },
        { 999, "999 B", "999" },
        { 999.6, "1 KB", "1 K" },
        { 1000, "1 KB", "1 K" },
        { 122570, "123 KB", "123 K" },
        { 4548608, "4.55 MB", "4.55 M" },
        { 4.1e9, "4.1 GB", "4.1 G" },
        { 5e12, "5 TB", "5 T" },
        { 5e16, "5e+04 TB", "5e+04 T" },
    };
    char buf[32];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_cli_format_size(buf, sizeof(buf), cases[i].x);
        assert_string_equal(buf, cases[i].size);
        md_cli_format_count(buf, sizeof(buf), cases[i].x);
        assert_string_equal(buf, cases[i].count);
    }
}

static void test_print__json(void **state)
{
    md_error err = MD_ERROR_INIT;
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    md_json_writer w;
    md_buf b;

    (void)state;
    assert_non_null(f);
    md_cli_json_begin(&w, &b);
    md_cli_json_real(&w, "x", (double)NAN);
    md_cli_json_str(&w, "s", "a\"b");
    md_cli_json_int(&w, "i", INT64_MIN);
    md_cli_json_bool(&w, "b", true);
    assert_md_ok(md_cli_json_end(&w, &b, f, &err), &err);
    fclose(f);
    assert_string_equal(text, "{\n  \"x\": \"NaN\",\n  \"s\": \"a\\\"b\",\n"
                              "  \"i\": -9223372036854775808,\n"
                              "  \"b\": true\n}\n");
    free(text);
}

/* What is no terminal is told nothing. */
static void test_print__progress_is_for_terminals(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    md_progress p;

    (void)state;
    assert_non_null(f);
    md_progress_begin(&p, f, "working");
    p.start_ns -= 5000000000;
    md_progress_step(&p, 1, 2);
    md_progress_end(&p);
    fflush(f);
    assert_int_equal(n, 0);
    p.terminal = true;
    md_progress_step(&p, 1, 2);
    md_progress_step(&p, 2, 2); /* too soon after the first */
    md_progress_end(&p);
    md_progress_end(&p);
    fclose(f);
    assert_string_equal(text, "\r\033[Kworking: 1 of 2 (50 %)\r\033[K");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print__sizes_and_counts),
        cmocka_unit_test(test_print__json),
        cmocka_unit_test(test_print__progress_is_for_terminals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
