#include "support/test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/confine.h"
#include "support/temp.h"

/* in/w.bin, in/sub/v.bin, out.bin; in/ also holds the ways out. */
static void make_tree(md_temp *t)
{
    char from[MD_TEMP_SIZE * 2];
    char to[MD_TEMP_SIZE * 2];

    md_temp_make(t);
    assert_int_equal(mkdir(md_temp_path(to, t, "in"), 0700), 0);
    assert_int_equal(mkdir(md_temp_path(to, t, "in/sub"), 0700), 0);
    md_temp_write(t, "in/w.bin", "w", 1);
    md_temp_write(t, "in/sub/v.bin", "v", 1);
    md_temp_write(t, "out.bin", "secret", 6);
    assert_int_equal(symlink("../out.bin", md_temp_path(to, t, "in/link")), 0);
    assert_int_equal(symlink("w.bin", md_temp_path(to, t, "in/inner")), 0);
    assert_int_equal(symlink("..", md_temp_path(to, t, "in/up")), 0);
    assert_int_equal(
        link(md_temp_path(from, t, "out.bin"), md_temp_path(to, t, "in/hard")),
        0);
    assert_int_equal(mkfifo(md_temp_path(to, t, "in/fifo"), 0600), 0);
}

static void test_confine__opens_files_inside(void **state)
{
    static const char *const paths[] = { "w.bin", "./w.bin", "sub/v.bin",
                                         "sub//v.bin", "./sub/./v.bin" };
    char folder[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_temp t;

    (void)state;
    make_tree(&t);
    md_temp_path(folder, &t, "in");
    for (size_t i = 0; i < MD_COUNT(paths); i++) {
        int fd = -1;
        char c;

        assert_md_ok(md_confined_open(&fd, folder, paths[i], &err), &err);
        assert_int_equal(read(fd, &c, 1), 1);
        assert_int_equal(c, strstr(paths[i], "v.bin") ? 'v' : 'w');
        close(fd);
    }
    md_temp_remove(&t);
}

static void test_confine__refuses_the_ways_out(void **state)
{
    static const struct {
        const char *path;
        md_status status;
        const char *text;
    } cases[] = {
        { "", MD_DENIED, "not relative" },
        { "/etc/passwd", MD_DENIED, "not relative" },
        { "../out.bin", MD_DENIED, "by '..'" },
        { "sub/../../out.bin", MD_DENIED, "by '..'" },
        { "sub/../w.bin", MD_DENIED, "by '..'" },
        { "..", MD_DENIED, "by '..'" },
        { "link", MD_DENIED, "symbolic link" },
        { "inner", MD_DENIED, "symbolic link" },
        { "up/out.bin", MD_DENIED, "symbolic link" },
        { "hard", MD_DENIED, "2 hard links, 1 expected" },
        { "fifo", MD_DENIED, "not a regular file" },
        { "sub", MD_DENIED, "not a regular file" },
        { "none.bin", MD_NOT_FOUND, "none.bin" },
        { "w.bin/x", MD_NOT_FOUND, "w.bin/x" },
    };
    char folder[MD_TEMP_SIZE * 2];
    md_temp t;

    (void)state;
    make_tree(&t);
    md_temp_path(folder, &t, "in");
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int fd = -1;

        assert_md_fails(md_confined_open(&fd, folder, cases[i].path, &err),
                        cases[i].status, &err, cases[i].text);
        assert_int_equal(fd, -1);
    }
    md_temp_remove(&t);
}

static void test_confine__refuses_endless_names(void **state)
{
    static char path[PATH_MAX + 10];
    md_error err = MD_ERROR_INIT;
    int fd;

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    assert_md_fails(md_confined_open(&fd, "/tmp", path, &err), MD_DENIED, &err,
                    "location of");
    path[NAME_MAX + 10] = '\0';
    assert_true(md_confined_open(&fd, "/tmp", path, &err) != MD_OK);
    assert_int_equal(md_confined__walk(AT_FDCWD, path), -1);
}

static void test_confine__the_walk_follows_no_link_either(void **state)
{
    static const char *const bad[] = { "link", "inner", "up/out.bin",
                                       "none.bin", "w.bin/x" };
    char folder[MD_TEMP_SIZE * 2];
    md_temp t;
    int dir;
    int fd;

    (void)state;
    make_tree(&t);
    dir = open(md_temp_path(folder, &t, "in"), O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        assert_int_equal(md_confined__walk(dir, bad[i]), -1);
    fd = md_confined__walk(dir, "sub//v.bin");
    assert_true(fd >= 0);
    close(fd);
    close(dir);
    md_temp_remove(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_confine__opens_files_inside),
        cmocka_unit_test(test_confine__refuses_the_ways_out),
        cmocka_unit_test(test_confine__refuses_endless_names),
        cmocka_unit_test(test_confine__the_walk_follows_no_link_either),
    };

    return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
