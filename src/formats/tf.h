/*
 * TensorFlow's graphs (graph.proto, function.proto, meta_graph.proto,
 * saved_model.proto of TensorFlow 2): nodes and functions by name, signatures,
 * the values of attributes.
 *
 * Nodes keep their attributes as bytes of the file, read when somebody asks;
 * which attributes a node has, and what its inputs mean, is for who converts
 * it.  Everything lies in the arena given or in the file's bytes, which must
 * outlive it.
 */
#ifndef MD_FORMATS_TF_H
#define MD_FORMATS_TF_H

#include "formats/pb.h"
#include "tensor/tensor.h"

/* DataType of types.proto, as far as code asks for one by name. */
enum {
    MD_TF_FLOAT = 1,
    MD_TF_INT32 = 3,
    MD_TF_STRING = 7,
    MD_TF_INT64 = 9,
    MD_TF_BOOL = 10,
    MD_TF_RESOURCE = 20,
    MD_TF_VARIANT = 21,
};

typedef struct md_tf_attr {
    const char *name;
    md_pb value; /* AttrValue */
} md_tf_attr;

typedef struct md_tf_node {
    const char *name, *op;
    const char **inputs; /* as in the file: "name", "name:1", "^name" */
    md_tf_attr *attrs;
    uint32_t n_inputs, n_attrs;
    uint32_t cap_inputs, cap_attrs;
} md_tf_node;

/* Names to places in an array, sorted; of equal ones the first counts. */
typedef struct md_tf_name {
    const char *name;
    uint32_t i;
} md_tf_name;

typedef struct md_tf_index {
    md_tf_name *names;
    uint32_t n;
} md_tf_index;

typedef struct md_tf_nodes {
    md_tf_node *nodes;
    md_tf_index index;
    uint32_t n, cap;
} md_tf_nodes;

/* An argument, or a result and the tensor ("node:out:0") that it is. */
typedef struct md_tf_arg {
    const char *name, *value;
    int type; /* DataType; 0: by an attribute */
} md_tf_arg;

typedef struct md_tf_function {
    const char *name;
    md_tf_arg *args, *rets;
    uint32_t n_args, n_rets, cap_args, cap_rets;
    md_tf_index arg_index;
    md_tf_nodes body;
} md_tf_function;

typedef struct md_tf_graph {
    md_tf_nodes main;
    md_tf_function *functions;
    md_tf_index index; /* of functions */
    uint32_t n_functions, cap_functions;
} md_tf_graph;

/* An end of a signature. */
typedef struct md_tf_port {
    const char *name;   /* "image" */
    const char *tensor; /* "serving_default_image:0" */
    int type;
    bool has_rank;
    md_shape shape; /* -1: free */
} md_tf_port;

typedef struct md_tf_signature {
    const char *name;
    md_tf_port *inputs, *outputs; /* by name */
    uint32_t n_inputs, n_outputs, cap_inputs, cap_outputs;
} md_tf_signature;

typedef struct md_tf_asset {
    const char *tensor, *file;
} md_tf_asset;

typedef struct md_tf_meta {
    const char *version; /* of TensorFlow; or "" */
    md_tf_graph graph;
    md_tf_signature *signatures; /* in the order of their names */
    md_tf_asset *assets;
    uint32_t n_signatures, n_assets, cap_signatures, cap_assets;
} md_tf_meta;

/* A TensorProto.  Elements lie in the file or in the arena, little-endian, as
 * many as the shape says; strings are as TensorFlow Lite has them: their
 * number, where each begins and the last ends (int32), their bytes. */
typedef struct md_tf_tensor {
    md_dtype dtype;
    md_shape shape;
    const unsigned char *data; /* NULL only without elements */
    size_t size;
    bool in_file; /* data points into the file's bytes, else into the arena */
} md_tf_tensor;

/* The element type of a DataType; MD_DTYPE_NONE: resource, variant, ones that
 * ONNX has not.  Quantized types are those of their integers. */
md_dtype md_tf_dtype(int type);

/* Do the bytes begin like a GraphDef, a SavedModel, a MetaGraphDef? */
bool md_tf_probe_graph(const void *bytes, size_t size);
bool md_tf_probe_saved(const void *bytes, size_t size);
bool md_tf_probe_meta(const void *bytes, size_t size);

md_status md_tf_read_graph(md_tf_graph *out, md_pb bytes, md_arena *ar,
                           md_error *err);
md_status md_tf_read_meta(md_tf_meta *out, md_pb bytes, md_arena *ar,
                          md_error *err);

/* The meta graph with the tag "serve", or the only one.  MD_NOT_FOUND, with
 * the tags that there are. */
md_status md_tf_read_saved(md_tf_meta *out, md_pb bytes, md_arena *ar,
                           md_error *err);

const md_tf_node *md_tf_find_node(const md_tf_nodes *nodes, const char *name,
                                  size_t n_name);
const md_tf_function *md_tf_find_function(const md_tf_graph *g,
                                          const char *name);
/* The number of the argument, or -1. */
int64_t md_tf_find_arg(const md_tf_function *fn, const char *name);

/* Attributes, `otherwise` where there is none of that name; MD_CORRUPT when it
 * is of another kind. */
md_status md_tf_attr_int(int64_t *out, const md_tf_node *n, const char *name,
                         int64_t otherwise, md_error *err);
md_status md_tf_attr_float(float *out, const md_tf_node *n, const char *name,
                           float otherwise, md_error *err);
md_status md_tf_attr_text(const char **out, const md_tf_node *n,
                          const char *name, const char *otherwise, md_arena *ar,
                          md_error *err);
/* The name of a function; NULL where there is none. */
md_status md_tf_attr_function(const char **out, const md_tf_node *n,
                              const char *name, md_arena *ar, md_error *err);
/* A list of integers or types: *n are there, the first `max` are given. */
md_status md_tf_attr_ints(int64_t *out, uint32_t max, uint32_t *n,
                          const md_tf_node *node, const char *name,
                          md_error *err);
/* A list of texts, likewise. */
md_status md_tf_attr_texts(const char **out, uint32_t max, uint32_t *n,
                           const md_tf_node *node, const char *name,
                           md_arena *ar, md_error *err);
/* A list of numbers. */
md_status md_tf_attr_floats(float *out, uint32_t max, uint32_t *n,
                            const md_tf_node *node, const char *name,
                            md_error *err);
/* A shape; *has_rank false: any, or there is none. */
md_status md_tf_attr_shape(md_shape *out, bool *has_rank,
                           const md_tf_node *node, const char *name,
                           md_error *err);
/* A tensor; MD_CORRUPT where there is none. */
md_status md_tf_attr_tensor(md_tf_tensor *out, const md_tf_node *node,
                            const char *name, md_arena *ar, md_error *err);

/* A TensorProto in any of its encodings, of at most size_max bytes: a shape
 * may ask for many elements that one value stands for.  MD_CORRUPT,
 * MD_UNSUPPORTED for types that md_tf_dtype has not, MD_TOO_LARGE. */
md_status md_tf_read_tensor(md_tf_tensor *t, md_pb all, size_t size_max,
                            md_arena *ar, md_error *err);

/* A TensorShapeProto: MD_UNSUPPORTED above rank 8. */
md_status md_tf_read_shape(md_shape *out, bool *has_rank, md_pb bytes,
                           md_error *err);

#endif
