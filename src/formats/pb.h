/*
 * Protocol buffers, wire level: a reader that points into the bytes it reads
 * and a writer that points to the big things it writes.
 *
 * Source: "Encoding" of the Protocol Buffers documentation.  Groups, which
 * proto2 deprecated, are refused.  Workload: ONNX files, where 99.9 % of the
 * bytes are a few hundred raw_data fields; neither side copies those.
 */
#ifndef MD_FORMATS_PB_H
#define MD_FORMATS_PB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

enum {
    MD_PB_DEPTH_MAX = 100 /* messages in messages, as in protobuf itself */
};

typedef enum md_pb_wire {
    MD_PB_VARINT = 0,
    MD_PB_FIXED64 = 1,
    MD_PB_LEN = 2,
    MD_PB_FIXED32 = 5,
} md_pb_wire;

/* What is left to read of one message; the bytes belong to the caller. */
typedef struct md_pb {
    const unsigned char *p;
    const unsigned char *end;
    unsigned depth;
} md_pb;

typedef struct md_pb_field {
    uint32_t number; /* 0: the message is at its end */
    md_pb_wire wire;
    uint64_t value; /* varint, fixed32, fixed64 */
    md_pb bytes;    /* MD_PB_LEN: contents, one level deeper */
} md_pb_field;

/* A cursor over a whole message. */
md_pb md_pb_init(const void *bytes, size_t size);

/* Bytes left. */
size_t md_pb_size(const md_pb *r);

/* The next field; number 0 at the end.  MD_CORRUPT on anything malformed, on
 * groups, and on a length behind the end. */
md_status md_pb_next(md_pb_field *f, md_pb *r, md_error *err);

/* The contents of a nested message; MD_CORRUPT when the field is none or lies
 * deeper than MD_PB_DEPTH_MAX. */
md_status md_pb_message(md_pb *out, const md_pb_field *f, md_error *err);

/* A varint field as int64 (int32, bool and enum widen to it). */
md_status md_pb_int(int64_t *out, const md_pb_field *f, md_error *err);

md_status md_pb_float(float *out, const md_pb_field *f, md_error *err);

/*
 * Take the next value out of a repeated scalar field of wire type `wire`,
 * packed or not; *more is false when none is left.
 */
md_status md_pb_take(uint64_t *out, bool *more, md_pb_field *f, md_pb_wire wire,
                     md_error *err);

/* Number of values that md_pb_take will give. */
md_status md_pb_count(size_t *out, const md_pb_field *f, md_pb_wire wire,
                      md_error *err);

/* A text field as NUL-terminated copy in the arena; MD_CORRUPT unless it is
 * UTF-8 without NUL. */
md_status md_pb_text(const char **out, const md_pb_field *f, md_arena *ar,
                     md_error *err);

/* True when the text field holds exactly `text`. */
bool md_pb_text_equal(const md_pb_field *f, const char *text);

/* Bytes that the output refers to instead of holding them. */
typedef struct md_pb_slice {
    size_t at; /* in buf: they come before buf.data[at] */
    const void *data;
    size_t size;
} md_pb_slice;

/*
 * The writer.  The first failure sticks and makes everything after it a
 * no-op, so that callers check once, in md_pb_writer_finish.
 */
typedef struct md_pb_writer {
    md_buf buf; /* everything but the slices */
    md_pb_slice *slices;
    uint32_t n_slices, cap_slices;
    size_t sliced; /* bytes in slices */
    md_status status;
    md_error error;
} md_pb_writer;

/* An open nested message. */
typedef struct md_pb_mark {
    size_t at;
    size_t sliced;
    uint32_t slice;
} md_pb_mark;

/* Nothing is allocated yet; `limit` bounds what is held (not the slices). */
void md_pb_writer_init(md_pb_writer *w, const md_alloc *alloc, size_t limit);
void md_pb_writer_release(md_pb_writer *w);

/* Empty it, and forget a failure; keeps the memory. */
void md_pb_writer_clear(md_pb_writer *w);

/* The first failure, or MD_OK; *size (may be NULL) is the message's. */
md_status md_pb_writer_finish(const md_pb_writer *w, size_t *size,
                              md_error *err);

/* Give the message piece by piece, in order. */
typedef md_status md_pb_sink(void *ctx, const void *data, size_t size,
                             md_error *err);
md_status md_pb_writer_drain(const md_pb_writer *w, md_pb_sink *sink, void *ctx,
                             md_error *err);

void md_pb_put_int(md_pb_writer *w, uint32_t number, int64_t v);
void md_pb_put_float(md_pb_writer *w, uint32_t number, float v);
void md_pb_put_bytes(md_pb_writer *w, uint32_t number, const void *data,
                     size_t size);
void md_pb_put_text(md_pb_writer *w, uint32_t number, const char *text);

/* The same, but data must live until the writer is drained. */
void md_pb_put_slice(md_pb_writer *w, uint32_t number, const void *data,
                     size_t size);

/* Packed lists; nothing is written for n = 0. */
void md_pb_put_ints(md_pb_writer *w, uint32_t number, const int64_t *v,
                    size_t n);
void md_pb_put_floats(md_pb_writer *w, uint32_t number, const float *v,
                      size_t n);

/* A nested message: what is put between the two lies in it. */
md_pb_mark md_pb_begin(md_pb_writer *w, uint32_t number);
void md_pb_end(md_pb_writer *w, md_pb_mark mark);

#endif
