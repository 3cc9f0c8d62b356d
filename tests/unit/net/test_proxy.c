#include "support/test.h"

#include <netinet/in.h>
#include <string.h>

#include "base/crc32c.h"
#include "net/listen.h"
#include "net/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\x0a\x01\x02\x03\x0a\0\0\x01\x30\x39\0\x50" /* 10.1.2.3:12345 */
#define V6                                                                     \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                               \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x30\x39\0\x50"
#define BYTES(text) text, sizeof(text) - 1

static void check(const char *bytes, size_t size, const char *want)
{
    char peer[MD_ADDRESS_SIZE];
    md_error err = MD_ERROR_INIT;
    md_proxy p;
    size_t need = 0;

    /* Too few bytes, in whatever pieces, ask for more and never for too many. */
    for (size_t n = 1; n < size; n++) {
        assert_md_ok(md_proxy_parse(&p, &need, bytes, n, &err), &err);
        assert_true(need > n && need <= size);
    }
    assert_md_ok(md_proxy_parse(&p, &need, bytes, size, &err), &err);
    assert_int_equal(need, size);
    if (!want) {
        assert_int_equal(p.source_size, 0);
        return;
    }
    md_address_format(peer, (const struct sockaddr *)&p.source, p.source_size);
    assert_string_equal(peer, want);
}

static void test_proxy__sources(void **state)
{
    char local[16 + 216];

    (void)state;
    check(BYTES(SIGNATURE "\x21\x11\0\x0c" V4), "10.1.2.3:12345");
    check(BYTES(SIGNATURE "\x21\x21\0\x24" V6), "[2001:db8::7]:12345");
    /* Values behind the addresses: one of no size, one of any type. */
    check(BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\x04\0\0\x02\0\x01x"),
          "10.1.2.3:12345");
    /* UDP, and what has no address, say nothing. */
    check(BYTES(SIGNATURE "\x21\x12\0\x0c" V4), NULL);
    check(BYTES(SIGNATURE "\x21\0\0\0"), NULL);
    check(BYTES(SIGNATURE "\x21\0\0\x03\x01\0\0"), NULL);
    /* The proxy's own connection: what follows is not looked at. */
    check(BYTES(SIGNATURE "\x20\0\0\0"), NULL);
    check(BYTES(SIGNATURE "\x20\x11\0\x03zzz"), NULL);
    memset(local, 0, sizeof(local));
    memcpy(local, SIGNATURE "\x21\x31\0\xd8", 16);
    check(local, sizeof(local), NULL);
}

static void test_proxy__checksums(void **state)
{
    char bytes[] = SIGNATURE "\x21\x11\0\x16" V4 "\x04\0\0\x03\0\x04\0\0\0\0";
    const size_t size = sizeof(bytes) - 1;
    const uint32_t crc = md_crc32c(0, bytes, size);
    md_error err = MD_ERROR_INIT;
    md_proxy p;
    size_t need;

    (void)state;
    for (int i = 0; i < 4; i++)
        bytes[size - 4 + (size_t)i] = (char)(crc >> (24 - 8 * i));
    check(bytes, size, "10.1.2.3:12345");
    bytes[20] ^= 1;
    assert_md_fails(md_proxy_parse(&p, &need, bytes, size, &err), MD_CORRUPT,
                    &err, "its checksum is another one");
}

static void test_proxy__refusals(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        md_status want;
        const char *text;
    } cases[] = {
        { BYTES("PROXY "), MD_CORRUPT, "of version 1 given, version 2" },
        { BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), MD_CORRUPT,
          "of version 1 given" },
        { BYTES("G"), MD_CORRUPT, "begins without PROXY header" },
        { BYTES("\r\n\r\n\0\r\nQUIT\r"), MD_CORRUPT, "without PROXY header" },
        { BYTES("\x16\x03\x01"), MD_CORRUPT, "without PROXY header" },
        { BYTES(SIGNATURE "\x11\x11\0\x0c"), MD_CORRUPT, "0x11 given" },
        { BYTES(SIGNATURE "\x31\x11\0\x0c"), MD_CORRUPT, "0x31 given" },
        { BYTES(SIGNATURE "\x22\x11\0\x0c"), MD_CORRUPT, "0x22 given" },
        { BYTES(SIGNATURE "\x21\x11\0\x0b"), MD_CORRUPT, "28 expected" },
        { BYTES(SIGNATURE "\x21\x21\0\x0c"), MD_CORRUPT, "52 expected" },
        { BYTES(SIGNATURE "\x21\x31\0\x0c"), MD_CORRUPT, "232 expected" },
        { BYTES(SIGNATURE "\x21\x11\xff\xff"), MD_TOO_LARGE, "65551 bytes" },
        { BYTES(SIGNATURE "\x20\x11\x10\x01"), MD_TOO_LARGE, "4113 bytes" },
        { BYTES(SIGNATURE "\x21\x11\0\x0d" V4 "\x04"), MD_CORRUPT,
          "value at byte 28 is cut short" },
        { BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x04\0\x02z"), MD_CORRUPT,
          "value at byte 28 is cut short" },
        { BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x03\0\x01z"), MD_CORRUPT,
          "its checksum" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_proxy p;
        size_t need;

        assert_md_fails(
            md_proxy_parse(&p, &need, cases[i].bytes, cases[i].size, &err),
            cases[i].want, &err, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy__sources),
        cmocka_unit_test(test_proxy__checksums),
        cmocka_unit_test(test_proxy__refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
