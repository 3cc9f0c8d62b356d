/* vdpbf16ps adds two products of bf16 to each sum. */
#include "kernels/gemm_bf16.h"

#define AVX512_DOT "vdpbf16ps"
#include "kernels/x86/dot_avx512.h"

void md_dot_bf16__avx512bf16(const md_dot_tile *t)
{
    avx512_dot_tile(t);
}
