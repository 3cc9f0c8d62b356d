/*
 * FlatBuffers, read in place (the format's "Internals" page: tables with
 * vtables, vectors, strings; little-endian).
 *
 * Every access is checked against the bytes: an offset that leaves them, a
 * table larger than its vtable says, a string without its NUL end the reading.
 * The first such fault is kept in the md_fb and everything read after it, the
 * faulty thing included, is a default (0, absent, empty): who reads asks
 * md_fb_check at the end of each part, before believing what was read.
 *
 * Nothing is allocated; tables, vectors and texts point into the bytes, which
 * the caller owns.  Offsets go forward only, so reading cannot go in circles;
 * the number of tables opened is bounded, so that vectors that share tables do
 * not make a small file a long job.
 */
#ifndef MD_FORMATS_FLATBUF_H
#define MD_FORMATS_FLATBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    MD_FB_TABLES_MAX = 1 << 22 /* opened in one file */
};

typedef struct md_fb {
    const unsigned char *data;
    size_t size;
    const char *what; /* begins the error texts */
    uint32_t n_tables;
    md_status status; /* of the first fault */
    char fault[160];
} md_fb;

/* fb NULL: absent, all its fields are defaults. */
typedef struct md_fb_table {
    md_fb *fb;
    size_t at;
    size_t vtable;
    uint16_t vtable_size, size; /* bytes */
} md_fb_table;

/* Elements inside the bytes; n 0 when absent. */
typedef struct md_fb_vector {
    md_fb *fb;
    size_t at; /* of element 0 */
    uint32_t n;
} md_fb_vector;

void md_fb_init(md_fb *fb, const void *bytes, size_t size, const char *what);

/* The first fault, with `what` before it; MD_OK when there was none. */
md_status md_fb_check(const md_fb *fb, md_error *err);

/* The root table of a file whose identifier is id (4 characters). */
md_fb_table md_fb_root(md_fb *fb, const char *id);

/* Is field `f` (its id, from 0) there? */
bool md_fb_has(const md_fb_table *t, unsigned f);

/* Scalars; `otherwise` where the field is absent. */
int md_fb_i8(const md_fb_table *t, unsigned f, int8_t otherwise);
uint8_t md_fb_u8(const md_fb_table *t, unsigned f, uint8_t otherwise);
int32_t md_fb_i32(const md_fb_table *t, unsigned f, int32_t otherwise);
uint32_t md_fb_u32(const md_fb_table *t, unsigned f, uint32_t otherwise);
int64_t md_fb_i64(const md_fb_table *t, unsigned f, int64_t otherwise);
uint64_t md_fb_u64(const md_fb_table *t, unsigned f, uint64_t otherwise);
float md_fb_f32(const md_fb_table *t, unsigned f, float otherwise);
bool md_fb_bool(const md_fb_table *t, unsigned f, bool otherwise);

/* A table, a vector of elements of `size` bytes, a NUL-terminated text ("" when
 * absent; may hold any bytes before). */
md_fb_table md_fb_sub(const md_fb_table *t, unsigned f);
md_fb_vector md_fb_vec(const md_fb_table *t, unsigned f, size_t size);
const char *md_fb_text(const md_fb_table *t, unsigned f);

/* Element i of a vector of tables, texts or scalars (i < n). */
md_fb_table md_fb_vec_table(const md_fb_vector *v, uint32_t i);
const char *md_fb_vec_text(const md_fb_vector *v, uint32_t i);
int32_t md_fb_vec_i32(const md_fb_vector *v, uint32_t i);
int64_t md_fb_vec_i64(const md_fb_vector *v, uint32_t i);
float md_fb_vec_f32(const md_fb_vector *v, uint32_t i);

/* Bytes of a vector's elements in the file; not NULL. */
const unsigned char *md_fb_vec_bytes(const md_fb_vector *v);

#endif
