/* The configuration file once more, while the program runs. */
#ifndef MD_CLI_REREAD_H
#define MD_CLI_REREAD_H

#include "cli/args.h"

/* Let the log be as the options say. */
md_status md_cli_apply_log(const md_opts *opts, md_error *err);

/*
 * Read the file of --config again, if there is one, and let those of its
 * options take effect that are reloadable and set by nothing higher than a
 * file; of others that have changed the log tells that they need a restart.
 * Nothing changes when something is wrong.
 */
md_status md_cli_reread(const md_args *a, md_error *err);

#endif
