#include "kernels/x86/vec_avx512.h"

#include "kernels/x86/arg_f32_vec.h"
