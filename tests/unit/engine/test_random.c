/*
 * Random graphs, the engine against the operators' definitions.  A failure
 * prints what to paste into a test of its own.  Other seeds than the usual
 * ones: RANDOM_FROM=5000 RANDOM_TO=9000 test_engine_random
 */
#include "support/test.h"

#include <stdlib.h>

#include "base/cpu.h"
#include "support/net.h"
#include "support/random_net.h"

static uint32_t seed_from(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);

    return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static void test_random__floats_and_integers(void **state)
{
    static const uint32_t masks[] = { MD_CPU_ALL, MD_CPU_AVX2, MD_CPU_NONE };
    const uint32_t to = seed_from("RANDOM_TO", 2500);
    static char text[RANDOM_NET_SIZE];

    (void)state;
    for (uint32_t seed = seed_from("RANDOM_FROM", 1); seed < to; seed++) {
        random_net_make(text, seed);
        md_cpu_set_mask(masks[seed % MD_COUNT(masks)]);
        net_check(text, NULL, RANDOM_NET_BATCH, 2e-5, 0);
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__floats_and_integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
