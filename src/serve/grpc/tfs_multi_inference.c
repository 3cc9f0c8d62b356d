/* TensorFlow Serving: classification and regression of the same examples. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/tfs_pb.h"

typedef struct task {
    md_pb spec;
    md_pb_field method; /* number 0: none is given */
} task;

/* The next InferenceTask; *there false at the end. */
static md_status next_task(task *out, md_pb *request, bool *there,
                           md_error *err)
{
    md_pb_field f;
    md_pb in;

    do {
        MD_TRY(md_pb_next(&f, request, err));
    } while (f.number != MD_PB_MultiInferenceRequest_tasks && f.number != 0);
    *there = f.number != 0;
    if (!*there)
        return MD_OK;
    MD_TRY(md_pb_message(&in, &f, err));
    *out = (task){ .spec = md_pb_init(NULL, 0) };
    for (;;) {
        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == MD_PB_InferenceTask_model_spec)
            MD_TRY(md_pb_message(&out->spec, &f, err));
        else if (f.number == MD_PB_InferenceTask_method_name)
            out->method = f;
    }
}

/* All tasks must be of one model, as in TensorFlow Serving. */
static md_status find_model(md_call *c, md_pb request, md_error *err)
{
    const md_serve_model *m = NULL;

    for (;;) {
        bool there;
        task t;

        MD_TRY(next_task(&t, &request, &there, err));
        if (!there)
            break;
        MD_TRY(md_tfs_pb_spec(c, t.spec, err));
        if (m && c->model != m)
            return md_fail(err, MD_INVALID,
                           "tasks of models '%s' and '%s' given, one model "
                           "expected",
                           m->name, c->model->name);
        m = c->model;
    }
    return m ? MD_OK : md_fail(err, MD_INVALID, "no task given");
}

static md_status put_result(md_call *c, const task *t, const md_tfs_request *r,
                            md_pb_writer *w, md_error *err)
{
    md_pb_mark m = md_pb_begin(w, MD_PB_MultiInferenceResponse_results);
    md_status s;

    md_tfs_pb_put_spec(w, MD_PB_InferenceResult_model_spec, c);
    if (t->method.number &&
        md_pb_text_equal(&t->method, "tensorflow/serving/classify"))
        s = md_tfs_pb_put_classes(
            w, MD_PB_InferenceResult_classification_result, r, err);
    else if (t->method.number &&
             md_pb_text_equal(&t->method, "tensorflow/serving/regress"))
        s = md_tfs_pb_put_values(w, MD_PB_InferenceResult_regression_result, r,
                                 err);
    else
        s = md_fail(err, MD_UNSUPPORTED,
                    "method_name of a task: tensorflow/serving/classify or "
                    "tensorflow/serving/regress expected");
    md_pb_end(w, m);
    return s;
}

static md_status write(const void *request, void *ctx, md_error *err)
{
    const md_tfs_request *r = request;
    const md_tfs_messages *m = ctx;
    md_pb tasks = m->request;

    for (;;) {
        bool there;
        task t;

        MD_TRY(next_task(&t, &tasks, &there, err));
        if (!there)
            return MD_OK;
        MD_TRY(put_result(r->feed.call, &t, r, m->w, err));
    }
}

static const md_infer_form form = { sizeof(md_tfs_request),
                                    md_tfs_pb_parse_examples, write };

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_tfs_messages m = { request, w };

    MD_TRY(find_model(c, request, err));
    return md_infer_call(c, &form, &m, err);
}

const md_grpc_method md_grpc_method_tfs_multi_inference = {
    .service = "tensorflow.serving.PredictionService",
    .name = "MultiInference",
    .api = MD_API_INFERENCE,
    .summary = "Classification and regression of the same examples.",
    .computes = true,
    .handle = handle,
};
