/*
 * TensorFlow Lite files (schema version 3: a FlatBuffer with the identifier
 * "TFL3"), as tables of subgraphs, tensors and operators.
 *
 * What is read here is checked: indices into tensors, buffers and operator
 * codes, sizes of constants against shapes, buffers that overlap.  What an
 * operator's options mean is for who converts it; they stay tables of the
 * FlatBuffer (md_fb_check after reading them).
 *
 * Everything lies in the arena given, or in the file's bytes, which must
 * outlive it.
 */
#ifndef MD_FORMATS_TFLITE_H
#define MD_FORMATS_TFLITE_H

#include "base/arena.h"
#include "formats/flatbuf.h"
#include "tensor/tensor.h"

enum {
    MD_TFLITE_CUSTOM = 32 /* builtin code of operators with a name */
};

typedef struct md_tflite_tensor {
    const char *name;
    int type;       /* TensorType of the schema */
    md_dtype dtype; /* MD_DTYPE_NONE: resource, variant */
    bool has_rank;  /* false: any shape */
    int rank;
    int64_t dim[MD_RANK_MAX]; /* -1: free */
    /* Contents of a constant: size bytes in the file.  NULL: computed. */
    const unsigned char *data;
    size_t size;
    const int *stored;    /* for each axis, which one of the stored bytes it is;
                        * NULL: the same */
    bool is_made;         /* data is not the file's, and ends with the arena */
    bool is_view;         /* data is another tensor's as well */
    bool is_variable;     /* kept between runs */
    md_fb_vector scale;   /* of float; n 0: not quantized */
    md_fb_vector zero;    /* of int64; n 0: all zero */
    int axis;             /* of scales more than one */
    md_fb_table sparsity; /* fb NULL: dense */
} md_tflite_tensor;

typedef struct md_tflite_op {
    int code;           /* BuiltinOperator of the schema */
    const char *custom; /* name; "" unless MD_TFLITE_CUSTOM */
    int version;
    const int32_t *in, *out; /* tensors of its graph; -1: absent */
    uint32_t n_in, n_out;
    md_fb_table options;  /* of its own type */
    md_fb_table options2; /* BuiltinOptions2 */
    md_fb_vector custom_options;
} md_tflite_op;

typedef struct md_tflite_graph {
    const char *name;
    md_tflite_tensor *tensors;
    md_tflite_op *ops; /* in the order to run */
    const int32_t *inputs, *outputs;
    uint32_t n_tensors, n_ops, n_inputs, n_outputs;
} md_tflite_graph;

typedef struct md_tflite_port {
    const char *name;
    uint32_t tensor;
} md_tflite_port;

typedef struct md_tflite_signature {
    const char *key;
    uint32_t graph;
    md_tflite_port *inputs, *outputs;
    uint32_t n_inputs, n_outputs;
} md_tflite_signature;

typedef struct md_tflite {
    md_fb fb;
    const char *description;
    md_tflite_graph *graphs;
    md_tflite_signature *signatures;
    uint32_t n_graphs, n_signatures;
    const char *min_runtime;    /* metadata "min_runtime_version"; or "" */
    const unsigned char *notes; /* metadata "TFLITE_METADATA"; or NULL */
    size_t notes_size;
} md_tflite;

/* Do the bytes begin like such a file? */
bool md_tflite_probe(const void *bytes, size_t size);

/* MD_CORRUPT names what is wrong; MD_UNSUPPORTED another version, ranks above
 * 8; MD_TOO_LARGE; MD_NOMEM. */
md_status md_tflite_read(md_tflite *out, const void *bytes, size_t size,
                         md_arena *ar, md_error *err);

/*
 * The dense elements of a constant with sparsity, in `out`, which has the
 * tensor's shape and type and is all zero (for quantized ones: all zero
 * points, which are 0).
 */
md_status md_tflite_densify(const md_tflite_tensor *t, md_tensor *out,
                            md_error *err);

/* The strings of a constant of that type, in an owned tensor that the caller
 * releases. */
md_status md_tflite_strings(const md_tflite_tensor *t, md_tensor *out,
                            const md_alloc *alloc, md_error *err);

#endif
