/* modeld: Model-as-a-Service.  What each command does: src/cli. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "app/options.h"
#include "app/stop.h"
#include "cli/cli.h"

/* A standard stream that is closed would lend its number to the next file or
 * connection, which what is printed would end up in.  In its place comes one
 * that cannot be used in its direction, so that its use fails as before. */
static int open_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const md_cli cli = {
        .out = stdout,
        .err = stderr,
        .options = md_app_options,
        .n_options = md_app_n_options,
        .on_stop = md_app_on_stop,
        .on_reload = md_app_on_reload,
    };

    if (open_streams() != 0)
        return 1;
    /* A file that grows beyond the user's limit is an error to tell. */
    signal(SIGXFSZ, SIG_IGN);
    return md_cli_main(&cli, argc, argv);
}
