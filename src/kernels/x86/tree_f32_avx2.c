#include <immintrin.h>

#include "kernels/tree_f32.h"

enum {
    LANES = 8
};

typedef __m256i vi;

static inline vi vi_lanes(void)
{
    return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}

static inline vi vi_load(const uint32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void vi_store(uint32_t *p, vi v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

static inline int vi_differ(vi a, vi b)
{
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(a, b)) != -1;
}

#define vi_set _mm256_set1_epi32
#define vi_add _mm256_add_epi32
#define vi_mul _mm256_mullo_epi32
#define vi_min _mm256_min_epi32

static inline vi step(const md_tree_f32 *t, vi at, vi base, const float *x,
                      vi from)
{
    const vi here = _mm256_add_epi32(base, at);
    const vi word =
        _mm256_i32gather_epi32((const int *)&t->nodes->word, here, 8);
    const __m256 split = _mm256_i32gather_ps(&t->nodes->split, here, 8);
    const vi feature =
        _mm256_srl_epi32(_mm256_and_si256(word, _mm256_set1_epi32(0x7fffffff)),
                         _mm_cvtsi32_si128((int)t->shift));
    const __m256 v = _mm256_i32gather_ps(x, _mm256_add_epi32(from, feature), 4);
    const vi below = _mm256_castps_si256(_mm256_cmp_ps(v, split, _CMP_LE_OQ));
    const vi nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const vi first = _mm256_or_si256(
        below, _mm256_and_si256(nan, _mm256_srai_epi32(word, 31)));
    const vi child = _mm256_and_si256(
        word, _mm256_set1_epi32((int)((UINT32_C(1) << t->shift) - 1)));

    /* first is -1 where it holds. */
    return _mm256_add_epi32(child,
                            _mm256_add_epi32(first, _mm256_set1_epi32(1)));
}

#define MD_TREE_ROWS md_tree_f32_rows__avx2
#define MD_TREE_TREES md_tree_f32_trees__avx2
#include "kernels/x86/tree_f32_vec.h"

/* --- full trees -------------------------------------------------------- */

typedef __m256 vf;
typedef __m256i mask; /* -1 where it holds */

typedef struct features {
    const float *x;
} features;

#define vi_shift(v, n) _mm256_sll_epi32(v, _mm_cvtsi32_si128(n))
#define vi_and _mm256_and_si256
#define vi_as_f _mm256_castsi256_ps
#define vf_load _mm256_loadu_ps
#define vi_bit(m) _mm256_srli_epi32(m, 31)
#define vi_pick(p, at) _mm256_i32gather_epi32((const int *)(p), at, 4)
#define feature_of(f, at) _mm256_i32gather_ps((f)->x, at, 4)
#define above(x, split)                                                        \
    _mm256_castps_si256(_mm256_cmp_ps(x, split, _CMP_NLE_UQ))
#define vi_choose(m, a, b) _mm256_blendv_epi8(a, b, m)
#define vf_choose(m, a, b) _mm256_blendv_ps(a, b, _mm256_castsi256_ps(m))

static inline vf node_at(const md_tree_f32_full_node *block, vi at, vi *feature)
{
    *feature = _mm256_i32gather_epi32((const int *)&block->feature, at, 8);
    return _mm256_i32gather_ps(&block->split, at, 8);
}

#include "kernels/x86/tree_full_vec.h"

void md_tree_f32_full__avx2(uint32_t *out, const md_tree_f32_full *f,
                            const float *x)
{
    const features all = { x };

    walk_full(out, f, &all);
}
