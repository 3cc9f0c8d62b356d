#include "cli/args.h"

static md_status run(const md_args *a, md_error *err)
{
    const md_cmd_row *row = NULL;

    if (a->n_pos) {
        row = md_cmd_find(a->pos[0]);
        if (!row)
            return md_cmd_fail_unknown(a->pos[0], err);
    }
    md_cmd_help_page(a->cli->out, row, a->cli);
    return MD_OK;
}

const md_cmd md_cmd_help = {
    .usage = "[COMMAND]",
    .text = "",
    .example = "modeld help predict",
    .n_max = 1,
    .run = run,
};
