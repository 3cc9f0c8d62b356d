/*
 * The simple inference call: {"input_data": ...} or a picture in,
 * {"output": ...} out, with a class and its probability when the model has
 * labels.
 */
#ifndef MD_SERVE_PREDICT_H
#define MD_SERVE_PREDICT_H

#include "serve/feed.h"

typedef struct md_predict {
    md_feed feed;
    bool single; /* one sample without batch axis: so is the answer */
} md_predict;

/* Parse the call's body for its model. */
md_status md_predict_parse(md_predict *p, md_call *call, md_error *err);

/* Write the answer; the feed has run. */
md_status md_predict_reply(const md_predict *p, md_error *err);

#endif
