#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "formats/flexbuf.h"

/*
 * {"a": 3, "b": 0.5, "c": true, "d": -2}, by the flatbuffers package:
 * keys, their offsets, the count and width, the values, their types, the root.
 */
static const unsigned char sample[] = {
    'a', 0, 'b', 0, 'c', 0, 'd', 0, /* 8: offsets of keys, after their number */
    4, 9, 8, 7, 6,                  /* keys' vector at 9 */
    0, 0, 0,
    /* 16: offset to the keys, their width, the count, in 4 bytes */
    7, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0,
    /* 28: values */
    3, 0, 0, 0, 0, 0, 0, 0x3f, 1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff,
    /* 44: types */
    6, 14, 106, 6,
    /* 48: root, back to 28; type map of width 4; its own width */
    20, 38, 1
};

static void test_flexbuf__finds_numbers(void **state)
{
    double v = 0;

    (void)state;
    assert_true(md_flexbuf_number(&v, sample, sizeof(sample), "a"));
    assert_true(v == 3);
    assert_true(md_flexbuf_number(&v, sample, sizeof(sample), "b"));
    assert_true(v == 0.5);
    assert_true(md_flexbuf_number(&v, sample, sizeof(sample), "c"));
    assert_true(v == 1);
    assert_true(md_flexbuf_number(&v, sample, sizeof(sample), "d"));
    assert_true(v == -2);
    assert_false(md_flexbuf_number(&v, sample, sizeof(sample), "e"));
    assert_false(md_flexbuf_number(&v, sample, 0, "a"));
}

/* Cut or changed anywhere: no read outside. */
static void test_flexbuf__broken(void **state)
{
    unsigned char *copy = md_malloc(md_alloc_default(), sizeof(sample));
    size_t n_found = 0;
    double v;

    (void)state;
    for (size_t i = 0; i < sizeof(sample); i++) {
        for (unsigned k = 0; k < 256; k += 17) {
            memcpy(copy, sample, sizeof(sample));
            copy[i] = (unsigned char)k;
            n_found += md_flexbuf_number(&v, copy, sizeof(sample), "d");
        }
    }
    assert_true(n_found > 0);
    for (size_t n = 1; n < sizeof(sample); n++) {
        unsigned char *part = md_malloc(md_alloc_default(), n);

        memcpy(part, sample, n);
        assert_false(md_flexbuf_number(&v, part, n, "d"));
        md_free(md_alloc_default(), part);
    }
    md_free(md_alloc_default(), copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flexbuf__finds_numbers),
        cmocka_unit_test(test_flexbuf__broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
