#include "support/test.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/listen.h"
#include "net/listen_unix.h"
#include "support/temp.h"

static md_temp temp;

static int set_up(void **state)
{
    (void)state;
    md_temp_make(&temp);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    md_temp_remove(&temp);
    return 0;
}

static void test_listen_unix__opens_and_removes(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    char address[MD_ADDRESS_SIZE];
    md_error err = MD_ERROR_INIT;
    md_listen_file file;
    struct stat st;
    int fd;

    (void)state;
    md_temp_path(path, &temp, "a");
    assert_md_ok(md_listen_unix_open(&fd, &file, path, 0600, &err), &err);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_md_ok(md_listen_address(address, fd, &err), &err);
    assert_memory_equal(address, "unix:/", 6);
    assert_string_equal(address + 5, path);
    md_listen_unix_remove(&file);
    md_listen_unix_remove(&file);
    assert_int_not_equal(stat(path, &st), 0);
    close(fd);
}

static void test_listen_unix__replaces_what_nobody_listens_to(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_listen_file old;
    md_listen_file new;
    struct stat st;
    int fd;
    int second;

    (void)state;
    md_temp_path(path, &temp, "b");
    assert_md_ok(md_listen_unix_open(&fd, &old, path, 0660, &err), &err);
    assert_md_fails(md_listen_unix_open(&second, &new, path, 0660, &err),
                    MD_EXISTS, &err, "it is taken");
    close(fd);
    assert_md_ok(md_listen_unix_open(&second, &new, path, 0660, &err), &err);
    /* The name is another's now. */
    md_listen_unix_remove(&old);
    assert_int_equal(stat(path, &st), 0);
    md_listen_unix_remove(&new);
    close(second);
}

static void test_listen_unix__refusals(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    char longer[200];
    md_error err = MD_ERROR_INIT;
    md_listen_file file;
    struct stat st;
    int fd;

    (void)state;
    md_temp_write(&temp, "file", "x", 1);
    assert_md_fails(md_listen_unix_open(&fd, &file,
                                        md_temp_path(path, &temp, "file"), 0660,
                                        &err),
                    MD_EXISTS, &err, "remove the file if it is no socket");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1);
    assert_md_fails(md_listen_unix_open(&fd, &file,
                                        md_temp_path(path, &temp, "none/x"),
                                        0660, &err),
                    MD_NOT_FOUND, &err, "none/x: No such file");
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_md_fails(md_listen_unix_open(&fd, &file, longer, 0660, &err),
                    MD_INVALID, &err, "path of 199 bytes given, 1 to 107");
    assert_md_fails(md_listen_unix_open(&fd, &file, "", 0660, &err), MD_INVALID,
                    &err, "path of 0 bytes given");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_unix__opens_and_removes),
        cmocka_unit_test(test_listen_unix__replaces_what_nobody_listens_to),
        cmocka_unit_test(test_listen_unix__refusals),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
