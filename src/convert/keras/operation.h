/* What the emitters of keras.ops share. */
#ifndef MD_CONVERT_KERAS_OPERATION_H
#define MD_CONVERT_KERAS_OPERATION_H

#include "convert/keras/layer.h"

enum {
    MD_KERAS_OPERANDS_MAX = 8
};

/* v in another type. */
md_status md_keras_op__cast(md_keras_value *v, md_keras_build *b, md_dtype to,
                            md_error *err);

/* Operand `at`: a tensor of the call as Keras has it, or a constant. */
md_status md_keras_op__operand(md_keras_value *out, md_keras_build *b,
                               const md_keras_value *in, uint32_t n_in,
                               uint32_t at, md_error *err);

/* The first n operands; those from the `from`th on in one type, which is the
 * result's. */
md_status md_keras_op__operands(md_keras_value *v, md_keras_build *b,
                                const md_keras_value *in, uint32_t n_in,
                                uint32_t n, uint32_t from, md_error *err);

/* The type of a result of operands [from, n); of integers the wider, and
 * Python's numbers take the kind of the tensor beside them. */
md_dtype md_keras_op__common_type(const md_keras_build *b,
                                  const md_keras_value *v, uint32_t n,
                                  uint32_t from);

/* Shape of operands side by side, from behind as numpy counts. */
md_status md_keras_op__broadcast(md_keras_value *out, const md_keras_build *b,
                                 const md_keras_value *v, uint32_t n,
                                 md_error *err);

/* out->id = op(v...). */
md_status md_keras_op__apply(md_keras_value *out, md_keras_build *b,
                             const char *op, const md_keras_value *v,
                             uint32_t n, md_error *err);

/* MD_UNSUPPORTED where v is of booleans, with which Keras counts. */
md_status md_keras_op__refuse_bool(const md_keras_build *b,
                                   const md_keras_value *v, md_error *err);

/* A setting that is an axis of a tensor of `rank`. */
md_status md_keras_op__axis_setting(int *out, const md_keras_build *b,
                                    const json_t *v, int rank, md_error *err);

/* `axis`: a number, a list, or all where it is null. */
md_status md_keras_op__axes_setting(bool axes[MD_RANK_MAX],
                                    const md_keras_build *b, int rank,
                                    md_error *err);

#endif
