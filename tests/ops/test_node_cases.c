/*
 * ONNX's own operator tests.  Those under tests/golden/node always run, and
 * so do nets of scikit-learn, LightGBM and XGBoost under tests/golden/exports
 * with onnxruntime's answers.  The whole set is in ../shared (skipped where that is absent); of it, those in
 * tests/ops/node_expected.txt have to pass, and the suites of old PyTorch
 * exports and of light models as a whole.  With an argument, prints the result
 * of every case of a folder: test_ops_node_cases FOLDER.
 */
#include "support/test.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/node_case.h"

enum {
    LINE_SIZE = 1024
};

#define ARCHIVE MD_SHARED_DIR "/data/onnx-backend-tests.tar.xz"
#define UNPACKED MD_BUILD_DIR "/onnx-backend-tests"
#define DATA UNPACKED "/onnx/backend/test/data"
#define NODES DATA "/node"

static bool is_light(const char *name)
{
    size_t n = strlen(name);

    return strncmp(name, "light_", 6) == 0 && n > 5 &&
           strcmp(name + n - 5, ".onnx") == 0;
}

static bool is_case(const char *name)
{
    return strncmp(name, "test_", 5) == 0 || is_light(name);
}

static node_result run_case(const char *parent, const char *name, char *why)
{
    char path[LINE_SIZE];

    why[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    return is_light(name) ? node_case_run_light(path, why, LINE_SIZE)
                          : node_case_run(path, why, LINE_SIZE);
}

static int count_failures(const char *parent, const char *name)
{
    char why[LINE_SIZE];

    if (run_case(parent, name, why) == NODE_PASS)
        return 0;
    print_error("%s: %s\n", name, why);
    return 1;
}

/* Every case of a folder has to pass; *n counts them. */
static int count_all(const char *parent, int *n)
{
    struct dirent *e;
    int n_failed = 0;
    DIR *d = opendir(parent);

    assert_non_null(d);
    while ((e = readdir(d))) {
        if (!is_case(e->d_name))
            continue;
        n_failed += count_failures(parent, e->d_name);
        (*n)++;
    }
    closedir(d);
    return n_failed;
}

/* Skips the test without the archive. */
static void unpack(void)
{
    if (access(ARCHIVE, R_OK) != 0) {
        print_message("skipped: %s is not there\n", ARCHIVE);
        skip();
    }
    if (access(NODES, R_OK) != 0 &&
        system("mkdir -p " UNPACKED " && tar -C " UNPACKED " -xJf " ARCHIVE))
        fail_msg("cannot unpack %s", ARCHIVE);
}

static void test_node_cases__golden(void **state)
{
    int n = 0, n_failed = count_all(MD_TEST_DIR "/golden/node", &n);

    (void)state;
    n_failed += count_all(MD_TEST_DIR "/golden/exports", &n);
    print_message("%d golden cases, %d failed\n", n, n_failed);
    assert_true(n > 0);
    assert_int_equal(n_failed, 0);
}

/* Models of opset 6 and 9, as PyTorch and converters wrote them, light ones,
 * and those of more than one operator. */
static void test_node_cases__suites(void **state)
{
    static const struct {
        const char *folder;
        int n;
    } suites[] = {
        { DATA "/pytorch-operator", 35 },
        { DATA "/pytorch-converted", 82 },
        { DATA "/light", 9 },
        { DATA "/simple", 23 },
    };

    (void)state;
    unpack();
    for (size_t i = 0; i < MD_COUNT(suites); i++) {
        int n = 0;

        assert_int_equal(count_all(suites[i].folder, &n), 0);
        assert_int_equal(n, suites[i].n);
    }
}

static void test_node_cases__expected(void **state)
{
    char line[LINE_SIZE];
    int n = 0, n_failed = 0;
    FILE *f;

    (void)state;
    unpack();
    f = fopen(MD_TEST_DIR "/ops/node_expected.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        n_failed += count_failures(NODES, line);
        n++;
    }
    fclose(f);
    print_message("%d expected cases, %d failed\n", n, n_failed);
    assert_true(n > 0);
    assert_int_equal(n_failed, 0);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int print_folder(const char *parent)
{
    static const char *const names[] = { "pass", "FAIL", "unsupported" };
    int count[3] = { 0 };
    struct dirent **list;
    int n = scandir(parent, &list, NULL, by_name);

    for (int i = 0; i < n; i++) {
        char why[LINE_SIZE];

        if (is_case(list[i]->d_name)) {
            node_result r = run_case(parent, list[i]->d_name, why);

            printf("%s %s %s\n", names[r], list[i]->d_name, why);
            fflush(stdout);
            count[r]++;
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    printf("%d passed, %d failed, %d unsupported\n", count[NODE_PASS],
           count[NODE_FAIL], count[NODE_UNSUPPORTED]);
    return n < 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_cases__golden),
        cmocka_unit_test(test_node_cases__expected),
        cmocka_unit_test(test_node_cases__suites),
    };

    if (argc > 1)
        return print_folder(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
