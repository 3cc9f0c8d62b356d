#include "ops/common/reduce_int.h"

#include <stddef.h>

#include "base/attr.h"

enum {
    SHORT = 8 /* numbers that are not worth a loop by vectors */
};

#define FOLD(name, T, op, expr)                                                \
    static void name(void *y, const void *x, int64_t rows, int64_t step,       \
                     int64_t n, int64_t stride)                                \
    {                                                                          \
        T *o = y;                                                              \
                                                                               \
        for (int64_t r = 0; r < rows; r++) {                                   \
            const T *p = (const T *)x + r * step;                              \
            T a = o[r];                                                        \
                                                                               \
            if (stride == 1 && n >= SHORT) {                                   \
                MD_PRAGMA(omp simd reduction(op : a))                          \
                for (int64_t i = 0; i < n; i++) {                              \
                    const T v = p[i];                                          \
                                                                               \
                    a = (T)(expr);                                             \
                }                                                              \
            } else {                                                           \
                for (int64_t i = 0; i < n; i++, p += stride) {                 \
                    const T v = *p;                                            \
                                                                               \
                    a = (T)(expr);                                             \
                }                                                              \
            }                                                                  \
            o[r] = a;                                                          \
        }                                                                      \
    }
#define EXTREMES(type, T)                                                      \
    FOLD(max_##type, T, max, v > a ? v : a)                                    \
    FOLD(min_##type, T, min, v < a ? v : a)
EXTREMES(I8, int8_t)
EXTREMES(U8, uint8_t)
EXTREMES(I32, int32_t)
EXTREMES(U32, uint32_t)
EXTREMES(I64, int64_t)
EXTREMES(U64, uint64_t)
/* signed types take those of unsigned ones, whose bits are the same */
FOLD(sum_U32, uint32_t, +, a + v)
FOLD(sum_U64, uint64_t, +, a + v)
FOLD(product_U32, uint32_t, *, a *v)
FOLD(product_U64, uint64_t, *, a *v)

md_fold_int_fn *md_fold_int__find(md_reduce op, md_dtype type)
{
    static md_fold_int_fn *const loops[MD_REDUCE_COUNT][MD_DTYPE_N] = {
        [MD_REDUCE_MAX] = { [MD_DTYPE_I8] = max_I8,
                            [MD_DTYPE_U8] = max_U8,
                            [MD_DTYPE_I32] = max_I32,
                            [MD_DTYPE_U32] = max_U32,
                            [MD_DTYPE_I64] = max_I64,
                            [MD_DTYPE_U64] = max_U64 },
        [MD_REDUCE_MIN] = { [MD_DTYPE_I8] = min_I8,
                            [MD_DTYPE_U8] = min_U8,
                            [MD_DTYPE_I32] = min_I32,
                            [MD_DTYPE_U32] = min_U32,
                            [MD_DTYPE_I64] = min_I64,
                            [MD_DTYPE_U64] = min_U64 },
        [MD_REDUCE_SUM] = { [MD_DTYPE_I32] = sum_U32,
                            [MD_DTYPE_U32] = sum_U32,
                            [MD_DTYPE_I64] = sum_U64,
                            [MD_DTYPE_U64] = sum_U64 },
        [MD_REDUCE_PROD] = { [MD_DTYPE_I32] = product_U32,
                             [MD_DTYPE_U32] = product_U32,
                             [MD_DTYPE_I64] = product_U64,
                             [MD_DTYPE_U64] = product_U64 },
    };

    return loops[op][type];
}
