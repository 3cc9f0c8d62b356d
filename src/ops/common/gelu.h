/* x * P(X <= x) for normal X: by erf, and by tanh (Hendrycks, Gimpel 2016). */
#ifndef MD_OPS_COMMON_GELU_H
#define MD_OPS_COMMON_GELU_H

#include "ops/common/elementwise.h"

extern const md_unary md_gelu__erf;
extern const md_unary md_gelu__tanh;

#endif
