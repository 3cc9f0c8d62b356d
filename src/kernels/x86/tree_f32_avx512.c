#include <immintrin.h>

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

static inline vi step(const md_tree_f32 *t, vi at, vi base, const float *x,
                      vi from)
{
    const vi here = _mm512_add_epi32(base, at);
    const vi word = _mm512_i32gather_epi32(here, &t->nodes->word, 8);
    const __m512 split = _mm512_i32gather_ps(here, &t->nodes->split, 8);
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
