/*
 * The lists of kernel rows as such: names, order, selection under every mask,
 * and that each list is walked by a test and by the benchmark.  Prints one
 * line for each row: what it needs, whether this CPU has it, which tests run
 * it.
 */
#include "support/test.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "base/file.h"
#include "kernels/arg_f32.h"
#include "kernels/array_f64.h"
#include "kernels/binary_f32.h"
#include "kernels/binary_s8.h"
#include "kernels/blend_f32.h"
#include "kernels/cast_bf16.h"
#include "kernels/conv_f32.h"
#include "kernels/conv_stem_f32.h"
#include "kernels/cumsum_f32.h"
#include "kernels/dwconv_f32.h"
#include "kernels/dwconv_s8.h"
#include "kernels/finish_f32.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_f32.h"
#include "kernels/gemm_f64.h"
#include "kernels/gemm_s8.h"
#include "kernels/gemv_f32.h"
#include "kernels/norm_f32.h"
#include "kernels/peak_f32.h"
#include "kernels/pool2d.h"
#include "kernels/pool_row_f32.h"
#include "kernels/quantize.h"
#include "kernels/reduce_f32.h"
#include "kernels/requant_s8.h"
#include "kernels/rotate_f32.h"
#include "kernels/softmax_f32.h"
#include "kernels/tree_f32.h"
#include "kernels/turn.h"
#include "kernels/unary_f32.h"
#include "kernels/unpack_f32.h"
#include "kernels/vbinary.h"
#include "kernels/vcast.h"
#include "kernels/winograd_f32.h"

#define SRC_DIR MD_TEST_DIR "/../src/kernels"
#define BENCH_DIR MD_TEST_DIR "/../bench/kernels"
#define KERNEL_TEST_DIR MD_TEST_DIR "/kernels"

enum {
    ROWS_MAX = 16,
    FILES_MAX = 128,
    NAME = 80
};

typedef struct row {
    const char *name;
    uint32_t required;
} row;

typedef struct family {
    const char *name;
    const char *(*select)(uint32_t flags);
    row rows[ROWS_MAX + 1];
    int n;
} family;

#define FAMILY(f, end)                                                         \
    static const char *select_##f(uint32_t flags)                              \
    {                                                                          \
        return md_##f##_select(flags)->name;                                   \
    }
#include "kernels/families.def"
#undef FAMILY

/* The lists in one form. */
static family families[] = {
#define FAMILY(f, end) { .name = #f, .select = select_##f },
#include "kernels/families.def"
#undef FAMILY
};

static int read_lists(void **state)
{
    family *f = families;

    (void)state;
#define FAMILY(stem, end)                                                      \
    for (f->n = 0; md_##stem##_kernels[f->n].end; f->n++) {                    \
        if (f->n == ROWS_MAX)                                                  \
            return -1;                                                         \
        f->rows[f->n] = (row){ md_##stem##_kernels[f->n].name,                 \
                               md_##stem##_kernels[f->n].required };           \
    }                                                                          \
    f++;
#include "kernels/families.def"
#undef FAMILY
    return 0;
}

/* "family__isa", ref last and for every CPU. */
static void test_rows__names_and_ref(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(families); i++) {
        const family *f = &families[i];
        char ref[NAME];

        assert_true(f->n >= 1);
        snprintf(ref, sizeof(ref), "%s__ref", f->name);
        assert_string_equal(f->rows[f->n - 1].name, ref);
        assert_int_equal(f->rows[f->n - 1].required, MD_CPU_NONE);
        for (int r = 0; r < f->n; r++) {
            const size_t n = strlen(f->name);

            if (strncmp(f->rows[r].name, f->name, n) != 0 ||
                strncmp(f->rows[r].name + n, "__", 2) != 0)
                fail_msg("%s is no row of %s", f->rows[r].name, f->name);
            for (int k = 0; k < r; k++)
                assert_string_not_equal(f->rows[k].name, f->rows[r].name);
        }
    }
}

/* A row behind one that needs no more than it does would never run. */
static void test_rows__all_can_be_selected(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(families); i++) {
        const family *f = &families[i];

        for (int r = 1; r < f->n; r++) {
            for (int k = 0; k < r; k++) {
                if ((f->rows[k].required & ~f->rows[r].required) == 0)
                    fail_msg("%s hides %s", f->rows[k].name, f->rows[r].name);
            }
        }
    }
}

static void test_rows__first_that_fits_is_selected(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(families); i++) {
        const family *f = &families[i];

        for (uint32_t flags = 0; flags <= MD_CPU_ALL; flags++) {
            int r = 0;

            while (f->rows[r].required & ~flags)
                r++;
            assert_string_equal(f->select(flags), f->rows[r].name);
        }
    }
}

/* What MODELD_CPU names: the rows of that level and below only. */
static void test_rows__masks_by_name(void **state)
{
    static const char *const words[] = {
#define CPU(id, name, bit, needs, what) name,
#include "base/cpu_flags.def"
#undef CPU
        "none",
        "all",
    };

    (void)state;
    for (size_t w = 0; w < MD_COUNT(words); w++) {
        md_error err = MD_ERROR_INIT;
        uint32_t mask;

        assert_md_ok(md_cpu_mask_parse(&mask, words[w], &err), &err);
        md_cpu_set_mask(mask);
        assert_int_equal(md_cpu_flags() & ~mask, 0);
        for (size_t i = 0; i < MD_COUNT(families); i++) {
            const char *name = families[i].select(md_cpu_flags());
            int r = 0;

            while (strcmp(families[i].rows[r].name, name) != 0)
                r++;
            if (families[i].rows[r].required & ~mask)
                fail_msg("%s under MODELD_CPU=%s", name, words[w]);
        }
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

/* ---- files ---- */

/* Names of the files in dir that end with `end`; returns how many. */
static int list_dir(char (*out)[NAME], const char *dir, const char *end)
{
    DIR *d = opendir(dir);
    int n = 0;

    if (!d) {
        fail_msg("%s cannot be read", dir);
        return 0;
    }
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        const size_t size = strlen(e->d_name), tail = strlen(end);

        if (size < tail || strcmp(e->d_name + size - tail, end) != 0)
            continue;
        assert_true(n < FILES_MAX && size < NAME);
        memcpy(out[n++], e->d_name, size + 1);
    }
    closedir(d);
    return n;
}

static bool file_has(const char *dir, const char *name, const char *text)
{
    md_error err = MD_ERROR_INIT;
    char path[512];
    md_buf b;
    bool found;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    md_buf_init(&b, md_alloc_default(), (size_t)1 << 20);
    assert_md_ok(md_file_read(&b, path, &err), &err);
    assert_md_ok(md_buf_putc(&b, '\0', &err), &err);
    found = strstr((const char *)b.data, text) != NULL;
    md_buf_release(&b);
    return found;
}

/* Files of dir that walk the family's list, into text; how many. */
static int walkers(char *text, size_t size, const char *dir, const family *f)
{
    char names[FILES_MAX][NAME], loop[NAME];
    const int n = list_dir(names, dir, ".c");
    int found = 0;

    text[0] = '\0';
    snprintf(loop, sizeof(loop), "= md_%s_kernels;", f->name);
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(text);

        if (!file_has(dir, names[i], loop))
            continue;
        snprintf(text + used, size - used, "%s%s", found++ ? " " : "",
                 names[i]);
    }
    return found;
}

/* Every list in src/kernels is one of families.def. */
static void test_rows__every_list_is_known(void **state)
{
    char names[FILES_MAX][NAME];
    const int n = list_dir(names, SRC_DIR, ".def");
    int lists = 0;

    (void)state;
    for (int i = 0; i < n; i++) {
        bool known = false;

        if (!file_has(SRC_DIR, names[i], "\nK("))
            continue;
        lists++;
        for (size_t k = 0; k < MD_COUNT(families); k++) {
            const size_t size = strlen(families[k].name);

            known |= strncmp(names[i], families[k].name, size) == 0 &&
                     strcmp(names[i] + size, ".def") == 0;
        }
        if (!known)
            fail_msg("%s is not in tests/kernels/families.def", names[i]);
    }
    assert_int_equal(lists, MD_COUNT(families));
}

/* Rows of a list that no test walks are covered by no test. */
static void test_rows__every_list_is_tested(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(families); i++) {
        const family *f = &families[i];
        char tests[512];

        if (walkers(tests, sizeof(tests), KERNEL_TEST_DIR, f) == 0)
            fail_msg("no test walks md_%s_kernels", f->name);
        for (int r = 0; r < f->n; r++) {
            char needs[128];

            md_cpu_format(needs, sizeof(needs), f->rows[r].required);
            print_message("%-26s %-10s %s  %s\n", f->rows[r].name, needs,
                          f->rows[r].required & ~md_cpu_flags() ? "skipped"
                                                                : "runs   ",
                          tests);
        }
    }
}

static void test_rows__every_list_is_benchmarked(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(families); i++) {
        char files[512];

        if (walkers(files, sizeof(files), BENCH_DIR, &families[i]) == 0)
            fail_msg("no benchmark walks md_%s_kernels", families[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__names_and_ref),
        cmocka_unit_test(test_rows__all_can_be_selected),
        cmocka_unit_test(test_rows__first_that_fits_is_selected),
        cmocka_unit_test(test_rows__masks_by_name),
        cmocka_unit_test(test_rows__every_list_is_known),
        cmocka_unit_test(test_rows__every_list_is_tested),
        cmocka_unit_test(test_rows__every_list_is_benchmarked),
    };

    return cmocka_run_group_tests(tests, read_lists, NULL);
}
