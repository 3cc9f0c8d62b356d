#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/gemv_f32_vec.h"
