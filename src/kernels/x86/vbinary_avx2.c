#include "kernels/vbinary_loops.h"

md_vbinary_fn *md_vbinary__avx2(md_vbinary op, md_dtype type)
{
    return find(op, type);
}
