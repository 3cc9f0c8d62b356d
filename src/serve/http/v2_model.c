/* Open Inference Protocol: what goes into a model, and what comes out? */
#include "serve/route.h"
#include "serve/v2.h"

static md_status handle(md_call *c, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_model(c, err));
    MD_TRY(md_call_json(c, &w, err));
    md_v2_model_write(&w, c);
    return md_json_finish(&w, err);
}

#define TENSORS                                                                \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":["        \
    "\"name\",\"datatype\",\"shape\"],\"properties\":{\"name\":{\"type\":"     \
    "\"string\"},\"datatype\":{\"type\":\"string\"},\"shape\":{\"type\":"      \
    "\"array\",\"items\":{\"type\":\"integer\"}}}}}"

const md_route md_route_v2_model = {
    .method = "GET",
    .paths = { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" },
    .summary = "Inputs and outputs of a model; -1 is a dimension of any size.",
    .tag = "v2",
    .api = MD_API_METADATA,
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"name\",\"versions\","
        "\"platform\",\"inputs\",\"outputs\"],\"properties\":{\"name\":{"
        "\"type\":\"string\"},\"versions\":{\"type\":\"array\",\"items\":{"
        "\"type\":\"string\"}},\"platform\":{\"type\":\"string\"},"
        "\"inputs\":" TENSORS ",\"outputs\":" TENSORS "}}",
    .handle = handle,
};
