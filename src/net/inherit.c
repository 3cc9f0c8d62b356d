#include "net/inherit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST_FD = 3 /* SD_LISTEN_FDS_START */
};

static md_status check(int fd, md_error *err)
{
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        !listens)
        return md_fail(err, MD_INVALID,
                       "LISTEN_FDS: descriptor %d is no listening stream "
                       "socket, one expected",
                       fd);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return MD_OK;
}

static md_status take(md_inherited *out, const char *count, const char *names,
                      md_error *err)
{
    char *end = NULL;
    const long n = strtol(count, &end, 10);

    if (end == count || *end || n < 0 || n > MD_INHERITED_MAX)
        return md_fail(err, MD_INVALID,
                       "LISTEN_FDS '%.20s' given, a number up to %d expected",
                       count, MD_INHERITED_MAX);
    for (long i = 0; i < n; i++) {
        const size_t size = names ? strcspn(names, ":") : 0;

        MD_TRY(check(FIRST_FD + (int)i, err));
        out->fds[i] = FIRST_FD + (int)i;
        out->grpc[i] = size == 4 && memcmp(names, "grpc", 4) == 0;
        if (names)
            names += size + (names[size] == ':');
    }
    out->n = (uint32_t)n;
    return MD_OK;
}

md_status md_inherited_take(md_inherited *out, md_error *err)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    md_status s = MD_OK;

    memset(out, 0, sizeof(*out));
    if (pid && count && strtol(pid, NULL, 10) == (long)getpid())
        s = take(out, count, getenv("LISTEN_FDNAMES"), err);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return s;
}
