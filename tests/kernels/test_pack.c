/*
 * Packed weights: for every element its place, computed here from what the
 * headers say, zeros everywhere else, and not a byte behind the size that is
 * asked for (a page that may not be touched begins there).
 */
#include "conv_f32_case.h"

#include "kernels/conv_f32.h"
#include "kernels/conv_s8.h"
#include "kernels/conv_stem_f32.h"
#include "kernels/dwconv_f32.h"
#include "kernels/dwconv_s8.h"
#include "kernels/gemm_f32.h"
#include "kernels/gemm_s8.h"

static int64_t up(int64_t n, int64_t unit)
{
    return md_div_up(n, unit) * unit;
}

/* A packed buffer of floats that must hold `want` where it is not 0. */
static void check_floats(const char *what, const float *got, const float *want,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&got[i], &want[i], sizeof(*got)) != 0)
            fail_msg("%s: [%zu] of %zu is %g, expected %g", what, i, n,
                     (double)got[i], (double)want[i]);
    }
}

/* ---- gemm_f32: panels of nr columns, each [k][width] ---- */

static void check_gemm(const md_gemm_f32_kernel *k, int64_t depth, int64_t n,
                       int64_t rs, int64_t cs, uint32_t *seed)
{
    const size_t count = (size_t)(depth * up(n, 16));
    const size_t b_n = (size_t)((depth - 1) * rs + (n - 1) * cs + 1);
    float *b = f32_random(b_n, seed), *got, *want;
    size_t size;

    assert_true(md_gemm_f32_packed_size(&size, depth, n));
    assert_int_equal(size, count * sizeof(float));
    got = md_guard_alloc(size);
    want = md_guard_alloc(size);
    memset(got, 0xff, size);
    for (int64_t j = 0; j < n; j++) {
        const int64_t first = j / k->nr * k->nr;
        const int64_t width = md_min_i64(k->nr, up(n - first, 16));

        for (int64_t i = 0; i < depth; i++)
            want[first * depth + i * width + j - first] = b[i * rs + j * cs];
    }
    k->pack_b(got, &(md_gemm_f32_b){ b, rs, cs, depth, n }, 0, n);
    check_floats(k->name, got, want, count);
    md_guard_free(got, size);
    md_guard_free(want, size);
    f32_free(b, b_n);
}

static void test_pack__gemm_f32(void **state)
{
    static const int64_t depths[] = { 1, 7, 8, 9, 15, 16, 17, 33 };
    uint32_t seed = 1;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        for (size_t i = 0;
             f32_usable(k->name, k->required) && i < MD_COUNT(depths); i++) {
            for (int64_t n = 1; n <= 2 * k->nr + 2; n++) {
                const int64_t d = depths[i];

                check_gemm(k, d, n, n + n % 3, 1, &seed); /* rows */
                check_gemm(k, d, n, 1, d + n % 3, &seed); /* transposed */
                check_gemm(k, d, n, 2 * n, 2, &seed);     /* neither */
            }
        }
    }
}

/* Each part of a pack lies at its place whatever is packed beside it. */
static void test_pack__gemm_f32_in_parts(void **state)
{
    uint32_t seed = 2;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        const int64_t n = 3 * k->nr + 5, depth = 11;
        const md_gemm_f32_b b = { f32_random((size_t)(n * depth), &seed), n, 1,
                                  depth, n };
        size_t size;
        float *all, *parts;

        if (!f32_usable(k->name, k->required))
            continue;
        assert_true(md_gemm_f32_packed_size(&size, depth, n));
        all = md_guard_alloc(size);
        parts = md_guard_alloc(size);
        memset(all, 0, size);
        memset(parts, 0x11, size);
        k->pack_b(all, &b, 0, n);
        for (int64_t at = 3 * k->nr; at >= 0; at -= k->nr)
            k->pack_b(parts, &b, at, md_min_i64(at + k->nr, n));
        assert_memory_equal(all, parts, size);
        k->pack_b(parts, &b, k->nr, k->nr); /* nothing */
        assert_memory_equal(all, parts, size);
        md_guard_free(all, size);
        md_guard_free(parts, size);
        f32_free((float *)b.b, (size_t)(n * depth));
    }
}

/* ---- gemm_s8: [n / 16][k / 4][16][4], and the start ---- */

static void check_gemm_s8(const md_gemm_s8_kernel *r, int64_t n, int64_t k,
                          bool trans, uint32_t *seed)
{
    const int64_t unit = (int64_t)r->quad_unit * 4, kp = up(k, unit);
    const size_t size = (size_t)(up(n, 16) * kp), count = (size_t)(n * k);
    int8_t *b = md_guard_alloc(count), *got = md_guard_alloc(size);
    int8_t *want = md_guard_alloc(size);
    int32_t *bias = md_guard_alloc((size_t)n * 4);
    int32_t *start = md_guard_alloc((size_t)up(n, 16) * 4);
    const int32_t zero = 100;

    md_guard_fill(b, count, seed);
    md_guard_fill(bias, (size_t)n * 4, seed);
    memset(got, 0x77, size);
    assert_int_equal(md_gemm_s8_packed_k(r, k), kp);
    assert_int_equal(md_gemm_s8_packed_size(r, n, k), size);
    for (int64_t j = (n - 1) / 16 * 16; j >= 0; j -= 16) /* in any order */
        md_gemm_s8_pack(
            got, r, &(md_gemm_s8_b){ b, n, k, trans ? k : 1, trans ? 1 : n }, j,
            md_min_i64(j + 16, n));
    for (int64_t i = 0; i < n * k; i++) {
        const int64_t j = i % n, l = i / n;

        want[j / 16 * 16 * kp + l / 4 * 64 + j % 16 * 4 + l % 4] =
            b[trans ? j * k + l : i];
    }
    assert_memory_equal(got, want, size);
    for (int how = 0; how < 4; how++) {
        md_gemm_s8_start(start, got, n, kp, how & 1 ? bias : NULL, zero,
                         how & 2);
        for (int64_t j = 0; j < up(n, 16); j++) {
            int64_t sum = 0;
            uint32_t expect;

            for (int64_t l = 0; l < k && j < n; l++)
                sum += b[trans ? j * k + l : l * n + j];
            expect = (how & 1 && j < n ? (uint32_t)bias[j] : 0) -
                     (uint32_t)((zero + (how & 2 ? 128 : 0)) * sum);
            assert_int_equal(start[j], (int32_t)expect); /* modulo 2^32 */
        }
    }
    md_guard_free(b, count);
    md_guard_free(got, size);
    md_guard_free(want, size);
    md_guard_free(bias, (size_t)n * 4);
    md_guard_free(start, (size_t)up(n, 16) * 4);
}

static void test_pack__gemm_s8(void **state)
{
    static const int64_t sizes[] = { 1, 3, 4, 5, 15, 16, 17, 64, 65 };
    uint32_t seed = 3;

    (void)state;
    for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
        for (size_t i = 0; i < MD_COUNT(sizes) * MD_COUNT(sizes); i++) {
            check_gemm_s8(r, sizes[i % MD_COUNT(sizes)],
                          sizes[i / MD_COUNT(sizes)], i % 2, &seed);
        }
    }
}

/* ---- convolutions ---- */

static const md_conv_shape shapes[] = {
    { 1, 1, 9, 9, 1, 9, 9, 1, 1, 1, 1, 0, 0, 1, 1 },
    { 1, 3, 9, 9, 17, 9, 9, 3, 2, 1, 1, 1, 1, 1, 1 },
    { 1, 16, 9, 9, 32, 9, 9, 1, 5, 1, 1, 1, 1, 1, 2 },
    { 1, 20, 9, 9, 15, 9, 9, 2, 3, 1, 1, 1, 1, 2, 1 },
    { 1, 33, 9, 9, 33, 9, 9, 3, 3, 1, 1, 1, 1, 2, 2 },
};

/* [groups][oc block][ic block][kh][kw][16 ic][16 oc] */
static void check_conv(const md_conv_shape *s, int64_t groups, uint32_t *seed)
{
    const int64_t ic = s->ic / groups, oc = s->oc / groups;
    const int64_t taps = s->kh * s->kw, ib = up(ic, 16) / 16;
    const int64_t ob = up(oc, 16) / 16;
    const size_t count = (size_t)(groups * ob * ib * taps * 256);
    const size_t w_n = (size_t)(s->oc * ic * taps);
    float *w = f32_random(w_n, seed), *got, *want;
    size_t size;

    assert_true(md_conv_f32_packed_size(&size, s, groups));
    assert_int_equal(size, count * sizeof(float));
    got = md_guard_alloc(size);
    want = md_guard_alloc(size);
    memset(got, 0xff, size);
    for (int64_t i = 0; i < (int64_t)w_n; i++) {
        const int64_t t = i % taps, c = i / taps % ic, o = i / taps / ic % oc;
        const int64_t g = i / taps / ic / oc;
        const int64_t block = (g * ob + o / 16) * ib + c / 16;

        want[((block * taps + t) * 16 + c % 16) * 16 + o % 16] = w[i];
    }
    md_conv_f32_pack(got, w, s, groups);
    check_floats("conv_f32", got, want, count);
    md_guard_free(got, size);
    md_guard_free(want, size);
    f32_free(w, w_n);
}

static void test_pack__conv_f32(void **state)
{
    static const md_conv_shape grouped = { 1, 64, 9, 9, 96, 9, 9, 2,
                                           3, 1,  1, 1, 1,  1, 1 };
    uint32_t seed = 4;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(shapes); i++)
        check_conv(&shapes[i], 1, &seed);
    check_conv(&grouped, 2, &seed);
}

/* [oc block][kh][ic][kw][16 oc], and for one channel each [block][kh][kw][16].
 */
static void test_pack__stem_and_depthwise(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (size_t k = 0; k < 2 * MD_COUNT(shapes); k++) {
        const bool dw = k % 2;
        const md_conv_shape *s = &shapes[k / 2];
        const int64_t taps = s->kh * s->kw, ic = dw ? 1 : s->ic;
        const size_t count = (size_t)(up(s->oc, 16) * ic * taps);
        const size_t w_n = (size_t)(s->oc * ic * taps);
        float *w = f32_random(w_n, &seed), *got, *want;
        size_t size;

        assert_true(dw ? md_dwconv_f32_packed_size(&size, s)
                       : md_conv_stem_f32_packed_size(&size, s));
        assert_int_equal(size, count * sizeof(float));
        got = md_guard_alloc(size);
        want = md_guard_alloc(size);
        memset(got, 0xff, size);
        for (int64_t i = 0; i < (int64_t)w_n; i++) {
            const int64_t kx = i % s->kw, ky = i / s->kw % s->kh;
            const int64_t c = i / taps % ic, o = i / taps / ic;

            want[(((o / 16 * s->kh + ky) * ic + c) * s->kw + kx) * 16 +
                 o % 16] = w[i];
        }
        if (dw)
            md_dwconv_f32_pack(got, w, s);
        else
            md_conv_stem_f32_pack(got, w, s);
        check_floats(dw ? "dwconv_f32" : "conv_stem_f32", got, want, count);
        md_guard_free(got, size);
        md_guard_free(want, size);
        f32_free(w, w_n);
    }
}

/* All weights are there, once, in the columns of their channels, with zeros
 * between: as sums of columns and as sorted bytes. */
static void check_conv_s8(const md_gemm_s8_kernel *r, const md_conv_shape *s,
                          int x_block, uint32_t *seed)
{
    const int64_t k = md_conv_s8_packed_k(r, s, x_block);
    const size_t size = md_conv_s8_packed_size(r, s, x_block);
    const int64_t per = s->ic * s->kh * s->kw;
    int8_t *w = md_guard_alloc((size_t)(s->oc * per));
    int8_t *got = md_guard_alloc(size);

    assert_int_equal(size, up(s->oc, 16) * k);
    assert_int_equal(k % (4 * (int64_t)r->quad_unit), 0);
    assert_true(k >= per);
    md_guard_fill(w, (size_t)(s->oc * per), seed);
    memset(got, 0x77, size);
    for (int64_t i = up(s->oc, 16) / 16; i-- > 0;) /* in any order */
        md_conv_s8_pack(got, r, w, s, x_block, i, i + 1);
    for (int64_t o = 0; o < up(s->oc, 16); o++) {
        int64_t counts[256] = { 0 };

        for (int64_t i = 0; i < k; i++)
            counts[(uint8_t)got[o / 16 * 16 * k + i / 4 * 64 + o % 16 * 4 +
                                i % 4]]++;
        for (int64_t i = 0; i < per && o < s->oc; i++)
            counts[(uint8_t)w[o * per + i]]--;
        counts[0] -= o < s->oc ? k - per : k;
        for (int i = 0; i < 256; i++)
            assert_int_equal(counts[i], 0);
    }
    md_guard_free(w, (size_t)(s->oc * per));
    md_guard_free(got, size);
}

static void test_pack__conv_s8(void **state)
{
    uint32_t seed = 6;

    (void)state;
    for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
        for (size_t i = 0; i < MD_COUNT(shapes); i++) {
            check_conv_s8(r, &shapes[i], MD_LANES, &seed);
            if (shapes[i].ic <= 4)
                check_conv_s8(r, &shapes[i], 4, &seed);
        }
    }
}

/* Words [taps][16] with a high half of 0, then bytes [quads][16][4]: of rows of
 * three or four neighbours each, or of any four taps. */
static void test_pack__dwconv_s8(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (size_t n = 0; n < MD_COUNT(shapes); n++) {
        const md_conv_shape *s = &shapes[n];
        const bool by_row = s->dilation_w == 1 && (s->kw == 3 || s->kw == 4);
        const int64_t per = by_row ? s->kw : 4;
        const int64_t taps = s->kh * s->kw, quads = up(taps, per) / per;
        const int64_t blocks = up(s->oc, 16) / 16;
        const int64_t block = taps * 64 + quads * 64;
        const size_t size = (size_t)(blocks * block);
        const size_t w_n = (size_t)(s->oc * taps);
        int8_t *w = md_guard_alloc(w_n), *got = md_guard_alloc(size);
        int8_t *want = md_guard_alloc(size);
        int32_t *start = md_guard_alloc((size_t)blocks * 64);
        int32_t *bias = md_guard_alloc((size_t)s->oc * 4);

        md_guard_fill(w, w_n, &seed);
        md_guard_fill(bias, (size_t)s->oc * 4, &seed);
        memset(got, 0x77, size);
        memset(start, 0x77, (size_t)blocks * 64);
        assert_int_equal(md_dwconv_s8_packed_size(s), size);
        for (int64_t i = 0; i < (int64_t)w_n; i++) {
            const int64_t o = i / taps, t = i % taps;
            const uint32_t word = (uint32_t)w[i] & 0xffff;

            memcpy(want + o / 16 * block + (t * 16 + o % 16) * 4, &word, 4);
            want[o / 16 * block + taps * 64 + (t / per * 16 + o % 16) * 4 +
                 t % per] = w[i];
        }
        for (int how = 0; how < 4; how++) {
            const int32_t zero = how & 1 ? 117 : -3;

            md_dwconv_s8_pack(got, start, w, how & 1 ? bias : NULL, zero,
                              how & 2, s);
            assert_memory_equal(got, want, size);
            for (int64_t o = 0; o < blocks * 16; o++) {
                int64_t sum = 0;
                uint32_t expect = 0;

                for (int64_t t = 0; t < taps && o < s->oc; t++)
                    sum += w[o * taps + t];
                if (o < s->oc)
                    expect = (how & 1 ? (uint32_t)bias[o] : 0) -
                             (uint32_t)((zero + (how & 2 ? 128 : 0)) * sum);
                assert_int_equal(start[o], (int32_t)expect);
            }
        }
        md_guard_free(w, w_n);
        md_guard_free(got, size);
        md_guard_free(want, size);
        md_guard_free(start, (size_t)blocks * 64);
        md_guard_free(bias, (size_t)s->oc * 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack__gemm_f32),
        cmocka_unit_test(test_pack__gemm_f32_in_parts),
        cmocka_unit_test(test_pack__gemm_s8),
        cmocka_unit_test(test_pack__conv_f32),
        cmocka_unit_test(test_pack__stem_and_depthwise),
        cmocka_unit_test(test_pack__conv_s8),
        cmocka_unit_test(test_pack__dwconv_s8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
