#include "ops/common/channels.h"

#include <string.h>

#include "kernels/turn.h"

md_status md_channels__last(const float **out, const md_exec *x,
                            const float *from, int64_t n, int64_t channels,
                            int64_t plane, md_arena *ar, md_error *err)
{
    const md_shape dims = { 3, { n, plane, channels } };
    md_tensor rows = { .dtype = MD_DTYPE_F32, .shape = dims };
    md_tensor planes = { .dtype = MD_DTYPE_F32, .shape = dims };
    md_place to = { .t = &rows, .stride = { plane * channels, channels, 1 } };
    md_place in = { .t = &planes, .stride = { plane * channels, 1, plane } };
    size_t size = (size_t)md_shape_n(&dims) * sizeof(float);

    memcpy(&planes.data, &from, sizeof(from)); /* only read */
    rows.data = md_arena_alloc(ar, size);
    if (!rows.data)
        return md_fail_nomem(err, size);
    md_exec__move(x, &to, &in, &dims);
    *out = rows.data;
    return MD_OK;
}

void md_channels__first(float *to, int64_t stride, const float *rows,
                        int64_t places, int64_t channels, uint32_t cpu)
{
    md_turn_select(cpu)->run(&(md_turn_args){ .y = to,
                                              .x = rows,
                                              .y_stride = stride,
                                              .x_stride = channels,
                                              .rows = channels,
                                              .columns = places,
                                              .size = sizeof(float) });
}
