#include "cli/args.h"
#include "cli/print.h"

static md_status run(const md_args *a, md_error *err)
{
    md_buf b;
    md_status s;

    md_buf_init(&b, md_alloc_default(), (size_t)1 << 20);
    s = md_opts_print(a->opts, md_args_has(a, "json"), &b, err);
    if (s == MD_OK)
        md_cli_print(&b, a->cli->out);
    else
        md_buf_release(&b);
    return s;
}

static const md_flag flags[] = {
    { .name = "config",
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .help = "read options from FILE too" },
    MD_FLAG_JSON,
};

const md_cmd md_cmd_config = {
    .usage = "[--config FILE] [--OPTION VALUE]... [--json]",
    .text = "Shows every option with its value and where that came from. "
            "The command line\ngoes before the environment, that before the "
            "file, that before the default.",
    .example = "modeld config --config modeld.conf",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .takes_options = true,
    .run = run,
};
