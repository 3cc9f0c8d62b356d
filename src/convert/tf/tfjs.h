/*
 * TensorFlow.js graph models: `model.json` with a GraphDef as JSON, weights in
 * files beside it, quantized or not.
 */
#ifndef MD_CONVERT_TF_TFJS_H
#define MD_CONVERT_TF_TFJS_H

#include "formats/tf.h"
#include "graph/graph.h"

/* A weight by the name of its Const node. */
typedef struct md_tfjs_weight {
    const char *name;
    md_tf_tensor t;
} md_tfjs_weight;

typedef struct md_tfjs {
    md_pb graph; /* the GraphDef as it would be in a file, in the arena */
    md_tfjs_weight *weights; /* by name */
    uint32_t n_weights, cap_weights;
    const char *version; /* of the converter that wrote it; or "" */
} md_tfjs;

/* Does it begin like JSON, and speak of a topology? */
bool md_tfjs_probe(const void *bytes, size_t size);

/*
 * Read the model; its weights' files lie in folder (NULL: MD_DENIED when there
 * are any), where they stay mapped as long as the model.  MD_CORRUPT;
 * MD_UNSUPPORTED for layers models.
 */
md_status md_tfjs_read(md_tfjs *out, const void *bytes, size_t size,
                       const char *folder, md_model *model, md_arena *ar,
                       md_error *err);

/* The weight of that name, or NULL. */
const md_tf_tensor *md_tfjs_find(const md_tfjs *m, const char *name);

#endif
