#include "kernels/vcast_loops.h"

md_vcast_fn *md_vcast__avx512(md_dtype to, md_dtype from)
{
    return find(to, from);
}
