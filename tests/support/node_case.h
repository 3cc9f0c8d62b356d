/* ONNX backend test cases: a model and folders of inputs and outputs. */
#ifndef MD_TESTS_SUPPORT_NODE_CASE_H
#define MD_TESTS_SUPPORT_NODE_CASE_H

#include <stddef.h>

typedef enum node_result {
    NODE_PASS,
    NODE_FAIL,        /* wrong values, or an error */
    NODE_UNSUPPORTED, /* an operator, type or value kind that is not there */
} node_result;

/*
 * Evaluate `folder`/model.onnx on its test_data_set_* and compare with ONNX's
 * tolerances (1e-3 relative, 1e-7 absolute); of a model of one node also
 * compare inference with the result.  A text for anything but NODE_PASS goes
 * to why.
 */
node_result node_case_run(const char *folder, char *why, size_t why_size);

/*
 * A model of the folder `light`, NAME.onnx, whose output is NAME_output_0.pb.
 * Element i of an input of n is i / n.  It is run as a session with one thread.
 */
node_result node_case_run_light(const char *model, char *why, size_t why_size);

#endif
