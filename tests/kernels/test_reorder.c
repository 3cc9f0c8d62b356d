#include "support/test.h"

#include <string.h>

#include "base/size.h"
#include "kernels/reorder.h"
#include "support/guard.h"

static void nc16_case(int64_t n, int64_t c, int64_t pixels, int nhwc, int size)
{
    const md_nc16_args a = {
        .n = n,
        .c = c,
        .pixels = pixels,
        .n_stride = c * pixels,
        .c_stride = nhwc ? 1 : pixels,
        .pixel_stride = nhwc ? c : 1,
        .size = size,
    };
    const size_t plain_size = (size_t)(n * c * pixels * size);
    const int64_t blocks = md_div_up(c, 16);
    const size_t nc16_size = (size_t)(n * blocks * 16 * pixels * size);
    char *plain = md_guard_alloc(plain_size),
         *back = md_guard_alloc(plain_size);
    char *nc16 = md_guard_alloc(nc16_size);
    uint32_t seed = 5;

    md_guard_fill(plain, plain_size, &seed);
    memset(nc16, 0x55, nc16_size);
    md_nc16_pack(nc16, plain, &a);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < blocks * 16; k++)
            for (int64_t p = 0; p < pixels; p++) {
                static const char zero[8];
                const char *got =
                    nc16 +
                    (((i * blocks + k / 16) * pixels + p) * 16 + k % 16) * size;
                const char *want =
                    k >= c ? zero
                           : plain + (i * a.n_stride + k * a.c_stride +
                                      p * a.pixel_stride) *
                                         size;

                assert_memory_equal(got, want, (size_t)size);
            }
    md_nc16_unpack(back, nc16, &a);
    assert_memory_equal(back, plain, plain_size);
    md_guard_free(plain, plain_size);
    md_guard_free(back, plain_size);
    md_guard_free(nc16, nc16_size);
}

static void test_reorder__nc16_there_and_back(void **state)
{
    static const int64_t cs[] = { 1, 3, 15, 16, 17, 48 };
    static const int64_t ps[] = { 1, 7, 16, 49 };

    (void)state;
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 4; j++)
            for (int size = 1; size <= 8; size *= 2) {
                nc16_case(2, cs[i], ps[j], 0, size);
                nc16_case(2, cs[i], ps[j], 1, size);
            }
}

static void transpose_case(int rank, const int64_t *dims, const int *perm,
                           int size)
{
    int64_t xs[8], ys[8], out[8], at[8] = { 0 };
    int64_t total = 1;
    uint32_t seed = 9;
    char *x, *y;

    for (int i = rank; i-- > 0; total *= dims[i])
        xs[i] = total;
    for (int i = 0; i < rank; i++) {
        out[i] = dims[perm[i]];
        ys[i] = xs[perm[i]];
    }
    x = md_guard_alloc((size_t)(total * size));
    y = md_guard_alloc((size_t)(total * size));
    md_guard_fill(x, (size_t)(total * size), &seed);
    md_transpose(y, x, rank, out, ys, size);
    for (int64_t k = 0; k < total; k++) {
        int64_t from = 0;

        for (int64_t i = rank, left = k; i-- > 0; left /= out[i])
            at[i] = left % out[i];
        for (int i = 0; i < rank; i++)
            from += at[i] * ys[i];
        assert_memory_equal(y + k * size, x + from * size, (size_t)size);
    }
    md_guard_free(x, (size_t)(total * size));
    md_guard_free(y, (size_t)(total * size));
}

static void test_reorder__transpose_any_order(void **state)
{
    static const int64_t dims[] = { 3, 17, 5, 19 };
    static const int64_t ones[] = { 1, 8, 1, 21 };

    (void)state;
    for (int p = 0; p < 256; p++) {
        const int perm[4] = { p & 3, p >> 2 & 3, p >> 4 & 3, p >> 6 & 3 };
        int seen = 0;

        for (int i = 0; i < 4; i++)
            seen |= 1 << perm[i];
        if (seen != 15)
            continue;
        for (int size = 1; size <= 8; size *= 2) {
            transpose_case(4, dims, perm, size);
            transpose_case(4, ones, perm, size);
        }
    }
}

static void test_reorder__transpose_odd_cases(void **state)
{
    const int perm[] = { 0, 1, 2 };
    const int64_t dims[] = { 2, 3, 4 };
    const int64_t none[] = { 2, 0, 4 };
    const int64_t spread[] = { 0, 1 }, back[] = { -1 };
    const int64_t two[] = { 2, 3 }, three[] = { 3 };
    uint32_t x[3] = { 1, 2, 3 }, y[6], one = 7, got = 0;

    (void)state;
    transpose_case(3, dims, perm, 4);
    md_transpose(NULL, NULL, 3, none, dims, 4); /* nothing to move */
    md_transpose(&got, &one, 0, NULL, NULL, 4);
    assert_int_equal(got, 7);
    md_transpose(y, x, 2, two, spread, 4); /* broadcast */
    assert_memory_equal(y, x, 12);
    assert_memory_equal(y + 3, x, 12);
    md_transpose(y, x + 2, 1, three, back, 4);
    assert_int_equal(y[0], 3);
    assert_int_equal(y[2], 1);
}

static void test_reorder__copy_rows(void **state)
{
    const char x[] = "abcdefgh";
    char y[] = "........";

    (void)state;
    md_copy_rows(y, 4, x, 3, 2, 2);
    assert_string_equal(y, "ab..de..");
    md_copy_rows(y, 4, x, 4, 2, 4);
    assert_string_equal(y, "abcdefgh");
    md_copy_rows(NULL, 0, NULL, 0, 0, 4);
}

static void test_reorder__resize_nearest(void **state)
{
    static const int32_t h[] = { 0, 0, 1 }, w[] = { 1, 0, 1, 1 };
    const uint16_t x[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    const uint16_t want[] = { 2, 1, 2, 2, 2, 1, 2, 2, 4, 3, 4, 4,
                              6, 5, 6, 6, 6, 5, 6, 6, 8, 7, 8, 8 };
    uint16_t y[24];
    const md_resize_args a = {
        .planes = 2,
        .ih = 2,
        .iw = 2,
        .oh = 3,
        .ow = 4,
        .map_h = h,
        .map_w = w,
        .pixel_size = 2,
    };

    (void)state;
    md_resize_nearest(y, x, &a);
    assert_memory_equal(y, want, sizeof(want));
}

/* Each pixel twice: of 4 bytes that is another way. */
static void test_reorder__resize_doubled(void **state)
{
    enum {
        WIDTH = 21
    };
    static const int32_t h[] = { 0, 0, 1, 1 };
    int32_t w[2 * WIDTH];
    uint32_t x[2 * WIDTH], y[4 * 2 * WIDTH];
    const md_resize_args a = { .planes = 1,
                               .ih = 2,
                               .iw = WIDTH,
                               .oh = 4,
                               .ow = 2 * (int64_t)WIDTH,
                               .map_h = h,
                               .map_w = w,
                               .pixel_size = 4 };

    (void)state;
    for (int i = 0; i < 2 * WIDTH; i++) {
        w[i] = i / 2;
        x[i] = (uint32_t)i + 1;
    }
    md_resize_nearest(y, x, &a);
    for (int i = 0; i < 4 * 2 * WIDTH; i++)
        assert_int_equal(y[i],
                         x[i / (2 * WIDTH) / 2 * WIDTH + i % (2 * WIDTH) / 2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reorder__nc16_there_and_back),
        cmocka_unit_test(test_reorder__transpose_any_order),
        cmocka_unit_test(test_reorder__transpose_odd_cases),
        cmocka_unit_test(test_reorder__copy_rows),
        cmocka_unit_test(test_reorder__resize_nearest),
        cmocka_unit_test(test_reorder__resize_doubled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
