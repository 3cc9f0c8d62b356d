#include "support/test.h"

#include <string.h>
#include <unistd.h>

#include "net/listen.h"

static void test_listen__refuses_addresses(void **state)
{
    static const char *bad[] = {
        "",       "127.0.0.1",     "127.0.0.1:",     "127.0.0.1:65536",
        "::1:80", "127.0.0.1:-1",  "127.0.0.1:8o80", "127.0.0.1: 80",
        "[::1",   "127.0.0.1:0x1", "[::1]80",        "127.0.0.1:000080",
    };
    md_error err = MD_ERROR_INIT;
    int fd;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        assert_md_fails(md_listen_open(&fd, bad[i], false, &err), MD_INVALID,
                        &err, "expected, for example 127.0.0.1:8080");
    assert_md_fails(md_listen_open(&fd, "no.such.host.invalid:1", false, &err),
                    MD_INVALID, &err, "no.such.host.invalid:1");
}

static void test_listen__tells_its_port(void **state)
{
    char address[MD_ADDRESS_SIZE];
    md_error err = MD_ERROR_INIT;
    int fd;

    (void)state;
    assert_md_ok(md_listen_open(&fd, "localhost:0", false, &err), &err);
    assert_md_ok(md_listen_address(address, fd, &err), &err);
    assert_int_equal(close(fd), 0);
    assert_null(strstr(address, ":0"));
    assert_md_fails(md_listen_address(address, -1, &err), MD_IO, &err,
                    "cannot tell the address");
}

static void test_listen__port_taken(void **state)
{
    char address[MD_ADDRESS_SIZE];
    md_error err = MD_ERROR_INIT;
    int fd;
    int other;

    (void)state;
    assert_md_ok(md_listen_open(&fd, "127.0.0.1:0", false, &err), &err);
    assert_md_ok(md_listen_address(address, fd, &err), &err);
    assert_md_fails(md_listen_open(&other, address, false, &err), MD_EXISTS,
                    &err, "the port is taken; stop the program");
    assert_non_null(strstr(err.msg, address));
    assert_null(strchr(err.msg, '\n'));
    close(fd);
}

static void test_listen__port_shared(void **state)
{
    char address[MD_ADDRESS_SIZE];
    md_error err = MD_ERROR_INIT;
    int fd;
    int other;

    (void)state;
    assert_md_ok(md_listen_open(&fd, "127.0.0.1:0", true, &err), &err);
    assert_md_ok(md_listen_address(address, fd, &err), &err);
    assert_md_ok(md_listen_open(&other, address, true, &err), &err);
    close(fd);
    close(other);
}

static void test_listen__foreign_address(void **state)
{
    md_error err = MD_ERROR_INIT;
    int fd;

    (void)state;
    /* TEST-NET-1 is on no machine (RFC 5737) */
    assert_md_fails(md_listen_open(&fd, "192.0.2.1:0", false, &err), MD_IO,
                    &err, "this machine has no such address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen__refuses_addresses),
        cmocka_unit_test(test_listen__tells_its_port),
        cmocka_unit_test(test_listen__port_taken),
        cmocka_unit_test(test_listen__port_shared),
        cmocka_unit_test(test_listen__foreign_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
