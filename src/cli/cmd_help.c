#include "cli/args.h"

static md_status check(const md_args *a, md_error *err)
{
    if (a->n_pos && !md_cmd_find(a->pos[0]))
        return md_cmd_fail_unknown(a->pos[0], err);
    return MD_OK;
}

static md_status run(const md_args *a, md_error *err)
{
    (void)err;
    md_cmd_help_page(a->cli->out, a->n_pos ? md_cmd_find(a->pos[0]) : NULL,
                     a->cli);
    return MD_OK;
}

const md_cmd md_cmd_help = {
    .usage = "[COMMAND]",
    .text = "",
    .example = "modeld help predict",
    .n_max = 1,
    .check = check,
    .run = run,
};
