/* CRC-32C against the values of RFC 3720, appendix B.4. */
#include "support/test.h"

#include <string.h>

#include "base/crc32c.h"

static void test_crc32c__values_of_the_rfc(void **state)
{
    unsigned char bytes[32] = { 0 };

    (void)state;
    assert_int_equal(md_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(md_crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(md_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(md_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(md_crc32c(0, bytes, 0), 0);
}

/* In parts it is the same as in one, at any place. */
static void test_crc32c__goes_on(void **state)
{
    unsigned char bytes[97];
    uint32_t whole;

    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    whole = md_crc32c(0, bytes, sizeof(bytes));
    for (size_t i = 0; i <= sizeof(bytes); i++)
        assert_int_equal(
            md_crc32c(md_crc32c(0, bytes, i), bytes + i, sizeof(bytes) - i),
            whole);
}

/* The masked checksum of LevelDB's own tests: not the plain one, nor twice. */
static void test_crc32c__mask(void **state)
{
    uint32_t crc = md_crc32c(0, "foo", 3);

    (void)state;
    assert_int_not_equal(md_crc32c_mask(crc), crc);
    assert_int_not_equal(md_crc32c_mask(md_crc32c_mask(crc)), crc);
    assert_int_equal(md_crc32c_mask(0), 0xa282ead8);
    assert_int_equal(md_crc32c_mask(0x8000), 0xa282ead9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c__values_of_the_rfc),
        cmocka_unit_test(test_crc32c__goes_on),
        cmocka_unit_test(test_crc32c__mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
