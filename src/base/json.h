/*
 * JSON (RFC 8259): a pull reader over bytes in memory and a writer into a
 * buffer.
 *
 * The reader hands out tokens and keeps one bit per open container, so depth
 * costs no stack.  It is strict: UTF-8 is checked, so are escapes and their
 * surrogate pairs; no comments, no trailing commas, no NaN unless asked for.
 * Names that occur twice are the caller's to judge.  Token texts point into
 * the input, which must outlive them; the reader allocates nothing.
 *
 * Workload: bodies that are one large array of numbers; md_json_read_array
 * takes those at the speed of md_num_f32.
 */
#ifndef MD_BASE_JSON_H
#define MD_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"

/* ---- reader ---- */

typedef enum md_json_kind {
    MD_JSON_END, /* of the text, behind the one value */
    MD_JSON_OBJECT,
    MD_JSON_OBJECT_END,
    MD_JSON_ARRAY,
    MD_JSON_ARRAY_END,
    MD_JSON_NAME, /* a member's; its value follows */
    MD_JSON_STRING,
    MD_JSON_NUMBER,
    MD_JSON_TRUE,
    MD_JSON_FALSE,
    MD_JSON_NULL,
} md_json_kind;

typedef struct md_json_token {
    md_json_kind kind;
    bool escaped;     /* a NAME or STRING with backslashes */
    const char *text; /* as it stands in the input; strings without quotes */
    size_t size;
    size_t at; /* byte offset in the input */
} md_json_token;

typedef struct md_json_opts {
    int depth_max;  /* open containers, at most MD_LIMIT_JSON_DEPTH_CAP */
    bool nonfinite; /* NaN, Infinity and -Infinity are numbers */
} md_json_opts;

#define MD_JSON_OPTS_INIT                                                      \
    {                                                                          \
        .depth_max = MD_LIMIT_JSON_DEPTH, .nonfinite = false                   \
    }

/* Plain data on the caller's stack; members are private. */
typedef struct md_json {
    const unsigned char *begin, *at, *end;
    md_json_opts opts;
    int depth;
    int state;
    uint64_t is_object[MD_LIMIT_JSON_DEPTH_CAP / 64]; /* bit per depth */
} md_json;

/* Start at the first byte of n; opts NULL: MD_JSON_OPTS_INIT. */
void md_json_init(md_json *r, const void *text, size_t n,
                  const md_json_opts *opts);

/* The next token.  Errors are MD_INVALID: "JSON at byte 17: ...". */
md_status md_json_next(md_json *r, md_json_token *out, md_error *err);

/* The same, but it must be of `kind`. */
md_status md_json_expect(md_json *r, md_json_kind kind, md_json_token *out,
                         md_error *err);

/* Skip what belongs to t: the rest of the container that it opens, the value
 * of a name; nothing behind any other token. */
md_status md_json_skip(md_json *r, const md_json_token *t, md_error *err);

/* The kind of the coming token, judged by its first byte; MD_JSON_END also
 * when that byte begins no token. */
md_json_kind md_json_peek(const md_json *r);

/* "object", "number", ... for messages. */
const char *md_json_kind_text(md_json_kind kind);

/* Fail with MD_INVALID and "JSON at byte <at>: " before the text. */
md_status md_json_fail(size_t at, md_error *err, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* Whether a NAME or STRING, unescaped, is s. */
bool md_json_is(const md_json_token *t, const char *s);

/* Unescape a NAME or STRING into dst, which has room for t->size bytes; the
 * length is returned.  Not terminated. */
size_t md_json_unescape(const md_json_token *t, char *dst);

/* A terminated copy in the arena; *size may be NULL.  Refuses a \u0000
 * inside when size is NULL, because the text would end there. */
md_status md_json_string(const md_json_token *t, md_arena *ar, const char **out,
                         size_t *size, md_error *err);

/* The value of a NUMBER; MD_INVALID when it is another token or does not fit.
 * Integers take no fraction or exponent. */
md_status md_json_f64(const md_json_token *t, double *out, md_error *err);
md_status md_json_i64(const md_json_token *t, int64_t *out, md_error *err);
md_status md_json_u64(const md_json_token *t, uint64_t *out, md_error *err);

/* TRUE or FALSE. */
md_status md_json_bool(const md_json_token *t, bool *out, md_error *err);

/*
 * The shape of nested arrays, found while they are read.  All leaves must be
 * at one depth and all arrays of one depth equally long.
 */
typedef struct md_json_nest {
    int rank;                          /* 0: a value that is in no array */
    int depth;                         /* open now */
    bool leafs;                        /* a leaf was seen: rank is final */
    int64_t dims[MD_LIMIT_JSON_RANK];  /* -1: not known yet */
    int64_t count[MD_LIMIT_JSON_RANK]; /* elements so far, by open array */
} md_json_nest;

void md_json_nest_init(md_json_nest *nest);

/* An array opens or closes, n leaves follow; `at` is for the message. */
md_status md_json_nest_open(md_json_nest *nest, size_t at, md_error *err);
md_status md_json_nest_close(md_json_nest *nest, size_t at, md_error *err);
md_status md_json_nest_leaf(md_json_nest *nest, size_t at, md_error *err);

typedef enum md_json_item {
    MD_JSON_F32,
    MD_JSON_F64,
    MD_JSON_I64,
    MD_JSON_U64,
    MD_JSON_BOOL, /* true and false, as uint8_t */
} md_json_item;

/*
 * Read one value, a number or arrays of numbers in any nesting, and append
 * its leaves in order to out as `item`s; nest gets the shape.  Stands in for
 * md_json_next where a value comes.  A ragged nesting and a leaf of another
 * type are MD_INVALID, more than out's limit MD_TOO_LARGE.
 */
md_status md_json_read_array(md_json *r, md_json_item item, md_buf *out,
                             md_json_nest *nest, md_error *err);

/* ---- writer ---- */

typedef enum md_json_nonfinite {
    MD_JSON_NONFINITE_FAIL,
    MD_JSON_NONFINITE_STRING,  /* "NaN", "Infinity", "-Infinity" */
    MD_JSON_NONFINITE_LITERAL, /* the same without quotes: not JSON */
} md_json_nonfinite;

/*
 * Members are private.  The first failure is kept and later calls do nothing,
 * so only md_json_finish needs a check.
 */
typedef struct md_json_writer {
    md_buf *out;
    md_json_nonfinite nonfinite;
    int indent; /* spaces by depth; 0: all on one line */
    md_status status;
    md_error err;
    int depth;
    bool first;      /* nothing in the open container yet */
    bool after_name; /* a value must come */
    uint64_t is_object[MD_LIMIT_JSON_DEPTH_CAP / 64];
} md_json_writer;

/* Append to out, which must outlive the writer. */
void md_json_writer_init(md_json_writer *w, md_buf *out);

void md_json_put_object(md_json_writer *w);
void md_json_put_array(md_json_writer *w);
void md_json_put_end(md_json_writer *w); /* of the innermost container */
void md_json_put_name(md_json_writer *w, const char *name);

/* Strings are escaped; a byte that is not UTF-8 becomes U+FFFD. */
void md_json_put_str(md_json_writer *w, const char *s);
void md_json_put_strn(md_json_writer *w, const char *s, size_t n);
void md_json_put_i64(md_json_writer *w, int64_t x);
void md_json_put_u64(md_json_writer *w, uint64_t x);
void md_json_put_f32(md_json_writer *w, float x); /* md_num_put_f32 */
void md_json_put_f64(md_json_writer *w, double x);
void md_json_put_bool(md_json_writer *w, bool x);
void md_json_put_null(md_json_writer *w);

/* n elements, each as by md_json_put_f32, without the brackets. */
void md_json_put_f32s(md_json_writer *w, const float *x, size_t n);

/* Text that is already JSON. */
void md_json_put_raw(md_json_writer *w, const char *json, size_t n);

/* The first failure, if any. */
md_status md_json_finish(md_json_writer *w, md_error *err);

#endif
