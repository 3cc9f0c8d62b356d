/* What lowerings share. */
#ifndef MD_OPS_LOWER_COMMON_H
#define MD_OPS_LOWER_COMMON_H

#include "kernels/conv_shape.h"
#include "kernels/gemm_bf16.h"
#include "ops/lower.h"

/* Input i is there, a tensor of this type and rank (-1: any rank). */
bool md_lower__is(const md_lower *lo, uint32_t i, md_dtype dtype, int rank);

/* The same where the rank may not be known yet, as behind an If whose branches
 * differ: for who does not ask for it until there are numbers, and whose
 * inference then checks it. */
bool md_lower__may_be(const md_lower *lo, uint32_t i, md_dtype dtype, int rank);

/* The constant contents of input i when it has this type, else NULL. */
const md_tensor *md_lower__const(const md_lower *lo, uint32_t i,
                                 md_dtype dtype);

/* Dim `axis` of input i as a constant; -1 when it is symbolic. */
int64_t md_lower__dim(const md_lower *lo, uint32_t i, int axis);

/* The first number of a scalar constant input, `otherwise` when absent. */
float md_lower__scalar_f(const md_lower *lo, uint32_t i, float otherwise);
int32_t md_lower__scalar_i(const md_lower *lo, uint32_t i, int32_t otherwise);

/* Element i of an ints attribute, else `otherwise`. */
int64_t md_lower__ints_at(const md_node *n, const char *name, uint32_t i,
                          int64_t otherwise);

/* Attributes of a 2-D window (Conv, pools) for concrete shapes: x [n,c,h,w],
 * y [n,c,h,w]; auto_pad is resolved.  ic and oc are the channels of x and y. */
md_conv_shape md_lower__window(const md_node *n, const md_shape *x,
                               const md_shape *y, int64_t kh, int64_t kw);

/*
 * `size` bytes on a cache line, and one behind them, for what is packed of
 * constants: freed with md_free(lo->alloc, p).  With *ready they hold what was
 * packed of the same constants by an earlier load, and can only be read; that is
 * so for all blocks of a node or for none.  What lies in input 1 of an operator with MD_OP_WEIGHTS is looked at only after
 * this has told that it is not ready, so that weights are not read for nothing;
 * what has to be known of them before is kept as a byte of its own.
 */
md_status md_lower__pack(const md_lower *lo, void *out, size_t size,
                         bool *ready, md_error *err);

/* n floats rounded up to a multiple of 16, zeroed, then a copy of what is not
 * NULL; NULL when out of memory.  Freed with md_free(lo->alloc, p). */
float *md_lower__padded(const md_lower *lo, const float *from, int64_t n);

/* State of `size` zeroed bytes in the session's arena, set as lo->state. */
md_status md_lower__state(md_lower *lo, void *out, size_t size, md_error *err);

/* Arguments of a step in the plan's arena, set as st->args. */
md_status md_step__args(md_step *st, md_arena *arena, void *out, size_t size,
                        md_error *err);

/* Chunks for work of `cost` (about nanoseconds on one core) that can be cut
 * into at most `max` pieces: 1 while sharing costs more than it saves, then as
 * many for each of `width` threads. */
int64_t md_step__chunks(int64_t cost, int64_t max, int width);

/* The fused epilogue for an output whose bias is `bias` (padded). */
md_epilogue md_step__epilogue(const md_step *st, const float *bias);

/* The kernels of bf16 products. */
typedef struct md_lower_bf16 {
    const md_gemm_bf16_kernel *kernel;
    const md_cast_bf16_kernel *cast;
    const md_finish_f32_kernel *finish;
} md_lower_bf16;

/* Whether float products are bf16: lo->precision says so and the CPU has
 * instructions for them.  If not, lo->why becomes the reason, where bf16 was
 * allowed. */
bool md_lower__takes_bf16(md_lower_bf16 *out, md_lower *lo);

/* Input index of the fused residual, or -1; as md_fast.inplace. */
int md_lower__residual_input(const md_node *n);

#endif
