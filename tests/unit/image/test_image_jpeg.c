/* JPEG beyond the plain kind: scans, markers, restarts, color to gray. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "image/image.h"

enum {
    W = 24,
    H = 17
};

/* A gradient: smooth, so that a quality of 100 keeps it within some steps. */
static uint8_t pixel(int x, int y, int c)
{
    return (uint8_t)(20 + x * 5 + y * 3 + c * 17);
}

typedef struct kind {
    bool progressive;
    int channels; /* 1 or 3 */
    int restart;  /* rows of blocks between restart markers, 0: none */
    int marker;   /* JPEG_APP0 + 1 with an EXIF orientation, or 0 */
} kind;

static unsigned long encode(unsigned char **out, const kind *k)
{
    /* Big endian TIFF: one entry, orientation (0x112) 6: turn right. */
    static const unsigned char exif[] =
        "Exif\0\0MM\0\52\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0\0";
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned long size = 0;
    uint8_t line[W * 3];
    JSAMPROW row = line;

    *out = NULL;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, out, &size);
    c.image_width = W;
    c.image_height = H;
    c.input_components = k->channels;
    c.in_color_space = k->channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1;
    c.restart_in_rows = k->restart;
    if (k->progressive)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    if (k->marker)
        jpeg_write_marker(&c, k->marker, exif, sizeof(exif) - 1);
    while (c.next_scanline < H) {
        for (int i = 0; i < W * k->channels; i++)
            line[i] =
                pixel(i / k->channels, (int)c.next_scanline, i % k->channels);
        (void)jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return size;
}

static int gray(int x, int y)
{
    return (299 * pixel(x, y, 0) + 587 * pixel(x, y, 1) +
            114 * pixel(x, y, 2)) /
           1000;
}

static void check(const kind *k, int channels)
{
    md_error err = MD_ERROR_INIT;
    unsigned char *data;
    unsigned long size = encode(&data, k);
    md_image im;

    assert_md_ok(md_image_decode(&im, data, size, channels, 1 << 16,
                                 md_alloc_default(), &err),
                 &err);
    /* Not turned, whatever EXIF says: models see the samples as stored. */
    assert_int_equal(im.width, W);
    assert_int_equal(im.height, H);
    for (int i = 0; i < W * H * channels; i++) {
        int x = i / channels % W;
        int y = i / channels / W;
        int want = k->channels == 1 ? pixel(x, y, 0)
                   : channels == 1  ? gray(x, y)
                                    : pixel(x, y, i % channels);

        /* Quantization by 1, and YCbCr there and back in 8 bits. */
        if (abs(im.pixels[i] - want) > 4)
            fail_msg("channels %d, [%d]: %d given, %d expected", channels, i,
                     im.pixels[i], want);
    }
    md_image_release(&im);
    free(data);
}

static void test_image_jpeg__every_kind_gives_the_picture(void **state)
{
    static const kind kinds[] = {
        { .channels = 1 },
        { .channels = 3 },
        { .channels = 1, .progressive = true },
        { .channels = 3, .progressive = true },
        { .channels = 3, .restart = 1 },
        { .channels = 3, .progressive = true, .restart = 1 },
        { .channels = 3, .marker = JPEG_APP0 + 1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        check(&kinds[i], 1);
        check(&kinds[i], 3);
    }
}

/* Each prefix is refused, except where only the end marker is missing; each
 * byte turned over is answered, and nothing is kept. */
static void test_image_jpeg__damaged(void **state)
{
    static const kind kinds[] = {
        { .channels = 3 },
        { .channels = 3, .progressive = true },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        unsigned char *data;
        unsigned long size = encode(&data, &kinds[i]);
        md_image im;

        for (unsigned long n = 0; n + 2 < size; n++) {
            md_error err = MD_ERROR_INIT;

            assert_int_not_equal(md_image_decode(&im, data, n, 3, 1 << 16,
                                                 md_alloc_default(), &err),
                                 MD_OK);
            assert_true(err.msg[0] != '\0');
            assert_null(im.pixels);
        }
        for (unsigned long n = 0; n < size; n++) {
            md_error err = MD_ERROR_INIT;
            md_status s;

            data[n] ^= 0xff;
            s = md_image_decode(&im, data, size, 3, 1 << 16, md_alloc_default(),
                                &err);
            assert_true((s == MD_OK) == (im.pixels != NULL));
            assert_true((s == MD_OK) == (err.msg[0] == '\0'));
            md_image_release(&im);
            data[n] ^= 0xff;
        }
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_jpeg__every_kind_gives_the_picture),
        cmocka_unit_test(test_image_jpeg__damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
