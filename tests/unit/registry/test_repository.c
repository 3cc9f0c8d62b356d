/* Models on disk: layouts, version policies, what is refused, stamps. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "registry/repository.h"
#include "support/fail_alloc.h"
#include "support/temp.h"

typedef struct repo {
    md_temp dir;
    md_arena ar;
} repo;

/* Folders up to the last '/' are made. */
static void put(const repo *r, const char *name, const char *text)
{
    char path[MD_TEMP_SIZE * 2];

    for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/')) {
        char folder[128];

        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(p - name), name);
        (void)mkdir(md_temp_path(path, &r->dir, folder), 0700);
    }
    md_temp_write(&r->dir, name, text, strlen(text));
}

static void begin(repo *r)
{
    md_temp_make(&r->dir);
    md_arena_init(&r->ar, md_alloc_default(), 0);
}

static void end(repo *r)
{
    md_arena_release(&r->ar);
    md_temp_remove(&r->dir);
}

static md_status read_json(repo *r, md_repo_model *m, const char *name,
                           const char *json, md_error *err)
{
    const char *path;

    MD_TRY(md_repo_find(&path, r->dir.path, name, &r->ar, err));
    return md_repo_read(m, name, path, json, &r->ar, err);
}

static md_status read_disk(repo *r, md_repo_model *m, const char *name,
                           md_error *err)
{
    return read_json(r, m, name, NULL, err);
}

/* Does the version's file end so? */
static void check_file(const md_repo_version *v, const char *ending)
{
    const size_t n = strlen(ending);

    assert_non_null(v->path);
    if (!v->path || strlen(v->path) < n ||
        strcmp(v->path + strlen(v->path) - n, ending) != 0)
        fail_msg("'%s' does not end with '%s'", v->path, ending);
}

static void test_repository__layouts(void **state)
{
    static const struct {
        const char *name, *file;
    } models[] = {
        { "triton", "triton/1/model.onnx" },
        { "tfs", "tfs/00000123" },
        { "savedmodel", "savedmodel/1/model.savedmodel" },
        { "only", "only/3/anything.bin" },
        { "lone", "lone.onnx" },
        { "folder", "folder" },
        { "named", "named/1/b.onnx" },
    };
    md_error err = MD_ERROR_INIT;
    const char **names;
    uint32_t n = 0;
    repo r;

    (void)state;
    begin(&r);
    put(&r, "triton/1/model.onnx", "x");
    put(&r, "triton/1/labels.txt", "x");
    put(&r, "tfs/00000123/saved_model.pb", "x");
    put(&r, "tfs/00000123/variables/variables.index", "x");
    put(&r, "savedmodel/1/model.savedmodel/saved_model.pb", "x");
    put(&r, "only/3/anything.bin", "x");
    put(&r, "lone.onnx", "x");
    put(&r, "folder/saved_model.pb", "x");
    put(&r, "named/1/a.onnx", "x");
    put(&r, "named/1/b.onnx", "x");
    put(&r, "named/config.pbtxt", "default_model_filename: \"b.onnx\"");
    put(&r, ".hidden/1/model.onnx", "x");
    put(&r, "README.md", "x");
    put(&r, "two words/1/model.onnx", "x");
    assert_md_ok(md_repo_names(&names, &n, r.dir.path, &r.ar, &err), &err);
    assert_int_equal(n, MD_COUNT(models));
    for (uint32_t i = 0; i < n; i++) {
        md_repo_model m = { .n = 0 };
        uint32_t k = 0;

        assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
        while (k < n && strcmp(models[k].name, names[i]) != 0)
            k++;
        assert_true(k < n);
        if (k == n)
            break;
        assert_md_ok(read_disk(&r, &m, names[i], &err), &err);
        assert_int_equal(m.n, 1);
        if (!m.versions)
            return; /* not that far */
        check_file(&m.versions[0], models[k].file);
    }
    end(&r);
}

static void test_repository__policies(void **state)
{
    static const struct {
        const char *config;
        int64_t versions[4];
        uint32_t n;
    } cases[] = {
        { "", { 10 }, 1 },
        { "version_policy { latest { num_versions: 2 } }", { 2, 10 }, 2 },
        { "version_policy { latest { num_versions: 9 } }", { 1, 2, 10 }, 3 },
        { "version_policy { all { } }", { 1, 2, 10 }, 3 },
        { "version_policy { specific { versions: [ 10, 1, 7 ] } }",
          { 1, 10 },
          2 },
    };
    md_error err = MD_ERROR_INIT;
    md_repo_model m = { .n = 0 };
    repo r;

    (void)state;
    begin(&r);
    put(&r, "m/1/model.onnx", "x");
    put(&r, "m/10/model.onnx", "x");
    put(&r, "m/2/model.onnx", "x");
    put(&r, "m/notes/model.onnx", "x");
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        put(&r, "m/config.pbtxt", cases[i].config);
        assert_md_ok(read_disk(&r, &m, "m", &err), &err);
        assert_int_equal(m.n, cases[i].n);
        for (uint32_t k = 0; k < m.n && k < cases[i].n; k++)
            assert_int_equal(m.versions[k].number, cases[i].versions[k]);
    }
    assert_md_ok(
        read_json(&r, &m, "m", "{\"version_policy\":{\"all\":{}}}", &err),
        &err);
    assert_int_equal(m.n, 3);
    if (!m.versions)
        return; /* not that far */
    end(&r);
}

static void test_repository__refusals(void **state)
{
    static const struct {
        const char *name;
        md_status status;
        const char *why;
    } cases[] = {
        { "../x", MD_INVALID, "model name '../x'" },
        { "..", MD_INVALID, "model name '..'" },
        { ".", MD_INVALID, "model name '.'" },
        { "", MD_INVALID, "model name ''" },
        { "a/b", MD_INVALID, "model name 'a/b'" },
        { "a b", MD_INVALID, "model name 'a b'" },
        { "a\nb", MD_INVALID, "model name 'a?b'" },
        { "nope", MD_NOT_FOUND, "the repository has no model 'nope'" },
        { "empty", MD_NOT_FOUND, "no version to be served" },
        { "twice", MD_INVALID, "two folders are version 1" },
        { "other", MD_INVALID, "that of 'another', 'other' expected" },
        { "typo", MD_INVALID, "config.pbtxt: line 1: unknown field" },
        { "huge", MD_INVALID, "a number of 63 bits" },
    };
    md_repo_model m = { .n = 0 };
    repo r;

    (void)state;
    begin(&r);
    put(&r, "empty/notes/x", "x");
    put(&r, "twice/1/model.onnx", "x");
    put(&r, "twice/01/model.onnx", "x");
    put(&r, "other/1/model.onnx", "x");
    put(&r, "other/config.pbtxt", "name: \"another\"");
    put(&r, "typo/1/model.onnx", "x");
    put(&r, "typo/config.pbtxt", "max_batch: 1");
    put(&r, "huge/99999999999999999999/model.onnx", "x");
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(read_disk(&r, &m, cases[i].name, &err), cases[i].status,
                        &err, cases[i].why);
    }
    end(&r);
}

/* The others are served all the same. */
static void test_repository__a_version_without_a_model(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_repo_model m = { .n = 0 };
    repo r;

    (void)state;
    begin(&r);
    put(&r, "m/1/model.onnx", "x");
    put(&r, "m/2/a", "x");
    put(&r, "m/2/b", "x");
    put(&r, "m/config.pbtxt", "version_policy { all { } }");
    assert_md_ok(read_disk(&r, &m, "m", &err), &err);
    assert_int_equal(m.n, 2);
    if (!m.versions)
        return; /* not that far */
    assert_non_null(m.versions[0].path);
    assert_null(m.versions[1].path);
    assert_non_null(strstr(m.versions[1].why, "version 2 has no model file"));
    put(&r, "m/config.pbtxt",
        "version_policy { all { } } default_model_filename: \"b\"");
    assert_md_ok(read_disk(&r, &m, "m", &err), &err);
    assert_null(m.versions[0].path);
    assert_non_null(strstr(m.versions[0].why, "has no file 'b'"));
    check_file(&m.versions[1], "m/2/b");
    end(&r);
}

/* Hashes of version 1 and 2. */
static void stamps(repo *r, const char *json, uint64_t out[2])
{
    md_error err = MD_ERROR_INIT;
    md_repo_model m = { .n = 0 };

    assert_md_ok(read_json(r, &m, "m", json, &err), &err);
    assert_int_equal(m.n, 2);
    if (!m.versions)
        return; /* not that far */
    for (int i = 0; i < 2; i++) {
        out[i] = m.versions[i].stamp.hash;
        assert_true(m.versions[i].stamp.changed_ns > 0);
    }
}

static void test_repository__stamps_tell_what_changed(void **state)
{
    static const char all[] = "version_policy { all { } } output { name: \"y\" "
                              "label_filename: \"labels.txt\" }";
    uint64_t was[2] = { 0 };
    uint64_t now[2] = { 0 };
    repo r;

    (void)state;
    begin(&r);
    put(&r, "m/1/model.onnx", "x");
    put(&r, "m/2/model.onnx", "x");
    put(&r, "m/config.pbtxt", all);
    stamps(&r, NULL, was);
    stamps(&r, NULL, now);
    assert_true(was[0] == now[0] && was[1] == now[1] && was[0] != was[1]);
    put(&r, "m/2/model.onnx", "xy");
    stamps(&r, NULL, now);
    assert_true(was[0] == now[0] && was[1] != now[1]);
    put(&r, "m/1/deep/er/weights", "x");
    stamps(&r, NULL, now);
    assert_true(was[0] != now[0]);
    stamps(&r, NULL, was);
    put(&r, "m/labels.txt", "a\n");
    stamps(&r, NULL, now);
    assert_true(was[0] != now[0] && was[1] != now[1]);
    stamps(&r, "{\"version_policy\":{\"all\":{}}}", was);
    assert_true(was[0] != now[0]);
    end(&r);
}

static void test_repository__is_a_repository(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    repo r;

    (void)state;
    begin(&r);
    assert_true(md_repo_is_repository(r.dir.path));
    put(&r, "m/1/model.onnx", "x");
    put(&r, "s/saved_model.pb", "x");
    put(&r, "c/config.pbtxt", "");
    put(&r, "file.onnx", "x");
    assert_true(md_repo_is_repository(r.dir.path));
    assert_false(md_repo_is_repository(md_temp_path(path, &r.dir, "m")));
    assert_false(md_repo_is_repository(md_temp_path(path, &r.dir, "s")));
    assert_false(md_repo_is_repository(md_temp_path(path, &r.dir, "c")));
    assert_false(
        md_repo_is_repository(md_temp_path(path, &r.dir, "file.onnx")));
    assert_false(md_repo_is_repository(md_temp_path(path, &r.dir, "nope")));
    end(&r);
}

static void test_repository__out_of_memory(void **state)
{
    const char *path;
    bool done = false;
    repo r;

    (void)state;
    begin(&r);
    put(&r, "m/1/a", "x");
    put(&r, "m/2/model.onnx", "x");
    put(&r, "m/config.pbtxt", "version_policy { all { } }");
    for (int64_t i = 0; i < 1000 && !done; i++) {
        md_error err = MD_ERROR_INIT;
        md_repo_model m = { .n = 0 };
        fail_alloc fa;
        md_arena ar;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, i);
        md_arena_init(&ar, &fa.alloc, 0);
        s = md_repo_find(&path, r.dir.path, "m", &ar, &err);
        if (s == MD_OK)
            s = md_repo_read(&m, "m", path, NULL, &ar, &err);
        done = s == MD_OK && !fail_alloc_disarm(&fa);
        assert_true(s == MD_OK || s == MD_NOMEM);
        md_arena_release(&ar);
        assert_int_equal(fa.n_live, 0);
    }
    assert_true(done);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repository__layouts),
        cmocka_unit_test(test_repository__policies),
        cmocka_unit_test(test_repository__refusals),
        cmocka_unit_test(test_repository__a_version_without_a_model),
        cmocka_unit_test(test_repository__stamps_tell_what_changed),
        cmocka_unit_test(test_repository__is_a_repository),
        cmocka_unit_test(test_repository__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
