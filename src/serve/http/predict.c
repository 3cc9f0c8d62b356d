/* The simple call: numbers or a picture in, numbers and a class out. */
#include "serve/predict.h"

#include "serve/route.h"

static md_status handle(md_call *c, md_error *err)
{
    MD_TRY(md_call_model(c, err));
    return md_infer_call(c, &md_predict_form, NULL, err);
}

const md_route md_route_predict = {
    .method = "POST",
    .paths = { "/predict", "/predict/{model}" },
    .summary = "Predict from numbers or from a picture.  A single sample may "
               "come without its batch dimension, or flat; its output then "
               "has none either.",
    .tag = "predict",
    .api = MD_API_INFERENCE,
    .request_type = "application/json,image/png,image/jpeg",
    .request_schema =
        "{\"type\":\"object\",\"required\":[\"input_data\"],\"properties\":{"
        "\"input_data\":{\"description\":\"an array of any nesting, or an "
        "object with one array for each input\"}}}",
    .reply_type = "application/json",
    .reply_schema =
        "{\"type\":\"object\",\"required\":[\"model\",\"output\"],"
        "\"properties\":{\"model\":{\"type\":\"string\"},\"output\":{"
        "\"description\":\"nested arrays, or an object with one for each "
        "output\"},\"class\":{\"description\":\"label of the best class, or "
        "one for each sample; a number where labels are\"},\"class_index\":{\"description\":\"its "
        "index\"},\"probability\":{\"description\":\"its probability\"}}}",
    .computes = true,
    .handle = handle,
};
