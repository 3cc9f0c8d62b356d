/*
 * The simple inference call: {"input_data": ...} or a picture in,
 * {"output": ...} out, with a class and its probability when the model has
 * labels.
 */
#ifndef MD_SERVE_PREDICT_H
#define MD_SERVE_PREDICT_H

#include "serve/infer.h"

extern const md_infer_form md_predict_form;

#endif
