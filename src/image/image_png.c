/* PNG by libpng, whose errors come back by longjmp. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "base/size.h"
#include "image/image_impl.h"

typedef struct reader {
    png_structp png;
    png_infop info;
    const uint8_t *p; /* what is left of the file */
    size_t size;
    uint8_t *raw;     /* [height, width, from] */
    int from;         /* channels per pixel: 1 or 3 */
    md_status status; /* of our own checks */
} reader;

static void on_error(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void take(png_structp png, png_bytep out, size_t n)
{
    reader *r = png_get_io_ptr(png);

    if (n > r->size)
        png_error(png, "end of data");
    memcpy(out, r->p, n);
    r->p += n;
    r->size -= n;
}

/*
 * 8 bits per sample, without palette and alpha.  Samples of 16 bits are scaled
 * and no gamma is applied, whatever the file says of it: models are trained on
 * what is stored.
 */
static void set_transforms(const reader *r)
{
    png_set_expand(r->png);
    png_set_scale_16(r->png);
    png_set_strip_alpha(r->png);
}

/* Everything that does not tell where the samples are is passed over. */
static void skip_chunks(const reader *r)
{
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_AS_DEFAULT,
                                (png_const_bytep) "tRNS", 1);
}

/* Leaves by longjmp when libpng finds a fault. */
static void read_rows(reader *r, const md_image *image)
{
    size_t line = (size_t)image->width * (size_t)r->from;
    int passes = png_set_interlace_handling(r->png);

    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != line)
        png_error(r->png, "unexpected row");
    while (passes-- > 0) {
        for (size_t y = 0; y < (size_t)image->height; y++)
            png_read_row(r->png, r->raw + y * line, NULL);
    }
}

static md_status make_room(reader *r, md_image *image, size_t pixels_max,
                           md_error *err)
{
    size_t size;

    image->width = (int)png_get_image_width(r->png, r->info);
    image->height = (int)png_get_image_height(r->png, r->info);
    r->from =
        png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR ? 3 : 1;
    MD_TRY(md_image__alloc(image, pixels_max, err));
    size = (size_t)image->width * (size_t)image->height * (size_t)r->from;
    r->raw = md_malloc(image->alloc, size);
    return r->raw ? MD_OK : md_fail_nomem(err, size);
}

static void read(reader *r, md_image *image, size_t pixels_max, md_error *err)
{
    png_set_read_fn(r->png, r, take);
    /* Ours is the limit of sizes, with its text. */
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    skip_chunks(r);
    png_read_info(r->png, r->info);
    r->status = make_room(r, image, pixels_max, err);
    if (r->status != MD_OK)
        return;
    set_transforms(r);
    read_rows(r, image);
}

/* Apart from its caller, whose r stays as it is when longjmp comes back. */
static void read_guarded(reader *r, md_image *image, size_t pixels_max,
                         md_error *err)
{
    if (setjmp(png_jmpbuf(r->png)) == 0)
        read(r, image, pixels_max, err);
    else
        r->status = md_fail(err, MD_INVALID, "PNG picture is damaged");
}

/* From `from` channels per pixel to image->channels. */
static void convert(md_image *image, const uint8_t *in, int from)
{
    size_t n = (size_t)image->width * (size_t)image->height;

    for (size_t i = 0; i < n; i++, in += from) {
        uint8_t *out = image->pixels + i * (size_t)image->channels;

        if (image->channels == 1)
            out[0] = from == 3 ? md_image_gray(in) : in[0];
        else
            for (int c = 0; c < 3; c++)
                out[c] = in[from == 3 ? c : 0];
    }
}

md_status md_image__png(md_image *image, const void *data, size_t size,
                        size_t pixels_max, md_error *err)
{
    reader r = { .p = data, .size = size };

    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, on_error,
                                   on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info)
        read_guarded(&r, image, pixels_max, err);
    else
        r.status = md_fail_nomem(err, sizeof(r));
    if (r.status == MD_OK)
        convert(image, r.raw, r.from);
    md_free(image->alloc, r.raw);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    return r.status;
}
