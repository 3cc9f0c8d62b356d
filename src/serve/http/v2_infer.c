/* Open Inference Protocol: run a model. */
#include "serve/route.h"
#include "serve/v2.h"

static md_status handle(md_call *c, md_error *err)
{
    MD_TRY(md_call_model(c, err));
    return md_infer_call(c, &md_v2_rest, NULL, err);
}

#define TENSOR(more)                                                           \
    "{\"type\":\"object\",\"required\":[\"name\",\"datatype\",\"shape\"],"     \
    "\"properties\":{\"name\":{\"type\":\"string\"},\"datatype\":{\"type\":"   \
    "\"string\",\"enum\":[\"BOOL\",\"UINT8\",\"UINT16\",\"UINT32\","           \
    "\"UINT64\",\"INT8\",\"INT16\",\"INT32\",\"INT64\",\"FP16\",\"FP32\","     \
    "\"FP64\",\"BF16\",\"BYTES\"]},\"shape\":{\"type\":\"array\",\"items\":{"  \
    "\"type\":\"integer\",\"minimum\":0}},\"parameters\":{\"type\":"           \
    "\"object\"},\"data\":{\"type\":\"array\"" more "}}}"

const md_route md_route_v2_infer = {
    .method = "POST",
    .paths = { "/v2/models/{model}/infer",
               "/v2/models/{model}/versions/{version}/infer" },
    .summary = "Run a model; with Inference-Header-Content-Length, tensors "
               "follow the JSON as bytes.",
    .tag = "v2",
    .api = MD_API_INFERENCE,
    .request_type = "application/json,application/octet-stream",
    .request_schema =
        "{\"type\":\"object\",\"required\":[\"inputs\"],\"properties\":{"
        "\"id\":{\"type\":\"string\"},\"parameters\":{\"type\":\"object\"},"
        "\"inputs\":{\"type\":\"array\",\"items\":" TENSOR(
            ",\"description\":\"flat or nested\"") "},\"outputs\":{\"type\":"
                                                   "\"array\",\"items\":{"
                                                   "\"type\":\"object\","
                                                   "\"required\":[\"name\"],"
                                                   "\"properties\":{\"name\":{"
                                                   "\"type\":\"string\"},"
                                                   "\"parameters\":{\"type\":"
                                                   "\"object\"}}}}}}",
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"model_name\",\"outputs\"],"
        "\"properties\":{\"id\":{\"type\":\"string\"},\"model_name\":{"
        "\"type\":\"string\"},\"model_version\":{\"type\":\"string\"},"
        "\"outputs\":{\"type\":\"array\",\"items\":" TENSOR("") "}}}",
    .computes = true,
    .handle = handle,
};
