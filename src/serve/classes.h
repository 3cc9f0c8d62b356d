/*
 * Classifiers as skl2onnx writes those of scikit-learn end in ZipMap, which
 * makes of each row of a table of scores a map from label to score.  Requests
 * and replies are tensors: served, such an output is the table, and the labels
 * are told beside it.
 */
#ifndef MD_SERVE_CLASSES_H
#define MD_SERVE_CLASSES_H

#include "graph/graph.h"

/* The labels of the columns of an output, in the model's memory. */
typedef struct md_serve_classes {
    const char *output; /* its name; NULL: there are none */
    const char *const *labels;
    const int64_t *numbers; /* the same where labels are integers, else NULL */
    uint32_t n;
} md_serve_classes;

/*
 * Let each output of the model that is ZipMap's sequence of maps, and read by
 * nothing else, be the table that they are made of.  *out becomes the classes
 * of the first one.  MD_NOMEM.
 */
md_status md_serve_classes_take(md_serve_classes *out, md_model *model,
                                md_error *err);

#endif
