#define _GNU_SOURCE /* O_TMPFILE */
#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/fail_alloc.h"

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/md-test-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int n_entries(void)
{
    DIR *d = opendir(dir);
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; /* . and .. */
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(in_dir("a"));
    unlink(in_dir("b"));
    unlink(in_dir("fifo"));
    return rmdir(dir);
}

static void put(const char *name, const void *data, size_t size)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_file_write_atomic(in_dir(name), data, size, &err), &err);
}

static void test_file__write_map_read(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map map;
    md_buf buf;

    (void)state;
    put("a", "first", 5);
    put("a", "hello\0world", 11);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_int_equal(map.size, 11);
    assert_memory_equal(map.data, "hello\0world", 11);
    md_map_release(&map);
    assert_null(map.data);
    md_map_release(&map);
    md_buf_init(&buf, md_alloc_default(), 100);
    assert_md_ok(md_buf_puts(&buf, "> ", &err), &err);
    assert_md_ok(md_file_read(&buf, in_dir("a"), &err), &err);
    assert_int_equal(buf.size, 13);
    assert_memory_equal(buf.data, "> hello\0world", 14);
    md_buf_release(&buf);
    assert_int_equal(n_entries(), 1);
}

static void test_file__empty(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map map;
    md_buf buf;

    (void)state;
    put("a", "", 0);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    md_map_release(&map);
    md_buf_init(&buf, md_alloc_default(), 0);
    assert_md_ok(md_file_read(&buf, in_dir("a"), &err), &err);
    assert_int_equal(buf.size, 0);
    md_buf_release(&buf);
}

/* The limit is exact: size passes, size - 1 does not. */
static void test_file__limit(void **state)
{
    static char big[200000];
    md_error err = MD_ERROR_INIT;
    md_buf buf;

    (void)state;
    memset(big, 'x', sizeof(big));
    put("a", big, sizeof(big));
    md_buf_init(&buf, md_alloc_default(), sizeof(big));
    assert_md_ok(md_file_read(&buf, in_dir("a"), &err), &err);
    assert_int_equal(buf.size, sizeof(big));
    assert_memory_equal(buf.data, big, sizeof(big));
    md_buf_release(&buf);
    md_buf_init(&buf, md_alloc_default(), sizeof(big) - 1);
    assert_md_fails(md_file_read(&buf, in_dir("a"), &err), MD_TOO_LARGE, &err,
                    "limit of 199999 bytes");
    md_buf_release(&buf);
}

static void test_file__size_unknown(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf buf;

    (void)state;
    md_buf_init(&buf, md_alloc_default(), 100000);
    assert_md_ok(md_file_read(&buf, "/proc/self/status", &err), &err);
    assert_true(buf.size > 100);
    assert_int_equal(buf.data[buf.size], 0);
    md_buf_release(&buf);
}

static void test_file__errors_name_path_and_reason(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map map;
    md_buf buf;

    (void)state;
    md_buf_init(&buf, md_alloc_default(), 100);
    assert_md_fails(md_map_open(&map, "/nowhere/x", &err), MD_NOT_FOUND, &err,
                    "cannot open '/nowhere/x': No such file or directory");
    assert_md_fails(md_file_read(&buf, "/nowhere/x", &err), MD_NOT_FOUND, &err,
                    "'/nowhere/x'");
    assert_md_fails(md_map_open(&map, dir, &err), MD_IO, &err,
                    "Is a directory");
    assert_md_fails(md_file_read(&buf, dir, &err), MD_IO, &err,
                    "Is a directory");
    assert_md_fails(md_map_open(&map, "/dev/null", &err), MD_IO, &err,
                    "not a regular file");
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_md_fails(md_map_open(&map, in_dir("fifo"), &err), MD_IO, &err,
                    "not a regular file");
    assert_md_fails(md_file_write_atomic("/nowhere/x", "x", 1, &err),
                    MD_NOT_FOUND, &err, "cannot write '/nowhere/x'");
    assert_md_fails(md_file_write_atomic("/dev/null", "x", 1, &err), MD_IO,
                    &err, "not a regular file");
    assert_md_fails(md_file_write_atomic(dir, "x", 1, &err), MD_IO, &err,
                    "not a regular file");
    md_buf_release(&buf);
}

/* What cannot be opened, read or mapped: status, path and reason. */
static void test_file__refusals(void **state)
{
    char longer[400], loop[300], below[300];
    const struct {
        const char *path;
        md_status status;
        const char *reason;
    } cases[] = {
        { "", MD_NOT_FOUND, "cannot open '': No such file or directory" },
        { below, MD_NOT_FOUND, "Not a directory" },
        { longer, MD_IO, "File name too long" },
        { loop, MD_IO, "Too many levels of symbolic links" },
    };
    md_buf buf;

    (void)state;
    put("a", "x", 1);
    snprintf(below, sizeof(below), "%s/a/b", dir);
    snprintf(loop, sizeof(loop), "%s/loop", dir);
    assert_int_equal(symlink("loop", loop), 0);
    memset(longer, 'n', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    md_buf_init(&buf, md_alloc_default(), 100);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_map map = { 0 };

        assert_md_fails(md_map_open(&map, cases[i].path, &err), cases[i].status,
                        &err, cases[i].reason);
        assert_null(map.data);
        assert_md_fails(md_file_read(&buf, cases[i].path, &err),
                        cases[i].status, &err, cases[i].reason);
        assert_non_null(strstr(err.msg, "cannot open '"));
    }
    unlink(loop);
    md_buf_release(&buf);
}

/* Permissions bind everyone but root, who is nobody for a moment here. */
static void test_file__forbidden(void **state)
{
    md_error err = MD_ERROR_INIT;
    bool root = geteuid() == 0;
    md_map map;
    md_buf buf;

    (void)state;
    put("a", "secret", 6);
    assert_int_equal(chmod(in_dir("a"), 0), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    md_buf_init(&buf, md_alloc_default(), 100);
    assert_md_fails(md_map_open(&map, in_dir("a"), &err), MD_DENIED, &err,
                    "Permission denied");
    assert_md_fails(md_file_read(&buf, in_dir("a"), &err), MD_DENIED, &err,
                    "Permission denied");
    assert_md_fails(md_file_write_atomic(in_dir("new"), "x", 1, &err),
                    MD_DENIED, &err, "cannot write '");
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(chmod(in_dir("a"), 0600), 0);
    assert_md_ok(md_file_read(&buf, in_dir("a"), &err), &err);
    assert_memory_equal(buf.data, "secret", 6); /* nothing was changed */
    md_buf_release(&buf);
}

static void test_file__map_of_a_descriptor(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map map = { 0 };
    int fd, ends[2];

    (void)state;
    put("a", "contents", 8);
    fd = open(in_dir("a"), O_RDONLY);
    assert_true(fd >= 0);
    assert_md_ok(md_map_fd(&map, fd, "shown", &err), &err);
    assert_int_equal(fcntl(fd, F_GETFD), 0); /* still open */
    close(fd);
    unlink(in_dir("a"));
    assert_memory_equal(map.data, "contents", 8); /* without its name too */
    md_map_release(&map);
    assert_md_fails(md_map_fd(&map, fd, "shown", &err), MD_IO, &err,
                    "cannot read 'shown': Bad file descriptor");
    put("a", "contents", 8);
    fd = open(in_dir("a"), O_WRONLY);
    assert_md_fails(md_map_fd(&map, fd, "shown", &err), MD_DENIED, &err,
                    "cannot map 'shown': Permission denied");
    close(fd);
    assert_int_equal(pipe(ends), 0);
    assert_md_fails(md_map_fd(&map, ends[0], "shown", &err), MD_IO, &err,
                    "cannot map 'shown': not a regular file");
    close(ends[0]);
    close(ends[1]);
}

/* Pages that were let go are read again, the edges stay. */
static void test_file__forget(void **state)
{
    enum {
        SIZE = 64 * 1024
    };
    static unsigned char data[SIZE];
    static const struct {
        size_t from, size;
    } parts[] = { { 0, SIZE },    { 1, SIZE - 1 }, { 0, 1 },    { 4095, 2 },
                  { 100, 4096 },  { 100, 8192 },   { 4096, 0 }, { 1, 4094 },
                  { 8192, 4096 }, { SIZE - 1, 1 } };
    md_error err = MD_ERROR_INIT;
    md_map map;

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    put("a", data, SIZE);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    for (size_t i = 0; i < MD_COUNT(parts); i++) {
        md_map_forget(map.data + parts[i].from, parts[i].size);
        assert_memory_equal(map.data, data, SIZE);
    }
    md_map_release(&map);
}

/* The old contents are whole for whoever has them mapped. */
static void test_file__replaced_while_mapped(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map old, fresh;

    (void)state;
    put("a", "old contents", 12);
    assert_md_ok(md_map_open(&old, in_dir("a"), &err), &err);
    put("a", "new", 3);
    assert_memory_equal(old.data, "old contents", 12);
    assert_md_ok(md_map_open(&fresh, in_dir("a"), &err), &err);
    assert_int_equal(fresh.size, 3);
    assert_memory_equal(fresh.data, "new", 3);
    md_map_release(&old);
    md_map_release(&fresh);
}

static void test_file__written_in_parts(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_file_writer w;
    md_map map;

    (void)state;
    put("a", "before", 6);
    assert_md_ok(md_file_writer_open(&w, in_dir("a"), md_alloc_default(), &err),
                 &err);
    assert_md_ok(md_file_writer_append(&w, "", 0, &err), &err);
    for (int i = 0; i < 1000; i++)
        assert_md_ok(md_file_writer_append(&w, "0123456789", 10, &err), &err);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_memory_equal(map.data, "before", 6); /* not there yet */
    md_map_release(&map);
    assert_md_ok(md_file_writer_commit(&w, &err), &err);
    assert_int_equal(w.fd, -1);
    md_file_writer_abort(&w); /* too late to do anything */
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_int_equal(map.size, 10000);
    assert_memory_equal(map.data + 9990, "0123456789", 10);
    md_map_release(&map);
}

/* The folder is gone when the name is to be given. */
static void test_file__commit_fails(void **state)
{
    char sub[300], path[320];
    md_error err = MD_ERROR_INIT;
    md_file_writer w;
    int n = n_entries();

    (void)state;
    snprintf(sub, sizeof(sub), "%s/sub", dir);
    snprintf(path, sizeof(path), "%s/file", sub);
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_md_ok(md_file_writer_open(&w, path, md_alloc_default(), &err), &err);
    assert_md_ok(md_file_writer_append(&w, "x", 1, &err), &err);
    if (w.named)
        assert_int_equal(unlink(w.temp), 0);
    assert_int_equal(rmdir(sub), 0);
    assert_md_fails(md_file_writer_commit(&w, &err), MD_NOT_FOUND, &err,
                    "cannot write '");
    assert_non_null(strstr(err.msg, "/sub/file': No such file"));
    assert_int_equal(w.fd, -1);
    assert_null(w.temp);
    assert_int_equal(n_entries(), n);
}

static void test_file__writer_out_of_memory(void **state)
{
    int n = n_entries();

    (void)state;
    for (int64_t i = 0; i < 2; i++) {
        md_error err = MD_ERROR_INIT;
        md_file_writer w;
        fail_alloc f;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, i);
        assert_md_fails(md_file_writer_open(&w, in_dir("new"), &f.alloc, &err),
                        MD_NOMEM, &err, "out of memory");
        assert_int_equal(f.n_live, 0);
        assert_int_equal(w.fd, -1);
        md_file_writer_abort(&w);
    }
    assert_int_equal(n_entries(), n);
}

/* A pipe, whose size nobody knows; the limit is exact for it too. */
static void test_file__reads_a_pipe(void **state)
{
    (void)state;
    for (size_t limit = 1999; limit <= 2001; limit++) {
        char data[2000], path[40];
        md_error err = MD_ERROR_INIT;
        int ends[2];
        md_buf buf;
        md_status s;

        memset(data, 'p', sizeof(data));
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], data, sizeof(data)), sizeof(data));
        close(ends[1]);
        snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
        md_buf_init(&buf, md_alloc_default(), limit);
        s = md_file_read(&buf, path, &err);
        if (limit < sizeof(data)) {
            assert_md_fails(s, MD_TOO_LARGE, &err, "limit of 1999 bytes");
        } else {
            assert_md_ok(s, &err);
            assert_int_equal(buf.size, sizeof(data));
            assert_memory_equal(buf.data, data, sizeof(data));
        }
        md_buf_release(&buf);
        close(ends[0]);
    }
}

/* A write that fails leaves the old contents and no temporary file. */
static void test_file__failed_write_leaves_nothing(void **state)
{
    static char big[100000];
    struct rlimit old, small;
    md_error err = MD_ERROR_INIT;
    md_map map;
    int n;

    (void)state;
    put("a", "old", 3);
    n = n_entries();
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_md_fails(md_file_write_atomic(in_dir("a"), big, sizeof(big), &err),
                    MD_IO, &err, "File too large");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(n_entries(), n);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_int_equal(map.size, 3);
    assert_memory_equal(map.data, "old", 3);
    md_map_release(&map);
}

/* Where the system has files without a name, being killed leaves nothing. */
static void test_file__killed_writer_leaves_nothing(void **state)
{
    int n = n_entries();
    int fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    int status = 0;
    pid_t pid;

    (void)state;
    if (fd < 0)
        skip();
    close(fd);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        md_error err = MD_ERROR_INIT;
        md_file_writer w;

        if (md_file_writer_open(&w, in_dir("b"), md_alloc_default(), &err) ==
                MD_OK &&
            md_file_writer_append(&w, "x", 1, &err) == MD_OK)
            raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(n_entries(), n);
}

static void test_file__abort_removes(void **state)
{
    md_file_writer w;
    md_error err = MD_ERROR_INIT;
    int n = n_entries();

    (void)state;
    assert_md_ok(md_file_writer_open(&w, in_dir("b"), md_alloc_default(), &err),
                 &err);
    assert_md_ok(md_file_writer_append(&w, "x", 1, &err), &err);
    assert_int_equal(n_entries(), n + w.named);
    md_file_writer_abort(&w);
    md_file_writer_abort(&w);
    assert_int_equal(n_entries(), n);
}

/* Only what this user alone can have written. */
static void test_file__own(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map map = { 0 };

    (void)state;
    put("a", "abc", 3);
    assert_int_equal(chmod(in_dir("a"), 0644), 0);
    assert_md_ok(md_map_open_own(&map, in_dir("a"), &err), &err);
    assert_int_equal(map.size, 3);
    assert_int_equal(map.id.size, 3);
    assert_true(map.id.inode != 0 && map.id.changed_ns > 0);
    md_map_release(&map);
    assert_int_equal(chmod(in_dir("a"), 0664), 0);
    assert_md_fails(md_map_open_own(&map, in_dir("a"), &err), MD_DENIED, &err,
                    "has mode 664");
    assert_int_equal(chmod(in_dir("a"), 0602), 0);
    assert_md_fails(md_map_open_own(&map, in_dir("a"), &err), MD_DENIED, &err,
                    "others may write it");
    assert_int_equal(chmod(in_dir("a"), 0644), 0);
    assert_int_equal(symlink("a", in_dir("b")), 0);
    assert_md_fails(md_map_open_own(&map, in_dir("b"), &err), MD_DENIED, &err,
                    "symbolic link");
    unlink(in_dir("b"));
    assert_md_fails(md_map_open_own(&map, in_dir("b"), &err), MD_NOT_FOUND,
                    &err, "");
    assert_md_fails(md_map_open_own(&map, dir, &err), MD_IO, &err, "");
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(in_dir("a"), 12345, 0), 0);
    assert_md_fails(md_map_open_own(&map, in_dir("a"), &err), MD_DENIED, &err,
                    "belongs to user 12345");
}

/* What changes a file changes its identity. */
static void test_file__identity(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_map map = { 0 };
    md_file_id was;

    (void)state;
    put("a", "abc", 3);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    was = map.id;
    md_map_release(&map);
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_memory_equal(&was, &map.id, sizeof(was));
    md_map_release(&map);
    put("a", "abc", 3); /* another file, renamed over it */
    assert_md_ok(md_map_open(&map, in_dir("a"), &err), &err);
    assert_true(memcmp(&was, &map.id, sizeof(was)) != 0);
    md_map_fetch(map.data, map.size);
    assert_memory_equal(map.data, "abc", 3);
    md_map_release(&map);
}

static void test_file__own_and_lazy_writer(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_file_writer w;
    struct stat st;

    (void)state;
    assert_md_ok(md_file_writer_open(&w, in_dir("a"), md_alloc_default(), &err),
                 &err);
    w.own = w.lazy = true;
    assert_md_ok(md_file_writer_append(&w, "xy", 2, &err), &err);
    assert_md_ok(md_file_writer_append(&w, "z", 1, &err), &err);
    assert_md_ok(md_file_writer_commit(&w, &err), &err);
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 3);
}

static void test_file__folders(void **state)
{
    md_error err = MD_ERROR_INIT;
    struct stat st;

    (void)state;
    for (int i = 0; i < 2; i++) { /* the second time they are there */
        assert_md_ok(md_folder_make(in_dir("x/y/z"), &err), &err);
        assert_int_equal(stat(in_dir("x/y/z"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
    }
    assert_md_ok(md_folder_make("/", &err), &err);
    assert_md_ok(md_folder_make(dir, &err), &err);
    put("a", "abc", 3);
    assert_md_fails(md_folder_make(in_dir("a"), &err), MD_NOT_FOUND, &err,
                    "cannot make");
    assert_md_fails(md_folder_make(in_dir("a/b"), &err), MD_NOT_FOUND, &err,
                    "cannot make");
    rmdir(in_dir("x/y/z"));
    rmdir(in_dir("x/y"));
    rmdir(in_dir("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file__write_map_read),
        cmocka_unit_test(test_file__empty),
        cmocka_unit_test(test_file__limit),
        cmocka_unit_test(test_file__size_unknown),
        cmocka_unit_test(test_file__errors_name_path_and_reason),
        cmocka_unit_test(test_file__refusals),
        cmocka_unit_test(test_file__forbidden),
        cmocka_unit_test(test_file__map_of_a_descriptor),
        cmocka_unit_test(test_file__forget),
        cmocka_unit_test(test_file__replaced_while_mapped),
        cmocka_unit_test(test_file__written_in_parts),
        cmocka_unit_test(test_file__commit_fails),
        cmocka_unit_test(test_file__writer_out_of_memory),
        cmocka_unit_test(test_file__reads_a_pipe),
        cmocka_unit_test(test_file__failed_write_leaves_nothing),
        cmocka_unit_test(test_file__abort_removes),
        cmocka_unit_test(test_file__own),
        cmocka_unit_test(test_file__identity),
        cmocka_unit_test(test_file__own_and_lazy_writer),
        cmocka_unit_test(test_file__folders),
        cmocka_unit_test(test_file__killed_writer_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
