/* tdpbf16ps adds two products of bf16 to each sum. */
#include "kernels/gemm_bf16.h"

#define AMX_DOT _tile_dpbf16ps
#include "kernels/x86/dot_amx.h"

void md_dot_bf16_use__amx_bf16(bool on)
{
    amx_use(on);
}

void md_dot_bf16__amx_bf16(const md_dot_tile *t)
{
    amx_dot_tile(t);
}
