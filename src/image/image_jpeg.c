/* JPEG by libjpeg, whose errors come back by longjmp. */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "image/image_impl.h"

enum {
    SCANS_MAX = 100 /* of a progressive picture; each costs a pass */
};

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    md_status status; /* of our own checks */
} reader;

static void on_error(j_common_ptr jpeg)
{
    longjmp(((reader *)jpeg->client_data)->back, 1);
}

/* Warnings of damaged data are errors here: half a picture is none. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0)
        on_error(jpeg);
}

/* A small file can ask for thousands of passes over a large picture. */
static void on_progress(j_common_ptr jpeg)
{
    if (((reader *)jpeg->client_data)->jpeg.input_scan_number > SCANS_MAX)
        on_error(jpeg);
}

/* Leaves by longjmp when libjpeg finds a fault. */
static void read(reader *r, md_image *image, const void *data, size_t size,
                 size_t pixels_max, md_error *err)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    size_t line;

    jpeg_create_decompress(jpeg);
    jpeg->progress = &r->progress;
    jpeg_mem_src(jpeg, data, (unsigned long)size);
    (void)jpeg_read_header(jpeg, TRUE);
    image->width = (int)jpeg->image_width;
    image->height = (int)jpeg->image_height;
    r->status = md_image__alloc(image, pixels_max, err);
    if (r->status != MD_OK)
        return;
    jpeg->out_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    (void)jpeg_start_decompress(jpeg);
    line = (size_t)image->width * (size_t)image->channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = image->pixels + jpeg->output_scanline * line;

        (void)jpeg_read_scanlines(jpeg, &row, 1);
    }
    (void)jpeg_finish_decompress(jpeg);
}

/* Apart from its caller, whose r stays as it is when longjmp comes back. */
static void read_guarded(reader *r, md_image *image, const void *data,
                         size_t size, size_t pixels_max, md_error *err)
{
    if (setjmp(r->back) == 0)
        read(r, image, data, size, pixels_max, err);
    else
        r->status = md_fail(err, MD_INVALID,
                            "JPEG picture is damaged or of a kind that cannot "
                            "be decoded");
}

md_status md_image__jpeg(md_image *image, const void *data, size_t size,
                         size_t pixels_max, md_error *err)
{
    reader r = { .status = MD_OK };

    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.progress.progress_monitor = on_progress;
    read_guarded(&r, image, data, size, pixels_max, err);
    jpeg_destroy_decompress(&r.jpeg);
    return r.status;
}
