/* The pages of --help, made from the rows. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cmd.h"

enum {
    COLUMN = 28
};

const md_cmd_row md_cmds[] = {
#define CMD(id, summary) { #id, summary, &md_cmd_##id },
#include "cli/cmds.def"
#undef CMD
    { NULL, NULL, NULL },
};

const md_cmd_row *md_cmd_find(const char *name)
{
    for (const md_cmd_row *r = md_cmds; r->name; r++) {
        if (strcmp(r->name, name) == 0)
            return r;
    }
    return NULL;
}

md_status md_cmd_fail_unknown(const char *name, md_error *err)
{
    md_nearest near;
    const char *best;

    md_nearest_init(&near, name);
    for (const md_cmd_row *r = md_cmds; r->name; r++)
        md_nearest_offer(&near, r->name);
    best = md_nearest_best(&near);
    if (best)
        return md_fail(err, MD_NOT_FOUND,
                       "'%.80s' is no command, did you mean '%s'?", name, best);
    return md_fail(err, MD_NOT_FOUND, "'%.80s' is no command", name);
}

/* "  left          right", on two lines when left is long. */
static void put_row(FILE *f, const char *left, const char *right)
{
    if (strlen(left) < COLUMN - 2)
        fprintf(f, "  %-*s%s\n", COLUMN - 2, left, right);
    else
        fprintf(f, "  %s\n%*s%s\n", left, COLUMN, "", right);
}

static void put_flag(FILE *f, const md_flag *flag)
{
    char left[80], letter[8] = "";

    if (flag->letter)
        snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name,
             flag->arg ? " " : "", flag->arg ? flag->arg : "");
    put_row(f, left, flag->help);
}

static void put_option(FILE *f, const md_opt_row *row)
{
    char left[80], right[240];

    snprintf(left, sizeof(left), "--%s %s", row->name,
             row->type == MD_OPT_BOOL ? "BOOL" : "VALUE");
    for (char *c = strchr(left, '_'); c; c = strchr(c, '_'))
        *c = '-';
    snprintf(right, sizeof(right), "%s [%s]", row->help, row->otherwise);
    put_row(f, left, right);
}

static void put_program(FILE *f)
{
    fputs("usage: modeld COMMAND [arguments]\n\n"
          "Serves machine-learning models, and converts, quantizes, checks "
          "and\nmeasures them.\n\n",
          f);
    for (const md_cmd_row *r = md_cmds; r->name; r++)
        fprintf(f, "  %-12s%s\n", r->name, r->summary);
    fputs("\n`modeld COMMAND --help` tells more, with an example.\n", f);
}

void md_cmd_help_page(FILE *f, const md_cmd_row *row, const md_cli *cli)
{
    const md_cmd *cmd = row ? row->cmd : NULL;

    if (!cmd) {
        put_program(f);
        return;
    }
    fprintf(f, "usage: modeld %s%s%s\n\n%s%s", row->name,
            *cmd->usage ? " " : "", cmd->usage, cmd->text,
            *cmd->text ? "\n\n" : "");
    for (size_t i = 0; i < cmd->n_flags; i++)
        put_flag(f, &cmd->flags[i]);
    put_row(f, "-h, --help", "this page");
    if (cmd->takes_options) {
        fputs("\nOptions, also from a file or as MODELD_<NAME>, with their "
              "defaults:\n",
              f);
        for (size_t i = 0; i < cli->n_options; i++)
            put_option(f, &cli->options[i]);
    }
    fprintf(f, "\nexample:\n  %s\n", cmd->example);
}
