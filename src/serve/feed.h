/*
 * Input tensors of one call: values from JSON, from binary bodies or from a
 * picture, and the run that takes them.
 *
 * Values lie in the worker's scratch buffer, which grows while they are read,
 * so a tensor is an offset until all of them are there.
 */
#ifndef MD_SERVE_FEED_H
#define MD_SERVE_FEED_H

#include "serve/call.h"

typedef struct md_feed_input {
    bool given;
    md_shape shape;
    size_t at; /* in the scratch buffer */
} md_feed_input;

typedef struct md_feed {
    md_call *call;
    const md_serve_model *model;
    md_feed_input *inputs; /* one for each of the model's */
    bool base64;           /* JSON's strings may be {"b64": "..."} */
    void *run;             /* of this call alone; or */
    md_tensor *outputs;    /* its rows of a run of several; or NULL */
} md_feed;

/* For the call's model; all memory is the request's. */
md_status md_feed_init(md_feed *f, md_call *call, md_error *err);

/* Give the run back; also one that there never was. */
void md_feed_release(md_feed *f);

/*
 * Read one JSON value, nested arrays or one leaf, as input i's values; *nest
 * gets their shape and *n their number.  Numbers that do not fit the type are
 * MD_INVALID.  With `via_float` the narrow floats are taken, too.
 */
md_status md_feed_read_json(md_feed *f, uint32_t i, md_json *r,
                            md_json_nest *nest, int64_t *n, bool via_float,
                            md_error *err);

/* Take input i's values from `size` raw little-endian bytes, which the
 * request keeps; for strings each has a 32-bit length before it. */
md_status md_feed_read_raw(md_feed *f, uint32_t i, const md_shape *shape,
                           const void *data, size_t size, md_error *err);

/* The same from a source that fills memory with all of `size` bytes. */
typedef md_status md_feed_source(void *ctx, void *to, md_error *err);
md_status md_feed_read_from(md_feed *f, uint32_t i, const md_shape *shape,
                            md_feed_source *source, void *ctx, size_t size,
                            md_error *err);

/* Take all of `size` bytes, which the request keeps, as the one string of
 * input i. */
md_status md_feed_read_text(md_feed *f, uint32_t i, const md_shape *shape,
                            const void *data, size_t size, md_error *err);

/* Room for n elements of input i in the scratch buffer, cleared. */
md_status md_feed_reserve(md_feed *f, uint32_t i, int64_t n, void **out,
                          md_error *err);

/* Are all inputs given, and shapes that the model takes? */
md_status md_feed_check(const md_feed *f, md_error *err);

/* Run what has been checked, whose values are in `inputs`.  Outputs stay until
 * md_feed_release. */
md_status md_feed_run(md_feed *f, md_buf *inputs, int width, md_error *err);

const md_tensor *md_feed_output(const md_feed *f, uint32_t i);

#endif
