/*
 * The structure of a Keras model: layers and their calls, from its config.
 *
 * Both spellings of the graph (Keras 3 `__keras_tensor__`, Keras 2 nested
 * lists) and Sequential become the same thing.  All of it lies in an arena;
 * the JSON it points into must outlive it.
 */
#ifndef MD_CONVERT_KERAS_NET_H
#define MD_CONVERT_KERAS_NET_H

#include "convert/keras/file.h"
#include "graph/graph.h"

enum {
    MD_KERAS_LAYERS_MAX = 5000, /* of one net */
    MD_KERAS_NEST_MAX = 16,     /* models in models */
    MD_KERAS_WEIGHTS_MAX = 8,   /* of one layer */
    MD_KERAS_SHOWN = 44         /* characters of a value in a text, with NUL */
};

typedef struct md_keras_net md_keras_net;

/* Tensor `index` of call `call` of a layer. */
typedef struct md_keras_ref {
    uint32_t layer, call, index;
} md_keras_ref;

typedef struct md_keras_call {
    md_keras_ref *in;
    uint32_t *arg; /* of each: which of the row's arguments it is */
    uint32_t n_in;
    const json_t *others; /* arguments that are no tensors: an object or NULL */
    const json_t *given;  /* of an operation: all by position, a list */
} md_keras_call;

/* How a class of layers becomes operators (layer.h). */
typedef struct md_keras_row md_keras_row;
typedef struct md_keras_operation md_keras_operation;

typedef struct md_keras_layer {
    const char *name;
    const char *path; /* with the names of the models around it */
    const char *cls;
    const json_t *config; /* an object */
    const md_keras_row *row;
    const md_keras_operation *operation; /* whose row it is; NULL: a layer */
    md_keras_net *net;                   /* a model used as a layer */
    /* The layers that a wrapper has (Bidirectional: forward, backward). */
    struct md_keras_layer *inner;
    uint32_t n_inner;
    md_keras_call *calls;
    uint32_t n_calls;
    uint32_t n_out; /* of each call, when it is no net */
    bool is_input;
    bool refused; /* named in the error of md_keras_net_read */
    const md_tensor *w[MD_KERAS_WEIGHTS_MAX];
    uint32_t n_w;
    /* Constants made of the weights, for later calls; 0: none, else id + 1.
     * And the order of their axes (build.c). */
    md_value_id made[MD_KERAS_WEIGHTS_MAX];
    uint32_t made_order[MD_KERAS_WEIGHTS_MAX];
    md_str vocabulary; /* a file's text in the archive; p NULL: none */
    uint32_t inside;   /* bits: weights that bodies have */
} md_keras_layer;

struct md_keras_net {
    const char *name;
    md_keras_layer *layers;
    md_keras_ref *inputs, *outputs;
    uint32_t n_layers, n_inputs, n_outputs;
    bool keyed; /* inputs have keys, by whose order they are counted */
};

/*
 * Read the model's structure.  Layers that have no row, or that have settings
 * or calls that their row does not understand, are all named in one
 * MD_UNSUPPORTED.
 */
md_status md_keras_net_read(md_keras_net **out, const md_keras_file *f,
                            md_arena *ar, md_error *err);

/* Find each layer's weights (f->weights must outlive the net). */
md_status md_keras_net_bind(md_keras_net *net, const md_keras_file *f,
                            md_arena *ar, md_error *err);

/* Argument `position` of the layer's call is a mask: booleans. */
bool md_keras_is_mask(const md_keras_layer *l, uint32_t position);

/* Settings with defaults; null and a value of another type are the default
 * too (settings.h has refused what must not be).  A bool may be a number. */
const char *md_keras_text(const json_t *config, const char *key,
                          const char *otherwise);
double md_keras_number(const json_t *config, const char *key, double otherwise);
int64_t md_keras_int(const json_t *config, const char *key, int64_t otherwise);
bool md_keras_bool(const json_t *config, const char *key, bool otherwise);

/* A value as JSON, cut with "..." where it is long.  Returns text. */
const char *md_keras_show(char text[MD_KERAS_SHOWN], const json_t *v);

/* n whole numbers: a list of n, or one that stands for all.  Absent or null:
 * `otherwise` n times.  MD_CORRUPT for anything else. */
md_status md_keras_ints(int64_t *out, uint32_t n, const md_keras_layer *layer,
                        const char *key, int64_t otherwise, md_error *err);

/* Name of the activation ("linear" when absent); NULL when it is more than a
 * name. */
const char *md_keras_activation(const json_t *config);

/* The same of the setting's value, which may be NULL. */
const char *md_keras_function_name(const json_t *v);

#endif
