#include "formats/tflite.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum {
    DIM_MAX = INT32_MAX,
    DEPTH_MAX = 16 /* levels of a sparse tensor */
};

/* Field ids of the schema's tables. */
enum {
    MODEL_CODES = 1,
    MODEL_GRAPHS,
    MODEL_DESCRIPTION,
    MODEL_BUFFERS,
    MODEL_METADATA = 6,
    MODEL_SIGNATURES,
};

/* Contents of a buffer. */
typedef struct span {
    size_t at, size; /* in the file */
} span;

typedef struct reader {
    md_tflite *m;
    md_fb *fb;
    md_fb_table root;
    span *buffers;
    uint32_t n_buffers;
    md_fb_vector codes; /* of tables */
    md_arena *ar;
    md_error *err;
} reader;

/* TensorType of the schema, by value. */
static const md_dtype types[] = {
    MD_DTYPE_F32, MD_DTYPE_F16,      MD_DTYPE_I32,    MD_DTYPE_U8,
    MD_DTYPE_I64, MD_DTYPE_STRING,   MD_DTYPE_BOOL,   MD_DTYPE_I16,
    MD_DTYPE_C64, MD_DTYPE_I8,       MD_DTYPE_F64,    MD_DTYPE_C128,
    MD_DTYPE_U64, MD_DTYPE_NONE,     MD_DTYPE_NONE,   MD_DTYPE_U32,
    MD_DTYPE_U16, MD_DTYPE_I4,       MD_DTYPE_BF16,   MD_DTYPE_I2,
    MD_DTYPE_U4,  MD_DTYPE_F8E4M3FN, MD_DTYPE_F8E5M2,
};

bool md_tflite_probe(const void *bytes, size_t size)
{
    return size >= 8 && memcmp((const char *)bytes + 4, "TFL3", 4) == 0;
}

static void *make(reader *r, size_t n, size_t size)
{
    return md_arena_calloc(r->ar, n + 1, size);
}

static md_status nomem(const reader *r, size_t n)
{
    return md_fail_nomem(r->err, n);
}

static int by_place(const void *a, const void *b)
{
    const span *x = a;
    const span *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

/* Buffers may be shared as a whole, not in parts: nobody writes such. */
static md_status check_overlap(reader *r)
{
    span *s = make(r, r->n_buffers, sizeof(*s));
    uint32_t n = 0;

    if (!s)
        return nomem(r, r->n_buffers * sizeof(*s));
    for (uint32_t i = 0; i < r->n_buffers; i++) {
        if (r->buffers[i].size > 0)
            s[n++] = r->buffers[i];
    }
    qsort(s, n, sizeof(*s), by_place);
    for (uint32_t i = 1; i < n; i++) {
        if (s[i].at < s[i - 1].at + s[i - 1].size &&
            by_place(&s[i], &s[i - 1]) != 0)
            return md_fail(r->err, MD_CORRUPT,
                           "tflite: buffers at byte %zu of %zu bytes and at "
                           "%zu overlap",
                           s[i - 1].at, s[i - 1].size, s[i].at);
    }
    return MD_OK;
}

static md_status read_buffers(reader *r)
{
    md_fb_vector v = md_fb_vec(&r->root, MODEL_BUFFERS, 4);

    r->n_buffers = v.n;
    r->buffers = make(r, v.n, sizeof(*r->buffers));
    if (!r->buffers)
        return nomem(r, v.n * sizeof(*r->buffers));
    for (uint32_t i = 0; i < v.n; i++) {
        md_fb_table t = md_fb_vec_table(&v, i);
        md_fb_vector data = md_fb_vec(&t, 0, 1);
        uint64_t offset = md_fb_u64(&t, 1, 0);
        uint64_t size = md_fb_u64(&t, 2, 0);

        r->buffers[i] = (span){ data.at, data.n };
        if (offset <= 1)
            continue;
        /* Models over 2 GB keep contents behind the FlatBuffer. */
        if (offset > r->fb->size || size > r->fb->size - offset)
            return md_fail(r->err, MD_CORRUPT,
                           "tflite: buffer %u at byte %llu of %llu bytes "
                           "leaves the %zu bytes",
                           i, (unsigned long long)offset,
                           (unsigned long long)size, r->fb->size);
        r->buffers[i] = (span){ (size_t)offset, (size_t)size };
    }
    MD_TRY(md_fb_check(r->fb, r->err));
    return check_overlap(r);
}

static md_status read_shape(md_tflite_tensor *out, const md_fb_table *t,
                            const reader *r)
{
    md_fb_vector shape = md_fb_vec(t, 0, 4);
    md_fb_vector sign = md_fb_vec(t, 7, 4);

    /* Old files have no flag, and an empty shape for scalars. */
    out->has_rank = shape.n > 0 || md_fb_bool(t, 8, false) || sign.n > 0;
    if (sign.n > 0 && sign.n != shape.n)
        return md_fail(r->err, MD_CORRUPT,
                       "tflite: tensor '%.80s' has rank %u and a signature of "
                       "rank %u",
                       out->name, shape.n, sign.n);
    if (shape.n > MD_RANK_MAX)
        return md_fail(
            r->err, MD_UNSUPPORTED,
            "tflite: tensor '%.80s' has rank %u, at most %d expected",
            out->name, shape.n, MD_RANK_MAX);
    out->rank = (int)shape.n;
    for (uint32_t i = 0; i < shape.n; i++) {
        int32_t d = md_fb_vec_i32(&shape, i);

        if (sign.n > 0 && md_fb_vec_i32(&sign, i) < 0)
            d = -1;
        if (d < -1)
            return md_fail(r->err, MD_CORRUPT,
                           "tflite: tensor '%.80s' has dimension %d", out->name,
                           (int)d);
        out->dim[i] = d;
    }
    return MD_OK;
}

static md_status read_quantization(md_tflite_tensor *out, const md_fb_table *t,
                                   const reader *r)
{
    md_fb_table q = md_fb_sub(t, 4);

    out->scale = md_fb_vec(&q, 2, 4);
    out->zero = md_fb_vec(&q, 3, 8);
    out->axis = md_fb_i32(&q, 6, 0);
    if (out->zero.n > 1 && out->zero.n != out->scale.n)
        return md_fail(r->err, MD_CORRUPT,
                       "tflite: tensor '%.80s' has %u scales and %u zero "
                       "points",
                       out->name, out->scale.n, out->zero.n);
    /* Biases have been seen with the axis of their weights. */
    if (out->axis < 0 || out->axis >= out->rank)
        out->axis = out->rank > 0 ? out->rank - 1 : 0;
    if (out->scale.n > 1 && out->dim[out->axis] != (int64_t)out->scale.n)
        return md_fail(r->err, MD_CORRUPT,
                       "tflite: tensor '%.80s' has %u scales for the %lld "
                       "elements of axis %d",
                       out->name, out->scale.n,
                       (long long)(out->rank > 0 ? out->dim[out->axis] : 1),
                       out->axis);
    return MD_OK;
}

static md_status read_contents(md_tflite_tensor *out, const md_fb_table *t,
                               const reader *r)
{
    uint32_t at = md_fb_u32(t, 2, 0);
    md_shape shape = { out->rank, { 0 } };
    size_t size;
    span s;

    if (at >= r->n_buffers && at != 0)
        return md_fail(r->err, MD_CORRUPT,
                       "tflite: tensor '%.80s' is in buffer %u of %u",
                       out->name, at, r->n_buffers);
    s = at == 0 ? (span){ 0, 0 } : r->buffers[at];
    if (s.size == 0 || out->is_variable)
        return MD_OK;
    out->data = r->fb->data + s.at;
    out->size = s.size;
    if (out->sparsity.fb || out->dtype == MD_DTYPE_STRING ||
        out->dtype == MD_DTYPE_NONE)
        return MD_OK;
    for (int i = 0; i < out->rank; i++)
        shape.dim[i] = out->dim[i] < 0 ? 1 : out->dim[i];
    if (md_tensor_bytes(&size, out->dtype, &shape, r->err) != MD_OK)
        return md_wrap(r->err, MD_TOO_LARGE,
                       "tflite: constant '%.80s': ", out->name);
    if (size != out->size)
        return md_fail(r->err, MD_CORRUPT,
                       "tflite: constant '%.80s' has %zu bytes, %zu expected",
                       out->name, out->size, size);
    return MD_OK;
}

static md_status read_tensor(md_tflite_tensor *out, const md_fb_table *t,
                             const reader *r)
{
    out->name = md_fb_text(t, 3);
    out->type = md_fb_u8(t, 1, 0);
    if ((size_t)out->type >= MD_COUNT(types))
        return md_fail(r->err, MD_UNSUPPORTED,
                       "tflite: tensor '%.80s' has type %d", out->name,
                       out->type);
    out->dtype = types[out->type];
    out->is_variable = md_fb_bool(t, 5, false);
    out->sparsity = md_fb_sub(t, 6);
    MD_TRY(read_shape(out, t, r));
    MD_TRY(read_quantization(out, t, r));
    MD_TRY(md_fb_check(r->fb, r->err));
    return read_contents(out, t, r);
}

/* A vector of tensors of the graph. */
static md_status read_indices(const int32_t **out, uint32_t *n, reader *r,
                              const md_tflite_graph *g, md_fb_vector v,
                              int32_t lowest, const char *what)
{
    int32_t *list = make(r, v.n, sizeof(*list));

    if (!list)
        return nomem(r, v.n * sizeof(*list));
    for (uint32_t i = 0; i < v.n; i++) {
        list[i] = md_fb_vec_i32(&v, i);
        if (list[i] < lowest ||
            (list[i] >= 0 && (uint32_t)list[i] >= g->n_tensors))
            return md_fail(r->err, MD_CORRUPT,
                           "tflite: %s %u of subgraph '%.80s' is tensor %d of "
                           "%u",
                           what, i, g->name, (int)list[i], g->n_tensors);
    }
    *out = list;
    *n = v.n;
    return MD_OK;
}

static md_status read_op(md_tflite_op *out, const md_fb_table *t, reader *r,
                         const md_tflite_graph *g)
{
    uint32_t at = md_fb_u32(t, 0, 0);
    int32_t builtin;
    md_fb_table code;

    if (at >= r->codes.n)
        return md_fail(r->err, MD_CORRUPT,
                       "tflite: an operator of subgraph '%.80s' has code %u "
                       "of %u",
                       g->name, at, r->codes.n);
    code = md_fb_vec_table(&r->codes, at);
    builtin = md_fb_i32(&code, 3, 0);
    out->code = md_fb_i8(&code, 0, 0);
    /* Old files have only the byte, new ones a byte that is too small. */
    if (builtin > out->code)
        out->code = builtin;
    out->version = md_fb_i32(&code, 2, 1);
    out->custom = out->code == MD_TFLITE_CUSTOM ? md_fb_text(&code, 1) : "";
    out->options = md_fb_sub(t, 4);
    out->options2 = md_fb_sub(t, 12);
    out->custom_options = md_fb_vec(t, 5, 1);
    MD_TRY(md_fb_check(r->fb, r->err));
    MD_TRY(read_indices(&out->in, &out->n_in, r, g, md_fb_vec(t, 1, 4), -1,
                        "an operator's input"));
    return read_indices(&out->out, &out->n_out, r, g, md_fb_vec(t, 2, 4), -1,
                        "an operator's output");
}

static md_status read_tensors(md_tflite_graph *g, reader *r,
                              const md_fb_table *t)
{
    md_fb_vector v = md_fb_vec(t, 0, 4);

    g->n_tensors = v.n;
    g->tensors = make(r, v.n, sizeof(*g->tensors));
    if (!g->tensors)
        return nomem(r, v.n * sizeof(*g->tensors));
    for (uint32_t i = 0; i < v.n; i++) {
        md_fb_table e = md_fb_vec_table(&v, i);

        MD_TRY(md_fb_check(r->fb, r->err));
        MD_TRY(read_tensor(&g->tensors[i], &e, r));
    }
    return MD_OK;
}

static md_status read_graph(md_tflite_graph *g, reader *r, const md_fb_table *t)
{
    md_fb_vector v = md_fb_vec(t, 3, 4);

    g->name = md_fb_text(t, 4);
    MD_TRY(read_tensors(g, r, t));
    MD_TRY(read_indices(&g->inputs, &g->n_inputs, r, g, md_fb_vec(t, 1, 4), 0,
                        "input"));
    MD_TRY(read_indices(&g->outputs, &g->n_outputs, r, g, md_fb_vec(t, 2, 4), 0,
                        "output"));
    g->n_ops = v.n;
    g->ops = make(r, v.n, sizeof(*g->ops));
    if (!g->ops)
        return nomem(r, v.n * sizeof(*g->ops));
    for (uint32_t i = 0; i < v.n; i++) {
        md_fb_table e = md_fb_vec_table(&v, i);

        MD_TRY(md_fb_check(r->fb, r->err));
        MD_TRY(read_op(&g->ops[i], &e, r, g));
    }
    return MD_OK;
}

static md_status read_graphs(reader *r)
{
    md_fb_vector v = md_fb_vec(&r->root, MODEL_GRAPHS, 4);
    md_tflite *m = r->m;

    MD_TRY(md_fb_check(r->fb, r->err));
    if (v.n == 0)
        return md_fail(r->err, MD_CORRUPT, "tflite: the file has no subgraph");
    m->n_graphs = v.n;
    m->graphs = make(r, v.n, sizeof(*m->graphs));
    if (!m->graphs)
        return nomem(r, v.n * sizeof(*m->graphs));
    for (uint32_t i = 0; i < v.n; i++) {
        md_fb_table t = md_fb_vec_table(&v, i);

        MD_TRY(md_fb_check(r->fb, r->err));
        MD_TRY(read_graph(&m->graphs[i], r, &t));
    }
    return md_fb_check(r->fb, r->err);
}

static md_status read_ports(md_tflite_port **out, uint32_t *n, reader *r,
                            const md_tflite_graph *g, md_fb_vector v,
                            const char *key)
{
    md_tflite_port *list = make(r, v.n, sizeof(*list));

    if (!list)
        return nomem(r, v.n * sizeof(*list));
    for (uint32_t i = 0; i < v.n; i++) {
        md_fb_table t = md_fb_vec_table(&v, i);

        list[i].name = md_fb_text(&t, 0);
        list[i].tensor = md_fb_u32(&t, 1, 0);
        if (list[i].tensor >= g->n_tensors)
            return md_fail(r->err, MD_CORRUPT,
                           "tflite: '%.80s' of signature '%.80s' is tensor %u "
                           "of %u",
                           list[i].name, key, list[i].tensor, g->n_tensors);
    }
    *out = list;
    *n = v.n;
    return MD_OK;
}

static md_status read_signatures(reader *r)
{
    md_fb_vector v = md_fb_vec(&r->root, MODEL_SIGNATURES, 4);
    md_tflite *m = r->m;

    m->n_signatures = v.n;
    m->signatures = make(r, v.n, sizeof(*m->signatures));
    if (!m->signatures)
        return nomem(r, v.n * sizeof(*m->signatures));
    for (uint32_t i = 0; i < v.n; i++) {
        md_tflite_signature *s = &m->signatures[i];
        md_fb_table t = md_fb_vec_table(&v, i);
        const md_tflite_graph *g;

        s->key = md_fb_text(&t, 2);
        s->graph = md_fb_u32(&t, 4, 0);
        if (s->graph >= m->n_graphs)
            return md_fail(r->err, MD_CORRUPT,
                           "tflite: signature '%.80s' is of subgraph %u of %u",
                           s->key, s->graph, m->n_graphs);
        g = &m->graphs[s->graph];
        MD_TRY(read_ports(&s->inputs, &s->n_inputs, r, g, md_fb_vec(&t, 0, 4),
                          s->key));
        MD_TRY(read_ports(&s->outputs, &s->n_outputs, r, g, md_fb_vec(&t, 1, 4),
                          s->key));
    }
    return md_fb_check(r->fb, r->err);
}

static md_status read_metadata(reader *r)
{
    md_fb_vector v = md_fb_vec(&r->root, MODEL_METADATA, 4);
    md_tflite *m = r->m;

    m->min_runtime = "";
    for (uint32_t i = 0; i < v.n; i++) {
        md_fb_table t = md_fb_vec_table(&v, i);
        const char *name = md_fb_text(&t, 0);
        uint32_t at = md_fb_u32(&t, 1, 0);

        if (at >= r->n_buffers || r->buffers[at].size == 0)
            continue;
        if (strcmp(name, "min_runtime_version") == 0) {
            /* Padded with NUL to 16 bytes. */
            m->min_runtime = md_arena_strndup(
                r->ar, (const char *)r->fb->data + r->buffers[at].at,
                r->buffers[at].size < 32 ? r->buffers[at].size : 32);
            if (!m->min_runtime)
                return nomem(r, 32);
        } else if (strcmp(name, "TFLITE_METADATA") == 0) {
            m->notes = r->fb->data + r->buffers[at].at;
            m->notes_size = r->buffers[at].size;
        }
    }
    return md_fb_check(r->fb, r->err);
}

md_status md_tflite_read(md_tflite *out, const void *bytes, size_t size,
                         md_arena *ar, md_error *err)
{
    reader r = { .m = out, .fb = &out->fb, .ar = ar, .err = err };
    uint32_t version;

    *out = (md_tflite){ .min_runtime = "" };
    md_fb_init(&out->fb, bytes, size, "tflite");
    r.root = md_fb_root(&out->fb, "TFL3");
    version = md_fb_u32(&r.root, 0, 0);
    r.codes = md_fb_vec(&r.root, MODEL_CODES, 4);
    out->description = md_fb_text(&r.root, MODEL_DESCRIPTION);
    MD_TRY(md_fb_check(&out->fb, err));
    if (version != 3)
        return md_fail(err, MD_UNSUPPORTED,
                       "tflite: schema version %lu, 3 expected",
                       (unsigned long)version);
    MD_TRY(read_buffers(&r));
    MD_TRY(read_graphs(&r));
    MD_TRY(read_signatures(&r));
    return read_metadata(&r);
}

/* One level of a sparse tensor. */
typedef struct level {
    bool sparse;
    int64_t size; /* dense */
    md_fb_vector segments, indices;
    int segment_size, index_size; /* bytes of an element */
} level;

/* Elements of a union of vectors of int32, uint16 and uint8. */
static md_status read_list(md_fb_vector *out, int *size, const md_fb_table *t,
                           unsigned field, md_error *err)
{
    static const int bytes[] = { 0, 4, 2, 1 };
    uint8_t kind = md_fb_u8(t, field, 0);
    md_fb_table list = md_fb_sub(t, field + 1);

    if (kind < 1 || kind > 3)
        return md_fail(err, MD_CORRUPT, "tflite: sparse indices of kind %u",
                       (unsigned)kind);
    *size = bytes[kind];
    *out = md_fb_vec(&list, 0, (size_t)*size);
    return md_fb_check(t->fb, err);
}

static int64_t list_at(const md_fb_vector *v, int size, uint32_t i)
{
    const unsigned char *p = md_fb_vec_bytes(v) + (size_t)i * (size_t)size;

    if (size == 1)
        return p[0];
    if (size == 2)
        return p[0] | p[1] << 8;
    return md_fb_vec_i32(v, i);
}

typedef struct unpacker {
    const md_tflite_tensor *t;
    md_tensor *out;
    level levels[DEPTH_MAX];
    int n_levels;
    int order[DEPTH_MAX];       /* level to dimension; >= rank: a block */
    int block_of[DEPTH_MAX];    /* block to dimension */
    int64_t block[MD_RANK_MAX]; /* size of the block on a dimension; 1: none */
    int64_t stride[MD_RANK_MAX];
    int64_t at[DEPTH_MAX]; /* place on each expanded dimension */
    size_t element;        /* bytes */
    size_t next;           /* element of the file */
    md_error *err;
} unpacker;

static md_status fail_sparse(const unpacker *u, const char *what)
{
    return md_fail(u->err, MD_CORRUPT, "tflite: sparse constant '%.80s': %s",
                   u->t->name, what);
}

static md_status put_element(unpacker *u)
{
    int64_t place = 0;

    for (int k = 0; k < u->out->shape.rank; k++) {
        int64_t i = u->at[k];

        for (int j = u->out->shape.rank; j < u->n_levels; j++) {
            if (u->block_of[j - u->out->shape.rank] == k)
                i = i * u->block[k] + u->at[j];
        }
        if (i < 0 || i >= u->out->shape.dim[k])
            return fail_sparse(u, "an index outside its shape");
        place += i * u->stride[k];
    }
    if (u->next >= u->t->size / u->element)
        return fail_sparse(u, "fewer values than indices");
    memcpy((unsigned char *)u->out->data + (size_t)place * u->element,
           u->t->data + u->next * u->element, u->element);
    u->next++;
    return MD_OK;
}

/* All elements under position `p` of the level above. */
static md_status unpack(unpacker *u, int depth, int64_t p)
{
    const level *l = &u->levels[depth];
    int64_t from = 0;
    int64_t to = l->size;

    if (depth == u->n_levels)
        return put_element(u);
    if (l->sparse) {
        if (p + 1 >= (int64_t)l->segments.n)
            return fail_sparse(u, "too few segments");
        from = list_at(&l->segments, l->segment_size, (uint32_t)p);
        to = list_at(&l->segments, l->segment_size, (uint32_t)p + 1);
        if (from < 0 || to < from || to > (int64_t)l->indices.n)
            return fail_sparse(u, "a segment outside its indices");
    }
    for (int64_t i = from; i < to; i++) {
        u->at[u->order[depth]] =
            l->sparse ? list_at(&l->indices, l->index_size, (uint32_t)i) : i;
        MD_TRY(unpack(u, depth + 1, l->sparse ? i : p * l->size + i));
    }
    return MD_OK;
}

static md_status read_levels(unpacker *u, md_fb_vector v)
{
    for (int k = 0; k < u->n_levels; k++) {
        md_fb_table t = md_fb_vec_table(&v, (uint32_t)k);
        level *l = &u->levels[k];

        l->sparse = md_fb_i8(&t, 0, 0) == 1;
        l->size = md_fb_i32(&t, 1, 0);
        if (!l->sparse && (l->size < 1 || l->size > DIM_MAX))
            return fail_sparse(u, "a dense level without a size");
        if (l->sparse) {
            MD_TRY(read_list(&l->segments, &l->segment_size, &t, 2, u->err));
            MD_TRY(read_list(&l->indices, &l->index_size, &t, 4, u->err));
        }
    }
    return MD_OK;
}

/* Order of the levels and what blocks belong to. */
static md_status read_order(unpacker *u, md_fb_vector order,
                            md_fb_vector blocks)
{
    int rank = u->out->shape.rank;
    bool seen[DEPTH_MAX] = { false };

    for (int k = 0; k < u->n_levels; k++) {
        int32_t d = md_fb_vec_i32(&order, (uint32_t)k);

        if (d < 0 || d >= u->n_levels || seen[d])
            return fail_sparse(u, "an order that is no permutation");
        seen[d] = true;
        u->order[k] = d;
    }
    for (int k = 0; k < rank; k++)
        u->block[k] = 1;
    for (uint32_t k = 0; k < blocks.n; k++) {
        int32_t d = md_fb_vec_i32(&blocks, k);

        if (d < 0 || d >= rank || u->block[d] != 1)
            return fail_sparse(u, "a block of no dimension");
        u->block_of[k] = d;
        for (int j = 0; j < u->n_levels; j++) {
            if (u->order[j] == rank + (int)k)
                u->block[d] = u->levels[j].size;
        }
    }
    return MD_OK;
}

md_status md_tflite_densify(const md_tflite_tensor *t, md_tensor *out,
                            md_error *err)
{
    unpacker u = { .t = t, .out = out, .err = err };
    md_fb_vector order = md_fb_vec(&t->sparsity, 0, 4);
    md_fb_vector blocks = md_fb_vec(&t->sparsity, 1, 4);
    md_fb_vector levels = md_fb_vec(&t->sparsity, 2, 4);

    MD_TRY(md_fb_check(t->sparsity.fb, err));
    if (levels.n == 0 || levels.n > DEPTH_MAX || order.n != levels.n ||
        levels.n != (uint32_t)t->rank + blocks.n)
        return fail_sparse(&u, "levels that are not dimensions and blocks");
    u.n_levels = (int)levels.n;
    u.element = md_dtype_bits(t->dtype) / 8;
    if (u.element == 0)
        return fail_sparse(&u, "elements below a byte");
    md_shape_strides(u.stride, &out->shape);
    MD_TRY(read_levels(&u, levels));
    MD_TRY(md_fb_check(t->sparsity.fb, err));
    MD_TRY(read_order(&u, order, blocks));
    return unpack(&u, 0, 0);
}

md_status md_tflite_strings(const md_tflite_tensor *t, md_tensor *out,
                            const md_alloc *alloc, md_error *err)
{
    md_shape shape = { t->rank, { 0 } };
    md_tensor v = MD_TENSOR_INIT;
    md_fb fb = { .data = t->data, .size = t->size };
    md_fb_vector list = { &fb, 0, 0 };
    int64_t n;

    for (int i = 0; i < t->rank; i++)
        shape.dim[i] = t->dim[i];
    MD_TRY(md_shape_count(&n, &shape, err));
    if (t->size < 4 || md_fb_vec_i32(&list, 0) != n ||
        (uint64_t)n + 2 > t->size / 4)
        return md_fail(err, MD_CORRUPT,
                       "tflite: constant '%.80s' is not %lld strings", t->name,
                       (long long)n);
    MD_TRY(md_tensor_alloc(&v, MD_DTYPE_STRING, &shape, alloc, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t from = md_fb_vec_i32(&list, (uint32_t)i + 1);
        int64_t to = md_fb_vec_i32(&list, (uint32_t)i + 2);

        if (from < 0 || to < from || (uint64_t)to > t->size) {
            md_tensor_release(&v);
            return md_fail(err, MD_CORRUPT,
                           "tflite: string %lld of constant '%.80s' leaves it",
                           (long long)i, t->name);
        }
        ((md_str *)v.data)[i] =
            (md_str){ (const char *)t->data + from, (size_t)(to - from) };
    }
    if (md_tensor_own_text(&v, err) != MD_OK) {
        md_tensor_release(&v);
        return MD_NOMEM;
    }
    *out = v;
    return MD_OK;
}
