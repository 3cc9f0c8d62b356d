#include "data/dataset.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/size.h"
#include "data/array.h"

static const md_source *const sources[] = {
#define SOURCE(id) &md_source_##id,
#include "data/sources.def"
#undef SOURCE
};

/* ---- what sources share ---- */

const md_type *md_source__type(const md_model *m, uint32_t i)
{
    return &m->graph->values[m->graph->inputs[i]].type;
}

md_status md_source__picture(md_picture *out, const md_model *m, uint32_t i,
                             md_error *err)
{
    const md_type *type = md_source__type(m, i);
    md_shape shape = { .rank = 0 };

    *out = (md_picture){ .channel_axis = -1, .channels = 1 };
    if (m->graph->n_inputs != 1 || type->kind != MD_KIND_TENSOR ||
        !type->has_rank)
        return MD_OK;
    shape.rank = type->rank;
    for (int k = 0; k < type->rank; k++)
        shape.dim[k] = type->dim[k].sym ? -1 : type->dim[k].k;
    if (shape.rank == 4)
        shape.dim[0] = -1; /* a set has samples, whatever the batch is */
    md_picture_guess(out, type->dtype, &shape);
    /* One picture without a batch is no sample of many. */
    if (out->height_axis == 0 || out->channel_axis == 0)
        out->accepted = false;
    return out->accepted ? md_picture_read_meta(out, m, err) : MD_OK;
}

md_status md_source__only_input(const md_dataset *d, const char *what,
                                md_error *err)
{
    if (d->n_inputs == 1)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "%s is for a model with one input, and this one has %u",
                   what, d->n_inputs);
}

bool md_source__ends(const char *path, const char *endings)
{
    size_t size = strlen(path);

    for (const char *p = endings; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " "), same = 0;

        while (same < n && n < size &&
               tolower((unsigned char)path[size - n + same]) == p[same])
            same++;
        if (same == n)
            return true;
        p += n;
    }
    return false;
}

bool md_source__holds(const char *folder, const char *endings)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    bool found = false;

    while (dir && !found && (e = readdir(dir)))
        found = md_source__ends(e->d_name, endings);
    if (dir)
        closedir(dir);
    return found;
}

md_status md_source__alloc_classes(md_dataset *d, md_error *err)
{
    return md_tensor_alloc(&d->labels, MD_DTYPE_I64, &(md_shape){ 1, { d->n } },
                           d->alloc, err);
}

/* A line of `text`; *next is behind it. */
static size_t line_length(const char *text, const char **next)
{
    size_t n = strcspn(text, "\n");

    *next = text + n + (text[n] == '\n');
    return n && text[n - 1] == '\r' ? n - 1 : n;
}

/* The line of the model's labels that says `name`; -1: none. */
static int64_t find_label(const char *labels, const char *name)
{
    int64_t i = 0;

    for (const char *next; *labels; labels = next, i++) {
        size_t n = line_length(labels, &next);

        if (n == strlen(name) && memcmp(labels, name, n) == 0)
            return i;
    }
    return -1;
}

/* The model's own names become the set's. */
static md_status take_labels(md_dataset *d, const char *labels, md_error *err)
{
    const char **names;
    int64_t n = 0;

    for (const char *p = labels; *p; n++)
        (void)line_length(p, &p);
    names = md_arena_calloc(&d->arena, (size_t)n, sizeof(*names));
    if (!names)
        return md_fail_nomem(err, (size_t)n * sizeof(*names));
    for (int64_t i = 0; i < n; i++) {
        const char *next;
        size_t size = line_length(labels, &next);

        names[i] = md_arena_strndup(&d->arena, labels, size);
        if (!names[i])
            return md_fail_nomem(err, size);
        labels = next;
    }
    d->classes = names;
    d->n_classes = n;
    return MD_OK;
}

md_status md_source__name_classes(md_dataset *d, const md_model *m,
                                  const char *const *names, int64_t n,
                                  int64_t *map, md_error *err)
{
    const char *labels = md_model_meta(m, "modeld.labels");
    bool known = labels != NULL;

    for (int64_t i = 0; i < n && known; i++) {
        map[i] = find_label(labels, names[i]);
        known = map[i] >= 0;
    }
    if (known)
        return take_labels(d, labels, err);
    for (int64_t i = 0; i < n; i++)
        map[i] = i;
    d->classes = names;
    d->n_classes = n;
    return MD_OK;
}

/* Floats: numbers of each sample. */
static md_status take_numbers(md_dataset *d, const md_tensor *y, md_error *err)
{
    int64_t k = md_tensor_n(y) / d->n;

    MD_TRY(md_tensor_alloc_unset(&d->labels, MD_DTYPE_F32,
                                 &(md_shape){ 2, { d->n, k } }, d->alloc, err));
    for (int64_t i = 0; i < d->n * k; i++) {
        double v = md_tensor_get_f64(y, i);

        if (!(v - v == 0.0))
            return md_fail(err, MD_INVALID,
                           "labels 'y': sample %lld has NaN or infinity",
                           (long long)(i / k));
        ((float *)d->labels.data)[i] = (float)v;
    }
    return MD_OK;
}

md_status md_source__take_labels(md_dataset *d, const md_tensor *y,
                                 md_error *err)
{
    int64_t n = md_tensor_n(y);
    bool whole = md_dtype_is_integer(y->dtype);

    if ((!whole && !md_dtype_is_float(y->dtype)) ||
        (whole ? n != d->n
               : n == 0 || y->shape.rank == 0 || y->shape.dim[0] != d->n))
        return md_fail(err, MD_INVALID,
                       "labels 'y': %lld of %s given, %lld integers, or "
                       "numbers for each of so many samples, expected",
                       (long long)n, md_dtype_name(y->dtype), (long long)d->n);
    if (!whole)
        return take_numbers(d, y, err);
    MD_TRY(md_source__alloc_classes(d, err));
    for (int64_t i = 0; i < d->n; i++)
        ((int64_t *)d->labels.data)[i] = md_tensor_get_i64(y, i);
    return MD_OK;
}

/* ---- opening ---- */

md_status md_dataset__prepare(md_dataset *d, const md_source *source,
                              const md_model *m, const md_alloc *alloc,
                              md_error *err)
{
    const md_graph *g = m->graph;

    *d = (md_dataset){ .alloc = alloc ? alloc : md_alloc_tagged(MD_MEM_data),
                       .n_inputs = g->n_inputs,
                       .source = source };
    md_arena_init(&d->arena, d->alloc, 0);
    d->inputs =
        md_arena_calloc(&d->arena, d->n_inputs + 1u, sizeof(*d->inputs));
    if (!d->inputs)
        return md_fail_nomem(err, d->n_inputs * sizeof(*d->inputs));
    for (uint32_t i = 0; i < d->n_inputs; i++) {
        const md_value *v = &g->values[g->inputs[i]];
        char *name = md_arena_strdup(&d->arena, v->name);

        if (!name)
            return md_fail_nomem(err, strlen(v->name));
        d->inputs[i] = (md_data_input){ .name = name, .dtype = v->type.dtype };
        if (v->type.kind != MD_KIND_TENSOR)
            return md_fail(err, MD_UNSUPPORTED,
                           "input '%s' is a %s, a tensor expected", name,
                           md_kind_name(v->type.kind));
    }
    return d->n_inputs > 0 ? MD_OK
                           : md_fail(err, MD_INVALID, "the model has no input");
}

static md_status find_source(const md_source **out, const char *path,
                             md_error *err)
{
    struct stat st;
    bool is_folder;

    if (stat(path, &st) != 0)
        return md_fail(err, errno == ENOENT ? MD_NOT_FOUND : MD_IO, "'%s': %s",
                       path, strerror(errno));
    is_folder = S_ISDIR(st.st_mode);
    for (size_t i = 0; i < MD_COUNT(sources); i++) {
        if (sources[i]->probe(path, is_folder)) {
            *out = sources[i];
            return MD_OK;
        }
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "'%s' is no data: a .npz, .npy, .csv, an IDX file or a "
                   "folder expected",
                   path);
}

static md_status open_source(md_dataset *d, const md_source_spec *spec,
                             md_error *err)
{
    md_status s = d->source->open(d, spec, err);

    if (s == MD_OK && d->n == 0)
        s = md_fail(err, MD_INVALID, "no samples");
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", spec->path);
}

md_status md_dataset_open(md_dataset *out, const char *path,
                          const md_model *model, const md_data_opts *opts,
                          md_error *err)
{
    static const md_data_opts none = { NULL, NULL };
    md_source_spec spec = { path, model, opts ? opts : &none };
    const md_source *source = NULL;
    md_status s;

    MD_TRY(find_source(&source, path, err));
    s = md_dataset__prepare(out, source, model, spec.opts->alloc, err);
    if (s == MD_OK)
        s = open_source(out, &spec, err);
    if (s != MD_OK)
        md_dataset_release(out);
    return s;
}

void md_dataset_release(md_dataset *d)
{
    md_arena arena = d->arena;

    if (d->source && d->impl)
        d->source->close(d);
    md_tensor_release(&d->labels);
    md_arena_release(&arena);
    *d = (md_dataset){ .alloc = d->alloc };
}

/* ---- reading ---- */

md_shape md_dataset_shape(const md_dataset *d, uint32_t i, int64_t count)
{
    md_shape s = { .rank = d->inputs[i].sample.rank + 1, .dim = { count } };

    for (int k = 1; k < s.rank; k++)
        s.dim[k] = d->inputs[i].sample.dim[k - 1];
    return s;
}

int64_t md_dataset_n_targets(const md_dataset *d)
{
    return d->labels.dtype == MD_DTYPE_F32 ? d->labels.shape.dim[1] : 0;
}

enum {
    SHARE = 8 /* samples that a thread reads at a time */
};

typedef struct job {
    const md_dataset *d;
    uint32_t input;
    const int64_t *at;
    int64_t from, count;
    char *to;
    size_t size;           /* bytes of a sample */
    _Atomic int64_t first; /* sample that failed, in the order of the batch */
} job;

static int64_t sample_at(const job *j, int64_t i)
{
    return j->at ? j->at[i] : j->from + i;
}

static md_status read_one(const job *j, int64_t i, md_error *err)
{
    return j->d->source->read(j->d, j->input, sample_at(j, i),
                              j->to + (size_t)i * j->size, err);
}

static void note_failure(job *j, int64_t i)
{
    int64_t first = atomic_load(&j->first);

    while (i < first && !atomic_compare_exchange_weak(&j->first, &first, i))
        ;
}

static void read_share(void *ctx, int64_t chunk, int worker)
{
    job *j = ctx;
    int64_t to = md_min_i64(j->count, (chunk + 1) * SHARE);

    (void)worker;
    for (int64_t i = chunk * SHARE; i < to; i++) {
        if (read_one(j, i, NULL) != MD_OK)
            note_failure(j, i);
    }
}

md_status md_dataset_read(const md_dataset *d, uint32_t i, const int64_t *at,
                          int64_t from, int64_t count, md_tensor *to,
                          md_pool *pool, md_error *err)
{
    const md_data_input *in = &d->inputs[i];
    job j = { .d = d,
              .input = i,
              .at = at,
              .from = from,
              .count = count,
              .to = to->data,
              .size = (size_t)in->n * md_dtype_bits(in->dtype) / 8,
              .first = count };

    md_pool_run(pool, MD_POOL_WIDTH_MAX, md_div_up(count, SHARE), read_share,
                &j);
    /* Once more for its text: threads have no place for one. */
    return atomic_load(&j.first) < count
               ? read_one(&j, atomic_load(&j.first), err)
               : MD_OK;
}

md_status md_dataset_hash(const md_dataset *d, int64_t sample, uint64_t key,
                          uint64_t *out, md_error *err)
{
    /* "modeld data sets" */
    uint64_t k[2] = { key ^ UINT64_C(0x6d6f64656c642064),
                      UINT64_C(0x6174612073657473) };
    md_status s = MD_OK;

    for (uint32_t i = 0; i < d->n_inputs && s == MD_OK; i++) {
        size_t size =
            (size_t)d->inputs[i].n * md_dtype_bits(d->inputs[i].dtype) / 8;
        void *p = md_malloc(d->alloc, size ? size : 1);

        if (!p)
            return md_fail_nomem(err, size);
        s = d->source->read(d, i, sample, p, err);
        if (s == MD_OK)
            k[1] = md_hash_keyed(k, p, size);
        md_free(d->alloc, p);
    }
    *out = k[1];
    return s;
}

md_status md_dataset_check_classes(const md_dataset *d, int64_t n_classes,
                                   md_error *err)
{
    bool one = true;

    if (!d->labels.data)
        return md_fail(err, MD_INVALID, "the data has no labels 'y'");
    if (d->labels.dtype != MD_DTYPE_I64)
        return md_fail(err, MD_INVALID,
                       "labels 'y': numbers given, classes expected");
    for (int64_t i = 0; i < d->n; i++) {
        int64_t c = md_dataset_class(d, i);

        if (c < 0 || c >= n_classes)
            return md_fail(err, MD_INVALID,
                           "labels 'y': %lld given for sample %lld, 0 to %lld "
                           "expected",
                           (long long)c, (long long)i,
                           (long long)n_classes - 1);
        one &= c == md_dataset_class(d, 0);
    }
    if (one)
        return md_fail(err, MD_INVALID,
                       "labels 'y': all %lld samples are of class %lld, two "
                       "classes or more expected",
                       (long long)d->n, (long long)md_dataset_class(d, 0));
    return MD_OK;
}
