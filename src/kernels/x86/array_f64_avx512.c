#include "kernels/x86/vec_avx512.h"

#include "kernels/x86/array_f64_vec.h"
