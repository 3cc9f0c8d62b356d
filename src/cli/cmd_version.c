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
    md_json_put_object(&w);
    md_json_put_name(&w, "version");
    md_json_put_str(&w, MODELD_VERSION);
    md_json_put_name(&w, "cpu");
    md_json_put_str(&w, md_cpu_name());
    md_json_put_name(&w, "cpus");
    md_json_put_i64(&w, md_cpu_count());
    md_json_put_name(&w, "levels");
    md_json_put_str(&w, levels);
    md_json_put_name(&w, "compiler");
    md_json_put_str(&w, __VERSION__);
    md_json_put_end(&w);
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
