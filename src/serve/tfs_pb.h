/*
 * TensorFlow Serving over gRPC: what the methods of PredictionService and
 * ModelService share.  As over REST (tfs.h) every model has one signature,
 * "serving_default", and one version without a label.
 */
#ifndef MD_SERVE_TFS_PB_H
#define MD_SERVE_TFS_PB_H

#include "formats/pb.h"
#include "serve/tfs.h"

/* Find the call's model by a request's ModelSpec, which is field 1 of all of
 * them, and check its signature.  MD_INVALID without a name. */
md_status md_tfs_pb_model(md_call *call, md_pb request, md_error *err);

/* The same of a ModelSpec itself. */
md_status md_tfs_pb_spec(md_call *call, md_pb in, md_error *err);

/* The call's model as ModelSpec, in field `number`. */
void md_tfs_pb_put_spec(md_pb_writer *w, uint32_t number, const md_call *call);

/* Its version as a number; 0 when it is none. */
int64_t md_tfs_pb_version(const md_serve_model *m);

/* Number of a DataType. */
int md_tfs_pb_dtype(md_dtype t);

/* ---- tensors (tfs_tensor_pb.c) ---- */

/* Input i is this TensorProto, in whatever encoding. */
md_status md_tfs_pb_read_tensor(md_feed *f, uint32_t i, md_pb tensor,
                                md_error *err);

/* A TensorProto's fields, its values in the typed list that clients look
 * into; t must stay until the writer is drained. */
void md_tfs_pb_put_tensor(md_pb_writer *w, const md_tensor *t);

/* A TensorShapeProto in field `number`; -1 is any size. */
void md_tfs_pb_put_shape(md_pb_writer *w, uint32_t number,
                         const md_shape *shape, bool has_rank);

/* ---- examples (tfs_example_pb.c) ---- */

/* All inputs from an Input: lists of examples, whose features are inputs by
 * their names, with or without a context of features that all have. */
md_status md_tfs_pb_read_examples(md_tfs_request *r, md_pb input,
                                  md_error *err);

/* ---- running (tfs_run_pb.c) ---- */

/* What a form of request (serve/infer.h) reads and writes. */
typedef struct md_tfs_messages {
    md_pb request;
    md_pb_writer *w;
} md_tfs_messages;

/* The examples of a request's field 2: `parse` of a form whose request is a
 * md_tfs_request and whose ctx begins with md_tfs_messages. */
md_status md_tfs_pb_parse_examples(void *request, md_call *call, void *ctx,
                                   md_error *err);

/* Write a ClassificationResult or RegressionResult in field `number`. */
md_status md_tfs_pb_put_classes(md_pb_writer *w, uint32_t number,
                                const md_tfs_request *r, md_error *err);
md_status md_tfs_pb_put_values(md_pb_writer *w, uint32_t number,
                               const md_tfs_request *r, md_error *err);

#endif
