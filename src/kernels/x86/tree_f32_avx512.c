#include <immintrin.h>

#include "base/attr.h"
#include "kernels/tree_f32.h"

enum {
    LANES = 16
};

typedef __m512i vi;

static inline vi vi_lanes(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                             15);
}

#define vi_set _mm512_set1_epi32
#define vi_add _mm512_add_epi32
#define vi_mul _mm512_mullo_epi32
#define vi_min _mm512_min_epi32
#define vi_load _mm512_loadu_si512
#define vi_store _mm512_storeu_si512
#define vi_differ(a, b) (_mm512_cmpneq_epi32_mask(a, b) != 0)

/* Low and high words of 16 elements of 8 bytes: one gather for both. */
static inline vi words_at(const void *p, vi at, vi *high)
{
    const vi even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22,
                                      24, 26, 28, 30);
    const vi a = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), p, 8);
    const vi b = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), p, 8);

    *high = _mm512_permutex2var_epi32(
        a, _mm512_or_si512(even, _mm512_set1_epi32(1)), b);
    return _mm512_permutex2var_epi32(a, even, b);
}

static inline vi step(const md_tree_f32 *t, vi at, vi base, const float *x,
                      vi from)
{
    vi word;
    const __m512 split = _mm512_castsi512_ps(
        words_at(t->nodes, _mm512_add_epi32(base, at), &word));
    const vi feature =
        _mm512_srl_epi32(_mm512_and_si512(word, _mm512_set1_epi32(0x7fffffff)),
                         _mm_cvtsi32_si128((int)t->shift));
    const __m512 v = _mm512_i32gather_ps(_mm512_add_epi32(from, feature), x, 4);
    const __mmask16 below = _mm512_cmp_ps_mask(v, split, _CMP_LE_OQ);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __mmask16 first =
        (__mmask16)(below | (nan & _mm512_movepi32_mask(word)));
    const vi child = _mm512_and_si512(
        word, _mm512_set1_epi32((int)((UINT32_C(1) << t->shift) - 1)));

    return _mm512_mask_add_epi32(child, (__mmask16)~first, child,
                                 _mm512_set1_epi32(1));
}

#define MD_TREE_ROWS md_tree_f32_rows__avx512
#define MD_TREE_TREES md_tree_f32_trees__avx512
#include "kernels/x86/tree_f32_vec.h"

/* --- full trees -------------------------------------------------------- */

typedef __m512 vf;
typedef __mmask16 mask;

#define vi_shift(v, n) _mm512_sll_epi32(v, _mm_cvtsi32_si128(n))
#define vi_and _mm512_and_si512
#define vi_as_f _mm512_castsi512_ps
#define vf_load _mm512_loadu_ps
#define vi_choose _mm512_mask_blend_epi32
#define vf_choose _mm512_mask_blend_ps
#define vi_bit(m) _mm512_maskz_set1_epi32(m, 1)
#define vi_pick(p, at) _mm512_i32gather_epi32(at, p, 4)
#define above(x, split) _mm512_cmp_ps_mask(x, split, _CMP_NLE_UQ)

static inline vf node_at(const md_tree_f32_full_node *block, vi at, vi *feature)
{
    return _mm512_castsi512_ps(words_at(block, at, feature));
}

/* A row of at most 64 features lies in registers. */
enum {
    FEW = 64
};

typedef struct features {
    const float *x;
    __m512 v[4];
    int few; /* a constant wherever it is read */
} features;

static MD_ALWAYS_INLINE vf feature_of(const features *x, vi at)
{
    if (!x->few)
        return _mm512_i32gather_ps(at, x->x, 4);
    return _mm512_mask_blend_ps(
        _mm512_test_epi32_mask(at, _mm512_set1_epi32(32)),
        _mm512_permutex2var_ps(x->v[0], at, x->v[1]),
        _mm512_permutex2var_ps(x->v[2], at, x->v[3]));
}

#include "kernels/x86/tree_full_vec.h"

static void walk_few(uint32_t *out, const md_tree_f32_full *f, const float *x)
{
    features few = { .x = x, .few = 1 };

    for (int i = 0; i < 4; i++) {
        const int left = (int)f->n_features - 16 * i;
        const __mmask16 m =
            left >= 16 ? 0xffff
                       : (__mmask16)((1u << (left > 0 ? left : 0)) - 1);

        few.v[i] = _mm512_maskz_loadu_ps(m, x + 16 * i);
    }
    walk_full(out, f, &few);
}

void md_tree_f32_full__avx512(uint32_t *out, const md_tree_f32_full *f,
                              const float *x)
{
    const features many = { .x = x, .few = 0 };

    if (f->n_features <= FEW)
        walk_few(out, f, x);
    else
        walk_full(out, f, &many);
}
