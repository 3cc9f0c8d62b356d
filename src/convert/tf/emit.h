/*
 * Operators that TensorFlow Lite has not: what each gives, see
 * convert/tflite/build.h.  Their options are those that ops.def names.
 */
#ifndef MD_CONVERT_TF_EMIT_H
#define MD_CONVERT_TF_EMIT_H

#include "convert/tflite/build.h"

#define TF(name, code, options, types)
#define TF_OWN(name, fn, in_min, in_max, onnx, options, types)                 \
    md_tfl_emit_fn fn;
#define TF_PART(name, fn, in_min, in_max, onnx) md_tfl_emit_fn fn;
#include "convert/tf/ops.def"
#undef TF
#undef TF_OWN
#undef TF_PART

#endif
