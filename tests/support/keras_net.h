/* Keras nets in memory: layers as JSON and their weights, converted and run. */
#ifndef MD_TESTS_SUPPORT_KERAS_NET_H
#define MD_TESTS_SUPPORT_KERAS_NET_H

#include <stdint.h>

#include "base/buf.h"
#include "graph/graph.h"

enum {
    KERAS_RANK = 5,
    KERAS_WEIGHTS = 16
};

/* A dense float32 array; data NULL: small whole numbers that follow from the
 * seed, so that sums of their products are exact. */
typedef struct keras_array {
    const char *layer; /* whose weight it is; weights of one follow another */
    int rank;
    int64_t dim[KERAS_RANK];
    const float *data;
    uint32_t seed;
} keras_array;

typedef struct keras_net_def {
    const char *version; /* NULL: "3.5.0" */
    const char *config;  /* the whole model_config */
    const keras_array *w;
    size_t n_w;
} keras_net_def;

/* Elements of an array, as `data` or `seed` say; test_free them. */
float *keras_values(const keras_array *a);
int64_t keras_count(const keras_array *a);

/* The .h5 of the net, appended to out. */
void keras_net_file(md_buf *out, const keras_net_def *net);

/* Converted; the model is the caller's on MD_OK. */
md_status keras_net_convert(md_model **out, const keras_net_def *net,
                            md_error *err);

/* Convert and run on n_in inputs in the model's order; the outputs (n_out of
 * them) are the caller's to release.  Fails the test when that fails. */
void keras_net_run(md_tensor *out, uint32_t n_out, const keras_net_def *net,
                   const keras_array *in, uint32_t n_in);

/* A Sequential config over an input "x" with these dimensions (batch first,
 * which becomes free), into buf; layers is the JSON of the list's rest. */
const char *keras_sequential(char *buf, size_t size, int rank,
                             const int64_t *dim, const char *layers);

#endif
