#include "support/test.h"

#include <string.h>

#include "base/digest.h"

enum {
    N = 333 /* some stripes and a part of one */
};

static void fill(unsigned char *bytes)
{
    for (size_t i = 0; i < N; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 64);
}

static void test_digest__every_bit_and_every_length(void **state)
{
    unsigned char bytes[N];
    uint64_t whole;

    (void)state;
    fill(bytes);
    whole = md_digest(0, bytes, N);
    for (size_t i = 0; i < (size_t)N * 8; i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_true(md_digest(0, bytes, N) != whole);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    assert_true(md_digest(0, bytes, N) == whole);
    memset(bytes, 0, N);
    for (size_t n = 0; n < N; n++)
        assert_true(md_digest(0, bytes, n) != md_digest(0, bytes, n + 1));
}

/* Blocks of zeros, exchanged words and moved stripes are what disks make. */
static void test_digest__order_and_place(void **state)
{
    unsigned char a[N], b[N];
    uint64_t whole;

    (void)state;
    fill(a);
    whole = md_digest(0, a, N);
    for (size_t i = 0; i + 64 <= N; i += 8) {
        memcpy(b, a, N);
        memset(b + i, 0, 64);
        assert_true(md_digest(0, b, N) != whole);
    }
    for (size_t i = 8; i + 8 <= N; i += 8) {
        memcpy(b, a, N);
        memcpy(b, a + i, 8);
        memcpy(b + i, a, 8);
        assert_true(md_digest(0, b, N) != whole);
    }
}

static void test_digest__continues_another(void **state)
{
    const uint64_t one = md_digest_text(0, "one");

    (void)state;
    assert_true(md_digest_text(one, "two") != md_digest_text(0, "two"));
    assert_true(md_digest_text(one, "two") != md_digest_text(0, "onetwo"));
    assert_true(md_digest_text(one, "") != one);
    assert_true(md_digest_text(one, NULL) == md_digest_text(one, ""));
    assert_true(md_digest(0, NULL, 0) == md_digest_text(0, ""));
}

/* At any address the same. */
static void test_digest__unaligned(void **state)
{
    unsigned char room[N + 16], bytes[N];

    (void)state;
    fill(bytes);
    for (size_t i = 0; i < 16; i++) {
        memcpy(room + i, bytes, N);
        assert_true(md_digest(5, room + i, N) == md_digest(5, bytes, N));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest__every_bit_and_every_length),
        cmocka_unit_test(test_digest__order_and_place),
        cmocka_unit_test(test_digest__continues_another),
        cmocka_unit_test(test_digest__unaligned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
