/* Where Python's onnx package keeps its backend tests, if it is installed. */
#ifndef MD_TESTS_SUPPORT_ONNX_DATA_H
#define MD_TESTS_SUPPORT_ONNX_DATA_H

#include <stddef.h>

/* The folder that holds node/, simple/ and so on, into buf; NULL without. */
const char *md_test_onnx_data(char *buf, size_t size);

#endif
