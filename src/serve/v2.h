/*
 * Open Inference Protocol, version 2: the inference request and its answer,
 * over REST with the binary tensor extension, over gRPC, and classification.
 * https://github.com/kserve/open-inference-protocol, Triton's
 * protocol/extension_binary_data.md and extension_classification.md.
 */
#ifndef MD_SERVE_V2_H
#define MD_SERVE_V2_H

#include "formats/pb.h"
#include "serve/infer.h"
#include "serve/shm.h"

typedef struct md_v2_output {
    uint32_t index;
    bool binary;
    bool told;          /* the request said so of this output */
    uint32_t classes;   /* of the classification extension; 0: plain */
    md_shm_part shared; /* where it goes, when that has a region */
} md_v2_output;

typedef struct md_v2_request {
    md_feed feed;
    const char *id; /* NULL: none */
    size_t id_size;
    md_v2_output *outputs;
    uint32_t n_outputs;
    bool binary_default; /* parameter binary_data_output */
} md_v2_request;

/* How the protocol's forms, REST and gRPC, carry an md_v2_request and its
 * answer. */
extern const md_infer_form md_v2_rest; /* ctx: none */
extern const md_infer_form md_v2_grpc; /* ctx: md_v2_messages */

typedef struct md_v2_messages {
    md_pb request;
    md_pb_writer *reply; /* for a ModelInferResponse, which is sent */
    bool streams;        /* as a ModelStreamInferResponse */
} md_v2_messages;

/* Statistics of the call's model, or of all when it has none. */
md_status md_v2_stats_reply(md_call *call, md_error *err);

#define MD_V2_STATS_SCHEMA                                                     \
    "{\"type\":\"object\",\"required\":[\"model_stats\"],\"properties\":{"     \
    "\"model_stats\":{\"type\":\"array\",\"items\":{\"type\":\"object\","      \
    "\"required\":[\"name\",\"inference_count\",\"inference_stats\"],"         \
    "\"properties\":{\"name\":{\"type\":\"string\"},\"inference_count\":{"     \
    "\"type\":\"integer\"},\"inference_stats\":{\"type\":\"object\"}}}}}}"

/* Call fn with the name of each extension of the protocol that is there. */
void md_v2_each_extension(const md_call *call,
                          void (*fn)(void *ctx, const char *name), void *ctx);

/* Metadata of the call's model: {"name":...,"inputs":[...],...}. */
void md_v2_model_write(md_json_writer *w, const md_call *c);

/* ---- what the forms share ---- */

/* The model's input of that name; MD_INVALID when it has none, and when it has
 * been given. */
md_status md_v2__find_input(const md_v2_request *r, md_str name, int *index,
                            md_error *err);

/* A name of a datatype, terminated. */
md_status md_v2__datatype(md_dtype *out, const char *name, md_error *err);

/* Is it what the model's input takes? */
md_status md_v2__check_datatype(const md_v2_request *r, int index,
                                md_dtype given, md_error *err);

/* Are n values what the shape holds?  Then the input has been given. */
md_status md_v2__give(md_v2_request *r, int index, const md_shape *shape,
                      int64_t n, md_error *err);

/* An output that the request names, as it says it wants it. */
typedef struct md_v2_wish {
    int index; /* -1: not named yet */
    bool has_binary;
    bool binary;
    size_t classes;
    md_shm_part shared;
} md_v2_wish;

md_status md_v2__find_output(const md_v2_request *r, md_str name, int *index,
                             md_error *err);
md_status md_v2__add_output(md_v2_request *r, const md_v2_wish *wish,
                            md_error *err);

/* All outputs, unless the request named some. */
md_status md_v2__end_outputs(md_v2_request *r, md_error *err);

/* Has the protocol a name for the output's type? */
md_status md_v2__check_type(const char *name, const md_tensor *t,
                            md_error *err);

/* Bytes of a tensor in the binary form, and the bytes. */
size_t md_v2__raw_size(const md_tensor *t);
md_status md_v2__raw_append(md_buf *out, const md_tensor *t, md_error *err);

/* ---- shared memory (v2_shared.c) ---- */

/* The input's values are the part's bytes. */
md_status md_v2__read_shared(md_v2_request *r, int index, const md_shape *shape,
                             const md_shm_part *part, md_error *err);

/* Can it go there?  Before the model runs. */
md_status md_v2__check_shared(const md_v2_request *r, const md_shm_part *part,
                              md_error *err);

/* Write the output, in the binary form, into its part; *size is how many bytes
 * that are. */
md_status md_v2__write_shared(const md_v2_request *r, const md_v2_output *o,
                              size_t *size, md_error *err);

/* md_v2_rest.write */
md_status md_v2__reply_rest(const void *request, void *ctx, md_error *err);

/* The classification of an output, [rows, n]: `shape` of the strings, then
 * each of them to put, in order, "value:index[:label]". */
md_status md_v2__class_shape(const md_tensor *t, uint32_t k, md_shape *shape,
                             md_error *err);
md_status md_v2__each_class(const md_serve_model *m, uint32_t output,
                            const md_tensor *t, uint32_t k,
                            void (*put)(void *ctx, const char *text), void *ctx,
                            md_error *err);

#endif
