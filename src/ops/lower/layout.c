/* Layouts, precisions and clamps: what every lowering shares. */
#include <math.h>

#include "base/size.h"
#include "ops/lower.h"

md_status md_layout_bytes(size_t *out, md_layout layout, md_dtype dtype,
                          const md_shape *shape, md_error *err)
{
    md_shape padded = *shape;

    if (layout == MD_LAYOUT_NC16)
        padded.dim[1] = md_div_up(shape->dim[1], MD_BLOCK) * MD_BLOCK;
    return md_tensor_bytes(out, dtype, &padded, err);
}

const char *md_layout_name(md_layout layout)
{
    return layout == MD_LAYOUT_NC16 ? "nc16" : "row";
}

const char *md_precision_name(md_precision p)
{
    static const char *const names[] = { "fp32", "strict", "bf16", "auto" };

    return names[p];
}

/* Code of x, saturated to [lo, hi]. */
static int32_t code(float x, float scale, int32_t zp, int32_t lo, int32_t hi)
{
    double q = nearbyint((double)x / scale) + zp;

    return (int32_t)fmin(fmax(q, lo), hi);
}

void md_fused_clamp(const md_fused *f, float scale, int32_t zp, md_dtype dtype,
                    int32_t *lo, int32_t *hi)
{
    int32_t min = (int32_t)md_dtype_int_min(dtype);
    int32_t max = (int32_t)md_dtype_int_max(dtype);

    *lo = min;
    *hi = max;
    if (f && f->act == MD_ACT_RELU)
        *lo = code(0.0f, scale, zp, min, max);
    if (f && f->act == MD_ACT_CLIP) {
        *lo = code(f->a, scale, zp, min, max);
        *hi = code(f->b, scale, zp, min, max);
    }
}
