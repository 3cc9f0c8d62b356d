/*
 * ONNX's own operator tests.  Those under tests/golden/node always run.  The
 * whole set is in ../shared (skipped where that is absent); of it, those in
 * tests/ops/node_expected.txt have to pass.  With an argument, prints the
 * result of every case of a folder: test_ops_node_cases FOLDER.
 */
#include "support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/node_case.h"

enum {
    LINE_SIZE = 1024
};

#define ARCHIVE MD_SHARED_DIR "/data/onnx-backend-tests.tar.xz"
#define UNPACKED "onnx-backend-tests" /* in the working directory */
#define NODES UNPACKED "/onnx/backend/test/data/node"

static int count_failures(const char *parent, const char *name)
{
    char path[LINE_SIZE], why[LINE_SIZE];

    snprintf(path, sizeof(path), "%s/%s", parent, name);
    if (node_case_run(path, why, sizeof(why)) == NODE_PASS)
        return 0;
    print_error("%s: %s\n", name, why);
    return 1;
}

static void test_node_cases__golden(void **state)
{
    const char *parent = MD_TEST_DIR "/golden/node";
    int n = 0, n_failed = 0;
    struct dirent *e;
    DIR *d = opendir(parent);

    (void)state;
    assert_non_null(d);
    while ((e = readdir(d))) {
        if (strncmp(e->d_name, "test_", 5) == 0) {
            n_failed += count_failures(parent, e->d_name);
            n++;
        }
    }
    closedir(d);
    print_message("%d golden cases, %d failed\n", n, n_failed);
    assert_true(n > 0);
    assert_int_equal(n_failed, 0);
}

static void test_node_cases__expected(void **state)
{
    char line[LINE_SIZE];
    int n = 0, n_failed = 0;
    FILE *f;

    (void)state;
    if (access(ARCHIVE, R_OK) != 0) {
        print_message("skipped: %s is not there\n", ARCHIVE);
        skip();
    }
    if (access(NODES, R_OK) != 0 &&
        system("mkdir -p " UNPACKED " && tar -C " UNPACKED " -xJf " ARCHIVE))
        fail_msg("cannot unpack %s", ARCHIVE);
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
        char path[LINE_SIZE], why[LINE_SIZE] = "";

        if (strncmp(list[i]->d_name, "test_", 5) == 0) {
            node_result r;

            snprintf(path, sizeof(path), "%s/%s", parent, list[i]->d_name);
            r = node_case_run(path, why, sizeof(why));
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
    };

    if (argc > 1)
        return print_folder(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
