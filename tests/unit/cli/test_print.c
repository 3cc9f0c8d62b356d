#include "support/test.h"

#include <fcntl.h>
#include <math.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What is no terminal is told nothing, and needs no second. */
static void test_print__progress_is_for_terminals(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    md_progress p;

    (void)state;
    assert_non_null(f);
    md_progress_begin(&p, f, "working");
    assert_false(p.running);
    md_progress_step(&p, 1, 2);
    md_progress_end(&p);
    fclose(f);
    assert_string_equal(text, "");
    free(text);
}

/* The output of a terminal so far, into text. */
static void read_all(char *text, size_t size, int fd)
{
    size_t n = 0;
    ssize_t got;

    while (n + 1 < size && (got = read(fd, text + n, size - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
}

/* On a terminal: nothing in the first second, then seconds, numbers or shares
 * in turn on one line, which is empty in the end. */
static void test_print__progress_on_a_terminal(void **state)
{
    int pty, terminal;
    char text[4096];
    md_progress p;
    FILE *f;

    (void)state;
    assert_int_equal(openpty(&pty, &terminal, NULL, NULL, NULL), 0);
    assert_int_equal(fcntl(pty, F_SETFL, O_NONBLOCK), 0);
    f = fdopen(terminal, "w");
    assert_non_null(f);
    md_progress_begin(&p, f, "working");
    md_progress_end(&p);
    md_progress_end(&p);
    read_all(text, sizeof(text), pty);
    assert_string_equal(text, "");
    md_progress_begin(&p, f, "working");
    usleep(1250000);
    md_progress_step(&p, 7, 0);
    usleep(250000);
    md_progress_step(&p, 1, 2);
    usleep(250000);
    md_progress_end(&p);
    read_all(text, sizeof(text), pty);
    fclose(f);
    close(pty);
    assert_ptr_equal(strstr(text, "\r\033[Kworking: 1 s\r"), text);
    assert_non_null(strstr(text, "\r\033[Kworking: 7\r"));
    assert_non_null(strstr(text, "\r\033[Kworking: 1 of 2 (50 %)\r"));
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
}

/* Line ends of the format stay, those of what is put into it do not. */
static void test_print__names_are_plain(void **state)
{
    char buf[80] = { 0 };
    FILE *f = fmemopen(buf, sizeof(buf), "w");

    (void)state;
    assert_non_null(f);
    md_cli_printf(f, "\n%s: %d\n", "a\n\x1b[31mb\n", 7);
    md_cli_printf(f, "%s", "\n");
    md_cli_printf(f, "\n");
    md_cli_printf(f, "%s\n", "\xe4\xb8\xad\xff");
    fclose(f);
    assert_string_equal(buf, "\na??[31mb?: 7\n?\n\xe4\xb8\xad?\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print__sizes_and_counts),
        cmocka_unit_test(test_print__names_are_plain),
        cmocka_unit_test(test_print__json),
        cmocka_unit_test(test_print__progress_is_for_terminals),
        cmocka_unit_test(test_print__progress_on_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
