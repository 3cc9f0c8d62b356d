#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or '@' and an abstract name. */
static int connect_to(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    const size_t n = strlen(path);
    socklen_t size;
    int fd;

    if (n < 2 || n >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
        return -1;
    memcpy(sa.sun_path, path, n);
    if (path[0] == '@')
        sa.sun_path[0] = '\0';
    size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, size) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void md_notify_open(md_notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");

    n->fd = path ? connect_to(path) : -1;
    (void)unsetenv("NOTIFY_SOCKET");
}

void md_notify_tell(const md_notify *n, const char *state)
{
    const int saved = errno;

    if (n->fd >= 0)
        (void)send(n->fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
    errno = saved;
}

void md_notify_close(md_notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}
