/* What the files of the ONNX reader and writer share. */
#ifndef MD_FORMATS_ONNX_IMPL_H
#define MD_FORMATS_ONNX_IMPL_H

#include "formats/onnx.h"
#include "formats/pb.h"

/* MD_ONNX_GRAPH_NODE and so on: field numbers. */
enum md_onnx_field {
#define F(message, field, number) MD_ONNX_##message##_##field = (number),
#include "formats/onnx_fields.def"
#undef F
};

typedef struct md_onnx_file md_onnx_file; /* a mapped external data file */

/* One model being read. */
typedef struct md_onnx_reader {
    md_model *model;
    md_onnx_opts opts;
    md_onnx_file *files; /* external ones, in the arena; the model keeps them */
    bool in_function;    /* attributes may refer to the function's */
    size_t dense_size;   /* made dense so far */
    md_value_id *ids;    /* scratch: inputs and outputs of one node */
    uint32_t n_ids, cap_ids;
} md_onnx_reader;

enum {
    MD_ONNX_EXTERNAL_KEYS = 16 /* at most so many entries per tensor */
};

/* TensorProto (and the dims and values of SparseTensorProto). */
typedef struct md_onnx_tensor {
    md_tensor t;
    const char *name; /* "" when it has none */
} md_onnx_tensor;

/* Where data goes that cannot stay in the file, for its alignment or form. */
typedef enum md_onnx_place {
    MD_ONNX_IN_ARENA,
    MD_ONNX_OWNED,    /* t.owner's: constants may be large, are freed singly */
    MD_ONNX_ANYWHERE, /* the same, but large ones stay whatever the address */
} md_onnx_place;

/*
 * Read a TensorProto.  The data points into the file or goes to `place`.
 * `what` it is ("initializer") begins error messages.
 */
md_status md_onnx__read_tensor(md_onnx_tensor *out, md_onnx_reader *r,
                               md_pb bytes, md_onnx_place place,
                               const char *what, md_error *err);

/* Read a SparseTensorProto as a dense tensor named after its values. */
md_status md_onnx__read_sparse(md_onnx_tensor *out, md_onnx_reader *r,
                               md_pb bytes, md_onnx_place place,
                               const char *what, md_error *err);

/* Where the data of a tensor with data_location EXTERNAL lies. */
typedef struct md_onnx_external {
    const char *location;
    uint64_t offset, length;
    bool has_length;
} md_onnx_external;

/* Take one StringStringEntryProto of external_data into x. */
md_status md_onnx__external_entry(md_onnx_external *x, md_onnx_reader *r,
                                  const md_pb_field *f, md_error *err);

/* Map (once per file) and check x against the file's size. */
md_status md_onnx__external_data(md_pb *out, md_onnx_reader *r,
                                 const md_onnx_external *x, md_error *err);

/* Read a TypeProto. */
md_status md_onnx__read_type(md_type *out, md_onnx_reader *r, md_pb bytes,
                             md_error *err);

/* Read one AttributeProto of a node of g (graphs become subgraphs of g); what
 * it holds lies in the arena. */
md_status md_onnx__read_attr(md_attr *a, md_graph *g, md_onnx_reader *r,
                             md_pb bytes, md_error *err);

/* Read a GraphProto, and a FunctionProto's body, into g. */
md_status md_onnx__read_graph(md_graph *g, md_onnx_reader *r, md_pb bytes,
                              md_error *err);
md_status md_onnx__read_function(md_function *out, md_onnx_reader *r,
                                 md_pb bytes, md_error *err);

/* Read a StringStringEntryProto or an OperatorSetIdProto. */
md_status md_onnx__read_pair(md_meta *out, md_onnx_reader *r,
                             const md_pb_field *f, md_error *err);
md_status md_onnx__read_opset(md_opset *out, md_onnx_reader *r,
                              const md_pb_field *f, md_error *err);

/* One model being written. */
typedef struct md_onnx_writer {
    md_pb_writer pb;
    const char *external; /* name of the external data file; NULL: none */
    md_pb_slice *outside; /* what goes there; at: offset in that file */
    uint32_t n_outside, cap_outside;
    size_t outside_size;
    bool sparse; /* md_onnx_save_opts.sparse */
} md_onnx_writer;

/* Write a TensorProto as field `number`; its data must live until the writer
 * is drained.  Large data goes outside when `external` and there is a file. */
void md_onnx__put_tensor(md_onnx_writer *w, uint32_t number, const char *name,
                         const md_tensor *t, bool external);

/* Write t as a SparseTensorProto when the writer may and that is smaller; else
 * false. */
bool md_onnx__put_sparse(md_onnx_writer *w, uint32_t number, const char *name,
                         const md_tensor *t);

/* The same as the whole message rather than a field of one. */
void md_onnx__put_tensor_fields(md_onnx_writer *w, const char *name,
                                const md_tensor *t, bool external);

/* Write a GraphProto, a FunctionProto, an OperatorSetIdProto. */
void md_onnx__put_graph(md_onnx_writer *w, uint32_t number, const md_graph *g);
void md_onnx__put_function(md_onnx_writer *w, uint32_t number,
                           const md_function *f);
void md_onnx__put_opset(md_onnx_writer *w, uint32_t number, const md_opset *o);

#endif
