#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/pool2d_vec.h"
