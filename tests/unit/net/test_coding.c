#include "support/test.h"

#include <string.h>

#include "net/coding.h"

enum {
    TEXT_SIZE = 100000
};

static void test_coding__names(void **state)
{
    static const struct {
        const char *name;
        md_coding want;
    } cases[] = {
        { "", MD_CODING_IDENTITY },   { "identity", MD_CODING_IDENTITY },
        { "gzip", MD_CODING_GZIP },   { "GZip", MD_CODING_GZIP },
        { "x-gzip", MD_CODING_GZIP }, { "deflate", MD_CODING_DEFLATE },
        { "zstd", MD_CODING_ZSTD },   { "ZSTD", MD_CODING_ZSTD },
        { "br", MD_N_CODINGS },       { "gzip, gzip", MD_N_CODINGS },
        { "gzip;q=1", MD_N_CODINGS },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_coding c;
        const md_slice name = md_slice_of(cases[i].name);

        if (cases[i].want == MD_N_CODINGS) {
            assert_md_fails(md_coding_parse(&c, name, &err), MD_MEDIA_TYPE,
                            &err,
                            "gzip, deflate, zstd or identity "
                            "expected");
            continue;
        }
        assert_md_ok(md_coding_parse(&c, name, &err), &err);
        assert_int_equal(c, cases[i].want);
    }
}

static void test_coding__what_a_client_likes(void **state)
{
    static const struct {
        const char *accept;
        md_coding want;
    } cases[] = {
        { NULL, MD_CODING_IDENTITY },
        { "", MD_CODING_IDENTITY },
        { "gzip", MD_CODING_GZIP },
        { "deflate", MD_CODING_DEFLATE },
        { "deflate, gzip", MD_CODING_GZIP },
        { "gzip, deflate, br, zstd", MD_CODING_ZSTD },
        { "br, zstd", MD_CODING_ZSTD },
        { "br", MD_CODING_IDENTITY },
        { "gzip, zstd;q=0.9", MD_CODING_GZIP },
        { "zstd;q=0, *", MD_CODING_GZIP },
        { "zstd;q=0.5, identity", MD_CODING_IDENTITY },
        { "gzip;q=0.5, deflate;q=0.8", MD_CODING_DEFLATE },
        { "gzip;q=0", MD_CODING_IDENTITY },
        { "gzip;q=0.000", MD_CODING_IDENTITY },
        { "gzip;q=0.001", MD_CODING_GZIP },
        { "gzip ; q=1.000", MD_CODING_GZIP },
        { "gzip;Q=1", MD_CODING_GZIP },
        { "gzip;q=0.5, identity;q=0.6", MD_CODING_IDENTITY },
        { "gzip;q=0.6, identity;q=0.5", MD_CODING_GZIP },
        { "identity, gzip", MD_CODING_GZIP },
        { "*", MD_CODING_GZIP },
        { "*;q=0", MD_CODING_IDENTITY },
        { "gzip;q=0, *", MD_CODING_DEFLATE },
        { "identity;q=0", MD_CODING_IDENTITY },
        { "x-gzip", MD_CODING_GZIP },
        /* Nonsense is nothing that a client wants. */
        { "gzip;q=2", MD_CODING_IDENTITY },
        { "gzip;q=1.5", MD_CODING_IDENTITY },
        { "gzip;q=-1", MD_CODING_IDENTITY },
        { "gzip;q=", MD_CODING_IDENTITY },
        { "gzip;q=0.0001", MD_CODING_IDENTITY },
        { "gzip;v=1", MD_CODING_IDENTITY },
        { "gzip;", MD_CODING_IDENTITY },
        { ",,;,;q=1,gzip,", MD_CODING_GZIP },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const md_slice accept = cases[i].accept ? md_slice_of(cases[i].accept)
                                                : (md_slice){ NULL, 0 };

        if (md_coding_choose(accept) != cases[i].want)
            fail_msg("'%s': %s given, %s expected", cases[i].accept,
                     md_coding_name(md_coding_choose(accept)),
                     md_coding_name(cases[i].want));
    }
}

/* Something that compresses about as text does. */
static md_slice sample(char text[TEXT_SIZE])
{
    uint32_t x = 1;

    for (size_t i = 0; i < TEXT_SIZE; i++) {
        x = x * 1103515245 + 12345;
        text[i] = (char)('a' + (x >> 28));
    }
    return (md_slice){ text, TEXT_SIZE };
}

static void test_coding__there_and_back(void **state)
{
    static char text[TEXT_SIZE];
    const md_slice all = sample(text);

    (void)state;
    for (int c = MD_CODING_GZIP; c < MD_N_CODINGS; c++)
        for (size_t n = 0; n <= TEXT_SIZE; n = n * 3 + 1) {
            const md_slice in = { all.data, n };
            md_error err = MD_ERROR_INIT;
            md_buf coded;
            md_buf back;

            md_buf_init(&coded, md_alloc_default(), (size_t)2 * TEXT_SIZE);
            md_buf_init(&back, md_alloc_default(), n);
            assert_md_ok(md_coding_encode(&coded, (md_coding)c, in, &err),
                         &err);
            const md_slice bytes = { (const char *)coded.data, coded.size };
            assert_md_ok(md_coding_decode(&back, (md_coding)c, bytes, &err),
                         &err);
            assert_int_equal(back.size, n);
            if (n)
                assert_memory_equal(back.data, text, n);
            md_buf_release(&back);
            if (n) {
                md_buf_init(&back, md_alloc_default(), n - 1);
                assert_md_fails(
                    md_coding_decode(&back, (md_coding)c, bytes, &err),
                    MD_TOO_LARGE, &err, "when they are decoded");
                md_buf_release(&back);
            }
            md_buf_init(&back, md_alloc_default(), TEXT_SIZE);
            assert_md_fails(md_coding_decode(
                                &back, (md_coding)c,
                                (md_slice){ bytes.data, bytes.size - 1 }, &err),
                            MD_CORRUPT, &err, "malformed");
            md_buf_release(&back);
            md_buf_release(&coded);
        }
}

static void check_bomb(md_coding c)
{
    static char zeros[TEXT_SIZE];
    md_error err = MD_ERROR_INIT;
    md_buf coded;
    md_buf back;

    md_buf_init(&coded, md_alloc_default(), TEXT_SIZE);
    assert_md_ok(
        md_coding_encode(&coded, c, (md_slice){ zeros, sizeof(zeros) }, &err),
        &err);
    assert_true(coded.size < 1000);
    md_buf_init(&back, md_alloc_default(), 4096);
    assert_md_fails(
        md_coding_decode(
            &back, c, (md_slice){ (const char *)coded.data, coded.size }, &err),
        MD_TOO_LARGE, &err, "more than 4096");
    assert_true(back.cap <= 2 * 4096);
    md_buf_release(&back);
    md_buf_release(&coded);
}

static void test_coding__bombs_end_at_the_limit(void **state)
{
    (void)state;
    for (int c = MD_CODING_GZIP; c < MD_N_CODINGS; c++)
        check_bomb((md_coding)c);
}

static void decode_zstd(const unsigned char *bytes, size_t n, md_status want,
                        const char *text)
{
    const md_slice in = { (const char *)bytes, n };
    md_error err = MD_ERROR_INIT;
    md_buf back;

    md_buf_init(&back, md_alloc_default(), 100);
    if (want == MD_OK) {
        assert_md_ok(md_coding_decode(&back, MD_CODING_ZSTD, in, &err), &err);
        assert_int_equal(back.size, strlen(text));
        assert_string_equal((const char *)back.data, text);
    } else {
        assert_md_fails(md_coding_decode(&back, MD_CODING_ZSTD, in, &err), want,
                        &err, text);
    }
    md_buf_release(&back);
}

/* RFC 8878: a raw block of "abc" in a frame of one segment. */
#define FRAME 0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, 'a', 'b', 'c'
/* A frame that is skipped, with two bytes. */
#define SKIPPED 0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2
/* The head of a frame with a window of 2^(10 + exponent) bytes; "abc". */
#define WINDOW(exponent)                                                       \
    0x28, 0xb5, 0x2f, 0xfd, 0, (exponent) << 3, 0x19, 0, 0, 'a', 'b', 'c'

static void test_coding__frames_of_zstd(void **state)
{
    static const unsigned char two[] = { FRAME, SKIPPED, FRAME };
    static const unsigned char skipped[] = { SKIPPED };
    static const unsigned char behind[] = { FRAME, 'x' };
    static const unsigned char magic[] = { 0x28, 0xb5, 0x2f, 0xfe, 0, 0, 0, 0 };
    static const unsigned char most[] = { WINDOW(13) };
    static const unsigned char more[] = { WINDOW(14) };
    static const unsigned char type[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 3,
                                          0x1f, 0,    0,    'a',  'b',  'c' };

    (void)state;
    decode_zstd(two, sizeof(two), MD_OK, "abcabc");
    decode_zstd(skipped, sizeof(skipped), MD_OK, "");
    decode_zstd(most, sizeof(most), MD_OK, "abc");
    decode_zstd(more, sizeof(more), MD_TOO_LARGE,
                "window of more than 8388608 bytes");
    decode_zstd(behind, sizeof(behind), MD_CORRUPT, "malformed");
    decode_zstd(magic, sizeof(magic), MD_CORRUPT, "malformed");
    decode_zstd(type, sizeof(type), MD_CORRUPT, "malformed");
    for (size_t n = 1; n < sizeof(two); n++)
        if (n != 12 && n != 22)
            decode_zstd(two, n, MD_CORRUPT, "malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coding__names),
        cmocka_unit_test(test_coding__what_a_client_likes),
        cmocka_unit_test(test_coding__there_and_back),
        cmocka_unit_test(test_coding__bombs_end_at_the_limit),
        cmocka_unit_test(test_coding__frames_of_zstd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
