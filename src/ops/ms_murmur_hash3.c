/* com.microsoft's MurmurHash3: the 32-bit hash (Appleby, public domain) of each
 * element's bytes, little-endian, or of a string's text. */
#include <string.h>

#include "ops/common/util.h"

#define TYPES                                                                  \
    (MD_T(U32) | MD_T(I32) | MD_T(U64) | MD_T(I64) | MD_T(F32) | MD_T(F64) |   \
     MD_T(STRING))

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t seed = md_node_attr_i(c->node, "seed", 0);

    MD_TRY(md_infer__need(c, 0, TYPES, err));
    if (seed < 0 || seed > UINT32_MAX)
        return md_fail(err, MD_INVALID,
                       "seed is %lld, 0 to 4294967295 expected",
                       (long long)seed);
    md_infer__like(c, 0, 0,
                   md_node_attr_i(c->node, "positive", 1) == 1 ? MD_DTYPE_U32
                                                               : MD_DTYPE_I32);
    return MD_OK;
}

static uint32_t turn(uint32_t v, int n)
{
    return v << n | v >> (32 - n);
}

static uint32_t mix(uint32_t k)
{
    return turn(k * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static uint32_t hash(const uint8_t *p, size_t n, uint32_t seed)
{
    uint32_t h = seed, k = 0;

    for (size_t i = 0; i + 4 <= n; i += 4) {
        k = (uint32_t)p[i] | (uint32_t)p[i + 1] << 8 |
            (uint32_t)p[i + 2] << 16 | (uint32_t)p[i + 3] << 24;
        h = turn(h ^ mix(k), 13) * 5 + 0xe6546b64u;
    }
    k = 0;
    for (size_t i = n; i-- > n / 4 * 4;)
        k = k << 8 | p[i];
    h ^= mix(k) ^ (uint32_t)n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    uint32_t seed = (uint32_t)md_node_attr_i(x->node, "seed", 0);
    const md_tensor *in = x->in[0];
    size_t size = md_dtype_bits(in->dtype) / 8;

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        const uint8_t *p = (const uint8_t *)in->data + (size_t)i * size;

        if (in->dtype == MD_DTYPE_STRING) {
            const md_str *s = (const md_str *)in->data + i;

            ((uint32_t *)out->data)[i] =
                hash((const uint8_t *)s->p, s->n, seed);
        } else {
            ((uint32_t *)out->data)[i] = hash(p, size, seed);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_murmur_hash3 = {
    .domain = "com.microsoft",
    .name = "MurmurHash3",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
