/* Models for the tests of readers and writers. */
#ifndef MD_TESTS_SUPPORT_ONNX_SAMPLE_H
#define MD_TESTS_SUPPORT_ONNX_SAMPLE_H

#include "formats/pb.h"
#include "graph/graph.h"

/* A model with one of everything: every attribute type, a subgraph that
 * captures, a function, symbolic dims, metadata, strings, an absent input.
 * The caller frees it. */
md_model *md_test_sample(void);

/*
 * Serialized messages, field by field, for what the graph cannot hold.  Each
 * helper writes one message as field `number`; lists of names are separated by
 * blanks, "-" is an empty name.
 */
void md_test_put_node(md_pb_writer *w, uint32_t number, const char *op,
                      const char *in, const char *out);
void md_test_put_value(md_pb_writer *w, uint32_t number, const char *name,
                       int dtype, const int64_t *dims, size_t n_dims);
void md_test_put_tensor(md_pb_writer *w, uint32_t number, const char *name,
                        int dtype, const int64_t *dims, size_t n_dims,
                        const void *raw, size_t size);

/* ModelProto up to its graph, which stays open: IR version, opset 17. */
md_pb_mark md_test_begin_model(md_pb_writer *w, int ir_version);

#endif
