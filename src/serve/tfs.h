/*
 * TensorFlow Serving's REST interface, for the clients that people have:
 * https://www.tensorflow.org/tfx/serving/api_rest.
 *
 * Every model has one signature, "serving_default".  Not there: labels of
 * versions.
 */
#ifndef MD_SERVE_TFS_H
#define MD_SERVE_TFS_H

#include "serve/infer.h"

typedef struct md_tfs_request {
    md_feed feed;
    bool rows;     /* "instances": the answer is row by row, too */
    int64_t batch; /* rows */
} md_tfs_request;

/* The call's body: "instances" (rows: a value for each, or an object with one
 * for each input) or "inputs" (columns: one value, or an object of them); the
 * answer is "predictions" or "outputs". */
extern const md_infer_form md_tfs_predict;

/* The same of "examples": objects with features, which are inputs by their
 * names, and a "context" of features that all examples have.  The answer is
 * "results": pairs of label and score of a model with labels; the one number of
 * each example.  MD_INVALID when the model has no such output. */
extern const md_infer_form md_tfs_classify;
extern const md_infer_form md_tfs_regress;

/* Run the model that the call's path names. */
md_status md_tfs_run(md_call *call, const md_infer_form *form, md_error *err);

/* ---- between the files of this interface ---- */

md_status md_tfs__parse(void *request, md_call *call, void *ctx, md_error *err);
md_status md_tfs__parse_examples(void *request, md_call *call, void *ctx,
                                 md_error *err);

/* The outputs that classify and regress tell: scores, [batch, labels], and one
 * number for each example.  They fail as those do. */
md_status md_tfs_scores(const md_tfs_request *r, const md_tensor **out,
                        md_error *err);
md_status md_tfs_values(const md_tfs_request *r, const md_tensor **out,
                        md_error *err);

/* Features are flat lists, and single ones need no list: give the input, with
 * rows in its first axis, the shape that the model has for a sample. */
void md_tfs_shape_features(md_feed_input *in, const md_serve_io *io);

/* MD_INVALID unless it is the signature that every model has. */
md_status md_tfs_check_signature(const char *name, size_t size, md_error *err);

/* TensorFlow's name of a type, "DT_FLOAT"; "DT_INVALID" when it has none. */
const char *md_tfs_dtype(md_dtype t);

#endif
