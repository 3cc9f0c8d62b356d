#include "support/test.h"

#include <string.h>

#include "cli/args.h"

static const md_opt_row options[] = {
    { "log_level", MD_OPT_TEXT, "info", 0, 0, NULL, false, "" },
    { "threads", MD_OPT_INT, "0", 0, 256, NULL, false, "" },
    { "batching", MD_OPT_BOOL, "false", 0, 0, NULL, false, "" },
};

static const md_flag flags[] = {
    { .name = "input", .letter = 'i', .type = MD_OPT_TEXT, .arg = "FILE" },
    { .name = "batch", .type = MD_OPT_INT, .arg = "N", .min = 1, .max = 64 },
    { .name = "seconds", .type = MD_OPT_REAL, .arg = "S", .max = 60 },
    { .name = "json", .type = MD_OPT_BOOL },
    { .name = "precision",
      .type = MD_OPT_CHOICE,
      .arg = "P",
      .choices = "fp32|bf16" },
};

static const md_cmd cmd = { .usage = "MODEL [DIR]",
                            .text = "",
                            .example = "x",
                            .flags = flags,
                            .n_flags = MD_COUNT(flags),
                            .n_min = 1,
                            .n_max = 2 };
static const md_cmd open_cmd = { .usage = "MODEL...",
                                 .text = "",
                                 .example = "x",
                                 .flags = flags,
                                 .n_flags = MD_COUNT(flags),
                                 .n_max = -1,
                                 .takes_options = true };
static const md_cmd_row row = { "try", "", &cmd };
static const md_cmd_row open_row = { "open", "", &open_cmd };
static const md_cli cli = { .options = options,
                            .n_options = MD_COUNT(options) };

static md_arena arena;
static md_opts *opts;

static int setup(void **state)
{
    (void)state;
    md_arena_init(&arena, md_alloc_default(), 0);
    return md_opts_new(&opts, options, MD_COUNT(options), md_alloc_default(),
                       NULL) != MD_OK;
}

static int teardown(void **state)
{
    (void)state;
    md_opts_free(opts);
    md_arena_release(&arena);
    return 0;
}

/* Words separated by spaces. */
static md_status parse(md_args *a, const md_cmd_row *r, const char *line,
                       md_error *err)
{
    char *copy = md_arena_strdup(&arena, line), *save = NULL;
    char *argv[16];
    int argc = 0;

    for (char *w = strtok_r(copy, " ", &save); w;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    return md_args_parse(a, &cli, r, opts, &arena, argc, argv, err);
}

static void test_args__forms(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_args a;
    int i = 0;

    (void)state;
    assert_md_ok(
        parse(&a, &row,
              "m --input a -i b --input=c=d --batch 8 --seconds 0.5 --json "
              "--precision=bf16 -- --dir",
              &err),
        &err);
    assert_int_equal(a.n_pos, 2);
    assert_string_equal(a.pos[0], "m");
    assert_string_equal(a.pos[1], "--dir");
    assert_string_equal(md_args_next(&a, "input", &i), "a");
    assert_string_equal(md_args_next(&a, "input", &i), "b");
    assert_string_equal(md_args_next(&a, "input", &i), "c=d");
    assert_null(md_args_next(&a, "input", &i));
    assert_string_equal(md_args_text(&a, "input", ""), "c=d");
    assert_int_equal(md_args_int(&a, "batch", 1), 8);
    assert_true(md_args_real(&a, "seconds", 3) == 0.5);
    assert_true(md_args_has(&a, "json"));
    assert_string_equal(md_args_text(&a, "precision", "fp32"), "bf16");
    assert_int_equal(md_args_choice(&a, "precision", 7), 1);
}

static void test_args__defaults(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_args a;

    (void)state;
    assert_md_ok(parse(&a, &row, "m -", &err), &err);
    assert_int_equal(a.n_pos, 2); /* "-" is an argument */
    assert_int_equal(md_args_int(&a, "batch", 5), 5);
    assert_true(md_args_real(&a, "seconds", 2.5) == 2.5);
    assert_false(md_args_has(&a, "json"));
    assert_false(md_args_has(&a, "input"));
    assert_string_equal(md_args_text(&a, "precision", "fp32"), "fp32");
    assert_int_equal(md_args_choice(&a, "precision", 7), 7);
    assert_md_ok(parse(&a, &row, "m --precision fp32", &err), &err);
    assert_int_equal(md_args_choice(&a, "precision", 7), 0);
    assert_md_ok(parse(&a, &row, "m --json=false", &err), &err);
    assert_false(md_args_has(&a, "json"));
}

static void test_args__usage_errors(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        { "", "0 of 1 arguments given: MODEL [DIR]" },
        { "a b c", "argument 'c' is one too many, expected 2" },
        { "m --inptu x",
          "option '--inptu' is unknown, did you mean '--input'?" },
        { "m --hepl", "did you mean '--help'?" },
        { "m --quux", "option '--quux' is unknown" },
        { "m --input", "--input needs a value" },
        { "m -i", "-i needs a value" },
        { "m -x", "option '-x' is unknown" },
        { "m -ix", "option '-ix' is unknown" },
        { "m --batch 0", "--batch: '0' given, expected a number from 1 to 64" },
        { "m --batch=many", "'many' given" },
        { "m --seconds -0.5",
          "--seconds: '-0.5' given, expected a number, also a fraction, from "
          "0 to 60" },
        { "m --batch", "--batch needs a value" },
        { "m --json=perhaps", "expected true or false" },
        { "m --precision fp8", "expected one of fp32|bf16" },
        { "m --threads 3", "option '--threads' is unknown" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_args a;

        assert_md_fails(parse(&a, &row, cases[i].line, &err), MD_INVALID, &err,
                        cases[i].message);
    }
}

static void test_args__help_wins(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_args a;

    (void)state;
    assert_md_ok(parse(&a, &row, "--help", &err), &err);
    assert_true(a.help);
    assert_md_ok(parse(&a, &row, "a b c d -h", &err), &err);
    assert_true(a.help);
    assert_md_ok(parse(&a, &row, "m -- -h", &err), &err);
    assert_false(a.help);
}

static void test_args__program_options(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_args a;

    (void)state;
    assert_md_ok(parse(&a, &open_row,
                       "a b c --log-level debug --threads=3 --batching", &err),
                 &err);
    assert_int_equal(a.n_pos, 3);
    assert_string_equal(md_opts_text(opts, "log_level"), "debug");
    assert_int_equal(md_opts_int(opts, "threads"), 3);
    assert_true(md_opts_bool(opts, "batching"));
    assert_int_equal(md_opts_source(opts, "threads"), MD_OPT_COMMAND_LINE);
    assert_md_fails(parse(&a, &open_row, "--threads=999", &err), MD_INVALID,
                    &err, "option threads: '999' given");
    assert_md_fails(parse(&a, &open_row, "--thraeds 3", &err), MD_INVALID, &err,
                    "did you mean '--threads'?");
    assert_md_fails(parse(&a, &open_row, "--log-lvl 3", &err), MD_INVALID, &err,
                    "did you mean '--log-level'?");
    assert_md_fails(parse(&a, &open_row, "--threads", &err), MD_INVALID, &err,
                    "--threads needs a value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_args__forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_args__defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_args__usage_errors, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_args__help_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_args__program_options, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
