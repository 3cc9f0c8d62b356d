/* Every tests/ops/<operator>.case; every operator has one. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "ops/op.h"
#include "support/opeval.h"

/* Lines of one file that fail; -1 when there is no such file. */
static int run_file(const char *stem, int *n_lines)
{
    char path[512], text[8192];
    int failed = 0, line_no = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/ops/%s.case", MD_TEST_DIR, stem);
    f = fopen(path, "r");
    if (!f)
        return -1;
    while (fgets(text, sizeof(text), f)) {
        line_no++;
        text[strcspn(text, "\n")] = '\0';
        if (text[0] == '\0' || text[0] == '#')
            continue;
        (*n_lines)++;
        failed += !opeval_line(text, path, line_no);
    }
    fclose(f);
    return failed;
}

static void test_cases__all_pass(void **state)
{
    static const char *const stems[] = {
#define OP(id) #id,
#include "ops/ops.def"
#undef OP
    };
    int n_lines = 0, n_failed = 0;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(stems); i++) {
        int failed = run_file(stems[i], &n_lines);

        if (failed < 0) {
            print_error("tests/ops/%s.case is missing\n", stems[i]);
            n_failed++;
        } else {
            n_failed += failed;
        }
    }
    print_message("%d operator cases, %d failed\n", n_lines, n_failed);
    assert_int_equal(n_failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases__all_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
