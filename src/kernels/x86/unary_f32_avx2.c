#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/unary_f32_vec.h"
