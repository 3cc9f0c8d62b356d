#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/array_f64_vec.h"
