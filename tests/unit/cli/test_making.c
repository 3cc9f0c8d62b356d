/* Commands that make models: flags whose choices are enumerations have them in
 * the enumeration's order. */
#include "support/test.h"

#include <string.h>

#include "cli/cmd.h"
#include "optimize/calibrate.h"
#include "optimize/prune.h"
#include "train/trainer.h"

static void check(const md_cmd *cmd, const char *flag, int i, const char *name)
{
    const char *at = NULL;
    size_t n;

    for (size_t k = 0; k < cmd->n_flags; k++) {
        if (strcmp(cmd->flags[k].name, flag) == 0)
            at = cmd->flags[k].choices;
    }
    assert_non_null(at);
    if (!at)
        return;
    while (i-- > 0)
        at += strcspn(at, "|") + 1;
    n = strcspn(at, "|");
    assert_int_equal(n, strlen(name));
    assert_memory_equal(at, name, n);
}

static void test_making__choices_are_in_order(void **state)
{
    (void)state;
    for (int i = 0; i <= MD_IMPORTANCE_RECONSTRUCT; i++)
        check(&md_cmd_prune, "importance", i,
              md_importance_name((md_importance)i));
    for (int i = 0; i <= MD_CALIB_ENTROPY; i++)
        check(&md_cmd_quantize, "method", i,
              md_calib_method_name((md_calib_method)i));
    for (int i = 0; i <= MD_LOSS_MSE; i++)
        check(&md_cmd_train, "loss", i, md_loss_name((md_loss)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_making__choices_are_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
