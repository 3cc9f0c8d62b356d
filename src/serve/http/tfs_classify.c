/* TensorFlow Serving: the labels of examples, with their scores. */
#include "serve/route.h"
#include "serve/tfs.h"

static md_status handle(md_call *c, md_error *err)
{
    return md_tfs_run(c, &md_tfs_classify, err);
}

const md_route md_route_tfs_classify = {
    .method = "POST",
    .paths = { "/v1/models/{model}:classify",
               "/v1/models/{model}/versions/{version}:classify" },
    .summary =
        "TensorFlow Serving's classification: "
        "features of examples in, pairs of label and score out; for models with labels.",
    .tag = "v1",
    .api = MD_API_INFERENCE,
    .request_type = "application/json",
    .request_schema =
        "{\"type\":\"object\",\"required\":[\"examples\"],\"properties\":{"
        "\"signature_name\":{\"type\":\"string\"},\"context\":{\"type\":"
        "\"object\"},\"examples\":{\"type\":\"array\",\"items\":{\"type\":"
        "\"object\"}}}}",
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"results\"],"
                    "\"properties\":{\"results\":{\"type\":\"array\"}}}",
    .computes = true,
    .handle = handle,
};
