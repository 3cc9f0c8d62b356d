/* vpdpbusd adds four products of bytes to each sum, without saturating. */
#include "kernels/gemm_s8.h"

#define AVX512_DOT "vpdpbusd"
#define AVX512_EXACT
#include "kernels/x86/dot_avx512.h"

void md_dot_s8__avx512vnni(const md_dot_tile *t)
{
    avx512_dot_tile(t);
}
