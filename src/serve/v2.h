/*
 * Open Inference Protocol, version 2, over REST: the inference request and
 * its answer, with the binary tensor extension and classification.
 * https://github.com/kserve/open-inference-protocol, Triton's
 * protocol/extension_binary_data.md and extension_classification.md.
 */
#ifndef MD_SERVE_V2_H
#define MD_SERVE_V2_H

#include "serve/feed.h"

typedef struct md_v2_output {
    uint32_t index;
    bool binary;
    bool told;        /* the request said so of this output */
    uint32_t classes; /* of the classification extension; 0: plain */
} md_v2_output;

typedef struct md_v2_request {
    md_feed feed;
    const char *id; /* NULL: none */
    size_t id_size;
    md_v2_output *outputs;
    uint32_t n_outputs;
    bool binary_default; /* parameter binary_data_output */
} md_v2_request;

/* Parse the call's body for its model, tensors and all. */
md_status md_v2_request_parse(md_v2_request *r, md_call *call, md_error *err);

/* Write the answer; the feed has run. */
md_status md_v2_reply_write(const md_v2_request *r, md_error *err);

/* Model metadata: {"name":...,"inputs":[...],...}. */
void md_v2_model_write(md_json_writer *w, const md_serve_model *m);

#endif
