#include "kernels/x86/vec_avx512.h"

#include "kernels/x86/winograd_f32_vec.h"

const md_winograd_f32_tile md_winograd_f32_tiles__avx512[MD_WINOGRAD_TILES] =
    TILES("avx512");
