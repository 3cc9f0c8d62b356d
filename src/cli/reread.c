#include "cli/reread.h"

#include <string.h>

#include "base/log.h"

#define MD_LOG_TAG "config"

md_status md_cli_apply_log(const md_opts *opts, md_error *err)
{
    MD_TRY(md_log_set_levels(md_opts_text(opts, "log_level"), err));
    md_log_set_format(strcmp(md_opts_text(opts, "log_format"), "json") == 0
                          ? MD_LOG_JSON
                          : MD_LOG_TEXT);
    return MD_OK;
}

static bool is_same(const md_opt_row *row, const md_opts *a, const md_opts *b)
{
    switch (row->type) {
    case MD_OPT_BOOL:
        return md_opts_bool(a, row->name) == md_opts_bool(b, row->name);
    case MD_OPT_INT:
    case MD_OPT_SIZE:
    case MD_OPT_DURATION:
        return md_opts_int(a, row->name) == md_opts_int(b, row->name);
    default:
        return strcmp(md_opts_text(a, row->name), md_opts_text(b, row->name)) ==
               0;
    }
}

/* What the command line says stays; only words can be reloadable. */
static md_status keep_higher(md_opts *fresh, const md_args *a,
                             const md_opt_row *row, md_error *err)
{
    const md_opt_source source = md_opts_source(a->opts, row->name);

    if (!row->reloadable || source <= MD_OPT_ENV)
        return MD_OK;
    return md_opts_set(fresh, row->name, md_opts_text(a->opts, row->name),
                       source, row->name, err);
}

static md_status read_again(md_opts *fresh, const md_args *a, md_error *err)
{
    const md_cli *cli = a->cli;

    MD_TRY(md_opts_read_env(fresh, err));
    MD_TRY(md_opts_read_file(fresh, md_args_text(a, "config", ""), err));
    for (size_t i = 0; i < cli->n_options; i++)
        MD_TRY(keep_higher(fresh, a, &cli->options[i], err));
    MD_TRY(md_cli_apply_log(fresh, err));
    for (size_t i = 0; i < cli->n_options; i++) {
        const md_opt_row *row = &cli->options[i];

        if (!row->reloadable &&
            md_opts_source(a->opts, row->name) <= MD_OPT_FILE &&
            !is_same(row, a->opts, fresh))
            MD_LOG(MD_LOG_WARN, "option has changed, which needs a restart",
                   md_log_str("option", row->name));
    }
    return MD_OK;
}

md_status md_cli_reread(const md_args *a, md_error *err)
{
    md_opts *fresh = NULL;
    md_status s;

    if (!md_args_has(a, "config"))
        return MD_OK;
    MD_TRY(md_opts_new(&fresh, a->cli->options, a->cli->n_options,
                       md_alloc_default(), err));
    s = read_again(fresh, a, err);
    md_opts_free(fresh);
    if (s == MD_OK)
        MD_LOG(MD_LOG_INFO, "configuration reloaded",
               md_log_str("file", md_args_text(a, "config", "")));
    return s;
}
