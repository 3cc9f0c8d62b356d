/*
 * TensorFlow Serving's REST interface, for the clients that people have:
 * https://www.tensorflow.org/tfx/serving/api_rest.
 *
 * Every model has one signature, "serving_default".  Not there: labels of
 * versions, since a model has one version.
 */
#ifndef MD_SERVE_TFS_H
#define MD_SERVE_TFS_H

#include "serve/feed.h"

typedef struct md_tfs_request {
    md_feed feed;
    bool rows;     /* "instances": the answer is row by row, too */
    int64_t batch; /* rows */
} md_tfs_request;

/* The call's body: "instances" (rows: a value for each, or an object with one
 * for each input) or "inputs" (columns: one value, or an object of them). */
md_status md_tfs_parse(md_tfs_request *r, md_call *call, md_error *err);

/* The same of "examples": objects with features, which are inputs by their
 * names, and a "context" of features that all examples have. */
md_status md_tfs_parse_examples(md_tfs_request *r, md_call *call,
                                md_error *err);

/* Write "predictions" or "outputs"; the feed has run. */
md_status md_tfs_reply(const md_tfs_request *r, md_error *err);

/* Write "results": pairs of label and score of a model with labels; the one
 * number of each example.  MD_INVALID when the model has no such output. */
md_status md_tfs_reply_classes(const md_tfs_request *r, md_error *err);
md_status md_tfs_reply_values(const md_tfs_request *r, md_error *err);

/* Run the call's model between parse and reply. */
md_status md_tfs_run(md_call *call,
                     md_status (*parse)(md_tfs_request *r, md_call *call,
                                        md_error *err),
                     md_status (*reply)(const md_tfs_request *r, md_error *err),
                     md_error *err);

/* TensorFlow's name of a type, "DT_FLOAT"; "DT_INVALID" when it has none. */
const char *md_tfs_dtype(md_dtype t);

#endif
