/*
 * Every operator with the n-th allocation failing, for every n, on lines of
 * its tests/ops/<operator>.case: some from its whole length, so that results,
 * refusals and old forms are among them.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"
#include "support/opeval.h"

enum {
    N_LINES = 16, /* of a file; what is quick even under sanitizers */
    LINE_SIZE = 8192
};

static bool is_case(char *text)
{
    text[strcspn(text, "\n")] = '\0';
    return text[0] != '\0' && text[0] != '#';
}

static int count_cases(FILE *f)
{
    char text[LINE_SIZE];
    int n = 0;

    while (fgets(text, sizeof(text), f))
        n += is_case(text);
    rewind(f);
    return n;
}

/* Lines of one file that fail. */
static int run_file(const char *stem, int *n_lines)
{
    char path[512], text[LINE_SIZE];
    int failed = 0, line_no = 0, at = 0, n;
    FILE *f;

    snprintf(path, sizeof(path), "%s/ops/%s.case", MD_TEST_DIR, stem);
    f = fopen(path, "r");
    if (!f)
        fail_msg("%s is missing", path);
    n = count_cases(f);
    while (fgets(text, sizeof(text), f)) {
        line_no++;
        if (!is_case(text))
            continue;
        /* line k * n / N_LINES of n, for each k */
        if (n <= N_LINES || at * N_LINES % n < N_LINES) {
            failed += !opeval_line_starved(text, path, line_no);
            (*n_lines)++;
        }
        at++;
    }
    fclose(f);
    return failed;
}

static void test_operators__no_memory(void **state)
{
    static const char *const stems[] = {
#define OP(id) #id,
#include "ops/ops.def"
#undef OP
    };
    int failed = 0, n_lines = 0;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(stems); i++)
        failed += run_file(stems[i], &n_lines);
    print_message("%d lines\n", n_lines);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators__no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
