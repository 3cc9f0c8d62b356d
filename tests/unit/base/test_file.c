#include "support/test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

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

static void test_file__abort_removes(void **state)
{
    md_file_writer w;
    md_error err = MD_ERROR_INIT;
    int n = n_entries();

    (void)state;
    assert_md_ok(md_file_writer_open(&w, in_dir("b"), md_alloc_default(), &err),
                 &err);
    assert_md_ok(md_file_writer_append(&w, "x", 1, &err), &err);
    assert_int_equal(n_entries(), n + 1);
    md_file_writer_abort(&w);
    md_file_writer_abort(&w);
    assert_int_equal(n_entries(), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file__write_map_read),
        cmocka_unit_test(test_file__empty),
        cmocka_unit_test(test_file__limit),
        cmocka_unit_test(test_file__size_unknown),
        cmocka_unit_test(test_file__errors_name_path_and_reason),
        cmocka_unit_test(test_file__failed_write_leaves_nothing),
        cmocka_unit_test(test_file__abort_removes),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
