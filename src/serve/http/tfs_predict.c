/* TensorFlow Serving: run a model, by rows or by columns. */
#include "serve/route.h"
#include "serve/tfs.h"

static md_status handle(md_call *c, md_error *err)
{
    return md_tfs_run(c, &md_tfs_predict, err);
}

const md_route md_route_tfs_predict = {
    .method = "POST",
    .paths = { "/v1/models/{model}:predict",
               "/v1/models/{model}/versions/{version}:predict" },
    .summary = "TensorFlow Serving's call: instances are rows, inputs are "
               "columns; NaN and Infinity may be bare, strings "
               "{\"b64\": ...}.",
    .tag = "v1",
    .api = MD_API_INFERENCE,
    .request_type = "application/json",
    .request_schema =
        "{\"type\":\"object\",\"properties\":{\"signature_name\":{\"type\":"
        "\"string\"},\"instances\":{\"type\":\"array\"},\"inputs\":{}}}",
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"properties\":{\"predictions\":{\"type\":"
        "\"array\"},\"outputs\":{}}}",
    .computes = true,
    .handle = handle,
};
