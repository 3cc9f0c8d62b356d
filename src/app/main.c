/* modeld: Model-as-a-Service.  What each command does: src/cli. */
#include <stdio.h>

#include "app/options.h"
#include "app/stop.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    const md_cli cli = {
        .out = stdout,
        .err = stderr,
        .options = md_app_options,
        .n_options = md_app_n_options,
        .on_stop = md_app_on_stop,
    };

    return md_cli_main(&cli, argc, argv);
}
