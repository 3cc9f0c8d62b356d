/* Arrays named after a model's inputs, in an archive, a folder, one file, or
 * memory. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/array.h"
#include "formats/npy.h"
#include "formats/npz.h"

/* Where arrays come from: an archive, a file, or else a folder. */
typedef struct place {
    const char *path;
    md_npz *npz;
    bool is_file;
    const md_alloc *alloc;
} place;

typedef struct arrays {
    md_array *in; /* one for each input */
} arrays;

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static bool probe(const char *path, bool is_folder)
{
    return is_folder ? md_source__holds(path, ".npy")
                     : md_source__ends(path, ".npz .npy");
}

static md_status map_npy(md_array *a, const char *path, const md_alloc *alloc,
                         md_error *err)
{
    md_status s;

    MD_TRY(md_map_open(&a->map, path, err));
    s = md_npy_view(&a->t, a->map.data, a->map.size, alloc, err);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}

/* The array `name`; *found false when there is none. */
static md_status read_array(md_array *out, const place *p, const char *name,
                            bool *found, md_error *err)
{
    char path[4096];

    *found = false;
    if (p->npz) {
        int64_t i = md_npz_find(p->npz, name);

        if (i < 0)
            return MD_OK;
        *found = true;
        return md_npz_read(&out->t, p->npz, (uint32_t)i, err);
    }
    if (p->is_file) {
        *found = strcmp(name, "x") == 0;
        return *found ? map_npy(out, p->path, p->alloc, err) : MD_OK;
    }
    if (snprintf(path, sizeof(path), "%s/%s.npy", p->path, name) >=
        (int)sizeof(path))
        return md_fail(err, MD_INVALID, "the path is too long");
    if (!exists(path))
        return MD_OK;
    *found = true;
    return map_npy(out, path, p->alloc, err);
}

/* As many samples as in the inputs before. */
static md_status count_samples(md_dataset *d, uint32_t i, const md_tensor *t,
                               md_error *err)
{
    int64_t n = t->shape.dim[0];

    if (i == 0)
        d->n = n;
    else if (n != d->n)
        return md_fail(err, MD_INVALID,
                       "data for '%s': %lld samples given, %lld expected",
                       d->inputs[i].name, (long long)n, (long long)d->n);
    return MD_OK;
}

static md_status read_input(md_dataset *d, const place *p, const md_model *m,
                            uint32_t i, md_error *err)
{
    arrays *impl = d->impl;
    const char *name = d->inputs[i].name;
    bool found;

    MD_TRY(read_array(&impl->in[i], p, name, &found, err));
    if (!found && d->n_inputs == 1)
        MD_TRY(read_array(&impl->in[i], p, "x", &found, err));
    if (!found)
        return md_fail(err, MD_INVALID, "no array '%s'%s", name,
                       d->n_inputs == 1 ? " or 'x'" : "");
    MD_TRY(md_array_fit(&impl->in[i], d, i, m, err));
    return count_samples(d, i, &impl->in[i].t, err);
}

static md_status read_labels(md_dataset *d, const place *p, md_error *err)
{
    md_array y = { .n = 0 };
    bool found;
    md_status s = read_array(&y, p, "y", &found, err);

    if (s == MD_OK && found && d->n > 0)
        s = md_source__take_labels(d, &y.t, err);
    md_array_release(&y);
    return s;
}

static md_status make(md_dataset *d, md_error *err)
{
    arrays *impl = md_arena_calloc(&d->arena, 1, sizeof(*impl));

    if (impl)
        impl->in = md_arena_calloc(&d->arena, d->n_inputs, sizeof(*impl->in));
    if (!impl || !impl->in)
        return md_fail_nomem(err, d->n_inputs * sizeof(*impl->in));
    d->impl = impl;
    return MD_OK;
}

static md_status open_arrays(md_dataset *d, const md_source_spec *spec,
                             md_error *err)
{
    place p = { .path = spec->path,
                .alloc = d->alloc,
                .is_file = md_source__ends(spec->path, ".npy") };
    md_status s;

    MD_TRY(make(d, err));
    if (md_source__ends(spec->path, ".npz"))
        MD_TRY(md_npz_open(&p.npz, spec->path, 0, d->alloc, err));
    s = MD_OK;
    for (uint32_t i = 0; i < d->n_inputs && s == MD_OK; i++)
        s = read_input(d, &p, spec->model, i, err);
    if (s == MD_OK)
        s = read_labels(d, &p, err);
    md_npz_free(p.npz);
    return s;
}

static md_status read(const md_dataset *d, uint32_t i, int64_t sample, void *to,
                      md_error *err)
{
    const arrays *impl = d->impl;

    return md_array_read(&impl->in[i], &d->inputs[i], sample, to, err);
}

static void close(md_dataset *d)
{
    arrays *impl = d->impl;

    for (uint32_t i = 0; i < d->n_inputs; i++)
        md_array_release(&impl->in[i]);
}

const md_source md_source_arrays = {
    .name = "arrays",
    .what = "a .npz, a folder of .npy, or one .npy",
    .probe = probe,
    .open = open_arrays,
    .read = read,
    .close = close,
};

/* ---- memory ---- */

static const md_source memory = {
    .name = "memory", .what = "tensors", .read = read, .close = close
};

static md_status take_tensors(md_dataset *d, const md_model *m,
                              const md_tensor *inputs, const md_tensor *labels,
                              md_error *err)
{
    arrays *impl;

    MD_TRY(make(d, err));
    impl = d->impl;
    for (uint32_t i = 0; i < d->n_inputs; i++) {
        impl->in[i].t = inputs[i];
        impl->in[i].t.owner = NULL;
        MD_TRY(md_array_fit(&impl->in[i], d, i, m, err));
        MD_TRY(count_samples(d, i, &inputs[i], err));
    }
    if (d->n == 0)
        return md_fail(err, MD_INVALID, "no samples");
    return labels ? md_source__take_labels(d, labels, err) : MD_OK;
}

md_status md_dataset_of_tensors(md_dataset *out, const md_model *model,
                                const md_tensor *inputs,
                                const md_tensor *labels, const md_alloc *alloc,
                                md_error *err)
{
    md_status s = md_dataset__prepare(out, &memory, model, alloc, err);

    if (s == MD_OK)
        s = take_tensors(out, model, inputs, labels, err);
    if (s != MD_OK)
        md_dataset_release(out);
    return s;
}
