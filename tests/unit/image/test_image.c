#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/file.h"
#include "image/image.h"

enum {
    PIXELS_MAX = 1 << 20
};

static void load(md_buf *b, const char *name)
{
    char path[512];
    md_error err = MD_ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/golden/images/%s", MD_TEST_DIR,
                   name);
    md_buf_init(b, md_alloc_default(), 1 << 20);
    assert_md_ok(md_file_read(b, path, &err), &err);
}

static void test_image__decodes_png(void **state)
{
    static const struct {
        const char *file;
        int channels;
        int width;
        int height;
        uint8_t pixels[12];
    } cases[] = {
        { "quad.png",
          3,
          2,
          2,
          { 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255 } },
        /* 0.299, 0.587, 0.114 of 255 */
        { "quad.png", 1, 2, 2, { 76, 150, 29, 255 } },
        { "gray.png", 1, 3, 1, { 0, 128, 255 } },
        { "gray.png", 3, 3, 1, { 0, 0, 0, 128, 128, 128, 255, 255, 255 } },
        { "alpha.png", 3, 2, 1, { 10, 20, 30, 40, 50, 60 } },
        { "gray_alpha.png", 1, 2, 1, { 7, 9 } },
        { "palette.png", 3, 2, 1, { 200, 100, 50, 1, 2, 3 } },
        { "deep.png", 1, 2, 1, { 0, 255 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_image im;
        md_buf b;

        load(&b, cases[i].file);
        assert_true(md_image_probe(b.data, b.size));
        assert_md_ok(md_image_decode(&im, b.data, b.size, cases[i].channels,
                                     PIXELS_MAX, md_alloc_default(), &err),
                     &err);
        assert_int_equal(im.width, cases[i].width);
        assert_int_equal(im.height, cases[i].height);
        assert_memory_equal(im.pixels, cases[i].pixels,
                            (size_t)im.width * (size_t)im.height *
                                (size_t)im.channels);
        md_image_release(&im);
        md_image_release(&im); /* again: nothing */
        md_buf_release(&b);
    }
}

static void refuse(const void *data, size_t size, md_status want,
                   const char *text)
{
    md_error err = MD_ERROR_INIT;
    md_image im;

    assert_md_fails(md_image_decode(&im, data, size, 3, PIXELS_MAX,
                                    md_alloc_default(), &err),
                    want, &err, text);
    assert_null(im.pixels);
}

static void test_image__refuses(void **state)
{
    md_buf b;

    (void)state;
    refuse("", 0, MD_MEDIA_TYPE, "neither PNG, JPEG, WebP");
    refuse("GIF89a", 6, MD_MEDIA_TYPE, "neither PNG, JPEG, WebP");
    refuse("\xff\xd8\xff", 3, MD_INVALID, "JPEG picture is damaged");
    load(&b, "huge.png");
    refuse(b.data, b.size, MD_TOO_LARGE,
           "picture of 60000 x 60000 pixels given, 1 to 1048576 expected");
    md_buf_release(&b);
    load(&b, "empty.png");
    refuse(b.data, b.size, MD_INVALID, "PNG picture is damaged");
    md_buf_release(&b);
}

/* Cut at every byte, and each byte turned over: an answer every time. */
static void test_image__damaged_png(void **state)
{
    md_buf b;
    md_image im;

    (void)state;
    load(&b, "quad.png");
    for (size_t n = 0; n + 12 < b.size; n++) {
        assert_int_not_equal(md_image_decode(&im, b.data, n, 3, PIXELS_MAX,
                                             md_alloc_default(), NULL),
                             MD_OK);
        md_image_release(&im);
    }
    for (size_t n = 0; n < b.size; n++) {
        b.data[n] ^= 0xff;
        (void)md_image_decode(&im, b.data, b.size, 3, PIXELS_MAX,
                              md_alloc_default(), NULL);
        md_image_release(&im);
        b.data[n] ^= 0xff;
    }
    md_buf_release(&b);
}

/* ---- JPEG ---- */

/* A w x h picture of one color; gives its size. */
static unsigned long encode(unsigned char **out, unsigned w, unsigned h,
                            int channels, const uint8_t *color)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned long size = 0;
    uint8_t *row = test_malloc((size_t)w * (size_t)channels);

    *out = NULL;
    for (unsigned i = 0; i < w * (unsigned)channels; i++)
        row[i] = color[i % (unsigned)channels];
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, out, &size);
    c.image_width = w;
    c.image_height = h;
    c.input_components = channels;
    c.in_color_space = channels == 4   ? JCS_CMYK
                       : channels == 3 ? JCS_RGB
                                       : JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < h)
        (void)jpeg_write_scanlines(&c, &row, 1);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    test_free(row);
    return size;
}

static void test_image__decodes_jpeg(void **state)
{
    static const uint8_t red[] = { 200, 30, 60 };
    static const uint8_t gray[] = { 99 };
    md_error err = MD_ERROR_INIT;
    unsigned char *data;
    unsigned long size = encode(&data, 17, 9, 3, red);
    md_image im;

    (void)state;
    assert_md_ok(md_image_decode(&im, data, size, 3, PIXELS_MAX,
                                 md_alloc_default(), &err),
                 &err);
    assert_int_equal(im.width, 17);
    assert_int_equal(im.height, 9);
    for (int i = 0; i < 17 * 9 * 3; i++)
        assert_in_range(im.pixels[i] + 3, red[i % 3], red[i % 3] + 6);
    md_image_release(&im);
    refuse(data, size / 2, MD_INVALID, "JPEG picture is damaged");
    free(data);
    size = encode(&data, 4, 4, 1, gray);
    assert_md_ok(md_image_decode(&im, data, size, 1, PIXELS_MAX,
                                 md_alloc_default(), &err),
                 &err);
    assert_in_range(im.pixels[15], 98, 100);
    md_image_release(&im);
    free(data);
}

static void test_image__refuses_jpeg(void **state)
{
    static const uint8_t ink[] = { 1, 2, 3, 4 };
    unsigned char *data;
    unsigned long size = encode(&data, 8, 8, 4, ink);

    (void)state;
    refuse(data, size, MD_INVALID, "of a kind that cannot be decoded");
    free(data);
    size = encode(&data, 1200, 1200, 1, ink);
    refuse(data, size, MD_TOO_LARGE, "picture of 1200 x 1200 pixels");
    free(data);
}

/* ---- sizes ---- */

static md_image make(int width, int height, int channels)
{
    md_image im = { .width = width,
                    .height = height,
                    .channels = channels,
                    .alloc = md_alloc_default() };

    im.pixels =
        md_calloc(im.alloc, (size_t)width * (size_t)height, (size_t)channels);
    return im;
}

static void test_image__resizes(void **state)
{
    static const struct {
        int from;
        int to;
        uint8_t in[6];
        uint8_t out[6];
    } cases[] = {
        { 4, 4, { 1, 2, 3, 4 }, { 1, 2, 3, 4 } },
        { 2, 4, { 0, 100 }, { 0, 25, 75, 100 } },
        /* the middle pixels count most, the edges some */
        { 6, 2, { 0, 0, 0, 90, 90, 90 }, { 11, 79 } },
        { 1, 3, { 7 }, { 7, 7, 7 } },
        { 4, 1, { 10, 20, 30, 40 }, { 25 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        for (int across = 0; across < 2; across++) {
            md_error err = MD_ERROR_INIT;
            int from = cases[i].from;
            int to = cases[i].to;
            md_image in = make(across ? from : 1, across ? 1 : from, 1);
            md_image out;

            memcpy(in.pixels, cases[i].in, (size_t)from);
            assert_md_ok(md_image_resize(&out, &in, across ? to : 1,
                                         across ? 1 : to, &err),
                         &err);
            assert_memory_equal(out.pixels, cases[i].out, (size_t)to);
            md_image_release(&in);
            md_image_release(&out);
        }
}

static void test_image__resizes_each_channel(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_image in = make(5, 3, 3);
    md_image out;

    (void)state;
    for (int i = 0; i < 45; i++)
        in.pixels[i] = (uint8_t)(10 + 100 * (i % 3));
    assert_md_ok(md_image_resize(&out, &in, 2, 7, &err), &err);
    for (int i = 0; i < 42; i++)
        assert_int_equal(out.pixels[i], 10 + 100 * (i % 3));
    md_image_release(&out);
    assert_md_fails(md_image_resize(&out, &in, 1 << 20, 1 << 20, &err),
                    MD_TOO_LARGE, &err, "1048576 x 1048576");
    md_image_release(&in);
}

static void test_image__pads(void **state)
{
    static const uint8_t want[] = { 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0 };
    md_error err = MD_ERROR_INIT;
    md_image in = make(2, 1, 1);
    md_image out;

    (void)state;
    in.pixels[0] = 1;
    in.pixels[1] = 2;
    assert_md_ok(md_image_pad(&out, &in, 4, 3, &err), &err);
    assert_memory_equal(out.pixels, want, sizeof(want));
    md_image_release(&in);
    md_image_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image__decodes_png),
        cmocka_unit_test(test_image__refuses),
        cmocka_unit_test(test_image__damaged_png),
        cmocka_unit_test(test_image__decodes_jpeg),
        cmocka_unit_test(test_image__refuses_jpeg),
        cmocka_unit_test(test_image__resizes),
        cmocka_unit_test(test_image__resizes_each_channel),
        cmocka_unit_test(test_image__pads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
