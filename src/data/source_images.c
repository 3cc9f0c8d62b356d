/*
 * A folder that holds a folder of pictures for each class.
 *
 * Classes are numbered in the order of their folders' names (bytes), unless
 * all of these are numbers, which then are the classes, or the model has
 * labels among which they all are.  Pictures are in the order of their names.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/num.h"
#include "data/source.h"

#define ENDINGS ".png .jpg .jpeg .webp .bmp .pgm .ppm .pnm"

enum {
    PATH_SIZE = 4096,
    FILE_SIZE_MAX = 256 << 20, /* bytes of a picture's file */
    SAMPLES_MAX = 1 << 28
};

typedef struct names {
    const char **at;
    uint32_t n, cap;
} names;

typedef struct images {
    md_picture picture;
    const char **path; /* of each sample */
    int64_t *label;
    uint32_t cap_path, cap_label;
    uint32_t n;
} images;

/* Any folder; what is in it is looked at when it is opened. */
static bool probe(const char *path, bool is_folder)
{
    (void)path;
    return is_folder;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static md_status add_name(names *list, const char *name, md_arena *ar,
                          md_error *err)
{
    MD_TRY(md_arena_grow(ar, &list->at, &list->cap, list->n, sizeof(*list->at),
                         err));
    list->at[list->n] = md_arena_strdup(ar, name);
    if (!list->at[list->n])
        return md_fail_nomem(err, strlen(name));
    list->n++;
    return MD_OK;
}

static bool is_folder_at(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    struct stat st;

    return snprintf(path, sizeof(path), "%s/%s", folder, name) < PATH_SIZE &&
           stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The folders in a folder, or its pictures, sorted; hidden ones do not
 * count. */
static md_status list_folder(names *out, const char *folder, bool folders,
                             md_arena *ar, md_error *err)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    md_status s = MD_OK;

    if (!dir)
        return md_fail(err, MD_IO, "'%s' cannot be listed", folder);
    while (s == MD_OK && (e = readdir(dir))) {
        bool is_one = folders ? is_folder_at(folder, e->d_name)
                              : md_source__ends(e->d_name, ENDINGS);

        if (is_one && e->d_name[0] != '.')
            s = add_name(out, e->d_name, ar, err);
    }
    closedir(dir);
    if (s == MD_OK && out->n > 1)
        qsort(out->at, out->n, sizeof(*out->at), by_name);
    return s;
}

/* All names are numbers: they are the classes. */
static bool take_numbers(int64_t *map, const names *classes)
{
    for (uint32_t i = 0; i < classes->n; i++) {
        const unsigned char *p = (const unsigned char *)classes->at[i];
        const unsigned char *end = p + strlen(classes->at[i]);

        if (md_num_i64(&map[i], &p, p, end) != MD_NUM_OK || p != end ||
            map[i] < 0)
            return false;
    }
    return true;
}

static md_status add_sample(md_dataset *d, const char *folder, const char *name,
                            int64_t label, md_error *err)
{
    images *im = d->impl;
    char *path;

    if (im->n == SAMPLES_MAX)
        return md_fail(err, MD_TOO_LARGE, "more than %d pictures", SAMPLES_MAX);
    MD_TRY(md_arena_grow(&d->arena, &im->path, &im->cap_path, im->n,
                         sizeof(*im->path), err));
    MD_TRY(md_arena_grow(&d->arena, &im->label, &im->cap_label, im->n,
                         sizeof(*im->label), err));
    path = md_arena_printf(&d->arena, "%s/%s", folder, name);
    if (!path)
        return md_fail_nomem(err, PATH_SIZE);
    im->path[im->n] = path;
    im->label[im->n++] = label;
    return MD_OK;
}

static md_status add_class(md_dataset *d, const char *root, const char *name,
                           int64_t label, md_error *err)
{
    const char *folder = md_arena_printf(&d->arena, "%s/%s", root, name);
    names files = { NULL, 0, 0 };

    if (!folder)
        return md_fail_nomem(err, PATH_SIZE);
    MD_TRY(list_folder(&files, folder, false, &d->arena, err));
    for (uint32_t i = 0; i < files.n; i++)
        MD_TRY(add_sample(d, folder, files.at[i], label, err));
    return MD_OK;
}

/* The input's sides are known: samples of one batch have one size. */
static md_status take_input(md_dataset *d, const md_model *m, md_error *err)
{
    images *im = d->impl;
    md_data_input *in = &d->inputs[0];
    const md_type *type = md_source__type(m, 0);
    char text[MD_SHAPE_TEXT * 2];

    MD_TRY(md_source__picture(&im->picture, m, 0, err));
    if (!im->picture.accepted)
        return md_fail(err, MD_INVALID,
                       "the model takes no pictures: input '%s' is %s",
                       in->name, md_type_format(text, sizeof(text), m, type));
    in->sample.rank = type->rank - 1;
    for (int k = 1; k < type->rank; k++) {
        if (type->dim[k].sym)
            return md_fail(
                err, MD_INVALID, "input '%s' is %s: pictures need fixed sides",
                in->name, md_type_format(text, sizeof(text), m, type));
        in->sample.dim[k - 1] = type->dim[k].k;
    }
    in->n = md_shape_n(&in->sample);
    return MD_OK;
}

static md_status open_images(md_dataset *d, const md_source_spec *spec,
                             md_error *err)
{
    images *im = md_arena_calloc(&d->arena, 1, sizeof(*im));
    names classes = { NULL, 0, 0 };
    int64_t *map;

    if (!im)
        return md_fail_nomem(err, sizeof(*im));
    d->impl = im;
    MD_TRY(md_source__only_input(d, "a folder of pictures", err));
    MD_TRY(take_input(d, spec->model, err));
    MD_TRY(list_folder(&classes, spec->path, true, &d->arena, err));
    if (classes.n == 0)
        return md_fail(err, MD_INVALID,
                       "no folder for a class and no array in it");
    map = md_arena_calloc(&d->arena, classes.n, sizeof(*map));
    if (!map)
        return md_fail_nomem(err, classes.n * sizeof(*map));
    if (!take_numbers(map, &classes))
        MD_TRY(md_source__name_classes(d, spec->model, classes.at, classes.n,
                                       map, err));
    for (uint32_t i = 0; i < classes.n; i++)
        MD_TRY(add_class(d, spec->path, classes.at[i], map[i], err));
    d->n = im->n;
    if (d->n == 0)
        return MD_OK;
    MD_TRY(md_source__alloc_classes(d, err));
    memcpy(d->labels.data, im->label, im->n * sizeof(*im->label));
    return MD_OK;
}

static md_status decode(const md_dataset *d, const md_buf *bytes, void *to,
                        md_error *err)
{
    const images *im = d->impl;
    const md_data_input *in = &d->inputs[0];
    md_shape shape = md_dataset_shape(d, 0, 1);
    md_tensor t = { .dtype = in->dtype, .shape = in->sample, .data = to };
    md_image picture;

    /* Axes are those of the input, whose first may not be the batch. */
    MD_TRY(md_picture_decode(&picture, &im->picture, &shape, bytes->data,
                             bytes->size, MD_IMAGE_PIXELS_MAX, d->alloc, err));
    md_picture_fill(&t, &im->picture, &picture);
    md_image_release(&picture);
    return MD_OK;
}

static md_status read(const md_dataset *d, uint32_t i, int64_t sample, void *to,
                      md_error *err)
{
    const images *im = d->impl;
    md_buf bytes;
    md_status s;

    (void)i;
    md_buf_init(&bytes, d->alloc, FILE_SIZE_MAX);
    s = md_file_read(&bytes, im->path[sample], err);
    if (s == MD_OK)
        s = decode(d, &bytes, to, err);
    md_buf_release(&bytes);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", im->path[sample]);
}

/* All of it lies in the arena. */
static void close(md_dataset *d)
{
    d->impl = NULL;
}

const md_source md_source_images = {
    .name = "images",
    .what = "a folder with a folder of pictures for each class",
    .probe = probe,
    .open = open_images,
    .read = read,
    .close = close,
};
