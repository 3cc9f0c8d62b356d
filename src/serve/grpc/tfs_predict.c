/* TensorFlow Serving: run a model; tensors in any encoding, answers in typed lists. */
#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/tfs_pb.h"

typedef struct predict {
    md_feed feed;
    bool *wanted; /* one for each output; NULL: all are */
    uint32_t n_wanted;
} predict;

/* An entry of map<string, TensorProto>. */
static md_status take_input(predict *p, const md_pb_field *field, md_error *err)
{
    md_pb tensor = md_pb_init(NULL, 0);
    const char *name = "";
    md_pb_field f;
    md_pb entry;
    int i;

    MD_TRY(md_pb_message(&entry, field, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &entry, err));
        if (f.number == 0)
            break;
        if (f.number == 1)
            MD_TRY(md_grpc_text(p->feed.call, &name, &f, err));
        else if (f.number == 2)
            MD_TRY(md_pb_message(&tensor, &f, err));
    }
    i = md_serve_model_find_input(p->feed.model,
                                  (md_str){ name, strlen(name) });
    if (i < 0)
        return md_fail(err, MD_INVALID,
                       "unexpected input '%.100s' for model '%s'", name,
                       p->feed.model->name);
    return md_tfs_pb_read_tensor(&p->feed, (uint32_t)i, tensor, err);
}

static md_status take_filter(predict *p, const md_pb_field *f, md_error *err)
{
    const md_serve_model *m = p->feed.model;
    const char *name;
    int i;

    if (!p->wanted)
        MD_TRY(md_call_alloc(p->feed.call, &p->wanted, m->n_outputs, 1, err));
    MD_TRY(md_grpc_text(p->feed.call, &name, f, err));
    i = md_serve_model_find_output(m, (md_str){ name, strlen(name) });
    if (i < 0)
        return md_fail(err, MD_INVALID,
                       "output_filter: model '%s' has no output '%.100s'",
                       m->name, name);
    if (p->wanted[i])
        return md_fail(err, MD_INVALID, "output_filter: '%s' is given twice",
                       name);
    p->wanted[i] = true;
    p->n_wanted++;
    return MD_OK;
}

static md_status parse(void *request, md_call *call, void *ctx, md_error *err)
{
    const md_tfs_messages *m = ctx;
    predict *p = request;
    md_pb in = m->request;

    (void)call;
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == MD_PB_PredictRequest_inputs)
            MD_TRY(take_input(p, &f, err));
        else if (f.number == MD_PB_PredictRequest_output_filter)
            MD_TRY(take_filter(p, &f, err));
    }
}

static md_status write_output(const predict *p, uint32_t i, md_pb_writer *w,
                              md_error *err)
{
    const md_tensor *t = md_feed_output(&p->feed, i);
    const char *name = p->feed.model->outputs[i].name;
    md_pb_mark entry;
    md_pb_mark tensor;

    if (!md_tfs_pb_dtype(t->dtype))
        return md_fail(err, MD_UNSUPPORTED, "output '%s': TensorFlow has no %s",
                       name, md_dtype_name(t->dtype));
    entry = md_pb_begin(w, MD_PB_PredictResponse_outputs);
    md_pb_put_text(w, 1, name);
    tensor = md_pb_begin(w, 2);
    md_tfs_pb_put_tensor(w, t);
    md_pb_end(w, tensor);
    md_pb_end(w, entry);
    return MD_OK;
}

static md_status write(const void *request, void *ctx, md_error *err)
{
    const md_tfs_messages *m = ctx;
    const predict *p = request;

    for (uint32_t i = 0; i < p->feed.model->n_outputs; i++)
        if (p->n_wanted == 0 || p->wanted[i])
            MD_TRY(write_output(p, i, m->w, err));
    md_tfs_pb_put_spec(m->w, MD_PB_PredictResponse_model_spec, p->feed.call);
    /* While the outputs are there, which the writer only points to. */
    return md_grpc_send(p->feed.call, m->w, err);
}

static const md_infer_form form = { sizeof(predict), parse, write };

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_tfs_messages m = { request, w };

    MD_TRY(md_tfs_pb_model(c, request, err));
    return md_infer_call(c, &form, &m, err);
}

const md_grpc_method md_grpc_method_tfs_predict = {
    .service = "tensorflow.serving.PredictionService",
    .name = "Predict",
    .api = MD_API_INFERENCE,
    .summary = "Run a model; tensors in any encoding, answers in typed lists.",
    .computes = true,
    .handle = handle,
};
