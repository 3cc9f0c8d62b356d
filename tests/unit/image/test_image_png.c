/*
 * PNG of every color type, bit depth and interlacing, written here from the
 * specification (ISO/IEC 15948), and chunks that change what pixels mean.
 */
#include "support/test.h"

#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "image/image.h"

enum {
    W = 11, /* no multiple of 8: rows end inside a byte */
    H = 9,
    GRAY = 0,
    RGB = 2,
    PALETTE = 3,
    GRAY_ALPHA = 4,
    RGB_ALPHA = 6
};

typedef struct picture {
    int type, depth;
    bool interlaced;
    const char *chunk; /* before the data, or NULL */
    size_t chunk_size;
} picture;

static void put32(md_buf *b, size_t v)
{
    const unsigned char p[] = { (unsigned char)(v >> 24),
                                (unsigned char)(v >> 16),
                                (unsigned char)(v >> 8), (unsigned char)v };

    assert_int_equal(md_buf_append(b, p, 4, NULL), MD_OK);
}

/* A chunk: its type's four letters come first in `body`. */
static void put_chunk(md_buf *b, const void *body, size_t size)
{
    put32(b, size - 4);
    assert_int_equal(md_buf_append(b, body, size, NULL), MD_OK);
    put32(b, crc32(0, body, (uInt)size));
}

static int channels_of(int type)
{
    return type == RGB ? 3 : type == RGB_ALPHA ? 4 : type == GRAY_ALPHA ? 2 : 1;
}

/* Sample c of pixel (x, y), of `depth` bits; 16-bit ones repeat their byte, so
 * that 8 bits hold them exactly. */
static unsigned sample(const picture *p, int x, int y, int c)
{
    unsigned v = (unsigned)(x * 37 + y * 101 + c * 59);

    return p->depth == 16 ? (v & 255) * 257 : v & ((1u << p->depth) - 1);
}

/* Entry i of the palette. */
static uint8_t palette(unsigned i, int c)
{
    return (uint8_t)(i * 53 + (unsigned)c * 91);
}

typedef struct bits {
    unsigned char data[W * H * 8 * 2];
    size_t n; /* bits */
} bits;

static void put_bits(bits *b, unsigned v, int depth)
{
    for (int i = depth; i-- > 0; b->n++) {
        if (b->n % 8 == 0)
            b->data[b->n / 8] = 0;
        b->data[b->n / 8] |= (unsigned char)((v >> i & 1) << (7 - b->n % 8));
    }
}

/* The pixels from (x0, y0) in steps, each row behind filter 0. */
static void put_pass(bits *b, const picture *p, int x0, int y0, int dx, int dy)
{
    for (int y = y0; y < H && x0 < W; y += dy) {
        put_bits(b, 0, 8);
        for (int x = x0; x < W; x += dx) {
            for (int c = 0; c < channels_of(p->type); c++)
                put_bits(b, sample(p, x, y, c), p->depth);
        }
        b->n = (b->n + 7) / 8 * 8;
    }
}

static void put_data(md_buf *b, const picture *p)
{
    /* Adam7: first column and row, and steps, of each pass. */
    static const int pass[][4] = { { 0, 0, 8, 8 }, { 4, 0, 8, 8 },
                                   { 0, 4, 4, 8 }, { 2, 0, 4, 4 },
                                   { 0, 2, 2, 4 }, { 1, 0, 2, 2 },
                                   { 0, 1, 1, 2 } };
    static bits raw;
    unsigned char body[4 + 4096] = "IDAT";
    uLongf size = sizeof(body) - 4;

    raw.n = 0;
    if (!p->interlaced)
        put_pass(&raw, p, 0, 0, 1, 1);
    for (size_t i = 0; p->interlaced && i < MD_COUNT(pass); i++)
        put_pass(&raw, p, pass[i][0], pass[i][1], pass[i][2], pass[i][3]);
    assert_int_equal(compress(body + 4, &size, raw.data, raw.n / 8), Z_OK);
    put_chunk(b, body, 4 + size);
}

static void make(md_buf *b, const picture *p)
{
    unsigned char head[] = { 'I', 'H', 'D', 'R', 0, 0, 0, W, 0,
                             0,   0,   H,   0,   0, 0, 0, 0 };
    unsigned char plte[4 + 3 * 256] = "PLTE";
    size_t n = (size_t)1 << (p->depth > 8 ? 8 : p->depth);

    head[12] = (unsigned char)p->depth;
    head[13] = (unsigned char)p->type;
    head[16] = p->interlaced;
    md_buf_init(b, md_alloc_default(), 1 << 16);
    assert_int_equal(md_buf_append(b, "\x89PNG\r\n\x1a\n", 8, NULL), MD_OK);
    put_chunk(b, head, sizeof(head));
    if (p->chunk && memcmp(p->chunk, "tRNS", 4) != 0)
        put_chunk(b, p->chunk, p->chunk_size);
    for (unsigned i = 0; i < n * 3; i++)
        plte[4 + i] = palette(i / 3, (int)(i % 3));
    if (p->type == PALETTE)
        put_chunk(b, plte, 4 + 3 * n);
    if (p->chunk && memcmp(p->chunk, "tRNS", 4) == 0)
        put_chunk(b, p->chunk, p->chunk_size);
    put_data(b, p);
    put_chunk(b, "IEND", 4);
}

/* Channel c of the pixel in 8 bits, as [0, 2^depth) is stretched to them. */
static int expected(const picture *p, int x, int y, int c)
{
    bool is_color = p->type == RGB || p->type == RGB_ALPHA;
    unsigned v = sample(p, x, y, is_color ? c : 0);

    if (p->type == PALETTE)
        return palette(v, c);
    return p->depth == 16 ? (int)(v / 257)
                          : (int)(v * 255 / ((1u << p->depth) - 1));
}

static void check(const picture *p)
{
    md_error err = MD_ERROR_INIT;
    md_image im;
    md_buf b;

    make(&b, p);
    assert_md_ok(md_image_decode(&im, b.data, b.size, 3, 1 << 16,
                                 md_alloc_default(), &err),
                 &err);
    assert_int_equal(im.width, W);
    assert_int_equal(im.height, H);
    for (int i = 0; i < W * H * 3; i++) {
        int want = expected(p, i / 3 % W, i / 3 / W, i % 3);

        if (im.pixels[i] != want)
            fail_msg("type %d, %d bits, interlaced %d, chunk %.4s: [%d]: %d "
                     "given, %d expected",
                     p->type, p->depth, p->interlaced,
                     p->chunk ? p->chunk : "none", i, im.pixels[i], want);
    }
    md_image_release(&im);
    md_buf_release(&b);
}

static void test_image_png__every_type_and_depth(void **state)
{
    static const struct {
        int type, depth;
    } kinds[] = { { GRAY, 1 },        { GRAY, 2 },      { GRAY, 4 },
                  { GRAY, 8 },        { GRAY, 16 },     { RGB, 8 },
                  { RGB, 16 },        { PALETTE, 1 },   { PALETTE, 2 },
                  { PALETTE, 4 },     { PALETTE, 8 },   { GRAY_ALPHA, 8 },
                  { GRAY_ALPHA, 16 }, { RGB_ALPHA, 8 }, { RGB_ALPHA, 16 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        check(&(picture){ .type = kinds[i].type, .depth = kinds[i].depth });
        check(&(picture){ .type = kinds[i].type,
                          .depth = kinds[i].depth,
                          .interlaced = true });
    }
}

/* Samples are taken as they are stored: what is transparent keeps its color,
 * and no gamma changes what a model was trained on. */
static void test_image_png__chunks_that_leave_the_samples(void **state)
{
    static const char trns_gray[] = "tRNS\0\3";
    static const char trns_rgb[] = "tRNS\0\1\0\2\0\3";
    static const char trns_palette[] = "tRNS\0\200\377\1";
    static const char linear[] = "gAMA\0\1\206\240"; /* 100000 */
    static const char usual[] = "gAMA\0\0\261\217";  /* 45455 */
    static const char srgb[] = "sRGB\0";
    const picture cases[] = {
        { GRAY, 4, false, trns_gray, 6 },
        { GRAY, 16, false, trns_gray, 6 },
        { RGB, 8, false, trns_rgb, 10 },
        { PALETTE, 4, false, trns_palette, 8 },
        { GRAY, 8, false, linear, 8 },
        { GRAY, 16, false, linear, 8 },
        { RGB, 8, true, linear, 8 },
        { RGB, 8, false, usual, 8 },
        { RGB_ALPHA, 16, false, usual, 8 },
        { RGB_ALPHA, 8, false, srgb, 5 },
        { PALETTE, 8, false, linear, 8 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        check(&cases[i]);
}

/* Types and depths that the specification does not have. */
static void test_image_png__kinds_that_are_none(void **state)
{
    static const struct {
        int type, depth;
    } kinds[] = { { RGB, 4 },  { PALETTE, 16 }, { GRAY_ALPHA, 4 },
                  { GRAY, 3 }, { 1, 8 },        { 7, 8 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        picture p = { .type = kinds[i].type, .depth = kinds[i].depth };
        md_error err = MD_ERROR_INIT;
        md_image im;
        md_buf b;

        make(&b, &p);
        assert_md_fails(md_image_decode(&im, b.data, b.size, 3, 1 << 16,
                                        md_alloc_default(), &err),
                        MD_INVALID, &err, "PNG picture is damaged");
        md_buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_png__every_type_and_depth),
        cmocka_unit_test(test_image_png__chunks_that_leave_the_samples),
        cmocka_unit_test(test_image_png__kinds_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
