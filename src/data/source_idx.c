/* IDX files as the MNIST sets name them: *-images-idx3-ubyte and, beside it,
 * *-labels-idx1-ubyte, each of them perhaps packed (.gz). */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/array.h"
#include "formats/gzip.h"
#include "formats/idx.h"

enum {
    PATH_SIZE = 4096
};

/* What training files are called in a folder. */
static const char *const training[] = { "train-images-idx3-ubyte",
                                        "train-images-idx3-ubyte.gz",
                                        "train-images.idx3-ubyte" };

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* The training images of a folder; false when there are none. */
static bool find_training(char path[PATH_SIZE], const char *folder)
{
    for (size_t i = 0; i < MD_COUNT(training); i++) {
        if (snprintf(path, PATH_SIZE, "%s/%s", folder, training[i]) <
                PATH_SIZE &&
            exists(path))
            return true;
    }
    return false;
}

static bool has_mark(const char *path)
{
    unsigned char mark[4] = { 0 };
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(mark, 1, sizeof(mark), f) : 0;

    if (f)
        fclose(f);
    return n == sizeof(mark) && mark[0] == 0 && mark[1] == 0 &&
           mark[2] >= 0x08 && mark[2] <= 0x0e && mark[3] > 0;
}

static bool probe(const char *path, bool is_folder)
{
    char found[PATH_SIZE];

    if (is_folder)
        return find_training(found, path);
    return md_source__ends(path, "-ubyte -ubyte.gz .idx .idx.gz") ||
           has_mark(path);
}

/* Map a file whose elements lie in it as in memory, else read it. */
static md_status open_file(md_array *a, const char *path, const md_alloc *alloc,
                           md_error *err)
{
    md_status s;

    MD_TRY(md_map_open(&a->map, path, err));
    if (md_gzip_probe(a->map.data, a->map.size)) {
        md_map_release(&a->map);
        return md_idx_load(&a->t, path, alloc, err);
    }
    s = md_idx_view(&a->t, a->map.data, a->map.size, alloc, err);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}

/* "a/train-images-idx3-ubyte.gz" to "a/train-labels-idx1-ubyte.gz"; false when
 * the name has no such form. */
static bool name_labels(char out[PATH_SIZE], const char *path)
{
    static const char labels[6] = "labels"; /* as long as "images" */
    const char *slash = strrchr(path, '/'), *at;
    char *rank;

    if (strlen(path) >= PATH_SIZE)
        return false;
    at = strstr(slash ? slash : path, "images");
    if (!at)
        return false;
    snprintf(out, PATH_SIZE, "%s", path);
    memcpy(out + (at - path), labels, sizeof(labels));
    rank = strstr(out + (at - path), "idx");
    if (rank && rank[3] >= '1' && rank[3] <= '9')
        rank[3] = '1';
    return true;
}

/* Labels beside the images, packed as they are or not. */
static bool find_labels(char out[PATH_SIZE], const char *path)
{
    size_t n;

    if (!name_labels(out, path))
        return false;
    if (exists(out))
        return true;
    n = strlen(out);
    if (md_source__ends(out, ".gz"))
        out[n - 3] = '\0';
    else if (n + 3 < PATH_SIZE)
        memcpy(out + n, ".gz", 4);
    return exists(out);
}

static md_status read_labels(md_dataset *d, const char *path, md_error *err)
{
    char labels[PATH_SIZE];
    md_tensor y = MD_TENSOR_INIT;
    md_status s;

    if (d->n == 0 || !find_labels(labels, path))
        return MD_OK;
    MD_TRY(md_idx_load(&y, labels, d->alloc, err));
    s = md_source__take_labels(d, &y, err);
    md_tensor_release(&y);
    return s;
}

static md_status open_idx(md_dataset *d, const md_source_spec *spec,
                          md_error *err)
{
    char path[PATH_SIZE];
    md_array *a;

    MD_TRY(md_source__only_input(d, "an IDX file", err));
    if (!find_training(path, spec->path) &&
        snprintf(path, sizeof(path), "%s", spec->path) >= PATH_SIZE)
        return md_fail(err, MD_INVALID, "the path is too long");
    a = md_arena_calloc(&d->arena, 1, sizeof(*a));
    if (!a)
        return md_fail_nomem(err, sizeof(*a));
    d->impl = a;
    MD_TRY(open_file(a, path, d->alloc, err));
    MD_TRY(md_array_fit(a, d, 0, spec->model, err));
    d->n = a->t.shape.dim[0];
    return read_labels(d, path, err);
}

static md_status read(const md_dataset *d, uint32_t i, int64_t sample, void *to,
                      md_error *err)
{
    return md_array_read(d->impl, &d->inputs[i], sample, to, err);
}

static void close(md_dataset *d)
{
    md_array_release(d->impl);
}

const md_source md_source_idx = {
    .name = "idx",
    .what = "IDX files of the MNIST form, packed by gzip or not",
    .probe = probe,
    .open = open_idx,
    .read = read,
    .close = close,
};
