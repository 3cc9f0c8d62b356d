/* tdpbusd adds four products of bytes to each sum. */
#include "kernels/gemm_s8.h"

#define AMX_DOT _tile_dpbusd
#include "kernels/x86/dot_amx.h"

void md_dot_s8_use__amx_int8(bool on)
{
    amx_use(on);
}

void md_dot_s8__amx_int8(const md_dot_tile *t)
{
    amx_dot_tile(t);
}
