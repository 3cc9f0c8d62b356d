#include "net/listen_unix.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 1024 /* the kernel lowers it to net.core.somaxconn */
};

static md_status fail_errno(md_error *err, const char *path, int e)
{
    const md_status s = e == EACCES || e == EPERM || e == EROFS ? MD_DENIED
                        : e == ENOENT || e == ENOTDIR           ? MD_NOT_FOUND
                                                                : MD_IO;

    return md_fail(err, s, "cannot listen on " MD_LISTEN_UNIX "%s: %s", path,
                   strerror(e));
}

/* A socket at this address that nobody accepts from any more? */
static bool is_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    int fd;
    int rc;
    int e;

    if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
    e = errno;
    close(fd);
    return rc != 0 && e == ECONNREFUSED;
}

static bool bind_to(int fd, const struct sockaddr_un *sa)
{
    return bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0;
}

/* Who connects before listen is refused, so permissions come in time. */
static bool publish(int fd, md_listen_file *file, const char *path, mode_t mode)
{
    struct stat st;

    if (chmod(path, mode) != 0 || stat(path, &st) != 0 ||
        listen(fd, BACKLOG) != 0)
        return false;
    memcpy(file->path, path, strlen(path) + 1);
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->changed = st.st_ctim;
    return true;
}

md_status md_listen_unix_open(int *fd_out, md_listen_file *file,
                              const char *path, mode_t mode, md_error *err)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    const size_t n = strlen(path);
    md_status s = MD_OK;
    int fd;

    _Static_assert(sizeof(sa.sun_path) <= sizeof(file->path), "fits");
    if (n == 0 || n >= sizeof(sa.sun_path))
        return md_fail(err, MD_INVALID,
                       "listen address '" MD_LISTEN_UNIX
                       "%.120s': path of %zu bytes given, 1 to %zu expected",
                       path, n, sizeof(sa.sun_path) - 1);
    memcpy(sa.sun_path, path, n + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(err, path, errno);
    if (!bind_to(fd, &sa)) {
        if (errno != EADDRINUSE)
            s = fail_errno(err, path, errno);
        else if (!is_stale(&sa))
            s = md_fail(err, MD_EXISTS,
                        "cannot listen on " MD_LISTEN_UNIX
                        "%s: it is taken; stop the program that has it, or "
                        "remove the file if it is no socket",
                        path);
        else if (unlink(path) != 0 || !bind_to(fd, &sa))
            s = fail_errno(err, path, errno);
    }
    if (s == MD_OK && !publish(fd, file, path, mode)) {
        s = fail_errno(err, path, errno);
        (void)unlink(path);
    }
    if (s == MD_OK)
        *fd_out = fd;
    else
        close(fd);
    return s;
}

void md_listen_unix_remove(md_listen_file *file)
{
    struct stat st;

    if (file->path[0] && lstat(file->path, &st) == 0 &&
        st.st_dev == file->dev && st.st_ino == file->ino &&
        st.st_ctim.tv_sec == file->changed.tv_sec &&
        st.st_ctim.tv_nsec == file->changed.tv_nsec)
        (void)unlink(file->path);
    file->path[0] = '\0';
}
