/* TensorFlow Serving: the signature of a model. */
#include <stdio.h>

#include "serve/route.h"
#include "serve/tfs.h"

static void put(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

static void begin(md_json_writer *w, const char *name)
{
    md_json_put_name(w, name);
    md_json_put_object(w);
}

/* TensorShapeProto as its JSON: numbers of 64 bits are strings. */
static void put_shape(md_json_writer *w, const md_serve_io *io)
{
    begin(w, "tensor_shape");
    md_json_put_name(w, "dim");
    md_json_put_array(w);
    for (int i = 0; io->has_rank && i < io->shape.rank; i++) {
        char size[24];

        (void)snprintf(size, sizeof(size), "%lld", (long long)io->shape.dim[i]);
        md_json_put_object(w);
        put(w, "size", size);
        put(w, "name", "");
        md_json_put_end(w);
    }
    md_json_put_end(w);
    md_json_put_name(w, "unknown_rank");
    md_json_put_bool(w, !io->has_rank);
    md_json_put_end(w);
}

static void put_ios(md_json_writer *w, const char *name, const md_serve_io *ios,
                    uint32_t n)
{
    begin(w, name);
    for (uint32_t i = 0; i < n; i++) {
        begin(w, ios[i].name);
        put(w, "dtype", md_tfs_dtype(ios[i].dtype));
        put_shape(w, &ios[i]);
        put(w, "name", ios[i].name);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static md_status handle(md_call *c, md_error *err)
{
    const md_serve_model *m;
    md_json_writer w;

    MD_TRY(md_call_model(c, err));
    m = c->model;
    MD_TRY(md_call_json(c, &w, err));
    md_json_put_object(&w);
    begin(&w, "model_spec");
    put(&w, "name", m->name);
    put(&w, "signature_name", "");
    put(&w, "version", m->version);
    md_json_put_end(&w);
    begin(&w, "metadata");
    begin(&w, "signature_def");
    begin(&w, "signature_def");
    begin(&w, "serving_default");
    put_ios(&w, "inputs", m->inputs, m->n_inputs);
    put_ios(&w, "outputs", m->outputs, m->n_outputs);
    put(&w, "method_name", "tensorflow/serving/predict");
    for (int i = 0; i < 5; i++)
        md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_route md_route_tfs_metadata = {
    .method = "GET",
    .paths = { "/v1/models/{model}/metadata",
               "/v1/models/{model}/versions/{version}/metadata" },
    .summary = "TensorFlow Serving's signature of a model; -1 is a dimension "
               "of any size.",
    .tag = "v1",
    .api = MD_API_METADATA,
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"model_spec\",\"metadata\"],"
        "\"properties\":{\"model_spec\":{\"type\":\"object\"},\"metadata\":{"
        "\"type\":\"object\"}}}",
    .handle = handle,
};
