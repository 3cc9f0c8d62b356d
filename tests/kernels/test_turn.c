#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/turn.h"
#include "support/guard.h"

/* Both sides have `gap` elements between rows, which stay as they are. */
static void one_case(const md_turn_kernel *k, int64_t rows, int64_t columns,
                     int64_t gap, int size)
{
    const int64_t ys = columns + gap, xs = rows + gap;
    const size_t y_size = (size_t)(rows * ys * size);
    const size_t x_size = (size_t)(columns * xs * size);
    char *y = md_guard_alloc(y_size), *x = md_guard_alloc(x_size);
    uint32_t seed = (uint32_t)(rows * 64 + columns);

    md_guard_fill(x, x_size, &seed);
    memset(y, 0x55, y_size);
    k->run(&(md_turn_args){ .y = y,
                            .x = x,
                            .y_stride = ys,
                            .x_stride = xs,
                            .rows = rows,
                            .columns = columns,
                            .size = size });
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < ys; j++) {
            static const char kept[] = "UUUUUUUU";
            const char *want = j < columns ? x + (j * xs + i) * size : kept;

            if (memcmp(y + (i * ys + j) * size, want, (size_t)size) != 0)
                fail_msg("%s: %d x %d of %d bytes: [%d, %d]", k->name,
                         (int)rows, (int)columns, size, (int)i, (int)j);
        }
    md_guard_free(y, y_size);
    md_guard_free(x, x_size);
}

static void test_turn__rows_move_every_element(void **state)
{
    static const int64_t n[] = { 0,  1,  2,  3,  4,  5,  7,  8, 9,
                                 15, 16, 17, 24, 33, 64, 65, 70 };

    (void)state;
    for (const md_turn_kernel *k = md_turn_kernels; k->run; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (size_t i = 0; i < MD_COUNT(n) * MD_COUNT(n); i++)
            for (int size = 1; size <= 8; size *= 2)
                one_case(k, n[i % MD_COUNT(n)], n[i / MD_COUNT(n)],
                         (int64_t)i % 3, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn__rows_move_every_element),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
