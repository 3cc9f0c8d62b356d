#include "formats/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
};

/* Length of the component that path begins with. */
static size_t component(const char *path)
{
    return strcspn(path, "/");
}

static md_status check_text(const char *path, md_error *err)
{
    if (path[0] == '\0' || path[0] == '/')
        return md_fail(err, MD_DENIED,
                       "location '%s' is not relative to the model's folder",
                       path);
    if (strlen(path) >= PATH_MAX)
        return md_fail(err, MD_DENIED, "location of %zu bytes, limit %d",
                       strlen(path), PATH_MAX - 1);
    for (const char *p = path; *p;) {
        size_t n = component(p);

        if (n == 2 && p[0] == '.' && p[1] == '.')
            return md_fail(err, MD_DENIED,
                           "location '%s' leaves the model's folder by '..'",
                           path);
        p += n;
        p += *p == '/';
    }
    return MD_OK;
}

static int open_retry(int folder, const char *name, int flags)
{
    int fd;

    do
        fd = openat(folder, name, flags);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int md_confined__walk(int folder_fd, const char *path)
{
    int at = folder_fd;

    for (;;) {
        char name[NAME_MAX + 1];
        size_t n = component(path);
        const char *next = path + n + strspn(path + n, "/");
        int fd;

        if (n > NAME_MAX) {
            fd = -1;
            errno = ENAMETOOLONG;
        } else {
            memcpy(name, path, n);
            name[n] = '\0';
            fd = open_retry(at, name,
                            *next ? OPEN_FLAGS | O_DIRECTORY : OPEN_FLAGS);
        }
        if (at != folder_fd) {
            int e = errno;

            close(at);
            errno = e;
        }
        if (fd < 0 || !*next)
            return fd;
        at = fd;
        path = next;
    }
}

/* By the kernel where it can, else by hand. */
static int open_beneath(int folder_fd, const char *path)
{
    struct open_how how = {
        .flags = OPEN_FLAGS,
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    do
        fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    /* EPERM: a seccomp filter that does not know the call. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return md_confined__walk(folder_fd, path);
    return (int)fd;
}

static md_status fail_open(const char *path, md_error *err)
{
    int e = errno;

    if (e == ELOOP || e == EXDEV)
        return md_fail(err, MD_DENIED,
                       "location '%s' leads through a symbolic link", path);
    return md_fail(err, e == ENOENT || e == ENOTDIR ? MD_NOT_FOUND : MD_DENIED,
                   "cannot open '%s' in the model's folder: %s", path,
                   strerror(e));
}

static md_status check_file(int fd, const char *path, md_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail_open(path, err);
    if (!S_ISREG(st.st_mode))
        return md_fail(err, MD_DENIED, "location '%s' is not a regular file",
                       path);
    if (st.st_nlink > 1)
        return md_fail(err, MD_DENIED,
                       "location '%s' is a file with %llu hard links, 1 "
                       "expected",
                       path, (unsigned long long)st.st_nlink);
    return MD_OK;
}

md_status md_confined_open(int *fd, const char *folder, const char *path,
                           md_error *err)
{
    int folder_fd;
    int got;
    md_status s;

    MD_TRY(check_text(path, err));
    folder_fd =
        open_retry(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return fail_open(folder, err);
    got = open_beneath(folder_fd, path);
    if (got < 0) {
        /* O_NOFOLLOW | O_DIRECTORY on a link gives ENOTDIR in the walk. */
        s = fail_open(path, err);
        close(folder_fd);
        return s;
    }
    close(folder_fd);
    s = check_file(got, path, err);
    if (s != MD_OK) {
        close(got);
        return s;
    }
    *fd = got;
    return MD_OK;
}
