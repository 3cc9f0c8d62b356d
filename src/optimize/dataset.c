#include "optimize/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "formats/npy.h"
#include "formats/npz.h"

/* Where arrays come from: an archive, or a folder. */
typedef struct source {
    const char *path;
    md_npz *npz; /* NULL: a folder */
    const md_alloc *alloc;
} source;

static md_status open_source(source *s, const char *path, const md_alloc *alloc,
                             md_error *err)
{
    struct stat st;

    *s = (source){ .path = path, .alloc = alloc };
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return MD_OK;
    return md_npz_open(&s->npz, path, 0, alloc, err);
}

/* The array `name`; *found false when there is none. */
static md_status read_array(md_tensor *out, const source *s, const char *name,
                            bool *found, md_error *err)
{
    char path[4096];
    struct stat st;

    *found = false;
    if (s->npz) {
        int64_t i = md_npz_find(s->npz, name);

        if (i < 0)
            return MD_OK;
        *found = true;
        return md_npz_read(out, s->npz, (uint32_t)i, err);
    }
    if (snprintf(path, sizeof(path), "%s/%s.npy", s->path, name) >=
        (int)sizeof(path))
        return md_fail(err, MD_INVALID, "path '%s' is too long", s->path);
    if (stat(path, &st) != 0)
        return MD_OK;
    *found = true;
    return md_npy_load(out, path, s->alloc, err);
}

/* An array of samples that fits an input; its first axis is the batch. */
static md_status check_input(const md_model *m, const md_value *v,
                             const md_tensor *t, md_error *err)
{
    bool fits =
        v->type.has_rank && t->shape.rank == v->type.rank && t->shape.rank > 0;
    char want[MD_SHAPE_TEXT * 2], got[MD_SHAPE_TEXT];

    for (int i = 1; fits && i < t->shape.rank; i++)
        fits = v->type.dim[i].sym != 0 || v->type.dim[i].k == t->shape.dim[i];
    if (fits)
        return MD_OK;
    return md_fail(err, MD_INVALID, "data for '%s': %s given, %s expected",
                   v->name, md_shape_format(got, sizeof(got), &t->shape),
                   md_type_format(want, sizeof(want), m, &v->type));
}

static md_status read_input(md_dataset *d, const source *s, const md_model *m,
                            uint32_t i, md_error *err)
{
    const md_graph *g = m->graph;
    const md_value *v = &g->values[g->inputs[i]];
    bool found;

    MD_TRY(read_array(&d->inputs[i], s, v->name, &found, err));
    if (!found && g->n_inputs == 1)
        MD_TRY(read_array(&d->inputs[i], s, "x", &found, err));
    if (!found)
        return md_fail(err, MD_INVALID, "%s: no array '%s'%s", s->path, v->name,
                       g->n_inputs == 1 ? " or 'x'" : "");
    MD_TRY(check_input(m, v, &d->inputs[i], err));
    if (i == 0)
        d->n = d->inputs[i].shape.dim[0];
    else if (d->inputs[i].shape.dim[0] != d->n)
        return md_fail(
            err, MD_INVALID, "data for '%s': %lld samples given, %lld expected",
            v->name, (long long)d->inputs[i].shape.dim[0], (long long)d->n);
    return MD_OK;
}

static md_status read_labels(md_dataset *d, const source *s, md_error *err)
{
    md_tensor y = MD_TENSOR_INIT;
    bool found;
    md_status st;

    MD_TRY(read_array(&y, s, "y", &found, err));
    if (!found)
        return MD_OK;
    st = md_tensor_alloc(&d->labels, MD_DTYPE_I64, &(md_shape){ 1, { d->n } },
                         d->alloc, err);
    if (st == MD_OK &&
        (md_tensor_n(&y) != d->n || !md_dtype_is_integer(y.dtype)))
        st = md_fail(err, MD_INVALID,
                     "labels 'y': %lld of %s given, %lld integers expected",
                     (long long)md_tensor_n(&y), md_dtype_name(y.dtype),
                     (long long)d->n);
    for (int64_t i = 0; st == MD_OK && i < d->n; i++)
        ((int64_t *)d->labels.data)[i] = md_tensor_get_i64(&y, i);
    md_tensor_release(&y);
    return st;
}

/* The recorded scale of pixels, in (0, inf). */
static float recorded_scale(const md_model *m)
{
    const char *text = md_model_meta(m, "modeld.input.scale");
    float v = text ? strtof(text, NULL) : 0.0f;

    return v > 0.0f ? v : 1.0f / 255.0f;
}

md_status md_dataset_open(md_dataset *out, const char *path,
                          const md_model *model, const md_alloc *alloc,
                          md_error *err)
{
    md_dataset d = { .alloc = alloc,
                     .n_inputs = model->graph->n_inputs,
                     .scale = recorded_scale(model) };
    source src;
    md_status s;

    MD_TRY(open_source(&src, path, alloc, err));
    d.inputs = md_calloc(alloc, d.n_inputs + 1u, sizeof(*d.inputs));
    s = d.inputs ? MD_OK : md_fail_nomem(err, d.n_inputs);
    for (uint32_t i = 0; i < d.n_inputs && s == MD_OK; i++)
        s = read_input(&d, &src, model, i, err);
    if (s == MD_OK && d.n == 0)
        s = md_fail(err, MD_INVALID, "%s: no samples", path);
    if (s == MD_OK)
        s = read_labels(&d, &src, err);
    md_npz_free(src.npz);
    if (s != MD_OK)
        md_dataset_release(&d);
    else
        *out = d;
    return s;
}

void md_dataset_release(md_dataset *d)
{
    for (uint32_t i = 0; d->inputs && i < d->n_inputs; i++)
        md_tensor_release(&d->inputs[i]);
    md_free(d->alloc, d->inputs);
    md_tensor_release(&d->labels);
    d->inputs = NULL;
}

md_shape md_dataset_shape(const md_dataset *d, uint32_t i, int64_t count)
{
    md_shape s = d->inputs[i].shape;

    s.dim[0] = count;
    return s;
}

md_status md_dataset_read(const md_dataset *d, uint32_t i, int64_t from,
                          int64_t count, md_tensor *to, md_error *err)
{
    const md_tensor *t = &d->inputs[i];
    int64_t sample = md_shape_span(&t->shape, 1, t->shape.rank);
    size_t size = md_dtype_bits(t->dtype) / 8;
    const uint8_t *pixels = t->data;

    if (t->dtype == to->dtype && size > 0 && t->dtype != MD_DTYPE_STRING) {
        memcpy(to->data, pixels + (size_t)(from * sample) * size,
               (size_t)(count * sample) * size);
        return MD_OK;
    }
    if (to->dtype != MD_DTYPE_F32 ||
        (t->dtype != MD_DTYPE_U8 && !md_dtype_is_float(t->dtype)))
        return md_fail(err, MD_INVALID, "data of %s given, %s expected",
                       md_dtype_name(t->dtype), md_dtype_name(to->dtype));
    for (int64_t k = 0; k < count * sample; k++)
        ((float *)to->data)[k] =
            t->dtype == MD_DTYPE_U8
                ? (float)pixels[from * sample + k] * d->scale
                : (float)md_tensor_get_f64(t, from * sample + k);
    return MD_OK;
}
