#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "app/options.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/cmd.h"

/* One call of the program, its two streams in memory. */
typedef struct call {
    int rc;
    char *out, *err;
} call;

static call run(const char *line)
{
    char copy[256], *save = NULL;
    char *argv[16] = { copy };
    int argc = 1;
    call c = { 0 };
    size_t n_out, n_err;
    md_cli cli = { .out = open_memstream(&c.out, &n_out),
                   .err = open_memstream(&c.err, &n_err),
                   .options = md_app_options,
                   .n_options = md_app_n_options };

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *w = strtok_r(copy, " ", &save); w;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    c.rc = md_cli_main(&cli, argc, argv);
    fclose(cli.out);
    fclose(cli.err);
    return c;
}

static void release(call *c)
{
    free(c->out);
    free(c->err);
}

static void check(const char *line, int rc, const char *out, const char *err)
{
    call c = run(line);

    if (c.rc != rc || !strstr(c.out, out) || !strstr(c.err, err))
        fail_msg("modeld %s: exit %d, expected %d\nout: %s\nerr: %s", line,
                 c.rc, rc, c.out, c.err);
    if (rc == 0)
        assert_string_equal(c.err, "");
    release(&c);
}

static void test_cli__exit_statuses(void **state)
{
    (void)state;
    check("", 2, "", "usage: modeld COMMAND");
    check("help", 0, "usage: modeld COMMAND", "");
    check("--help", 0, "usage: modeld COMMAND", "");
    check("-h", 0, "usage: modeld COMMAND", "");
    check("--version", 0, "modeld ", "");
    check("version", 0, "levels: ", "");
    check("versoin", 2, "",
          "modeld: 'versoin' is no command, did you mean 'version'?\n"
          "Try 'modeld help'.\n");
    check("xyzzy", 2, "", "modeld: 'xyzzy' is no command\n");
    check("help versoin", 2, "", "did you mean 'version'?");
    check("help xyzzy", 2, "", "modeld help: 'xyzzy' is no command\n");
    check("version --jsno", 2, "",
          "modeld version: option '--jsno' is unknown, did you mean "
          "'--json'?\nTry 'modeld version --help'.\n");
    check("version extra", 2, "", "one too many");
    check("config --config /nowhere/c", 1, "", "modeld config: cannot open");
    check("config --log-level loud", 2, "", "log level 'loud' is unknown");
    check("config --cpu 486", 2, "", "CPU level '486' is unknown");
    check("config --threads 1000", 2, "", "expected a number from 0 to 256");
}

/* Each command's page has a usage line, its flags and an example. */
static void test_cli__every_help_page(void **state)
{
    (void)state;
    for (const md_cmd_row *r = md_cmds; r->name; r++) {
        char line[64], want[64];

        snprintf(line, sizeof(line), "%s --help", r->name);
        snprintf(want, sizeof(want), "usage: modeld %s", r->name);
        check(line, 0, want, "");
        snprintf(want, sizeof(want), "\nexample:\n  modeld %s", r->name);
        check(line, 0, want, "");
        snprintf(line, sizeof(line), "help %s", r->name);
        check(line, 0, want, "");
        check("help", 0, r->summary, "");
        assert_true(r->cmd->n_max < 0 || r->cmd->n_max >= r->cmd->n_min);
    }
}

static void check_json(const char *line)
{
    call c = run(line);
    md_error err = MD_ERROR_INIT;
    md_json r;
    md_json_token t;

    assert_int_equal(c.rc, 0);
    md_json_init(&r, c.out, strlen(c.out), NULL);
    do {
        assert_md_ok(md_json_next(&r, &t, &err), &err);
    } while (t.kind != MD_JSON_END);
    release(&c);
}

static void test_cli__json(void **state)
{
    (void)state;
    check_json("version --json");
    check_json("config --json");
}

static void test_cli__config_shows_sources(void **state)
{
    (void)state;
    check("config --listen [::]:1", 0, "# command line: --listen\n", "");
    setenv("MODELD_QUEUE_MAX", "7", 1);
    check("config", 0, "queue_max = 7 ", "");
    check("config", 0, "# environment: MODELD_QUEUE_MAX\n", "");
    check("config --queue-max 8", 0, "queue_max = 8 ", "");
    setenv("MODELD_QUEUE_MAX", "many", 1);
    check("config", 1, "", "MODELD_QUEUE_MAX: option queue_max: 'many' given");
    unsetenv("MODELD_QUEUE_MAX");
}

static void test_cli__output_that_cannot_be_written(void **state)
{
    FILE *full = fopen("/dev/full", "w"), *err = tmpfile();
    md_cli cli = { .out = full,
                   .err = err,
                   .options = md_app_options,
                   .n_options = md_app_n_options };
    char name[] = "modeld", word[] = "version";
    char *argv[] = { name, word, NULL };

    (void)state;
    assert_non_null(full);
    assert_non_null(err);
    assert_int_equal(md_cli_main(&cli, 2, argv), 1);
    fclose(full);
    fclose(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli__exit_statuses),
        cmocka_unit_test(test_cli__every_help_page),
        cmocka_unit_test(test_cli__json),
        cmocka_unit_test(test_cli__config_shows_sources),
        cmocka_unit_test(test_cli__output_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
