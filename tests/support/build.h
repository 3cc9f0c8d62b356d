/* Building small models in tests: failures end the test. */
#ifndef MD_TESTS_SUPPORT_BUILD_H
#define MD_TESTS_SUPPORT_BUILD_H

#include "graph/graph.h"

/* A model that imports ai.onnx `opset`, com.microsoft 1 and
 * ai.onnx.preview.training 1, and modeld 1. */
md_model *md_build_model(int64_t opset);

/* A float32 input; a negative dim is the symbol "batch". */
md_value_id md_build_input(md_model *m, const char *name, md_dtype dtype,
                           int rank, const int64_t *dims);

/* A constant filled from a deterministic generator, about normal with this
 * deviation; the seed makes calls differ. */
md_value_id md_build_random(md_model *m, int rank, const int64_t *dims,
                            float deviation, uint32_t seed);

/* A constant of one number. */
md_value_id md_build_scalar(md_model *m, md_dtype dtype, double v);

/* A 1-D constant. */
md_value_id md_build_ints(md_model *m, int n, const int64_t *v);

/* A node of ai.onnx with one output. */
md_value_id md_build_node(md_model *m, const char *op, int n_in,
                          const md_value_id *in);

/* The node that made value id, to set attributes. */
md_node *md_build_def(md_model *m, md_value_id id);
void md_build_attr_ints(md_model *m, md_value_id id, const char *name, int n,
                        const int64_t *v);
void md_build_attr_int(md_model *m, md_value_id id, const char *name,
                       int64_t v);

void md_build_output(md_model *m, md_value_id id);

/* Fill float data with about normal numbers. */
void md_build_fill(float *p, int64_t n, float deviation, uint32_t seed);

/* Fill any number type: floats like md_build_fill with this deviation, signed
 * integers between -range and range, others between 0 and range. */
void md_build_fill_any(md_tensor *out, double range, uint32_t seed);

#endif
