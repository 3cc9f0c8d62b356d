/*
 * The arithmetic under the drivers, against loops that ask every tap and
 * every element: windows, frames, broadcasting, moving with any strides.
 */
#include "support/test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/broadcast.h"
#include "kernels/conv_frame.h"
#include "kernels/conv_shape.h"
#include "kernels/dwconv_f32.h"
#include "kernels/reorder.h"
#include "kernels/window_s8.h"
#include "support/guard.h"

static int64_t pick(uint32_t *seed, int64_t lo, int64_t hi)
{
    return lo + md_guard_random(seed) % (uint32_t)(hi - lo + 1);
}

/* ---- windows ---- */

/* Rows above, below and beside the image are the zero point, in the type
 * that the copy has. */
static void check_window(const md_window_s8 *v, uint32_t *seed)
{
    const size_t plane = (size_t)(v->ih * v->iw * 16);
    const size_t size = (size_t)(v->h * v->w * v->pixel);
    uint8_t *x = md_guard_alloc(plane), *to = md_guard_alloc(size);
    md_window_s8 w = *v;

    md_guard_fill(x, plane, seed);
    memset(to, 0x5a, size);
    w.plane = x;
    md_window_s8_copy(to, &w);
    for (int64_t i = 0; i < (int64_t)size; i++) {
        const int64_t lane = i % v->pixel, at = i / v->pixel;
        const int64_t y = v->y + at / v->w, c = v->x + at % v->w;
        uint8_t want = (uint8_t)((uint8_t)v->zero ^ v->flip);

        if (lane >= 16)
            want = 0x5a; /* other channels' bytes */
        else if (y >= 0 && y < v->ih && c >= 0 && c < v->iw)
            want = x[(y * v->iw + c) * 16 + lane] ^ v->flip;
        if (to[i] != want)
            fail_msg("byte %d of a %dx%d window at %d,%d: %d, expected %d",
                     (int)i, (int)v->h, (int)v->w, (int)v->y, (int)v->x, to[i],
                     want);
    }
    md_guard_free(x, plane);
    md_guard_free(to, size);
}

static void test_geometry__windows(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        const bool flips = i % 2;
        const md_window_s8 v = { .ih = pick(&seed, 0, 6),
                                 .iw = pick(&seed, 0, 6),
                                 .y = pick(&seed, 0, 12) - 6,
                                 .x = pick(&seed, 0, 16) - 8,
                                 .h = pick(&seed, 0, 6),
                                 .w = pick(&seed, 1, 9),
                                 .pixel = 16 * pick(&seed, 1, 3),
                                 .zero = flips ? -100 : 200,
                                 .flip = flips ? 0x80 : 0 };

        check_window(&v, &seed);
    }
}

/* ---- frames ---- */

static md_conv_shape shape_random(uint32_t *seed)
{
    md_conv_shape s = { .ih = pick(seed, 1, 9),
                        .iw = pick(seed, 1, 9),
                        .oh = pick(seed, 1, 9),
                        .ow = pick(seed, 1, 9),
                        .kh = pick(seed, 1, 5),
                        .kw = pick(seed, 1, 5),
                        .stride_h = pick(seed, 1, 4),
                        .stride_w = pick(seed, 1, 4),
                        .pad_top = pick(seed, 0, 6),
                        .pad_left = pick(seed, 0, 6),
                        .dilation_h = pick(seed, 1, 3),
                        .dilation_w = pick(seed, 1, 3) };

    return s;
}

/* Input row of tap ky of output row oy, and the same for columns. */
static int64_t row_of(const md_conv_shape *s, int64_t oy, int64_t ky)
{
    return oy * s->stride_h - s->pad_top + ky * s->dilation_h;
}

static int64_t column_of(const md_conv_shape *s, int64_t ox, int64_t kx)
{
    return ox * s->stride_w - s->pad_left + kx * s->dilation_w;
}

static void check_inside(const md_conv_shape *s)
{
    bool all = true;

    for (int64_t oy = 0; oy < s->oh; oy++) {
        int64_t ky0, ky1;

        md_conv_frame__inside(s, oy, &ky0, &ky1);
        assert_true(ky0 >= 0 && ky0 <= ky1 && ky1 <= s->kh);
        for (int64_t ky = 0; ky < s->kh; ky++) {
            const int64_t iy = row_of(s, oy, ky);

            assert_int_equal(ky >= ky0 && ky < ky1, iy >= 0 && iy < s->ih);
            all &= iy >= 0 && iy < s->ih;
        }
    }
    for (int64_t ox = 0; ox < s->ow; ox++) {
        for (int64_t kx = 0; kx < s->kw; kx++) {
            const int64_t ix = column_of(s, ox, kx);

            all &= ix >= 0 && ix < s->iw;
        }
    }
    assert_int_equal(md_conv_shape_is_inside(s), all);
}

/* A frame holds each row and column that some tap of its rows reads. */
static void check_frame(const md_conv_shape *s, int64_t row0, int64_t row1)
{
    const int64_t rows = md_conv_frame__rows(s, row1 - row0);
    const int64_t width = md_conv_frame__width(s);
    int64_t iy0, iy1;

    md_conv_frame__input(s, row0, row1, &iy0, &iy1);
    assert_true(iy0 >= 0 && iy0 <= iy1 && iy1 <= s->ih);
    assert_true(iy1 - iy0 <= rows);
    for (int64_t i = 0; i < (row1 - row0) * s->kh; i++) {
        const int64_t iy = row_of(s, row0 + i / s->kh, i % s->kh);

        if (iy >= 0 && iy < s->ih)
            assert_true(iy >= iy0 && iy < iy1);
    }
    assert_int_equal(width % s->stride_w, 0);
    assert_true(width >= md_conv_frame__covered(s));
    assert_true(width < md_conv_frame__covered(s) + s->stride_w);
    assert_int_equal(column_of(s, s->ow - 1, s->kw - 1) + s->pad_left + 1,
                     md_conv_frame__covered(s));
}

static void test_geometry__frames(void **state)
{
    uint32_t seed = 2;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        const md_conv_shape s = shape_random(&seed);
        const int64_t row0 = pick(&seed, 0, s.oh - 1);

        check_inside(&s);
        check_frame(&s, row0, pick(&seed, row0 + 1, s.oh));
    }
}

/* The same for the columns of a depthwise row. */
static void test_geometry__depthwise_columns(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        const md_conv_shape s = shape_random(&seed);
        const md_dwconv_f32_row r = { .kw = s.kw,
                                      .stride = s.stride_w,
                                      .dilation = s.dilation_w,
                                      .pad_left = s.pad_left,
                                      .iw = s.iw,
                                      .ow = s.ow };
        int64_t ox0, ox1;

        md_dwconv_f32__interior(&r, &ox0, &ox1);
        assert_true(ox0 >= 0 && ox0 <= ox1 && ox1 <= s.ow);
        for (int64_t ox = 0; ox < s.ow; ox++) {
            int64_t kx0, kx1, inside = 0;

            md_dwconv_f32__inside(&r, ox, &kx0, &kx1);
            for (int64_t kx = 0; kx < s.kw; kx++) {
                const int64_t ix = column_of(&s, ox, kx);
                const bool in = ix >= 0 && ix < s.iw;

                assert_int_equal(kx >= kx0 && kx < kx1, in);
                inside += in;
            }
            assert_int_equal(ox >= ox0 && ox < ox1, inside == s.kw);
        }
    }
}

/* ---- broadcasting ---- */

typedef struct seen {
    const md_broadcast *w;
    int64_t *a, *b; /* by element of y: offsets; -1 not seen */
    int64_t n;
} seen;

static void note(void *ctx, const md_broadcast_row *row)
{
    seen *s = ctx;

    for (size_t i = 0; i < row->n; i++) {
        const int64_t y = row->y + (int64_t)i;

        assert_true(y >= 0 && y < s->n);
        assert_int_equal(s->a[y], -1); /* each once */
        s->a[y] = row->a + (int64_t)i * row->a_step;
        s->b[y] = row->b + (int64_t)i * row->b_step;
    }
}

/* Two shapes, each with some of the output's dimensions 1. */
static void check_broadcast(int rank, const int64_t *dims, uint32_t mask_a,
                            uint32_t mask_b)
{
    int64_t a[MD_BROADCAST_RANK], b[MD_BROADCAST_RANK], n = 1;
    int64_t size_a = 1, size_b = 1;
    md_broadcast w;
    seen s;

    for (int i = rank; i-- > 0; n *= dims[i]) {
        const bool in_a = mask_a >> i & 1, in_b = mask_b >> i & 1;

        a[i] = in_a && dims[i] > 1 ? size_a : 0;
        b[i] = in_b && dims[i] > 1 ? size_b : 0;
        size_a *= in_a ? dims[i] : 1;
        size_b *= in_b ? dims[i] : 1;
    }
    s = (seen){ &w, malloc((size_t)(n + 1) * 8), malloc((size_t)(n + 1) * 8),
                n };
    assert_true(s.a && s.b);
    for (int64_t i = 0; i < n; i++)
        s.a[i] = -1;
    md_broadcast_init(&w, rank, dims, a, b);
    for (int64_t c = md_broadcast_n_chunks(&w); c-- > 0;)
        md_broadcast_walk(&w, c, note, &s);
    for (int64_t y = 0; y < n; y++) {
        int64_t at_a = 0, at_b = 0, rest = y;

        for (int i = rank; i-- > 0; rest /= dims[i]) {
            at_a += rest % dims[i] * a[i];
            at_b += rest % dims[i] * b[i];
        }
        assert_int_equal(s.a[y], at_a);
        assert_int_equal(s.b[y], at_b);
    }
    free(s.a);
    free(s.b);
}

static void count_elements(void *ctx, const md_broadcast_row *r)
{
    *(int64_t *)ctx += (int64_t)r->n;
}

/* Chunks for `width` threads: all elements, none longer than before, as many
 * for each where there are enough. */
static void check_shares(int64_t total, int width)
{
    const int64_t one = 1;
    int64_t sum = 0, n, before;
    md_broadcast w;

    md_broadcast_init(&w, 1, &total, &one, &one);
    before = md_broadcast_n_chunks(&w);
    md_broadcast_share(&w, width);
    n = md_broadcast_n_chunks(&w);
    for (int64_t c = 0; c < n; c++)
        md_broadcast_walk(&w, c, count_elements, &sum);
    assert_int_equal(sum, total);
    assert_true(n >= before && w.step <= MD_BROADCAST_CHUNK);
    /* Steps are rounded up by less than 64, which may save one chunk. */
    if (width > 1 && before > width)
        assert_true(n <= md_div_up(before, width) * width &&
                    n >= md_div_up(before, width) * width - 1);
    else
        assert_int_equal(n, before);
    if (n > 1) /* and the last is no leftover */
        assert_true(width <= 1 || total - (n - 1) * w.step > w.step / 2);
}

static void test_geometry__broadcasts_are_shared(void **state)
{
    (void)state;
    for (int width = 0; width < 9; width++) {
        for (int64_t n = 0; n < 20; n++) {
            for (int64_t off = -65; off <= 65; off += 13)
                check_shares(md_max_i64(0, n * (MD_BROADCAST_CHUNK / 2) + off),
                             width);
        }
    }
}

static void test_geometry__broadcasts(void **state)
{
    static const int64_t deep[MD_BROADCAST_RANK] = { 1, 2, 1, 3, 1, 1, 2, 2,
                                                     1, 1, 3, 1, 2, 1, 1, 2 };
    static const int64_t some[][4] = {
        { 2, 3, 4, 5 }, { 1, 70000, 1, 2 }, { 3, 1, 1, 50001 },
        { 4, 0, 3, 2 }, { 2, 2, 2, 0 },     { 1, 1, 1, 1 },
    };
    uint32_t seed = 4;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(some); i++) {
        for (uint32_t m = 0; m < 256; m += i == 1 || i == 2 ? 37 : 1) {
            uint32_t a = m & 15, b = m >> 4;

            /* strides of what has no elements do not matter */
            check_broadcast(4, some[i], a, b);
        }
    }
    for (int i = 0; i < 200; i++)
        check_broadcast(MD_BROADCAST_RANK, deep, md_guard_random(&seed),
                        md_guard_random(&seed));
    check_broadcast(0, NULL, 0, 0);
}

/* ---- moving ---- */

/* Any strides, also negative and zero, of ranks up to the most. */
static void test_geometry__transpose_any_strides(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        const int rank = (int)pick(&seed, 0, 6);
        const int size = 1 << pick(&seed, 0, 3);
        int64_t dims[MD_TRANSPOSE_RANK], strides[MD_TRANSPOSE_RANK];
        int64_t n = 1, low = 0, high = 0;
        char *x, *y;

        for (int i = 0; i < rank; i++) {
            dims[i] = pick(&seed, 1, 5);
            strides[i] = pick(&seed, 0, 14) - 7;
            n *= dims[i];
            if (strides[i] < 0)
                low += (dims[i] - 1) * strides[i];
            else
                high += (dims[i] - 1) * strides[i];
        }
        x = md_guard_alloc((size_t)((high - low + 1) * size));
        y = md_guard_alloc((size_t)(n * size));
        md_guard_fill(x, (size_t)((high - low + 1) * size), &seed);
        md_transpose(y, x - low * size, rank, dims, strides, size);
        for (int64_t k = 0; k < n; k++) {
            int64_t from = -low, rest = k;

            for (int i = rank; i-- > 0; rest /= dims[i])
                from += rest % dims[i] * strides[i];
            assert_memory_equal(y + k * size, x + from * size, (size_t)size);
        }
        md_guard_free(x, (size_t)((high - low + 1) * size));
        md_guard_free(y, (size_t)(n * size));
    }
}

/* The most dimensions, each of two, in reverse. */
static void test_geometry__transpose_deep(void **state)
{
    enum {
        N = 1 << MD_TRANSPOSE_RANK
    };
    int64_t dims[MD_TRANSPOSE_RANK], strides[MD_TRANSPOSE_RANK];
    uint32_t *x = md_guard_alloc(N * 4), *y = md_guard_alloc(N * 4);

    (void)state;
    for (int i = 0; i < MD_TRANSPOSE_RANK; i++) {
        dims[i] = 2;
        strides[i] = (int64_t)1 << i;
    }
    for (uint32_t i = 0; i < N; i++)
        x[i] = i;
    md_transpose(y, x, MD_TRANSPOSE_RANK, dims, strides, 4);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t back = 0;

        for (int b = 0; b < MD_TRANSPOSE_RANK; b++)
            back |= (i >> b & 1) << (MD_TRANSPOSE_RANK - 1 - b);
        assert_int_equal(y[i], back);
    }
    md_guard_free(x, N * 4);
    md_guard_free(y, N * 4);
}

/* Planes with any strides into blocks and back; the bytes between stay. */
static void test_geometry__blocks_of_a_view(void **state)
{
    (void)state;
    for (int size = 1; size <= 8; size *= 2) {
        for (int64_t c = 0; c <= 33; c += 1 + c / 3) {
            const int64_t pixels = c % 5 * 7;
            const md_nc16_args a = { .n = 2,
                                     .c = c,
                                     .pixels = pixels,
                                     .n_stride = c * (pixels * 2 + 3) + 5,
                                     .c_stride = pixels * 2 + 3,
                                     .pixel_stride = 2,
                                     .size = size };
            const int64_t plain = a.n_stride * 2;
            const int64_t blocks = 2 * md_div_up(c, 16) * pixels * 16;
            char *x = md_guard_alloc((size_t)(plain * size));
            char *back = md_guard_alloc((size_t)(plain * size));
            char *y = md_guard_alloc((size_t)(blocks * size));
            uint32_t seed = 6;

            md_guard_fill(x, (size_t)(plain * size), &seed);
            memset(back, 0x5a, (size_t)(plain * size));
            md_nc16_pack(y, x, &a);
            md_nc16_unpack(back, y, &a);
            for (int64_t i = 0; i < plain; i++) {
                const int64_t in_image = i % a.n_stride;
                const int64_t at = in_image % a.c_stride;
                const bool moved =
                    in_image / a.c_stride < c && at % 2 == 0 && at / 2 < pixels;

                for (int b = 0; b < size; b++)
                    assert_int_equal(back[i * size + b],
                                     moved ? x[i * size + b] : 0x5a);
            }
            md_guard_free(x, (size_t)(plain * size));
            md_guard_free(back, (size_t)(plain * size));
            md_guard_free(y, (size_t)(blocks * size));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_geometry__windows),
        cmocka_unit_test(test_geometry__frames),
        cmocka_unit_test(test_geometry__depthwise_columns),
        cmocka_unit_test(test_geometry__broadcasts),
        cmocka_unit_test(test_geometry__broadcasts_are_shared),
        cmocka_unit_test(test_geometry__transpose_any_strides),
        cmocka_unit_test(test_geometry__transpose_deep),
        cmocka_unit_test(test_geometry__blocks_of_a_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
