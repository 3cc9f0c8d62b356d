#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "tensor/container.h"
#include "tensor/float.h"

md_status md_tensor_bytes(size_t *out, md_dtype dtype, const md_shape *shape,
                          md_error *err)
{
    char text[MD_SHAPE_TEXT];
    int64_t n;

    MD_TRY(md_shape_count(&n, shape, err));
    if (!md_dtype_size(out, dtype, n))
        return md_fail(
            err, MD_TOO_LARGE, "shape %s of %s needs more than 2^64 bits",
            md_shape_format(text, sizeof(text), shape), md_dtype_name(dtype));
    return MD_OK;
}

md_status md_tensor_alloc_unset(md_tensor *out, md_dtype dtype,
                                const md_shape *shape, const md_alloc *alloc,
                                md_error *err)
{
    md_tensor t = { .dtype = dtype, .shape = *shape };
    size_t size;

    MD_TRY(md_tensor_bytes(&size, dtype, shape, err));
    if (size > 0) {
        t.data = md_malloc_aligned(alloc, size);
        if (!t.data)
            return md_fail_nomem(err, size);
        t.owner = alloc;
    }
    *out = t;
    return MD_OK;
}

md_status md_tensor_alloc(md_tensor *out, md_dtype dtype, const md_shape *shape,
                          const md_alloc *alloc, md_error *err)
{
    MD_TRY(md_tensor_alloc_unset(out, dtype, shape, alloc, err));
    if (out->data)
        memset(out->data, 0, md_tensor_size(out));
    return MD_OK;
}

/* Copy string elements and, behind them in the same block, their bytes. */
static md_status copy_strings(md_tensor *out, const md_tensor *t,
                              const md_alloc *alloc, md_error *err)
{
    const md_str *from = t->data;
    int64_t n = md_tensor_n(t);
    size_t size = (size_t)n * sizeof(md_str);
    md_str *to;
    char *bytes;

    for (int64_t i = 0; i < n; i++) {
        if (!md_add_size(&size, size, from[i].n))
            return md_fail_nomem(err, SIZE_MAX);
    }
    to = md_malloc_aligned(alloc, size);
    if (!to)
        return md_fail_nomem(err, size);
    bytes = (char *)(to + n);
    for (int64_t i = 0; i < n; i++) {
        if (from[i].n)
            memcpy(bytes, from[i].p, from[i].n);
        to[i] = (md_str){ bytes, from[i].n };
        bytes += from[i].n;
    }
    *out = (md_tensor){
        .dtype = t->dtype, .shape = t->shape, .data = to, .owner = alloc
    };
    return MD_OK;
}

md_status md_tensor_copy(md_tensor *out, const md_tensor *t,
                         const md_alloc *alloc, md_error *err)
{
    size_t size;

    if (t->kind != MD_KIND_TENSOR)
        return md_container__copy(out, t, alloc, err);
    size = md_tensor_size(t);
    if (t->dtype == MD_DTYPE_STRING && size > 0)
        return copy_strings(out, t, alloc, err);
    MD_TRY(md_tensor_alloc_unset(out, t->dtype, &t->shape, alloc, err));
    if (size)
        memcpy(out->data, t->data, size);
    return MD_OK;
}

md_status md_tensor_own_text(md_tensor *t, md_error *err)
{
    md_tensor old = *t;

    if (old.dtype != MD_DTYPE_STRING || old.kind != MD_KIND_TENSOR ||
        !old.owner)
        return MD_OK;
    MD_TRY(copy_strings(t, &old, old.owner, err));
    md_tensor_release(&old);
    return MD_OK;
}

void md_tensor_release(md_tensor *t)
{
    if (t->owner && t->kind != MD_KIND_TENSOR)
        md_container__drop(t);
    if (t->owner)
        md_free(t->owner, t->data);
    *t = (md_tensor)MD_TENSOR_INIT;
}

bool md_tensor_is_aligned(const md_tensor *t)
{
    return (uintptr_t)t->data % md_dtype_align(t->dtype) == 0;
}

int64_t md_tensor_n(const md_tensor *t)
{
    return md_shape_n(&t->shape);
}

size_t md_tensor_size(const md_tensor *t)
{
    size_t size = 0;

    (void)md_dtype_size(&size, t->dtype, md_tensor_n(t));
    return size;
}

/* Bits of element i of a packed type of `bits` < 8 bits. */
static uint8_t get_packed(const uint8_t *p, int64_t i, unsigned bits)
{
    unsigned per = 8 / bits;
    unsigned shift = (unsigned)(i % per) * bits;

    return (uint8_t)(((unsigned)p[i / per] >> shift) & ((1u << bits) - 1u));
}

static void set_packed(uint8_t *p, int64_t i, unsigned bits, uint8_t v)
{
    unsigned per = 8 / bits;
    unsigned shift = (unsigned)(i % per) * bits;
    unsigned mask = ((1u << bits) - 1u) << shift;

    p[i / per] =
        (uint8_t)((p[i / per] & ~mask) | (((unsigned)v << shift) & mask));
}

static int64_t sign_extend(uint8_t v, unsigned bits)
{
    int64_t top = (int64_t)1 << (bits - 1);

    return ((int64_t)v ^ top) - top;
}

/* Negative numbers as in md_f64_to_i64, wrapped. */
static uint64_t saturate_u64(double v)
{
    if (v >= 0x1p64)
        return UINT64_MAX;
    return v >= 0x1p63 ? (uint64_t)v : (uint64_t)md_f64_to_i64(v);
}

/* m as a double that rounds to any narrower float as m does: where it has
 * more than 53 bits the last 11 become one that tells whether they were 0
 * (see md_f64_to_f32_odd). */
static double odd_u64(uint64_t m)
{
    if (m >> 53)
        m = (m >> 11 | ((m & 0x7ff) != 0)) << 11;
    return (double)m;
}

static double odd_i64(int64_t v)
{
    return v < 0 ? -odd_u64(0 - (uint64_t)v) : odd_u64((uint64_t)v);
}

/* Does it hold doubles? */
static bool is_wide(md_dtype t)
{
    return t == MD_DTYPE_F64 || t == MD_DTYPE_C128;
}

/* Is it read and written exactly by way of int64? */
static bool is_whole(md_dtype t)
{
    return md_dtype_is_integer(t) || t == MD_DTYPE_BOOL;
}

double md_tensor_get_f64(const md_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case MD_DTYPE_F32:
        return ((const float *)t->data)[i];
    case MD_DTYPE_C64:
        return ((const float *)t->data)[2 * i];
    case MD_DTYPE_F64:
        return ((const double *)t->data)[i];
    case MD_DTYPE_C128:
        return ((const double *)t->data)[2 * i];
    case MD_DTYPE_F16:
        return md_f16_to_f32(((const uint16_t *)t->data)[i]);
    case MD_DTYPE_BF16:
        return md_bf16_to_f32(((const uint16_t *)t->data)[i]);
    case MD_DTYPE_F8E4M3FN:
    case MD_DTYPE_F8E4M3FNUZ:
    case MD_DTYPE_F8E5M2:
    case MD_DTYPE_F8E5M2FNUZ:
    case MD_DTYPE_F8E8M0:
        return md_f8_to_f32(t->dtype, ((const uint8_t *)t->data)[i]);
    case MD_DTYPE_F4E2M1:
        return md_f8_to_f32(t->dtype, get_packed(t->data, i, 4));
    case MD_DTYPE_U64:
        return (double)((const uint64_t *)t->data)[i];
    default:
        return (double)md_tensor_get_i64(t, i);
    }
}

int64_t md_tensor_get_i64(const md_tensor *t, int64_t i)
{
    unsigned bits = md_dtype_bits(t->dtype);

    switch (t->dtype) {
    case MD_DTYPE_U8:
    case MD_DTYPE_BOOL:
        return ((const uint8_t *)t->data)[i];
    case MD_DTYPE_I8:
        return ((const int8_t *)t->data)[i];
    case MD_DTYPE_U16:
        return ((const uint16_t *)t->data)[i];
    case MD_DTYPE_I16:
        return ((const int16_t *)t->data)[i];
    case MD_DTYPE_I32:
        return ((const int32_t *)t->data)[i];
    case MD_DTYPE_U32:
        return ((const uint32_t *)t->data)[i];
    case MD_DTYPE_I64:
    case MD_DTYPE_U64:
        return ((const int64_t *)t->data)[i];
    case MD_DTYPE_U4:
    case MD_DTYPE_U2:
        return get_packed(t->data, i, bits);
    case MD_DTYPE_I4:
    case MD_DTYPE_I2:
        return sign_extend(get_packed(t->data, i, bits), bits);
    case MD_DTYPE_STRING:
    case MD_DTYPE_NONE:
    case MD_DTYPE_N:
        return 0;
    default:
        return md_f64_to_i64(md_tensor_get_f64(t, i));
    }
}

void md_tensor_set_f64(md_tensor *t, int64_t i, double v)
{
    switch (t->dtype) {
    case MD_DTYPE_F32:
        ((float *)t->data)[i] = (float)v;
        break;
    case MD_DTYPE_F64:
        ((double *)t->data)[i] = v;
        break;
    case MD_DTYPE_C64:
        ((float *)t->data)[2 * i] = (float)v;
        ((float *)t->data)[2 * i + 1] = 0.0f;
        break;
    case MD_DTYPE_C128:
        ((double *)t->data)[2 * i] = v;
        ((double *)t->data)[2 * i + 1] = 0.0;
        break;
    case MD_DTYPE_F16:
        ((uint16_t *)t->data)[i] = md_f32_to_f16(md_f64_to_f32_odd(v));
        break;
    case MD_DTYPE_BF16:
        ((uint16_t *)t->data)[i] = md_f32_to_bf16(md_f64_to_f32_odd(v));
        break;
    case MD_DTYPE_F8E4M3FN:
    case MD_DTYPE_F8E4M3FNUZ:
    case MD_DTYPE_F8E5M2:
    case MD_DTYPE_F8E5M2FNUZ:
    case MD_DTYPE_F8E8M0:
        ((uint8_t *)t->data)[i] =
            md_f32_to_f8(t->dtype, md_f64_to_f32_odd(v), true);
        break;
    case MD_DTYPE_F4E2M1:
        set_packed(t->data, i, 4,
                   md_f32_to_f8(t->dtype, md_f64_to_f32_odd(v), true));
        break;
    case MD_DTYPE_BOOL:
        ((uint8_t *)t->data)[i] = v != 0.0;
        break;
    case MD_DTYPE_U64:
        ((uint64_t *)t->data)[i] = saturate_u64(v);
        break;
    default:
        md_tensor_set_i64(t, i, md_f64_to_i64(v));
        break;
    }
}

void md_tensor_set_i64(md_tensor *t, int64_t i, int64_t v)
{
    unsigned bits = md_dtype_bits(t->dtype);

    switch (t->dtype) {
    case MD_DTYPE_U8:
    case MD_DTYPE_I8:
        ((uint8_t *)t->data)[i] = (uint8_t)v;
        break;
    case MD_DTYPE_BOOL:
        ((uint8_t *)t->data)[i] = v != 0;
        break;
    case MD_DTYPE_U16:
    case MD_DTYPE_I16:
        ((uint16_t *)t->data)[i] = (uint16_t)v;
        break;
    case MD_DTYPE_U32:
    case MD_DTYPE_I32:
        ((uint32_t *)t->data)[i] = (uint32_t)v;
        break;
    case MD_DTYPE_U64:
    case MD_DTYPE_I64:
        ((int64_t *)t->data)[i] = v;
        break;
    case MD_DTYPE_U4:
    case MD_DTYPE_I4:
    case MD_DTYPE_U2:
    case MD_DTYPE_I2:
        set_packed(t->data, i, bits, (uint8_t)v);
        break;
    case MD_DTYPE_STRING:
    case MD_DTYPE_NONE:
    case MD_DTYPE_N:
        break;
    default:
        md_tensor_set_f64(t, i, is_wide(t->dtype) ? (double)v : odd_i64(v));
        break;
    }
}

void md_tensor_set_from(md_tensor *t, int64_t i, const md_tensor *from,
                        int64_t j)
{
    int64_t v;

    if (!is_whole(from->dtype)) {
        md_tensor_set_f64(t, i, md_tensor_get_f64(from, j));
        return;
    }
    v = md_tensor_get_i64(from, j);
    if (from->dtype != MD_DTYPE_U64 || v >= 0 || is_whole(t->dtype))
        md_tensor_set_i64(t, i, v);
    else /* only the wide floats round here */
        md_tensor_set_f64(t, i,
                          is_wide(t->dtype) ? (double)(uint64_t)v
                                            : odd_u64((uint64_t)v));
}
