#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listen_unix.h"

enum {
    HOST_SIZE = 256,
    BACKLOG = 1024 /* the kernel lowers it to net.core.somaxconn */
};

/* Decimal, 0..65535, nothing else. */
static bool is_port(const char *s)
{
    unsigned n = 0;
    size_t size = strlen(s);

    if (size == 0 || size > 5)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        n = n * 10 + (unsigned)(*s - '0');
    }
    return n <= 65535;
}

static md_status split(char host[HOST_SIZE], const char **port,
                       const char *address, md_error *err)
{
    const char *colon = strrchr(address, ':');
    const char *from = address;
    size_t n = colon ? (size_t)(colon - address) : 0;
    bool bracketed = n >= 2 && from[0] == '[' && from[n - 1] == ']';

    if (bracketed) {
        from++;
        n -= 2;
    }
    if (!colon || !is_port(colon + 1) || n >= HOST_SIZE ||
        (!bracketed && memchr(from, ':', n)))
        return md_fail(err, MD_INVALID,
                       "listen address '%.100s': HOST:PORT or [IPV6]:PORT "
                       "expected, for example 127.0.0.1:8080",
                       address);
    if (n == 0) {
        from = "0.0.0.0";
        n = strlen(from);
    }
    memcpy(host, from, n);
    host[n] = '\0';
    *port = colon + 1;
    return MD_OK;
}

static md_status fail_errno(md_error *err, const char *address, int e)
{
    switch (e) {
    case EADDRINUSE:
        return md_fail(err, MD_EXISTS,
                       "cannot listen on %s: the port is taken; stop the "
                       "program that has it or choose another with --listen",
                       address);
    case EACCES:
        return md_fail(err, MD_DENIED,
                       "cannot listen on %s: permission denied; choose a port "
                       "from 1024 up with --listen",
                       address);
    case EADDRNOTAVAIL:
        return md_fail(err, MD_IO,
                       "cannot listen on %s: this machine has no such "
                       "address; choose one of its own with --listen",
                       address);
    default:
        return md_fail(err, MD_IO, "cannot listen on %s: %s", address,
                       strerror(e));
    }
}

/* A listening descriptor, or -1 with errno. */
static int open_one(const struct addrinfo *ai, bool reuse_port)
{
    const int on = 1;
    int fd =
        socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
               ai->ai_protocol);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!reuse_port ||
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    {
        int saved = errno;

        close(fd);
        errno = saved;
    }
    return -1;
}

md_status md_listen_open(int *fd_out, const char *address, bool reuse_port,
                         md_error *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    char host[HOST_SIZE];
    const char *port = NULL;
    int fd = -1;
    int rc;

    MD_TRY(split(host, &port, address, err));
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return md_fail(err, MD_INVALID, "listen address '%.100s': %s", address,
                       gai_strerror(rc));
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        fd = open_one(ai, reuse_port);
    rc = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return fail_errno(err, address, rc);
    *fd_out = fd;
    return MD_OK;
}

/* Clients have no name: "unix:". */
static void format_unix(char out[MD_ADDRESS_SIZE], const struct sockaddr_un *sa,
                        socklen_t size)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    const size_t n = size > head ? strnlen(sa->sun_path, size - head) : 0;

    (void)snprintf(out, MD_ADDRESS_SIZE, MD_LISTEN_UNIX "%.*s", (int)n,
                   sa->sun_path);
}

void md_address_format(char out[MD_ADDRESS_SIZE], const struct sockaddr *sa,
                       socklen_t size)
{
    char host[64];
    char port[8];

    if (sa->sa_family == AF_UNIX)
        format_unix(out, (const struct sockaddr_un *)sa, size);
    else if (getnameinfo(sa, size, host, sizeof(host), port, sizeof(port),
                         NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(out, MD_ADDRESS_SIZE, "?");
    else if (sa->sa_family == AF_INET6)
        (void)snprintf(out, MD_ADDRESS_SIZE, "[%s]:%s", host, port);
    else
        (void)snprintf(out, MD_ADDRESS_SIZE, "%s:%s", host, port);
}

md_status md_listen_address(char out[MD_ADDRESS_SIZE], int fd, md_error *err)
{
    struct sockaddr_storage sa;
    socklen_t size = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &size) != 0)
        return md_fail(err, MD_IO, "cannot tell the address of a socket: %s",
                       strerror(errno));
    md_address_format(out, (const struct sockaddr *)&sa, size);
    return MD_OK;
}
