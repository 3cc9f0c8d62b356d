#include "support/test.h"

#include <stdbool.h>
#include <string.h>

#include "base/hash.h"

/* Key 00 01 .. 0f, input 00 01 .. n-1: the reference implementation's
 * vectors, and with n = 15 the one worked out in the paper's appendix. */
static void test_hash__vectors(void **state)
{
    static const struct {
        size_t n;
        uint64_t want;
    } cases[] = {
        { 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd },
        { 2, 0x0d6c8009d9a94f5a }, { 3, 0x85676696d7fb7e2d },
        { 4, 0xcf2794e0277187b7 }, { 5, 0x18765564cd99a68d },
        { 6, 0xcbc9466e58fee3ce }, { 7, 0xab0200f58b01d137 },
        { 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 },
    };
    static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
    unsigned char input[16];

    (void)state;
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (unsigned char)i;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        uint64_t got = md_hash_keyed(key, input, cases[i].n);

        if (got != cases[i].want)
            fail_msg("%zu bytes: %016llx, expected %016llx", cases[i].n,
                     (unsigned long long)got,
                     (unsigned long long)cases[i].want);
    }
}

/* Each bit of the input and of the key counts. */
static void test_hash__every_bit_counts(void **state)
{
    unsigned char text[19] = "eighteen bytes long";
    uint64_t key[2] = { 1, 2 };
    uint64_t first = md_hash_keyed(key, text, sizeof(text));

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(text); bit++) {
        text[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_true(md_hash_keyed(key, text, sizeof(text)) != first);
        text[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (unsigned bit = 0; bit < 128; bit++) {
        key[bit / 64] ^= (uint64_t)1 << bit % 64;
        assert_true(md_hash_keyed(key, text, sizeof(text)) != first);
        key[bit / 64] ^= (uint64_t)1 << bit % 64;
    }
    assert_true(md_hash_keyed(key, text, sizeof(text)) == first);
}

static void test_hash__own_key(void **state)
{
    static const uint64_t zero[2] = { 0, 0 };

    (void)state;
    assert_true(md_hash("name", 4) == md_hash("name", 4));
    assert_true(md_hash("name", 4) != md_hash("nam", 3));
    assert_true(md_hash("", 0) != md_hash("\0", 1));
    /* one chance in 2^64 that the random key is all zeros */
    assert_true(md_hash("name", 4) != md_hash_keyed(zero, "name", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash__vectors),
        cmocka_unit_test(test_hash__every_bit_counts),
        cmocka_unit_test(test_hash__own_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
