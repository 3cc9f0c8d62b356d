#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum {
    HEADER_MAX = 100 << 20, /* as the format's own reader */
    LENGTH_SIZE = 8
};

typedef struct type {
    const char *name;
    md_dtype dtype;
} type;

static const type types[] = {
    { "F64", MD_DTYPE_F64 },   { "F32", MD_DTYPE_F32 }, { "F16", MD_DTYPE_F16 },
    { "BF16", MD_DTYPE_BF16 }, { "I64", MD_DTYPE_I64 }, { "I32", MD_DTYPE_I32 },
    { "I16", MD_DTYPE_I16 },   { "I8", MD_DTYPE_I8 },   { "U64", MD_DTYPE_U64 },
    { "U32", MD_DTYPE_U32 },   { "U16", MD_DTYPE_U16 }, { "U8", MD_DTYPE_U8 },
    { "BOOL", MD_DTYPE_BOOL }, { "C64", MD_DTYPE_C64 },
};

static uint64_t header_size(const unsigned char *p)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < LENGTH_SIZE; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* A header may be too long for its file and still say what the file is. */
bool md_safetensors_probe(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    return size > LENGTH_SIZE + 1 && p[LENGTH_SIZE] == '{' &&
           (p[LENGTH_SIZE + 1] == '"' || p[LENGTH_SIZE + 1] == '}' ||
            p[LENGTH_SIZE + 1] == ' ' || p[LENGTH_SIZE + 1] == '\n') &&
           memchr(p, 0, LENGTH_SIZE) != NULL;
}

/* One tensor's record as it stands in the header. */
typedef struct record {
    bool has_dtype, has_shape, has_place;
    uint64_t place[2];
} record;

static md_status read_dtype(md_dtype *out, md_json *r, const char *name,
                            md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_STRING, &t, err));
    for (size_t i = 0; i < MD_COUNT(types); i++) {
        if (md_json_is(&t, types[i].name)) {
            *out = types[i].dtype;
            return MD_OK;
        }
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "safetensors: tensor '%.80s' has type '%.*s'", name,
                   t.size < 20 ? (int)t.size : 20, t.text);
}

static md_status read_shape(md_shape *out, md_json *r, const char *name,
                            md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_ARRAY, &t, err));
    for (out->rank = 0;; out->rank++) {
        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_ARRAY_END)
            return MD_OK;
        if (out->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED,
                           "safetensors: tensor '%.80s' has more than %d axes",
                           name, MD_RANK_MAX);
        MD_TRY(md_json_i64(&t, &out->dim[out->rank], err));
    }
}

static md_status read_place(uint64_t place[2], md_json *r, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_ARRAY, &t, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(md_json_next(r, &t, err));
        MD_TRY(md_json_u64(&t, &place[i], err));
    }
    return md_json_expect(r, MD_JSON_ARRAY_END, &t, err);
}

static md_status read_record(md_safetensor *x, record *rec, md_json *r,
                             md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            break;
        if (md_json_is(&t, "dtype")) {
            MD_TRY(read_dtype(&x->t.dtype, r, x->name, err));
            rec->has_dtype = true;
        } else if (md_json_is(&t, "shape")) {
            MD_TRY(read_shape(&x->t.shape, r, x->name, err));
            rec->has_shape = true;
        } else if (md_json_is(&t, "data_offsets")) {
            MD_TRY(read_place(rec->place, r, err));
            rec->has_place = true;
        } else {
            MD_TRY(md_json_skip(r, &t, err));
        }
    }
    if (!rec->has_dtype || !rec->has_shape || !rec->has_place)
        return md_fail(err, MD_CORRUPT,
                       "safetensors: tensor '%.80s' lacks its %s", x->name,
                       !rec->has_dtype   ? "dtype"
                       : !rec->has_shape ? "shape"
                                         : "data_offsets");
    return MD_OK;
}

/* The tensor's bytes, where the record says. */
static md_status place(md_safetensor *x, const record *rec,
                       const unsigned char *data, size_t size, md_error *err)
{
    size_t want;

    MD_TRY(md_tensor_bytes(&want, x->t.dtype, &x->t.shape, err));
    if (rec->place[0] > rec->place[1] || rec->place[1] > size)
        return md_fail(err, MD_CORRUPT,
                       "safetensors: tensor '%.80s' lies at [%llu, %llu) of "
                       "%zu bytes",
                       x->name, (unsigned long long)rec->place[0],
                       (unsigned long long)rec->place[1], size);
    if (rec->place[1] - rec->place[0] != want)
        return md_fail(
            err, MD_CORRUPT,
            "safetensors: tensor '%.80s' has %llu bytes, its shape "
            "and type need %zu",
            x->name, (unsigned long long)(rec->place[1] - rec->place[0]), want);
    /* Borrowed and only read: the tensor type has no const form. */
    x->t.data = want ? (void *)(uintptr_t)(data + rec->place[0]) : NULL;
    return MD_OK;
}

static md_status read_metadata(md_safetensors *out, md_json *r, md_arena *arena,
                               md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        bool is_format;

        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        is_format = md_json_is(&t, "format");
        MD_TRY(md_json_expect(r, MD_JSON_STRING, &t, err));
        if (is_format)
            MD_TRY(md_json_string(&t, arena, &out->format, NULL, err));
    }
}

typedef struct sorted {
    uint64_t from, to;
    uint32_t i;
} sorted;

static int by_place(const void *a, const void *b)
{
    const sorted *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const md_safetensor *)a)->name,
                  ((const md_safetensor *)b)->name);
}

/* The tensors lie one after another and fill the file. */
static md_status check_places(md_safetensors *x, sorted *at, size_t size,
                              md_arena *arena, md_error *err)
{
    md_safetensor *in_order =
        md_arena_calloc(arena, (size_t)x->n + 1, sizeof(*in_order));
    uint64_t end = 0;

    if (!in_order)
        return md_fail_nomem(err, x->n * sizeof(*in_order));
    if (at && x->n > 1)
        qsort(at, x->n, sizeof(*at), by_place);
    for (uint32_t i = 0; at && i < x->n; i++) {
        if (at[i].from != end)
            return md_fail(err, MD_CORRUPT,
                           "safetensors: tensor '%.80s' begins at %llu, %llu "
                           "expected: tensors overlap or leave holes",
                           x->tensors[at[i].i].name,
                           (unsigned long long)at[i].from,
                           (unsigned long long)end);
        end = at[i].to;
        in_order[i] = x->tensors[at[i].i];
    }
    if (end != size)
        return md_fail(err, MD_CORRUPT,
                       "safetensors: tensors end at %llu of %zu bytes",
                       (unsigned long long)end, size);
    if (x->n > 1)
        qsort(x->tensors, x->n, sizeof(*x->tensors), by_name);
    for (uint32_t i = 1; i < x->n; i++) {
        if (by_name(&x->tensors[i - 1], &x->tensors[i]) == 0)
            return md_fail(err, MD_CORRUPT,
                           "safetensors: tensor '%.80s' comes twice",
                           x->tensors[i].name);
    }
    x->tensors = in_order;
    return MD_OK;
}

static md_status read_header(md_safetensors *out, const unsigned char *p,
                             size_t header, size_t size, md_arena *arena,
                             md_error *err)
{
    const unsigned char *data = p + LENGTH_SIZE + header;
    size_t n_data = size - LENGTH_SIZE - header;
    uint32_t cap = 0, cap_at = 0;
    sorted *at = NULL;
    md_json_token t;
    md_json r;

    md_json_init(&r, p + LENGTH_SIZE, header, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        md_safetensor x = { .t = MD_TENSOR_INIT };
        record rec = { .has_dtype = false };

        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            break;
        if (md_json_is(&t, "__metadata__")) {
            MD_TRY(read_metadata(out, &r, arena, err));
            continue;
        }
        MD_TRY(md_json_string(&t, arena, &x.name, NULL, err));
        MD_TRY(read_record(&x, &rec, &r, err));
        MD_TRY(place(&x, &rec, data, n_data, err));
        MD_TRY(
            md_arena_grow(arena, &out->tensors, &cap, out->n, sizeof(x), err));
        MD_TRY(md_arena_grow(arena, &at, &cap_at, out->n, sizeof(*at), err));
        at[out->n] = (sorted){ rec.place[0], rec.place[1], out->n };
        out->tensors[out->n++] = x;
    }
    MD_TRY(md_json_expect(&r, MD_JSON_END, &t, err));
    return check_places(out, at, n_data, arena, err);
}

md_status md_safetensors_read(md_safetensors *out, const void *bytes,
                              size_t size, md_arena *arena, md_error *err)
{
    uint64_t header;
    md_status s;

    *out = (md_safetensors){ .format = "" };
    if (size < LENGTH_SIZE)
        return md_fail(err, MD_CORRUPT,
                       "safetensors: %zu bytes, a length of 8 expected", size);
    header = header_size(bytes);
    if (header > HEADER_MAX || header > size - LENGTH_SIZE)
        return md_fail(err, MD_CORRUPT,
                       "safetensors: header of %llu bytes in a file of %zu, "
                       "at most %d",
                       (unsigned long long)header, size, HEADER_MAX);
    s = read_header(out, bytes, (size_t)header, size, arena, err);
    /* What is wrong with the text is wrong with the file. */
    return s == MD_INVALID ? md_wrap(err, MD_CORRUPT, "safetensors: ") : s;
}
