#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/trust.h"

static bool has(const md_trust *t, const char *address)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    const struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (strcmp(address, "unix") == 0)
        return md_trust_has(t, (const struct sockaddr *)&un);
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return md_trust_has(t, (const struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return md_trust_has(t, (const struct sockaddr *)&v6);
}

static void test_trust__addresses(void **state)
{
    static const struct {
        const char *text, *address;
        bool want;
    } cases[] = {
        { "", "127.0.0.1", false },
        { "", "unix", false },
        { "127.0.0.1", "127.0.0.1", true },
        { "127.0.0.1", "127.0.0.2", false },
        { "127.0.0.1", "::ffff:127.0.0.1", true },
        { "10.0.0.0/8", "10.255.1.2", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.16.0.0/12", "10.31.0.1", true },
        { "10.16.0.0/12", "10.32.0.1", false },
        { "0.0.0.0/0", "1.2.3.4", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "::/0", "2001:db8::1", true },
        { "::/0", "1.2.3.4", true },
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "::1", "127.0.0.1", false },
        { " 1.2.3.4 ,, ::1,unix ", "::1", true },
        { "1.2.3.4, ::1, unix", "unix", true },
        { "1.2.3.4/32, ::1/128", "unix", false },
    };
    md_error err = MD_ERROR_INIT;
    md_trust t;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        assert_md_ok(md_trust_parse(&t, cases[i].text, &err), &err);
        if (has(&t, cases[i].address) != cases[i].want)
            fail_msg("'%s' has %s: %d expected", cases[i].text,
                     cases[i].address, cases[i].want);
    }
}

static void test_trust__refusals(void **state)
{
    static const char *const bad[] = {
        "x",
        "10.0.0",
        "10.0.0.0/33",
        "::1/129",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/08x",
        "10.0.0.0/0000",
        "10.0.0.1:80",
        "[::1]",
        "/8",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
    };
    char many[65 * 3 + 1] = "";
    md_error err = MD_ERROR_INIT;
    md_trust t;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        assert_md_fails(md_trust_parse(&t, bad[i], &err), MD_INVALID, &err,
                        "an address, one with /BITS, or unix expected");
    for (size_t i = 0; i < 65; i++)
        memcpy(many + 3 * i, "::,", 4);
    assert_md_fails(md_trust_parse(&t, many, &err), MD_INVALID, &err,
                    "more than 64 trusted addresses");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust__addresses),
        cmocka_unit_test(test_trust__refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
