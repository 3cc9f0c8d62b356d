/* UBJSON; models of trees cut anywhere, changed anywhere, without memory. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "convert/check.h"
#include "convert/convert.h"
#include "convert/trees/ubjson.h"
#include "support/fail_alloc.h"

#define FOLDER MD_TEST_DIR "/golden/trees/"

/* jansson counts its own memory: only short models are run without any. */
static const char *const models[] = { "xgb_binary.json", "xgb_binary_ubj.ubj",
                                      "lgb_stump.txt" };

static md_map map_of(const char *name)
{
    md_error err = MD_ERROR_INIT;
    char path[512];
    md_map map;

    snprintf(path, sizeof(path), "%s%s", FOLDER, name);
    assert_md_ok(md_map_open(&map, path, &err), &err);
    return map;
}

static md_status convert(const void *bytes, size_t size, const md_alloc *alloc,
                         md_error *err)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_model *m = NULL;
    md_status s;

    opts.no_self_check = true;
    s = md_convert_bytes(&m, bytes, size, "model", &opts, NULL, alloc, err);
    md_model_free(m);
    return s;
}

static void test_ubjson__values(void **state)
{
    static const char bytes[] = "{i\1ai\xfe"
                                "i\1bU\xfe"
                                "i\1cI\xff\0"
                                "i\1dl\0\1\0\0"
                                "i\1ed?\x80\0\0"
                                "i\1fD\xbf\xf0\0\0\0\0\0\0"
                                "i\1gSi\2hi"
                                "i\1hT"
                                "i\1iZ"
                                "i\1j[i\1F]"
                                "i\1k[$U#i\3\1\2\3"
                                "i\1l[#i\1Cx"
                                "}";
    md_error err = MD_ERROR_INIT;
    json_t *v = NULL;
    char text[256];
    size_t n;

    (void)state;
    assert_md_ok(md_ubjson_read(&v, bytes, sizeof(bytes) - 1, &err), &err);
    n = json_dumpb(v, text, sizeof(text) - 1, JSON_COMPACT | JSON_SORT_KEYS);
    assert_true(n < sizeof(text));
    text[n < sizeof(text) ? n : 0] = '\0';
    assert_string_equal(text, "{\"a\":-2,\"b\":254,\"c\":-256,\"d\":65536,"
                              "\"e\":1.0,\"f\":-1.0,\"g\":\"hi\",\"h\":true,"
                              "\"i\":null,\"j\":[1,false],\"k\":[1,2,3],"
                              "\"l\":[\"x\"]}");
    json_decref(v);
}

static void test_ubjson__refuses(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *what;
    } cases[] = {
        { "", 0, "ends in the middle" },
        { "{", 1, "ends in the middle" },
        { "{i\1", 3, "ends in the middle" },
        { "{d\0\0\0\0", 6, "a length expected" },
        { "{i\xff", 3, "a length beyond the file" },
        { "[$S#i\1", 6, "no number" },
        { "[$i", 3, "a length expected behind" },
        { "[#L\x7f\xff\xff\xff\xff\xff\xff\xff", 11, "beyond the file" },
        { "x", 1, "not known" },
        { "Si\1\xff", 4, "not UTF-8" },
    };
    char deep[100];

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        json_t *v = NULL;

        assert_md_fails(md_ubjson_read(&v, cases[i].bytes, cases[i].size, &err),
                        MD_CORRUPT, &err, cases[i].what);
        assert_null(v);
    }
    memset(deep, '[', sizeof(deep));
    for (int i = 0; i < 2; i++) {
        md_error err = MD_ERROR_INIT;
        json_t *v = NULL;

        assert_md_fails(md_ubjson_read(&v, deep, i ? 30 : sizeof(deep), &err),
                        MD_CORRUPT, &err, i ? "ends" : "deeper");
    }
}

static void test_trees__cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(models); i++) {
        md_map map = map_of(models[i]);
        size_t end = map.size;

        /* Behind the trees of a text there is only what is not read. */
        for (size_t k = 0; k + 12 < map.size; k++) {
            if (memcmp(map.data + k, "end of trees", 12) == 0)
                end = k + 11;
        }
        for (size_t n = 0; n < end; n += n < 200 ? 1 : 7) {
            md_error err = MD_ERROR_INIT;
            char *copy = md_malloc(md_alloc_default(), n + 1);

            assert_non_null(copy);
            if (!copy)
                return;
            memcpy(copy, map.data, n);
            assert_true(convert(copy, n, md_alloc_default(), &err) != MD_OK);
            assert_true(err.msg[0]);
            md_free(md_alloc_default(), copy);
        }
        md_map_release(&map);
    }
}

/* A status and no crash, whatever one byte is. */
static void test_trees__changed_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(models); i++) {
        md_map map = map_of(models[i]);
        unsigned char *copy = md_malloc(md_alloc_default(), map.size + 1);

        assert_non_null(copy);
        if (!copy)
            return;
        memcpy(copy, map.data, map.size);
        for (size_t k = 0; k < map.size; k += 3) {
            md_error err = MD_ERROR_INIT;
            unsigned char was = copy[k];

            copy[k] = (unsigned char)(was ^ (1u << k % 7));
            if (convert(copy, map.size, md_alloc_default(), &err) != MD_OK)
                assert_true(err.msg[0]);
            copy[k] = was;
        }
        md_free(md_alloc_default(), copy);
        md_map_release(&map);
    }
}

static void test_trees__without_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(models); i++) {
        md_map map = map_of(models[i]);
        bool failed = true;

        for (int64_t n = 0; failed; n++) {
            md_error err = MD_ERROR_INIT;
            fail_alloc fa;
            md_status s;

            fail_alloc_init(&fa);
            fail_alloc_arm(&fa, n);
            s = convert(map.data, map.size, &fa.alloc, &err);
            failed = fail_alloc_disarm(&fa);
            assert_int_equal(atomic_load(&fa.n_live), 0);
            if (failed)
                assert_int_equal(s, MD_NOMEM);
            else
                assert_md_ok(s, &err);
        }
        md_map_release(&map);
    }
}

/* The model as it is, or the import form. */
static md_status convert_as(md_model **out, md_convert_report *r,
                            const void *bytes, size_t size, bool plain,
                            const md_alloc *alloc, md_error *err)
{
    md_convert_source src = { .bytes = bytes, .size = size, .plain = plain };
    md_status s = md_model_new(out, alloc, 0, err);

    if (s == MD_OK)
        s = md_converter_find(bytes, size)->convert(*out, r, &src, err);
    if (s != MD_OK) {
        md_model_free(*out);
        *out = NULL;
    }
    return s;
}

/* One root that compares with another number, or whose missing ones go the
 * other way, is another model. */
static void test_trees__self_check_tells_trees_apart(void **state)
{
    static const char *const marks[] = { NULL, "\"split_conditions\":[",
                                         "\"default_left\":[" };
    md_map map = map_of("xgb_binary.json");
    md_convert_report r;
    md_error err = MD_ERROR_INIT;
    md_model *plain = NULL;
    char *text = test_malloc(map.size + 1);

    (void)state;
    assert_md_ok(convert_as(&plain, &r, map.data, map.size, true,
                            md_alloc_default(), &err),
                 &err);
    for (size_t i = 0; i < MD_COUNT(marks); i++) {
        md_session_opts opts = MD_SESSION_OPTS_INIT;
        char said[MD_CONVERT_TEXT];
        md_session *s = NULL;
        md_model *m = NULL;
        bool ran = false;

        memcpy(text, map.data, map.size);
        text[map.size] = '\0';
        if (marks[i]) {
            char *at = strstr(text, marks[i]);

            assert_non_null(at);
            if (!at)
                return;
            at += strlen(marks[i]);
            *at = *at == '0' ? '1' : '0';
        }
        assert_md_ok(
            convert_as(&m, &r, text, map.size, false, md_alloc_default(), &err),
            &err);
        assert_md_ok(md_session_new(&s, m, &opts, &err), &err);
        if (!marks[i])
            assert_md_ok(
                md_check__compare(s, plain, &r.trial, &ran, said, &err), &err);
        else
            assert_md_fails(
                md_check__compare(s, plain, &r.trial, &ran, said, &err),
                MD_MISMATCH, &err, "self-check: not as");
        md_session_free(s);
    }
    md_model_free(plain);
    test_free(text);
    md_map_release(&map);
}

static void test_trees__import_form_without_memory(void **state)
{
    md_map map = map_of("lgb_stump.txt");
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        md_convert_report r;
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, n);
        s = convert_as(&m, &r, map.data, map.size, true, &fa.alloc, &err);
        failed = fail_alloc_disarm(&fa);
        if (failed)
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
        md_model_free(m);
        assert_int_equal(atomic_load(&fa.n_live), 0);
    }
    md_map_release(&map);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ubjson__values),
        cmocka_unit_test(test_ubjson__refuses),
        cmocka_unit_test(test_trees__cut_anywhere),
        cmocka_unit_test(test_trees__changed_anywhere),
        cmocka_unit_test(test_trees__without_memory),
        cmocka_unit_test(test_trees__self_check_tells_trees_apart),
        cmocka_unit_test(test_trees__import_form_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
