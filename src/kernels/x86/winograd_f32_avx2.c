#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/winograd_f32_vec.h"

const md_winograd_f32_tile md_winograd_f32_tiles__avx2[MD_WINOGRAD_TILES] =
    TILES("avx2");
