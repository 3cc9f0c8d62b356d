#include "support/test.h"

#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"

/* A machine as CPUID, XGETBV and the kernel describe it. */
typedef struct machine {
    const char *name;
    uint32_t leaf_max;
    uint32_t l1_c;  /* leaf 1 ecx */
    uint32_t l7[4]; /* leaf 7 */
    uint32_t l71_a; /* leaf 7, subleaf 1, eax */
    uint64_t xcr0;
    int amx_granted;
    uint32_t want;
} machine;

enum {
    L1 = 1 << 27 | 1 << 12 | 1 << 29, /* OSXSAVE, FMA, F16C */
    AVX2 = 1 << 5,
    AVX512 = 1 << 16 | 1 << 17 | 1 << 30, /* F, DQ, BW */
    VNNI = 1 << 11,
    AMX = 1 << 22 | 1 << 24 | 1 << 25,
    SUB_VNNI = 1 << 4,
    SUB_BF16 = 1 << 5,
};

#define VL (1u << 31)
#define BIG (MD_CPU_AVX2 | MD_CPU_AVX512 | MD_CPU_AVX512VNNI)

/* Register values as the models named report them. */
static const machine machines[] = {
    { "Sapphire Rapids",
      0x20,
      0x7ffefbbf,
      { 2, 0xf1bf2ffb, 0x1b415f6e, 0xffdd4432 },
      0x1c30,
      0x602e7,
      1,
      MD_CPU_ALL },
    { "Sapphire Rapids, tiles refused",
      0x20,
      0x7ffefbbf,
      { 2, 0xf1bf2ffb, 0x1b415f6e, 0xffdd4432 },
      0x1c30,
      0x602e7,
      0,
      BIG | MD_CPU_AVXVNNI | MD_CPU_AVX512BF16 },
    { "Sapphire Rapids, tiles not saved",
      0x20,
      0x7ffefbbf,
      { 2, 0xf1bf2ffb, 0x1b415f6e, 0xffdd4432 },
      0x1c30,
      0xe7,
      1,
      BIG | MD_CPU_AVXVNNI | MD_CPU_AVX512BF16 },
    { "Zen 4",
      0x10,
      0x7ef8320b,
      { 1, 0xf1bf97a9, 0x00405fce, 0 },
      0x20,
      0x2e7,
      0,
      BIG | MD_CPU_AVX512BF16 },
    { "Zen 3",
      0x10,
      0x7ef8320b,
      { 0, 0x219c97a9, 0x0040068c, 0 },
      0,
      0x207,
      0,
      MD_CPU_AVX2 },
    { "Skylake server",
      0x16,
      0x7ffefbff,
      { 0, 0xd39ffffb, 0, 0 },
      0,
      0xe7,
      0,
      MD_CPU_AVX2 | MD_CPU_AVX512 },
    { "Alder Lake",
      0x20,
      0x7ffafbbf,
      { 1, 0x239c27a9, 0, 0 },
      0x10,
      0x207,
      0,
      MD_CPU_AVX2 | MD_CPU_AVXVNNI },
    { "AVX-512 that the kernel does not save",
      0x16,
      0x7ffefbff,
      { 0, 0xd39ffffb, VNNI, 0 },
      SUB_BF16,
      0x7,
      0,
      MD_CPU_AVX2 },
    { "no OSXSAVE", 0x16, L1 & ~(1 << 27), { 0, AVX2, 0, 0 }, 0, 0x7, 0, 0 },
    { "AVX state off", 0x16, L1, { 1, AVX2, 0, 0 }, SUB_VNNI, 0x1, 0, 0 },
    { "AVX2 without FMA",
      0x16,
      1 << 27 | 1 << 29,
      { 0, AVX2, 0, 0 },
      0,
      0x7,
      0,
      0 },
    { "AVX2 without F16C",
      0x16,
      1 << 27 | 1 << 12,
      { 0, AVX2, 0, 0 },
      0,
      0x7,
      0,
      0 },
    { "AVX-512 without VL",
      0x16,
      L1,
      { 0, AVX2 | AVX512, VNNI, 0 },
      0,
      0xe7,
      0,
      MD_CPU_AVX2 },
    { "AMX without AVX-512",
      0x16,
      L1,
      { 0, AVX2, 0, AMX },
      0,
      0x600e7,
      1,
      MD_CPU_AVX2 },
    { "AMX without VNNI",
      0x16,
      L1,
      { 0, AVX2 | AVX512 | VL, 0, AMX },
      0,
      0x600e7,
      1,
      MD_CPU_AVX2 | MD_CPU_AVX512 | MD_CPU_AMX_BF16 },
    { "old", 1, L1, { 0, 0, 0, 0 }, 0, 0x7, 0, 0 },
};

static const machine *now;
static int n_amx_requests;

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    memset(out, 0, 4 * sizeof(*out));
    if (leaf == 0)
        out[0] = now->leaf_max;
    else if (leaf == 1)
        out[2] = now->l1_c;
    else if (leaf == 7 && sub == 0)
        memcpy(out, now->l7, sizeof(now->l7));
    else if (leaf == 7 && sub == 1)
        out[0] = now->l71_a;
}

static uint64_t xgetbv(void)
{
    return now->xcr0;
}

static int amx_request(void)
{
    n_amx_requests++;
    return now->amx_granted;
}

static const md_cpu_probe probe = { cpuid, xgetbv, amx_request };

static void test_cpu__recorded_machines(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(machines); i++) {
        uint32_t got;

        now = &machines[i];
        got = md_cpu_detect(&probe);
        if (got != now->want) {
            char a[128], b[128];

            md_cpu_format(a, sizeof(a), got);
            md_cpu_format(b, sizeof(b), now->want);
            fail_msg("%s: %s, expected %s", now->name, a, b);
        }
    }
}

static void test_cpu__asks_for_tiles_only_where_there_are_some(void **state)
{
    (void)state;
    n_amx_requests = 0;
    now = &machines[3];
    md_cpu_detect(&probe);
    assert_int_equal(n_amx_requests, 0);
    now = &machines[0];
    md_cpu_detect(&probe);
    assert_int_equal(n_amx_requests, 1);
}

static void test_cpu__mask_parse(void **state)
{
    static const struct {
        const char *text;
        uint32_t want;
    } good[] = {
        { "all", MD_CPU_ALL },
        { "none", 0 },
        { "avx2", MD_CPU_AVX2 },
        { "avx512", MD_CPU_AVX2 | MD_CPU_AVX512 },
        { "avx512vnni", BIG },
        { "avxvnni,avx512", MD_CPU_AVX2 | MD_CPU_AVXVNNI | MD_CPU_AVX512 },
        { "amx_int8", BIG | MD_CPU_AMX_INT8 },
    };
    static const char *const bad[] = { "",     ",",    "avx2,", "avx",
                                       "AVX2", "all,", "avx2 ", "none,avx2" };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(good); i++) {
        md_error err = MD_ERROR_INIT;
        uint32_t got = 0;

        assert_md_ok(md_cpu_mask_parse(&got, good[i].text, &err), &err);
        assert_int_equal(got, good[i].want);
    }
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        md_error err = MD_ERROR_INIT;
        uint32_t got = 77;

        assert_md_fails(md_cpu_mask_parse(&got, bad[i], &err), MD_INVALID, &err,
                        "is unknown, expected all, none or some of avx2,");
        assert_int_equal(got, 77);
    }
}

/* Each level by name, with all that it needs, directly or by way of others. */
static void test_cpu__every_name(void **state)
{
    static const struct {
        const char *name;
        uint32_t want;
    } cases[] = {
        { "avx2", MD_CPU_AVX2 },
        { "avxvnni", MD_CPU_AVX2 | MD_CPU_AVXVNNI },
        { "avx512", MD_CPU_AVX2 | MD_CPU_AVX512 },
        { "avx512vnni", BIG },
        { "avx512bf16", MD_CPU_AVX2 | MD_CPU_AVX512 | MD_CPU_AVX512BF16 },
        { "amx_bf16", MD_CPU_AVX2 | MD_CPU_AVX512 | MD_CPU_AMX_BF16 },
        { "amx_int8", BIG | MD_CPU_AMX_INT8 },
    };
    uint32_t all = 0;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        uint32_t got = 0;

        assert_md_ok(md_cpu_mask_parse(&got, cases[i].name, &err), &err);
        assert_int_equal(got, cases[i].want);
        all |= got;
    }
    assert_int_equal(all, MD_CPU_ALL);
}

/* Every set of levels, written and read: the same set, closed under needs. */
static void test_cpu__every_set_returns(void **state)
{
    (void)state;
    for (uint32_t set = 1; set <= MD_CPU_ALL; set++) {
        md_error err = MD_ERROR_INIT;
        char text[128], again[128];
        uint32_t got = 0, back = 0;

        md_cpu_format(text, sizeof(text), set);
        assert_md_ok(md_cpu_mask_parse(&got, text, &err), &err);
        assert_int_equal(got & set, set);
        md_cpu_format(again, sizeof(again), got);
        assert_md_ok(md_cpu_mask_parse(&back, again, &err), &err);
        assert_int_equal(back, got); /* nothing more is needed */
        /* what was added is needed by something that was asked for */
        for (uint32_t bit = 1; bit <= MD_CPU_ALL; bit <<= 1) {
            uint32_t without = 0;

            if (!(got & ~set & bit))
                continue;
            for (uint32_t one = 1; one <= MD_CPU_ALL; one <<= 1) {
                uint32_t needs = 0;

                md_cpu_format(text, sizeof(text), set & one);
                if (set & one) {
                    assert_md_ok(md_cpu_mask_parse(&needs, text, &err), &err);
                    without |= needs;
                }
            }
            assert_true(without & bit);
        }
    }
}

static void test_cpu__unknown_names_are_quoted(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { "sse9", "CPU level 'sse9' is" },
        { "avx2,sse9", "CPU level 'sse9' is" },
        { "avx2,,avx512", "CPU level '' is" },
        { "a\x1b[2Jb", "CPU level 'a\\x1b[2Jb' is" },
        { "all,avx2", "CPU level 'all' is" },
        { "avx512_vnni", "CPU level 'avx512_vnni' is" },
        { "a_word_that_is_much_longer_than_the_name_of_any_level",
          "CPU level 'a_word_that_is_much_longer_than_the_name_o'... is" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        uint32_t got = 77;

        assert_md_fails(md_cpu_mask_parse(&got, cases[i].text, &err),
                        MD_INVALID, &err, cases[i].shown);
        assert_non_null(strstr(err.msg,
                               "unknown, expected all, none or some of avx2,"
                               "avxvnni,avx512,avx512vnni,avx512bf16,amx_bf16,"
                               "amx_int8"));
        assert_int_equal(got, 77);
    }
}

/* At every size: as much as fits, terminated, nothing behind it touched. */
static void test_cpu__format_at_every_size(void **state)
{
    char whole[128];
    size_t n;

    (void)state;
    md_cpu_format(whole, sizeof(whole), MD_CPU_ALL);
    n = strlen(whole);
    for (unsigned size = 0; size <= n + 1; size++) {
        char buf[128];

        memset(buf, '!', sizeof(buf));
        md_cpu_format(buf, size, MD_CPU_ALL);
        assert_int_equal(buf[size], '!');
        if (size == 0)
            continue;
        assert_int_equal(strlen(buf), size - 1);
        assert_memory_equal(buf, whole, size - 1);
    }
}

static void test_cpu__format(void **state)
{
    char buf[64], tiny[6];

    (void)state;
    md_cpu_format(buf, sizeof(buf), 0);
    assert_string_equal(buf, "none");
    md_cpu_format(buf, sizeof(buf), MD_CPU_AVX2 | MD_CPU_AVX512);
    assert_string_equal(buf, "avx2,avx512");
    md_cpu_format(tiny, sizeof(tiny), MD_CPU_ALL);
    assert_int_equal(strlen(tiny), 5);
}

/* Each mask on this machine: what it shows is in the mask, on the machine, and
 * has what it needs. */
static void test_cpu__every_mask(void **state)
{
    uint32_t all = md_cpu_flags();

    (void)state;
    for (uint32_t mask = 0; mask <= MD_CPU_ALL; mask++) {
        uint32_t got, closed = 0;
        md_error err = MD_ERROR_INIT;
        char text[128];

        md_cpu_set_mask(mask);
        got = md_cpu_flags();
        assert_int_equal(got & ~(mask & all), 0);
        md_cpu_format(text, sizeof(text), got);
        assert_md_ok(md_cpu_mask_parse(&closed, text, &err), &err);
        assert_int_equal(closed, got);
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

/* Hiding a level hides what needs it. */
static void test_cpu__mask_hides(void **state)
{
    uint32_t all = md_cpu_flags();

    (void)state;
    md_cpu_set_mask(MD_CPU_ALL & ~(uint32_t)MD_CPU_AVX2);
    assert_int_equal(md_cpu_flags(), 0);
    md_cpu_set_mask(MD_CPU_AVX2);
    assert_int_equal(md_cpu_flags(), all & MD_CPU_AVX2);
    md_cpu_set_mask(MD_CPU_ALL);
    assert_int_equal(md_cpu_flags(), all);
}

static void test_cpu__this_machine(void **state)
{
    (void)state;
    assert_true(md_cpu_count() >= 1);
    assert_non_null(md_cpu_name());
    assert_true(md_cpu_name()[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu__recorded_machines),
        cmocka_unit_test(test_cpu__asks_for_tiles_only_where_there_are_some),
        cmocka_unit_test(test_cpu__mask_parse),
        cmocka_unit_test(test_cpu__every_name),
        cmocka_unit_test(test_cpu__every_set_returns),
        cmocka_unit_test(test_cpu__unknown_names_are_quoted),
        cmocka_unit_test(test_cpu__format_at_every_size),
        cmocka_unit_test(test_cpu__format),
        cmocka_unit_test(test_cpu__every_mask),
        cmocka_unit_test(test_cpu__mask_hides),
        cmocka_unit_test(test_cpu__this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
