/* Tensors as nested arrays of JSON. */
#ifndef MD_SERVE_NESTED_H
#define MD_SERVE_NESTED_H

#include "base/json.h"
#include "tensor/tensor.h"

/* Axes [axis, rank) of the elements from `at` on; a scalar is bare. */
void md_nested_write(md_json_writer *w, const md_tensor *t, int axis,
                     int64_t at);

#endif
