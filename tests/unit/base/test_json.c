#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

/* Kinds of all tokens as letters, or NULL with the message in err. */
static const char *kinds_of(const char *text, size_t n,
                            const md_json_opts *opts, md_error *err)
{
    static const char letters[] = "E{}[]ksntf0";
    static char out[4096];
    md_json r;
    md_json_token t;
    size_t i = 0;

    md_json_init(&r, text, n, opts);
    do {
        if (md_json_next(&r, &t, err) != MD_OK)
            return NULL;
        if (i < sizeof(out) - 1)
            out[i++] = letters[t.kind];
    } while (t.kind != MD_JSON_END);
    out[i] = '\0';
    return out;
}

static void test_json__tokens(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "1", "nE" },
        { " \t\r\n null ", "0E" },
        { "true", "tE" },
        { "false", "fE" },
        { "\"\"", "sE" },
        { "[]", "[]E" },
        { "{}", "{}E" },
        { "[ ]", "[]E" },
        { "{ }", "{}E" },
        { "[1,\"a\",[],{}]", "[ns[]{}]E" },
        { "{\"a\":1,\"b\":[true,null]}", "{knk[t0]}E" },
        { "{\"a\":{\"b\":{}}}", "{k{k{}}}E" },
        { "[-0.5e-3 , 1E9]", "[nn]E" },
    };
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const char *got =
            kinds_of(cases[i].text, strlen(cases[i].text), NULL, &err);

        if (!got)
            fail_msg("%s: %s", cases[i].text, err.msg);
        assert_string_equal(got, cases[i].want);
    }
}

static const struct {
    const char *text, *message;
} bad[] = {
    { "", "JSON at byte 0: text ends, expected a value" },
    { "  ", "JSON at byte 2: text ends" },
    { "1 2", "JSON at byte 2: '2' given, expected the end of the text" },
    { "[1", "JSON at byte 2: text ends, expected ',' or ']'" },
    { "[1,]", "JSON at byte 3: ']' given, expected a value" },
    { "[,1]", "JSON at byte 1: ',' given" },
    { "[1 2]", "JSON at byte 3: '2' given, expected ',' or ']'" },
    { "[1}", "JSON at byte 2: '}' given" },
    { "{\"a\" 1}", "JSON at byte 5: '1' given, expected ':'" },
    { "{\"a\":}", "JSON at byte 5: '}' given, expected a value" },
    { "{\"a\":1,}", "JSON at byte 7: '}' given, expected a member name" },
    { "{a:1}", "JSON at byte 1: 'a' given, expected a member name" },
    { "{1:1}", "JSON at byte 1: '1' given, expected a member name" },
    { "{\"a\":1 \"b\":2}", "JSON at byte 7" },
    { "]", "JSON at byte 0: ']' given" },
    { "tru", "JSON at byte 0: 't' given" },
    { "truex", "JSON at byte 4: 'x' given" },
    { "nul", "JSON at byte 0" },
    { "NaN", "JSON at byte 0: 'N' given, expected a value" },
    { "-Infinity", "JSON at byte 0" },
    { "01", "JSON at byte 0" },
    { "[1.]", "JSON at byte 1" },
    { "'a'", "JSON at byte 0" },
    { "\xef\xbb\xbf"
      "1",
      "JSON at byte 0: byte 0xef given" },
    { "\"abc", "JSON at byte 4: text ends" },
    { "\"a\nb\"", "JSON at byte 2: control character 0x0a" },
    { "\"\\x\"", "JSON at byte 1: escape" },
    { "\"\\u12g4\"", "JSON at byte 1: escape" },
    { "\"\\ud800\"", "JSON at byte 1: escape" },
    { "\"\\ud800\\u0041\"", "JSON at byte 1: escape" },
    { "\"\\udc00\"", "JSON at byte 1: escape" },
    { "\"\\", "JSON at byte 1: escape" },
    { "\"\xff\"", "JSON at byte 1: string is not UTF-8" },
    { "\"\xc3\"", "JSON at byte 1: string is not UTF-8" },
    { "/* */ 1", "JSON at byte 0: '/' given" },
};

static void test_json__refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        md_error err = MD_ERROR_INIT;

        if (kinds_of(bad[i].text, strlen(bad[i].text), NULL, &err))
            fail_msg("'%s' was accepted", bad[i].text);
        assert_int_equal(err.status, MD_INVALID);
        if (!strstr(err.msg, bad[i].message))
            fail_msg("'%s': '%s', expected '%s'", bad[i].text, err.msg,
                     bad[i].message);
    }
}

/* A text cut anywhere is refused, and no byte behind its end is read: each
 * piece is copied to the end of its own allocation for ASan. */
static void test_json__every_truncation(void **state)
{
    static const char text[] =
        "{\"a\":[1,-2.5e3,\"x\\n\\u00e4\\ud83d\\ude00\xc3\xa4\"],"
        "\"b\":{\"c\":null,\"d\":[true,false,[]]}}";
    size_t n = sizeof(text) - 1;

    (void)state;
    for (size_t i = 0; i <= n; i++) {
        md_error err = MD_ERROR_INIT;
        char *copy = md_malloc(md_alloc_default(), i + 1);

        assert_non_null(copy);
        memcpy(copy + 1, text, i);
        assert_int_equal(kinds_of(copy + 1, i, NULL, &err) != NULL, i == n);
        md_free(md_alloc_default(), copy);
    }
}

/* Any byte changed to any other: an answer, never a crash. */
static void test_json__every_mutation(void **state)
{
    static const char text[] =
        "{\"a\":[1,-2.5e3,\"x\\u00e4\"],\"b\":{\"c\":null}}";
    char copy[sizeof(text)];
    size_t n = sizeof(text) - 1;
    int n_good = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < 256; c++) {
            md_error err = MD_ERROR_INIT;

            memcpy(copy, text, sizeof(text));
            copy[i] = (char)c;
            n_good += kinds_of(copy, n, NULL, &err) != NULL;
        }
    }
    /* At least as they were, and digits may become other digits. */
    assert_true(n_good > (int)n && n_good < (int)n * 128);
}

static void test_json__depth(void **state)
{
    char text[2000];
    md_json_opts opts = MD_JSON_OPTS_INIT;
    md_error err = MD_ERROR_INIT;

    (void)state;
    memset(text, '[', 1000);
    memset(text + 1000, ']', 1000);
    assert_non_null(kinds_of(text + 936, 128, NULL, &err));
    assert_null(kinds_of(text + 935, 130, NULL, &err));
    assert_string_equal(err.msg,
                        "JSON at byte 64: nested deeper than the limit of 64");
    opts.depth_max = MD_LIMIT_JSON_DEPTH_CAP;
    assert_non_null(kinds_of(text + 1000 - 512, 1024, &opts, &err));
    assert_null(kinds_of(text, 2000, &opts, &err));
}

static void test_json__nonfinite(void **state)
{
    static const char text[] = "[NaN,Infinity,-Infinity,-1]";
    md_json_opts opts = MD_JSON_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_json r;
    md_json_token t;
    double x[4];

    (void)state;
    opts.nonfinite = true;
    md_json_init(&r, text, strlen(text), &opts);
    assert_md_ok(md_json_expect(&r, MD_JSON_ARRAY, &t, &err), &err);
    for (int i = 0; i < 4; i++) {
        assert_md_ok(md_json_expect(&r, MD_JSON_NUMBER, &t, &err), &err);
        assert_md_ok(md_json_f64(&t, &x[i], &err), &err);
    }
    assert_true(x[0] != x[0]);
    assert_true(x[1] > 1e308 && x[2] < -1e308 && x[3] == -1);
}

static void test_json__strings(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "\"\"", "" },
        { "\"plain\"", "plain" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u0041\\u00e4\\u4E2D\"", "A\xc3\xa4\xe4\xb8\xad" },
        { "\"a\\ud83D\\uDe00b\"", "a\xf0\x9f\x98\x80"
                                  "b" },
        { "\"\xe4\xb8\xad\"", "\xe4\xb8\xad" },
    };
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_json r;
        md_json_token t;
        const char *s;
        size_t n;

        md_json_init(&r, cases[i].text, strlen(cases[i].text), NULL);
        assert_md_ok(md_json_expect(&r, MD_JSON_STRING, &t, &err), &err);
        assert_md_ok(md_json_string(&t, &ar, &s, &n, &err), &err);
        assert_string_equal(s, cases[i].want);
        assert_int_equal(n, strlen(s));
        assert_true(md_json_is(&t, cases[i].want));
        assert_false(md_json_is(&t, "other"));
        if (n > 0) {
            char prefix[32] = { 0 };

            memcpy(prefix, s, n - 1);
            assert_false(md_json_is(&t, prefix));
            memcpy(prefix, s, n);
            prefix[n] = 'x';
            assert_false(md_json_is(&t, prefix));
        }
    }
    md_arena_release(&ar);
}

static void test_json__nul_in_a_name(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_arena ar;
    md_json r;
    md_json_token t;
    const char *s;
    size_t n;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    md_json_init(&r, "\"a\\u0000b\"", 10, NULL);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_fails(md_json_string(&t, &ar, &s, NULL, &err), MD_INVALID, &err,
                    "\\u0000");
    assert_md_ok(md_json_string(&t, &ar, &s, &n, &err), &err);
    assert_int_equal(n, 3);
    md_arena_release(&ar);
}

static void test_json__typed_values(void **state)
{
    static const char text[] =
        "[1.5, 3, -3, true, \"x\", 99999999999999999999, "
        "1e999]";
    md_error err = MD_ERROR_INIT;
    md_json r;
    md_json_token t;
    double d;
    int64_t i;
    uint64_t u;
    bool b;

    (void)state;
    md_json_init(&r, text, strlen(text), NULL);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_ok(md_json_f64(&t, &d, &err), &err);
    assert_true(d == 1.5);
    assert_md_fails(md_json_i64(&t, &i, &err), MD_INVALID, &err,
                    "JSON at byte 1: 1.5 given, expected a 64-bit integer");
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_ok(md_json_u64(&t, &u, &err), &err);
    assert_int_equal(u, 3);
    assert_md_fails(md_json_bool(&t, &b, &err), MD_INVALID, &err,
                    "number given, expected true or false");
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_ok(md_json_i64(&t, &i, &err), &err);
    assert_int_equal(i, -3);
    assert_md_fails(md_json_u64(&t, &u, &err), MD_INVALID, &err,
                    "-3 does not fit an unsigned 64-bit integer");
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_ok(md_json_bool(&t, &b, &err), &err);
    assert_true(b);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_fails(md_json_f64(&t, &d, &err), MD_INVALID, &err,
                    "string given, expected number");
    assert_md_fails(md_json_i64(&t, &i, &err), MD_INVALID, &err, "string");
    assert_md_fails(md_json_u64(&t, &u, &err), MD_INVALID, &err, "string");
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_fails(md_json_i64(&t, &i, &err), MD_INVALID, &err,
                    "does not fit");
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_fails(md_json_f64(&t, &d, &err), MD_INVALID, &err,
                    "1e999 does not fit a double");
}

static void test_json__skip_and_peek(void **state)
{
    static const char text[] =
        "{\"a\":{\"x\":[1,{}]},\"b\":[[],2],\"c\":3,\"d\":\"s\"}";
    md_error err = MD_ERROR_INIT;
    md_json r;
    md_json_token t;

    (void)state;
    md_json_init(&r, text, strlen(text), NULL);
    assert_int_equal(md_json_peek(&r), MD_JSON_OBJECT);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_int_equal(md_json_peek(&r), MD_JSON_NAME);
    assert_md_ok(md_json_expect(&r, MD_JSON_NAME, &t, &err), &err);
    assert_md_ok(md_json_skip(&r, &t, &err), &err);
    assert_int_equal(md_json_peek(&r), MD_JSON_NAME);
    assert_md_ok(md_json_expect(&r, MD_JSON_NAME, &t, &err), &err);
    assert_true(md_json_is(&t, "b"));
    assert_int_equal(md_json_peek(&r), MD_JSON_ARRAY);
    assert_md_ok(md_json_expect(&r, MD_JSON_ARRAY, &t, &err), &err);
    assert_md_ok(md_json_skip(&r, &t, &err), &err);
    assert_md_ok(md_json_expect(&r, MD_JSON_NAME, &t, &err), &err);
    assert_true(md_json_is(&t, "c"));
    assert_int_equal(md_json_peek(&r), MD_JSON_NUMBER);
    assert_md_ok(md_json_skip(&r, &t, &err), &err);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_int_equal(md_json_peek(&r), MD_JSON_STRING);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_ok(md_json_skip(&r, &t, &err), &err);
    assert_int_equal(md_json_peek(&r), MD_JSON_OBJECT_END);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_int_equal(md_json_peek(&r), MD_JSON_END);
    assert_md_fails(md_json_expect(&r, MD_JSON_NAME, &t, &err), MD_INVALID,
                    &err, "end of the text given, expected member name");
}

/* What is taken for JSON and what is not: the corners of RFC 8259. */
static void test_json__corners(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        { "null", true },
        { " \t\r\n 0 \t\r\n ", true },
        { "[[[[]]]]", true },
        { "{\"\":{\"\":[]}}", true },
        { "{\"a\":1,\"a\":2}", true }, /* names twice: the caller's */
        { "\"\x7f\"", true },
        { "\"\xc2\x80\xe2\x80\xa8\"", true },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", true },
        { "\"\\u0000\\uFFFF\\uabCD\"", true },
        { "\"\\ud800\\udc00\"", true },
        { "-0.0e-0", true },
        { "1E+2", true },
        { "[1,-2.5,3e4]", true },
        { "", false },
        { " ", false },
        { "nul", false },
        { "nulll", false },
        { "Null", false },
        { "TRUE", false },
        { "[", false },
        { "]", false },
        { "[1,]", false },
        { "[,1]", false },
        { "[1 2]", false },
        { "[1,,2]", false },
        { "[1}", false },
        { "{]", false },
        { "{\"a\"}", false },
        { "{\"a\":}", false },
        { "{\"a\" 1}", false },
        { "{\"a\":1,}", false },
        { "{,\"a\":1}", false },
        { "{a:1}", false },
        { "{1:1}", false },
        { "{\"a\":1 \"b\":2}", false },
        { "{\"a\"::1}", false },
        { "'a'", false },
        { "\"a", false },
        { "\"\\\"", false },
        { "\"\n\"", false },
        { "\"\t\"", false },
        { "\"\x1f\"", false },
        { "\"\\a\"", false },
        { "\"\\x41\"", false },
        { "\"\\u12\"", false },
        { "\"\\u123g\"", false },
        { "\"\\U0041\"", false },
        { "\"\\ud800\"", false },
        { "\"\\udc00\"", false },
        { "\"\\ud800\\u0041\"", false },
        { "\"\\ud800x\"", false },
        { "\"\xff\"", false },
        { "\"\xc0\xaf\"", false },
        { "\"\xed\xa0\x80\"", false },
        { "\"\xf4\x90\x80\x80\"", false },
        { "\xef\xbb\xbf{}", false }, /* a byte order mark */
        { "\xc2\xa0"
          "1",
          false }, /* a space that JSON does not know */
        { "\f1", false },
        { "// no\n1", false },
        { "/* no */1", false },
        { "1 2", false },
        { "{}{}", false },
        { "\"a\"\"b\"", false },
        { "+1", false },
        { "0x1", false },
        { "1.", false },
        { ".1", false },
        { "-", false },
        { "- 1", false },
        { "1e", false },
        { "00", false },
        { "NaN", false },
        { "-Infinity", false },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_json_token t = { .kind = MD_JSON_NULL };
        md_status s = MD_OK;
        md_json r;

        md_json_init(&r, cases[i].text, strlen(cases[i].text), NULL);
        while (s == MD_OK && t.kind != MD_JSON_END)
            s = md_json_next(&r, &t, &err);
        if (cases[i].valid)
            assert_md_ok(s, &err);
        else
            assert_md_fails(s, MD_INVALID, &err, "JSON at byte ");
    }
}

/* Every \\uXXXX alone: a character, or half of one, which is refused. */
static void test_json__every_escape(void **state)
{
    (void)state;
    for (uint32_t rune = 0; rune < 0x10000; rune++) {
        md_error err = MD_ERROR_INIT;
        char text[16], got[16], want[4];
        md_json_token t;
        md_json r;
        size_t n;

        snprintf(text, sizeof(text), rune & 1 ? "\"\\u%04x\"" : "\"\\u%04X\"",
                 rune);
        md_json_init(&r, text, 8, NULL);
        if (rune >= 0xd800 && rune < 0xe000) {
            assert_int_equal(md_json_next(&r, &t, &err), MD_INVALID);
            continue;
        }
        assert_md_ok(md_json_next(&r, &t, &err), &err);
        assert_true(t.escaped);
        n = md_json_unescape(&t, got);
        assert_int_equal(n, md_utf8_put(want, rune));
        assert_memory_equal(got, want, n);
    }
}

/* Pairs of escapes, over all high and all low halves. */
static void test_json__every_pair(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x400 + 0x400; i++) {
        uint32_t high = i < 0x400 ? i : (i * 7) % 0x400;
        uint32_t low = i < 0x400 ? (i * 5) % 0x400 : i - 0x400;
        md_error err = MD_ERROR_INIT;
        char text[24], got[16], want[4];
        md_json_token t;
        md_json r;
        size_t n;

        snprintf(text, sizeof(text), "\"\\u%04x\\u%04x\"", 0xd800 + high,
                 0xdc00 + low);
        md_json_init(&r, text, 14, NULL);
        assert_md_ok(md_json_next(&r, &t, &err), &err);
        n = md_json_unescape(&t, got);
        assert_int_equal(n, md_utf8_put(want, 0x10000 + (high << 10) + low));
        assert_memory_equal(got, want, n);
        /* the other way round both halves are alone */
        snprintf(text, sizeof(text), "\"\\u%04x\\u%04x\"", 0xdc00 + low,
                 0xd800 + high);
        md_json_init(&r, text, 14, NULL);
        assert_int_equal(md_json_next(&r, &t, &err), MD_INVALID);
    }
}

static void test_json__peek_tells_every_kind(void **state)
{
    static const struct {
        const char *text;
        md_json_kind kind;
    } cases[] = {
        { "{", MD_JSON_OBJECT },        { "}", MD_JSON_OBJECT_END },
        { "[", MD_JSON_ARRAY },         { "]", MD_JSON_ARRAY_END },
        { "\"a", MD_JSON_STRING },      { "true", MD_JSON_TRUE },
        { "false", MD_JSON_FALSE },     { "null", MD_JSON_NULL },
        { "0", MD_JSON_NUMBER },        { "9", MD_JSON_NUMBER },
        { "-1", MD_JSON_NUMBER },       { "NaN", MD_JSON_NUMBER },
        { "Infinity", MD_JSON_NUMBER }, { "", MD_JSON_END },
        { "  ", MD_JSON_END },          { "x", MD_JSON_END },
        { "\xff", MD_JSON_END },        { "/", MD_JSON_END },
        { ":", MD_JSON_END },           { "\n\t [", MD_JSON_ARRAY },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_json r;

        md_json_init(&r, cases[i].text, strlen(cases[i].text), NULL);
        for (int twice = 0; twice < 2; twice++) /* it only looks */
            assert_int_equal(md_json_peek(&r), cases[i].kind);
    }
}

static void test_json__string_without_memory(void **state)
{
    md_error err = MD_ERROR_INIT;
    const char *out = "untouched";
    md_json_token t;
    md_arena ar;
    md_json r;

    (void)state;
    md_json_init(&r, "[\"text\",1]", 10, NULL);
    md_arena_init(&ar, md_alloc_default(), 4);
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_fails(md_json_string(&t, &ar, &out, NULL, &err), MD_INVALID, &err,
                    "array given, expected string");
    assert_md_ok(md_json_next(&r, &t, &err), &err);
    assert_md_fails(md_json_string(&t, &ar, &out, NULL, &err), MD_NOMEM, &err,
                    "out of memory: 5 bytes wanted");
    assert_string_equal(out, "untouched");
    md_arena_release(&ar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__tokens),
        cmocka_unit_test(test_json__refuses),
        cmocka_unit_test(test_json__every_truncation),
        cmocka_unit_test(test_json__every_mutation),
        cmocka_unit_test(test_json__depth),
        cmocka_unit_test(test_json__nonfinite),
        cmocka_unit_test(test_json__strings),
        cmocka_unit_test(test_json__nul_in_a_name),
        cmocka_unit_test(test_json__typed_values),
        cmocka_unit_test(test_json__skip_and_peek),
        cmocka_unit_test(test_json__corners),
        cmocka_unit_test(test_json__every_escape),
        cmocka_unit_test(test_json__every_pair),
        cmocka_unit_test(test_json__peek_tells_every_kind),
        cmocka_unit_test(test_json__string_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
