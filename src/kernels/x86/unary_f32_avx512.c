#include "kernels/x86/vec_avx512.h"

#include "kernels/x86/unary_f32_vec.h"
