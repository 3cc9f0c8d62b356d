#include "kernels/conv_f32.h"

#define CONV_STEP 16
#define CONV_DEPTH 16
#include "kernels/x86/conv_tile_avx512.h"

void md_conv_f32_span__avx512(const md_conv_span *s)
{
    conv_span(s);
}
