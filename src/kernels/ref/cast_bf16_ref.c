#include "kernels/cast_bf16.h"
#include "tensor/float.h"

void md_cast_bf16__ref(uint16_t *to, int64_t step, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i / 16 * step + i % 16] = md_f32_to_bf16(from[i]);
}
