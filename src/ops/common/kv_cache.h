/*
 * Keys and values of the past as com.microsoft's GroupQueryAttention quantizes
 * them: int8, or two codes of 4 bits in a byte, the first one low, each 8 too
 * large.  A code times a scale, of all or of each element of a head, is what is
 * meant; a number becomes the nearest code, of two the even one.
 */
#ifndef MD_OPS_COMMON_KV_CACHE_H
#define MD_OPS_COMMON_KV_CACHE_H

#include "ops/common/util.h"

typedef struct md_kv_cache {
    int bits;           /* of a code: 8 or 4; 0: numbers, nothing quantized */
    bool by_element[2]; /* scales of keys, and of values */
} md_kv_cache;

/* From k_quant_type, v_quant_type and kv_cache_bit_width. */
md_status md_kv_cache__form(md_kv_cache *out, const md_node *n, md_error *err);

/* Element type of the cache, MD_DTYPE_NONE for numbers; and the last dimension
 * of one with heads of this size. */
md_dtype md_kv_cache__type(const md_kv_cache *f);
md_status md_kv_cache__row(const md_kv_cache *f, const md_infer *c, md_dim *row,
                           md_dim size, md_error *err);

/* Input i, the scale of keys or values, has as many elements as it needs, where
 * that is known. */
md_status md_kv_cache__check_scale(const md_kv_cache *f, const md_infer *c,
                                   uint32_t i, bool values, md_dim heads,
                                   md_dim size, md_error *err);

/* A cache [B, heads, n, size] as float32, in the arena. */
md_status md_kv_cache__load(const md_kv_cache *f, md_tensor *out,
                            const md_tensor *codes, const md_tensor *scale,
                            bool values, int64_t size, md_arena *ar,
                            md_error *err);

/* v [B, heads, n, size] in place: what is left of it once it is quantized. */
void md_kv_cache__round(const md_kv_cache *f, float *v, const md_shape *shape,
                        const md_tensor *scale, bool values);

/* The codes of v, of out's shape but for its last dimension. */
void md_kv_cache__store(const md_kv_cache *f, md_tensor *out, const float *v,
                        int64_t size, const md_tensor *scale, bool values);

#endif
