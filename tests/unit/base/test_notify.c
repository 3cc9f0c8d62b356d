#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

static void test_notify__tells_an_abstract_socket(void **state)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    socklen_t size = sizeof(sa_family_t); /* the kernel chooses a name */
    char name[sizeof(sa.sun_path) + 1];
    char got[16] = "";
    md_notify n;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, size), 0);
    size = sizeof(sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &size), 0);
    size -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
    memcpy(name, sa.sun_path, size);
    name[0] = '@';
    name[size] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    md_notify_open(&n);
    assert_null(getenv("NOTIFY_SOCKET"));
    md_notify_tell(&n, "READY=1");
    assert_int_equal(recv(fd, got, sizeof(got), 0), 7);
    assert_string_equal(got, "READY=1");
    close(fd);
    md_notify_tell(&n, "STOPPING=1"); /* nobody is there any more */
    md_notify_close(&n);
    md_notify_close(&n);
}

static void test_notify__is_silent_without_a_socket(void **state)
{
    static const char *const names[] = { NULL,       "",  "/",
                                         "relative", "@", "/no/such/socket" };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        md_notify n;

        if (names[i])
            assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        md_notify_open(&n);
        assert_int_equal(n.fd, -1);
        md_notify_tell(&n, "READY=1");
        md_notify_close(&n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify__tells_an_abstract_socket),
        cmocka_unit_test(test_notify__is_silent_without_a_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
