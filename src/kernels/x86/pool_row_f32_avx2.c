#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/pool_row_f32_vec.h"
