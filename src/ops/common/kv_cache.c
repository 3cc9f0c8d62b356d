#include "ops/common/kv_cache.h"

#include <math.h>
#include <string.h>

static md_status find_kind(const md_node *n, const char *name, bool *quantized,
                           bool *by_element, md_error *err)
{
    const char *how = md_node_attr_s(n, name, "NONE");

    *by_element = strcmp(how, "PER_CHANNEL") == 0;
    *quantized = *by_element || strcmp(how, "PER_TENSOR") == 0;
    if (*quantized || strcmp(how, "NONE") == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "%s is '%s', NONE, PER_TENSOR or PER_CHANNEL expected", name,
                   how);
}

md_status md_kv_cache__form(md_kv_cache *out, const md_node *n, md_error *err)
{
    int64_t bits = md_node_attr_i(n, "kv_cache_bit_width", 8);
    bool keys, values;

    *out = (md_kv_cache){ 0 };
    MD_TRY(find_kind(n, "k_quant_type", &keys, &out->by_element[0], err));
    MD_TRY(find_kind(n, "v_quant_type", &values, &out->by_element[1], err));
    if (keys != values)
        return md_fail(err, MD_INVALID,
                       "keys or values alone are quantized, both expected");
    if (!keys)
        return MD_OK;
    if (bits != 8 && bits != 4)
        return md_fail(err, MD_INVALID,
                       "kv_cache_bit_width is %lld, 8 or 4 expected",
                       (long long)bits);
    out->bits = (int)bits;
    return MD_OK;
}

md_dtype md_kv_cache__type(const md_kv_cache *f)
{
    return f->bits == 8   ? MD_DTYPE_I8
           : f->bits == 4 ? MD_DTYPE_U8
                          : MD_DTYPE_NONE;
}

md_status md_kv_cache__row(const md_kv_cache *f, const md_infer *c, md_dim *row,
                           md_dim size, md_error *err)
{
    *row = size;
    if (f->bits != 4)
        return MD_OK;
    if (!md_dim_is_const(size))
        return md_infer__fresh(c, row, err);
    if (size.k % 2)
        return md_fail(err, MD_INVALID,
                       "heads of %lld codes of 4 bits fill no bytes",
                       (long long)size.k);
    *row = MD_DIM(size.k / 2);
    return MD_OK;
}

md_status md_kv_cache__check_scale(const md_kv_cache *f, const md_infer *c,
                                   uint32_t i, bool values, md_dim heads,
                                   md_dim size, md_error *err)
{
    md_shape shape;
    int64_t want = 1;

    if (!f->bits)
        return md_infer_has(c, i) ? md_fail(err, MD_INVALID,
                                            "a scale of what is not quantized")
                                  : MD_OK;
    MD_TRY(md_infer__need(c, i, MD_T(F32), err));
    if (f->by_element[values]) {
        if (!md_dim_is_const(heads) || !md_dim_is_const(size))
            return MD_OK;
        want = heads.k * size.k;
    }
    if (!md_type_static(c->in[i], &shape) || md_shape_n(&shape) == want)
        return MD_OK;
    return md_fail(err, MD_INVALID, "input %u has %lld elements, %lld expected",
                   i, (long long)md_shape_n(&shape), (long long)want);
}

/* The scales of head h: `step` apart. */
static const float *scales_of(const md_kv_cache *f, const md_tensor *scale,
                              bool values, int64_t h, int64_t size,
                              int64_t *step)
{
    *step = f->by_element[values] ? 1 : 0;
    return (const float *)scale->data + *step * h * size;
}

static int read_code(const md_kv_cache *f, const md_tensor *codes, int64_t i)
{
    if (f->bits == 8)
        return ((const int8_t *)codes->data)[i];
    return (((const uint8_t *)codes->data)[i / 2] >> (i % 2 * 4) & 15) - 8;
}

static float code_of(const md_kv_cache *f, float v, float scale)
{
    float most = f->bits == 8 ? 127.0f : 7.0f;
    float code = rintf(v / scale);

    /* A number that is none, or a scale of 0, is no code either. */
    return code >= -most - 1.0f ? fminf(code, most)
           : isnan(code)        ? 0.0f
                                : -most - 1.0f;
}

md_status md_kv_cache__load(const md_kv_cache *f, md_tensor *out,
                            const md_tensor *codes, const md_tensor *scale,
                            bool values, int64_t size, md_arena *ar,
                            md_error *err)
{
    md_shape s = codes->shape;
    int64_t n, rows = s.dim[0] * s.dim[1] * s.dim[2];
    float *v;

    s.dim[3] = size;
    n = md_shape_n(&s);
    MD_TRY(md_exec__scratch(&v, ar, n, sizeof(*v), err));
    for (int64_t r = 0; r < rows; r++) {
        int64_t step;
        const float *scales =
            scales_of(f, scale, values, r / s.dim[2] % s.dim[1], size, &step);

        for (int64_t i = 0; i < size; i++)
            v[r * size + i] =
                (float)read_code(f, codes, r * size + i) * scales[i * step];
    }
    *out = (md_tensor){ .dtype = MD_DTYPE_F32, .shape = s, .data = v };
    return MD_OK;
}

void md_kv_cache__round(const md_kv_cache *f, float *v, const md_shape *s,
                        const md_tensor *scale, bool values)
{
    int64_t size = s->dim[3], rows = s->dim[0] * s->dim[1] * s->dim[2];

    for (int64_t r = 0; r < rows; r++) {
        int64_t step;
        const float *scales =
            scales_of(f, scale, values, r / s->dim[2] % s->dim[1], size, &step);

        for (int64_t i = 0; i < size; i++) {
            float *x = &v[r * size + i];

            *x = code_of(f, *x, scales[i * step]) * scales[i * step];
        }
    }
}

void md_kv_cache__store(const md_kv_cache *f, md_tensor *out, const float *v,
                        int64_t size, const md_tensor *scale, bool values)
{
    const md_shape *s = &out->shape;
    int64_t rows = s->dim[0] * s->dim[1] * s->dim[2];

    md_exec__zero(out);
    for (int64_t r = 0; r < rows; r++) {
        int64_t step;
        const float *scales =
            scales_of(f, scale, values, r / s->dim[2] % s->dim[1], size, &step);

        for (int64_t i = 0; i < size; i++) {
            int code = (int)code_of(f, v[r * size + i], scales[i * step]);
            int64_t at = r * size + i;

            if (f->bits == 8)
                ((int8_t *)out->data)[at] = (int8_t)code;
            else
                ((uint8_t *)out->data)[at / 2] |=
                    (uint8_t)((code + 8) << (at % 2 * 4));
        }
    }
}
