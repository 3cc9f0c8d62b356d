#define _GNU_SOURCE /* O_TMPFILE */
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"

enum {
    READ_SIZE = 64 * 1024,
    TEMP_TRIES = 100,
    TEMP_ROOM = 48, /* for what a temporary name has more */
    FD_NAME_SIZE = 32
};

static md_status fail_errno(md_error *err, const char *path, const char *what,
                            int e)
{
    md_status s = e == ENOENT || e == ENOTDIR ? MD_NOT_FOUND
                  : e == EACCES || e == EPERM ? MD_DENIED
                                              : MD_IO;

    return md_fail(err, s, "cannot %s '%s': %s", what, path, strerror(e));
}

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static int64_t ns_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static md_file_id id_of(const struct stat *st)
{
    return (md_file_id){ .device = (uint64_t)st->st_dev,
                         .inode = (uint64_t)st->st_ino,
                         .size = (uint64_t)st->st_size,
                         .modified_ns = ns_of(&st->st_mtim),
                         .changed_ns = ns_of(&st->st_ctim) };
}

md_status md_map_fd(md_map *out, int fd, const char *path, md_error *err)
{
    static const unsigned char nothing[1];
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0)
        return fail_errno(err, path, "read", errno);
    if (S_ISDIR(st.st_mode))
        return fail_errno(err, path, "read", EISDIR);
    if (!S_ISREG(st.st_mode))
        return md_fail(err, MD_IO, "cannot map '%s': not a regular file", path);
    if (st.st_size == 0) {
        *out = (md_map){ nothing, 0, id_of(&st) };
        return MD_OK;
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return fail_errno(err, path, "map", errno);
    *out = (md_map){ p, (size_t)st.st_size, id_of(&st) };
    return MD_OK;
}

md_status md_map_open_own(md_map *out, const char *path, md_error *err)
{
    int fd = open_retry(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    struct stat st;
    md_status s;

    if (fd < 0 && errno == ELOOP)
        return md_fail(err, MD_DENIED, "'%s' is a symbolic link", path);
    if (fd < 0)
        return fail_errno(err, path, "open", errno);
    if (fstat(fd, &st) != 0)
        s = fail_errno(err, path, "read", errno);
    else if (st.st_uid != geteuid())
        s = md_fail(err, MD_DENIED, "'%s' belongs to user %ld, %ld expected",
                    path, (long)st.st_uid, (long)geteuid());
    else if (st.st_mode & (S_IWGRP | S_IWOTH))
        s = md_fail(err, MD_DENIED, "'%s' has mode %o, others may write it",
                    path, (unsigned)st.st_mode & 07777u);
    else
        s = md_map_fd(out, fd, path, err);
    close(fd);
    return s;
}

md_status md_map_open(md_map *out, const char *path, md_error *err)
{
    /* O_NONBLOCK: opening a FIFO must fail below, not wait for a writer. */
    int fd = open_retry(path, O_RDONLY | O_NONBLOCK, 0);
    md_status s;

    if (fd < 0)
        return fail_errno(err, path, "open", errno);
    s = md_map_fd(out, fd, path, err);
    close(fd);
    return s;
}

void md_map_forget(const void *p, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = md_round_up((uintptr_t)p, page);
    uintptr_t to = ((uintptr_t)p + size) & ~(page - 1);

    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

void md_map_fetch(const void *p, size_t size)
{
    enum {
        POPULATE_READ = 22 /* MADV_POPULATE_READ, since Linux 5.14 */
    };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)p & ~(page - 1);

    (void)madvise((void *)from, (uintptr_t)p + size - from, POPULATE_READ);
}

void md_map_release(md_map *map)
{
    if (map->size)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (md_map){ .data = NULL };
}

/* Read once into the room of b; *n is 0 at the end of the file. */
static md_status read_some(md_buf *b, int fd, const char *path, size_t *n,
                           md_error *err)
{
    size_t room = b->cap > b->size + 1 ? b->cap - b->size - 1 : READ_SIZE;
    unsigned char over;
    void *to = &over;
    ssize_t got;

    if (room > b->limit - b->size)
        room = b->limit - b->size;
    if (room) {
        MD_TRY(md_buf_reserve(b, room, err));
        to = b->data + b->size;
    }
    do
        got = read(fd, to, room ? room : 1);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail_errno(err, path, "read", errno);
    *n = (size_t)got;
    if (*n && room == 0)
        return md_fail(err, MD_TOO_LARGE,
                       "file '%s' is larger than the limit of %zu bytes", path,
                       b->limit);
    b->size += *n;
    if (b->data)
        b->data[b->size] = '\0';
    return MD_OK;
}

md_status md_file_read(md_buf *out, const char *path, md_error *err)
{
    int fd = open_retry(path, O_RDONLY, 0);
    struct stat st;
    md_status s = MD_OK;
    size_t n = 1;

    if (fd < 0)
        return fail_errno(err, path, "open", errno);
    /* One allocation when the size is known and fits; the byte more is for
     * the read that finds the end. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (uintmax_t)st.st_size < out->limit - out->size)
        s = md_buf_reserve(out, (size_t)st.st_size + 1, err);
    while (s == MD_OK && n > 0)
        s = read_some(out, fd, path, &n, err);
    close(fd);
    return s;
}

static size_t temp_size(const char *path)
{
    return strlen(path) + TEMP_ROOM;
}

/* The open file's name for linkat, into buf. */
static const char *fd_name(char *buf, size_t size, int fd)
{
    snprintf(buf, size, "/proc/self/fd/%d", fd);
    return buf;
}

/* Cut a path down to its folder; returns what names it. */
static const char *folder_of(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    slash[slash == path ? 1 : 0] = '\0';
    return path;
}

/* A file in w->path's folder that has no name and so goes with the process,
 * or -1 where the system cannot make one or could not name it later. */
static int create_unnamed(md_file_writer *w)
{
    char name[FD_NAME_SIZE];
    int fd;

    memcpy(w->temp, w->path, strlen(w->path) + 1);
    fd = open_retry(folder_of(w->temp), O_WRONLY | O_TMPFILE, 0666);
    if (fd >= 0 && access(fd_name(name, sizeof(name), fd), F_OK) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Give the file a name beside w->path that nobody else has: a new file, or
 * the one without a name.  Returns 0 or errno. */
static int name_temp(md_file_writer *w)
{
    static _Atomic unsigned serial;
    const bool unnamed = w->fd >= 0;
    char name[FD_NAME_SIZE];

    for (int i = 0; i < TEMP_TRIES && !w->named; i++) {
        snprintf(w->temp, temp_size(w->path), "%s.tmp-%ld-%u", w->path,
                 (long)getpid(), atomic_fetch_add(&serial, 1));
        if (unnamed)
            w->named = linkat(AT_FDCWD, fd_name(name, sizeof(name), w->fd),
                              AT_FDCWD, w->temp, AT_SYMLINK_FOLLOW) == 0;
        else
            w->named = (w->fd = open_retry(w->temp, O_WRONLY | O_CREAT | O_EXCL,
                                           0666)) >= 0;
        if (!w->named && errno != EEXIST)
            break;
    }
    return w->named ? 0 : errno;
}

static void close_writer(md_file_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    md_free(w->alloc, w->path);
    md_free(w->alloc, w->temp);
    w->path = NULL;
    w->temp = NULL;
}

md_status md_file_writer_open(md_file_writer *w, const char *path,
                              const md_alloc *alloc, md_error *err)
{
    struct stat st;
    int e;

    *w = (md_file_writer){ .fd = -1, .alloc = alloc };
    /* Renaming over a device or a pipe would destroy it. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return md_fail(err, MD_IO, "cannot write '%s': not a regular file",
                       path);
    w->path = md_strndup(alloc, path, strlen(path));
    w->temp = md_malloc(alloc, temp_size(path));
    if (!w->path || !w->temp) {
        close_writer(w);
        return md_fail_nomem(err, temp_size(path));
    }
    w->fd = create_unnamed(w);
    e = w->fd < 0 ? name_temp(w) : 0;
    if (e != 0) {
        close_writer(w);
        return fail_errno(err, path, "write", e);
    }
    return MD_OK;
}

md_status md_file_writer_append(md_file_writer *w, const void *data,
                                size_t size, md_error *err)
{
    const unsigned char *p = data;

    if (w->own && fchmod(w->fd, S_IRUSR | S_IWUSR) != 0)
        return fail_errno(err, w->path, "write", errno);
    w->own = false; /* done */
    while (size > 0) {
        ssize_t n = write(w->fd, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, w->path, "write", errno);
        p += n;
        size -= (size_t)n;
    }
    return MD_OK;
}

/* Make the rename durable.  Some file systems cannot sync a folder; there is
 * nothing to be done about that. */
static void sync_folder(char *path)
{
    int fd = open_retry(folder_of(path), O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

md_status md_file_writer_commit(md_file_writer *w, md_error *err)
{
    int e;

    assert(w->temp && w->path);
    e = w->lazy || fsync(w->fd) == 0 ? 0 : errno;
    if (e == 0 && !w->named)
        e = name_temp(w);
    if (close(w->fd) != 0 && e == 0)
        e = errno;
    w->fd = -1;
    if (e == 0 && rename(w->temp, w->path) != 0)
        e = errno;
    if (e != 0) {
        md_status s = fail_errno(err, w->path, "write", e);

        md_file_writer_abort(w);
        return s;
    }
    if (!w->lazy)
        sync_folder(w->path);
    close_writer(w);
    return MD_OK;
}

void md_file_writer_abort(md_file_writer *w)
{
    if (!w->temp)
        return;
    if (w->named)
        unlink(w->temp);
    close_writer(w);
}

md_status md_folder_make(const char *path, md_error *err)
{
    char *part = md_strndup(md_alloc_default(), path, strlen(path));
    struct stat st;
    int e = 0;

    if (!part)
        return md_fail_nomem(err, strlen(path) + 1);
    for (char *p = part; e == 0 && *p; p++) {
        if (p == part || *p != '/')
            continue;
        *p = '\0';
        e = mkdir(part, S_IRWXU) == 0 || errno == EEXIST ? 0 : errno;
        /* one that cannot be made may be there for all that: "/", read-only */
        if (e != 0 && stat(part, &st) == 0)
            e = 0;
        *p = '/';
    }
    if (e == 0 && mkdir(part, S_IRWXU) != 0)
        e = errno;
    if (e != 0 && stat(part, &st) == 0)
        e = S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    md_free(md_alloc_default(), part);
    return e == 0 ? MD_OK : fail_errno(err, path, "make", e);
}

md_status md_file_write_atomic(const char *path, const void *data, size_t size,
                               md_error *err)
{
    md_file_writer w;
    md_status s;

    MD_TRY(md_file_writer_open(&w, path, md_alloc_default(), err));
    s = md_file_writer_append(&w, data, size, err);
    if (s != MD_OK) {
        md_file_writer_abort(&w);
        return s;
    }
    return md_file_writer_commit(&w, err);
}
