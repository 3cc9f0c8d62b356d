#include "cli/cli.h"

#include <string.h>

#include "base/cpu.h"
#include "cli/args.h"
#include "cli/reread.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2
};

static int usage_failure(const md_cli *cli, const md_cmd_row *row,
                         const md_error *err)
{
    fprintf(cli->err, "modeld%s%s: %s\nTry 'modeld %s%s'.\n", row ? " " : "",
            row ? row->name : "", err->msg, row ? row->name : "help",
            row ? " --help" : "");
    return EXIT_USAGE;
}

/* What options mean to every command. */
static md_status apply_options(const md_opts *opts, md_error *err)
{
    uint32_t mask;

    MD_TRY(md_cli_apply_log(opts, err));
    MD_TRY(md_cpu_mask_parse(&mask, md_opts_text(opts, "cpu"), err));
    md_cpu_set_mask(mask);
    return MD_OK;
}

static md_status run_prepared(const md_args *a, md_error *err)
{
    MD_TRY(md_opts_read_env(a->opts, err));
    if (a->row->cmd->takes_options && md_args_has(a, "config"))
        MD_TRY(md_opts_read_file(a->opts, md_args_text(a, "config", ""), err));
    MD_TRY(apply_options(a->opts, err));
    return a->row->cmd->run(a, err);
}

static md_status run(const md_args *a, md_error *err)
{
    if (a->help)
        md_cmd_help_page(a->cli->out, a->row, a->cli);
    else
        MD_TRY(run_prepared(a, err));
    if (fflush(a->cli->out) != 0 || ferror(a->cli->out))
        return md_fail(err, MD_IO, "cannot write the output");
    return MD_OK;
}

static int run_command(const md_cli *cli, const md_cmd_row *row, md_opts *opts,
                       md_arena *arena, int argc, char **argv)
{
    md_error err = MD_ERROR_INIT;
    md_args args;

    if (md_args_parse(&args, cli, row, opts, arena, argc, argv, &err) !=
            MD_OK ||
        apply_options(opts, &err) != MD_OK)
        return usage_failure(cli, row, &err);
    if (run(&args, &err) == MD_OK)
        return EXIT_DONE;
    fflush(cli->out);
    fprintf(cli->err, "modeld %s: %s\n", row->name, err.msg);
    return EXIT_FAILED;
}

/* The command that the first word names, or NULL. */
static const md_cmd_row *find_command(const char *word)
{
    if (strcmp(word, "--version") == 0)
        word = "version";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    return md_cmd_find(word);
}

int md_cli_main(const md_cli *cli, int argc, char **argv)
{
    md_error err = MD_ERROR_INIT;
    const md_cmd_row *row;
    md_opts *opts = NULL;
    md_arena arena;
    int rc = EXIT_FAILED;

    if (argc < 2) {
        md_cmd_help_page(cli->err, NULL, cli);
        return EXIT_USAGE;
    }
    row = find_command(argv[1]);
    if (!row) {
        md_cmd_fail_unknown(argv[1], &err);
        return usage_failure(cli, NULL, &err);
    }
    md_arena_init(&arena, md_alloc_default(), 0);
    if (md_opts_new(&opts, cli->options, cli->n_options, md_alloc_default(),
                    &err) == MD_OK)
        rc = run_command(cli, row, opts, &arena, argc - 2, argv + 2);
    else
        fprintf(cli->err, "modeld: %s\n", err.msg);
    md_opts_free(opts);
    md_arena_release(&arena);
    return rc;
}
