/*
 * Random graphs, the engine against the operators' definitions.  A failure
 * prints what to paste into a test of its own.  Other seeds than the usual
 * ones: RANDOM_FROM=5000 RANDOM_TO=9000 test_engine_random
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

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

/* The outputs of `text` under a CPU mask, each explained without floats. */
static void run_codes(const char *text, uint32_t mask, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;
    md_tensor in[NET_IO_MAX];
    md_session *s;
    char *why;

    md_cpu_set_mask(mask);
    s = net_open(text, NULL);
    why = net_explain(s);
    if (strstr(why, "DequantizeLinear"))
        fail_msg("not in integers:\n%sof\n%s", why, text);
    md_free(md_alloc_default(), why);
    net_inputs(in, md_session_model(s)->graph, RANDOM_NET_BATCH, 7);
    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
    net_release(in, md_session_n_inputs(s));
    md_session_free(s);
    md_cpu_set_mask(MD_CPU_ALL);
}

static void check_levels(const char *text)
{
    static const uint32_t masks[] = { MD_CPU_AVX2, MD_CPU_AVX2 | MD_CPU_AVX512,
                                      MD_CPU_ALL };
    md_model *model = net_parse(text);
    const uint32_t n = model->graph->n_outputs;
    md_tensor want[NET_IO_MAX], got[NET_IO_MAX];

    run_codes(text, MD_CPU_NONE, want);
    for (size_t i = 0; i < MD_COUNT(masks); i++) {
        run_codes(text, masks[i], got);
        for (uint32_t k = 0; k < n; k++) {
            if (memcmp(got[k].data, want[k].data, md_tensor_size(&want[k])) !=
                0)
                fail_msg("output %u differs under mask %x\n%s", k, masks[i],
                         text);
        }
        net_release(got, n);
    }
    net_release(want, n);
    md_model_free(model);
}

/* Codes are the same on every level, and near those of the definitions: each
 * operator may round to the neighbour, and passes on what it got. */
static void test_random__codes(void **state)
{
    const uint32_t to = seed_from("RANDOM_TO", 400);
    static char text[RANDOM_NET_SIZE];

    (void)state;
    for (uint32_t seed = seed_from("RANDOM_FROM", 1); seed < to; seed++) {
        const double off = random_net_codes(text, seed);

        check_levels(text);
        net_check(text, NULL, RANDOM_NET_BATCH, 0, off);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__floats_and_integers),
        cmocka_unit_test(test_random__codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
