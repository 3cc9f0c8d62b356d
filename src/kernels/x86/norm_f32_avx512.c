#include "kernels/x86/vec_avx512.h"

#include "kernels/x86/norm_f32_vec.h"
