#include "base/cpu.h"
#include "base/json.h"
#include "cli/args.h"
#include "cli/print.h"

enum {
    LEVELS_SIZE = 128
};

static md_status put_json(FILE *f, const char *levels, md_error *err)
{
    md_json_writer w;
    md_buf b;

    md_cli_json_begin(&w, &b);
    md_cli_json_str(&w, "version", MODELD_VERSION);
    md_cli_json_str(&w, "cpu", md_cpu_name());
    md_cli_json_int(&w, "cpus", md_cpu_count());
    md_cli_json_str(&w, "levels", levels);
    md_cli_json_str(&w, "compiler", __VERSION__);
    return md_cli_json_end(&w, &b, f, err);
}

static md_status run(const md_args *a, md_error *err)
{
    FILE *f = a->cli->out;
    char levels[LEVELS_SIZE];

    md_cpu_format(levels, sizeof(levels), md_cpu_flags());
    if (md_args_has(a, "json"))
        return put_json(f, levels, err);
    fprintf(f, "modeld %s\n%d CPUs, %s\nlevels: %s\nbuilt by %s\n",
            MODELD_VERSION, md_cpu_count(), md_cpu_name(), levels, __VERSION__);
    return MD_OK;
}

static const md_flag flags[] = { MD_FLAG_JSON };

const md_cmd md_cmd_version = {
    .usage = "[--json]",
    .text = "",
    .example = "modeld version",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .run = run,
};
