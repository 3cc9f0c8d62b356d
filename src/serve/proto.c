/*
 * A list becomes a flat table of rows, in which messages, enums and services
 * are brackets; descriptions are written in one pass over it.
 *
 * Field numbers below are those of google/protobuf/descriptor.proto.
 */
#include "serve/proto.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_SIZE = 160,
    DEPTH_MAX = 4,
    STREAM_CLIENT = 1,
    STREAM_SERVER = 2
};

typedef enum kind {
    MESSAGE,
    ENUM,
    SERVICE,
    END,
    FIELD,
    ONEOF,
    VALUE,
    RPC
} kind;

typedef enum how {
    ONE,
    CHOICE,
    LIST,
    MAP
} how;

/* FieldDescriptorProto.Type */
typedef enum type {
    DOUBLE = 1,
    FLOAT = 2,
    INT64 = 3,
    UINT64 = 4,
    INT32 = 5,
    BOOL = 8,
    STRING = 9,
    SUB = 11,
    BYTES = 12,
    UINT32 = 13,
    CODE = 14
} type;

typedef struct row {
    kind kind;
    const char *name;
    int number; /* of a method: who streams */
    how how;
    type type;
    const char *in; /* full name: of the type, of a method's request */
    const char *out;
} row;

#define P_KEEP
#define P_MESSAGE(name) { MESSAGE, #name, 0, ONE, SUB, NULL, NULL },
#define P_END() { END, "", 0, ONE, SUB, NULL, NULL },
#define P_FIELD(message, name, number, how, type)                              \
    { FIELD, #name, number, how, type, NULL, NULL },
#define P_SUB(message, name, number, how, type)                                \
    { FIELD, #name, number, how, SUB, type, NULL },
#define P_CODE(message, name, number, type)                                    \
    { FIELD, #name, number, ONE, CODE, type, NULL },
#define P_ONEOF(name) { ONEOF, #name, 0, ONE, SUB, NULL, NULL },
#define P_ENUM(name) { ENUM, #name, 0, ONE, SUB, NULL, NULL },
#define P_VALUE(name, number) { VALUE, #name, number, ONE, SUB, NULL, NULL },
#define P_AGAIN(name, number) P_VALUE(name, number)
#define P_SERVICE(name) { SERVICE, #name, 0, ONE, SUB, NULL, NULL },
#define P_RPC(name, in, out, streams)                                          \
    { RPC, #name, streams, ONE, SUB, in, out },

static const row inference[] = {
#include "serve/proto/inference.def"
};
static const row model_config[] = {
#include "serve/proto/model_config.def"
};
static const row health[] = {
#include "serve/proto/health.def"
};
static const row wrappers[] = {
#include "serve/proto/wrappers.def"
};
static const row any[] = {
#include "serve/proto/any.def"
};
static const row tensorflow[] = {
#include "serve/proto/tensorflow.def"
};
static const row tfs[] = {
#include "serve/proto/tfs.def"
};
#define P_PACKAGE "grpc.reflection.v1"
static const row reflection[] = {
#include "serve/proto/reflection.def"
};
#undef P_PACKAGE
#define P_PACKAGE "grpc.reflection.v1alpha"
static const row reflection_v1alpha[] = {
#include "serve/proto/reflection.def"
};
#undef P_PACKAGE
#undef P_KEEP
#include "serve/proto/end.def"

static const struct {
    const char *name;
    const char *package;
    const char *imports; /* separated by blanks; or NULL */
    const row *rows;
    size_t n;
} FILES[MD_N_PROTOS] = {
#define PROTO(list, file, package, imports)                                    \
    { file, package, imports, list, MD_COUNT(list) },
#include "serve/proto/files.def"
#undef PROTO
};

/* ---- looking up ---- */

static bool is_text(md_str s, const char *text)
{
    return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

int md_proto_find_file(md_str name)
{
    for (int i = 0; i < MD_N_PROTOS; i++)
        if (is_text(name, FILES[i].name))
            return i;
    return -1;
}

static bool opens(const row *r)
{
    return r->kind <= SERVICE;
}

/* Walk over the rows of a file with the full name of each; stop where fn
 * returns true. */
typedef bool visit_fn(void *ctx, const row *r, const char *name);

static bool walk(int file, visit_fn *fn, void *ctx)
{
    char name[NAME_SIZE];
    size_t ends[DEPTH_MAX] = { 0 };
    int depth = 0;

    ends[0] = (size_t)snprintf(name, sizeof(name), "%s", FILES[file].package);
    for (size_t i = 0; i < FILES[file].n; i++) {
        const row *r = &FILES[file].rows[i];
        int n;

        if (r->kind == END) {
            assert(depth > 0);
            depth--;
            continue;
        }
        n = snprintf(name + ends[depth], sizeof(name) - ends[depth], ".%s",
                     r->name);
        if (fn(ctx, r, name))
            return true;
        if (opens(r)) {
            assert(depth + 1 < DEPTH_MAX);
            ends[depth + 1] = ends[depth] + (size_t)n;
            depth++;
        }
    }
    return false;
}

static bool has_name(void *ctx, const row *r, const char *name)
{
    (void)r;
    return is_text(*(const md_str *)ctx, name);
}

int md_proto_find_symbol(md_str name)
{
    for (int i = 0; i < MD_N_PROTOS; i++)
        if (walk(i, has_name, &name))
            return i;
    return -1;
}

typedef struct service_user {
    void (*fn)(void *ctx, const char *name);
    void *ctx;
} service_user;

static bool give_service(void *ctx, const row *r, const char *name)
{
    const service_user *u = ctx;

    if (r->kind == SERVICE)
        u->fn(u->ctx, name);
    return false;
}

void md_proto_each_service(void (*fn)(void *ctx, const char *name), void *ctx)
{
    service_user u = { fn, ctx };

    for (int i = 0; i < MD_N_PROTOS; i++)
        (void)walk(i, give_service, &u);
}

int md_proto_value(int file, const char *prefix, const char *name)
{
    const size_t n = strlen(prefix);

    for (size_t i = 0; i < FILES[file].n; i++) {
        const row *r = &FILES[file].rows[i];

        if (r->kind == VALUE && strncmp(r->name, prefix, n) == 0 &&
            strcmp(r->name + n, name) == 0)
            return r->number;
    }
    return 0;
}

/* ---- describing ---- */

static void put_type_name(md_pb_writer *w, uint32_t number, const char *name)
{
    char full[2 * NAME_SIZE + 1];

    (void)snprintf(full, sizeof(full), ".%s", name);
    md_pb_put_text(w, number, full);
}

/* One field's contents; oneof < 0: in none. */
static void put_field(md_pb_writer *w, const row *r, bool repeated, int oneof)
{
    md_pb_put_text(w, 1, r->name);
    md_pb_put_int(w, 3, r->number);
    md_pb_put_int(w, 4, repeated ? 3 : 1); /* LABEL_REPEATED, _OPTIONAL */
    md_pb_put_int(w, 5, (int)r->type);
    if (r->in)
        put_type_name(w, 6, r->in);
    if (oneof >= 0)
        md_pb_put_int(w, 9, oneof);
}

static void put_field_of(md_pb_writer *w, uint32_t number, const row *r,
                         bool repeated, int oneof)
{
    md_pb_mark m = md_pb_begin(w, number);

    put_field(w, r, repeated, oneof);
    md_pb_end(w, m);
}

/* "raw_input" -> "RawInputEntry", the name of a map's nested message. */
static void entry_name(char *out, size_t size, const char *field)
{
    size_t n = 0;
    bool up = true;

    for (const char *p = field; *p && n + 6 < size; p++) {
        if (*p != '_')
            out[n++] =
                (char)(up && *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
        up = *p == '_';
    }
    (void)snprintf(out + n, size - n, "Entry");
}

/* A map is a list of messages of its own with key and value. */
static void put_map(md_pb_writer *w, const row *r, const char *message)
{
    char name[NAME_SIZE], full[2 * NAME_SIZE];
    const row key = { FIELD, "key", 1, ONE, STRING, NULL, NULL };
    row value = *r;
    row list = *r;
    md_pb_mark m, options;

    entry_name(name, sizeof(name), r->name);
    (void)snprintf(full, sizeof(full), "%s.%s", message, name);
    value.name = "value";
    value.number = 2;
    list.type = SUB;
    list.in = full;
    put_field_of(w, 2, &list, true, -1);
    m = md_pb_begin(w, 3);
    md_pb_put_text(w, 1, name);
    put_field_of(w, 2, &key, false, -1);
    put_field_of(w, 2, &value, false, -1);
    options = md_pb_begin(w, 7);
    md_pb_put_int(w, 7, 1); /* map_entry */
    md_pb_end(w, options);
    md_pb_end(w, m);
}

static void put_oneof(md_pb_writer *w, const row *r)
{
    md_pb_mark m = md_pb_begin(w, 8);

    md_pb_put_text(w, 1, r->name);
    md_pb_end(w, m);
}

static void put_value(md_pb_writer *w, const row *r)
{
    md_pb_mark m = md_pb_begin(w, 2);

    md_pb_put_text(w, 1, r->name);
    md_pb_put_int(w, 2, r->number);
    md_pb_end(w, m);
}

static void put_rpc(md_pb_writer *w, const row *r)
{
    md_pb_mark m = md_pb_begin(w, 2);

    md_pb_put_text(w, 1, r->name);
    put_type_name(w, 2, r->in);
    put_type_name(w, 3, r->out);
    if (r->number & STREAM_CLIENT)
        md_pb_put_int(w, 5, 1);
    if (r->number & STREAM_SERVER)
        md_pb_put_int(w, 6, 1);
    md_pb_end(w, m);
}

typedef struct level {
    md_pb_mark mark;
    int n_oneofs;
    size_t name_end; /* of the full name */
} level;

/* The number of a bracket's field in what it lies in. */
static uint32_t place_of(const row *r, int depth)
{
    switch (r->kind) {
    case MESSAGE:
        return depth == 0 ? 4 : 3;
    case ENUM:
        return depth == 0 ? 5 : 4;
    default:
        return 6;
    }
}

static void put_row(md_pb_writer *w, const row *r, level *l, const char *name)
{
    switch (r->kind) {
    case FIELD:
        if (r->how == MAP)
            put_map(w, r, name);
        else
            put_field_of(w, 2, r, r->how == LIST,
                         r->how == CHOICE ? l->n_oneofs - 1 : -1);
        break;
    case ONEOF:
        l->n_oneofs++;
        put_oneof(w, r);
        break;
    case VALUE:
        put_value(w, r);
        break;
    default:
        put_rpc(w, r);
        break;
    }
}

static void put_imports(md_pb_writer *w, const char *names)
{
    while (names && *names) {
        const size_t n = strcspn(names, " ");

        md_pb_put_bytes(w, 3, names, n);
        names += n + (names[n] == ' ');
    }
}

void md_proto_describe(md_pb_writer *w, int file)
{
    char name[NAME_SIZE];
    level levels[DEPTH_MAX] = { 0 };
    int depth = 0;

    md_pb_put_text(w, 1, FILES[file].name);
    md_pb_put_text(w, 2, FILES[file].package);
    put_imports(w, FILES[file].imports);
    levels[0].name_end =
        (size_t)snprintf(name, sizeof(name), "%s", FILES[file].package);
    for (size_t i = 0; i < FILES[file].n; i++) {
        const row *r = &FILES[file].rows[i];
        level *l = &levels[depth];

        if (r->kind == END) {
            assert(depth > 0);
            md_pb_end(w, l->mark);
            depth--;
            name[levels[depth].name_end] = '\0';
        } else if (opens(r)) {
            assert(depth + 1 < DEPTH_MAX);
            l[1].mark = md_pb_begin(w, place_of(r, depth));
            l[1].n_oneofs = 0;
            md_pb_put_text(w, 1, r->name);
            l[1].name_end =
                l->name_end + (size_t)snprintf(name + l->name_end,
                                               sizeof(name) - l->name_end,
                                               ".%s", r->name);
            depth++;
        } else {
            put_row(w, r, l, name);
        }
    }
    md_pb_put_text(w, 12, "proto3");
}
