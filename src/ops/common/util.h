/*
 * What operator files share: checks for inference, arithmetic of symbolic
 * dimensions, and typed access for execution.
 *
 * An execution calls md_exec__outputs first: it runs the operator's own
 * inference on the tensors at hand, so everything that inference checks holds
 * afterwards, and the outputs have their memory.
 */
#ifndef MD_OPS_COMMON_UTIL_H
#define MD_OPS_COMMON_UTIL_H

#include "base/arena.h"
#include "base/size.h"
#include "graph/expr.h"
#include "ops/op.h"

/* Sets of element types, one bit each. */
#define MD_T(id) (UINT32_C(1) << MD_DTYPE_##id)
#define MD_TYPES_FLOAT (MD_T(F32) | MD_T(F64) | MD_T(F16) | MD_T(BF16))
#define MD_TYPES_SIGNED (MD_T(I8) | MD_T(I16) | MD_T(I32) | MD_T(I64))
#define MD_TYPES_UNSIGNED (MD_T(U8) | MD_T(U16) | MD_T(U32) | MD_T(U64))
#define MD_TYPES_INT (MD_TYPES_SIGNED | MD_TYPES_UNSIGNED)
#define MD_TYPES_NUMBER (MD_TYPES_FLOAT | MD_TYPES_INT)
#define MD_TYPES_F8                                                            \
    (MD_T(F8E4M3FN) | MD_T(F8E4M3FNUZ) | MD_T(F8E5M2) | MD_T(F8E5M2FNUZ))
#define MD_TYPES_INDEX (MD_T(I32) | MD_T(I64))
#define MD_TYPES_Q8 (MD_T(I8) | MD_T(U8))
#define MD_TYPES_ANY (~(uint32_t)MD_T(NONE))

enum {
    MD_INTS_MAX = 64, /* parts of a Split; pads are 2 * MD_RANK_MAX */
    MD_CHUNK = 256,   /* elements converted at a time */
};

/* A short list of integers from an attribute or an input. */
typedef struct md_ints {
    bool given; /* the attribute or input is there */
    bool known; /* its values are */
    int n;      /* number of values, -1: not known */
    int64_t v[MD_INTS_MAX];
} md_ints;

/* The same, where the integers may depend on sizes. */
typedef struct md_dims {
    bool given;
    bool known;
    int n;
    md_dim v[MD_INTS_MAX];
} md_dims;

/* --- inference: checks ------------------------------------------------- */

/* Input i is there, is a tensor, and its element type (if known) is in the
 * set. */
md_status md_infer__need(const md_infer *c, uint32_t i, uint32_t types,
                         md_error *err);

/* The same for an input that may be absent. */
md_status md_infer__may(const md_infer *c, uint32_t i, uint32_t types,
                        md_error *err);

/* Inputs i and j have one element type, where both are known; so with types
 * told by the caller. */
md_status md_infer__one_dtype(uint32_t i, md_dtype a, uint32_t j, md_dtype b,
                              md_error *err);
md_status md_infer__same_dtype(const md_infer *c, uint32_t i, uint32_t j,
                               md_error *err);

/* The rank of input i, if known, is in [lo, hi]. */
md_status md_infer__rank(const md_infer *c, uint32_t i, int lo, int hi,
                         md_error *err);

/* The type is a vector or scalar of `n` elements; that is noted where it
 * depends on sizes not known yet.  `what` names it. */
md_status md_infer__length(const md_infer *c, const md_type *t, md_dim n,
                           const char *what, md_error *err);

/* The same of one element or n. */
md_status md_infer__one_or(const md_infer *c, const md_type *t, md_dim n,
                           const char *what, md_error *err);

/* MD_INVALID when two dimensions are constants and differ. */
md_status md_infer__same_dim(md_dim a, md_dim b, const char *what,
                             md_error *err);

/* a and b are one size: MD_INVALID when they are not, and noted where that
 * depends on sizes not known yet. */
md_status md_infer__must_equal(const md_infer *c, md_dim a, md_dim b,
                               const char *what, md_error *err);

/* a >= b, which the caller has checked of constants; noted where it depends on
 * sizes not known yet. */
md_status md_infer__at_least(const md_infer *c, md_dim a, md_dim b,
                             md_error *err);

/* `part` elements spread over `whole`: as many, or one.  The caller has checked
 * constants; noted where it depends on sizes not known yet. */
md_status md_infer__spreads(const md_infer *c, md_dim part, md_dim whole,
                            md_error *err);

/* --- inference: results ------------------------------------------------ */

/* Set output o if the node has it. */
void md_infer__give(const md_infer *c, uint32_t o, const md_type *t);

/* Set output o to input i's shape with this element type. */
void md_infer__like(const md_infer *c, uint32_t o, uint32_t i, md_dtype dtype);

/* Element type of input i, MD_DTYPE_NONE when absent or unknown. */
md_dtype md_infer__dtype(const md_infer *c, uint32_t i);

/* A dimension about which nothing is known.  In an execution (no model) it is
 * a mark that inference has to overwrite. */
md_status md_infer__fresh(const md_infer *c, md_dim *out, md_error *err);

/* A type of this rank with fresh dimensions. */
md_status md_infer__fresh_type(const md_infer *c, md_type *out, md_dtype dtype,
                               int rank, md_error *err);

/* Multidirectional broadcasting of the shapes of a and b into out (whose
 * dtype is kept); rank unknown when one of them is. */
md_status md_infer__broadcast(const md_infer *c, md_type *out, const md_type *a,
                              const md_type *b, md_error *err);

/* Unary elementwise inference: types allowed, output like input 0. */
md_status md_infer__elementwise(const md_infer *c, uint32_t types,
                                md_error *err);

/* --- inference: parameters --------------------------------------------- */

/* The integers of attribute `name`; MD_INVALID for more than MD_INTS_MAX. */
md_status md_infer__attr_ints(const md_node *n, const char *name, md_ints *out,
                              md_error *err);

/* The integers of input i, as far as its contents or length are known. */
md_status md_infer__input_ints(const md_infer *c, uint32_t i, md_ints *out,
                               md_error *err);

/* The same as dimensions, also where they depend on sizes. */
md_status md_infer__input_dims(const md_infer *c, uint32_t i, md_dims *out,
                               md_error *err);

/* What was attribute `name` before opset `since` and is input i since then is
 * not given in the other way. */
md_status md_infer__moved(const md_infer *c, const char *name, int64_t since,
                          uint32_t i, md_error *err);

/* From the attribute before opset `since`, then from input i; MD_INVALID for
 * the other one. */
md_status md_infer__moved_ints(const md_infer *c, const char *name,
                               int64_t since, uint32_t i, md_ints *out,
                               md_error *err);

/* At most MD_RANK_MAX dimensions, none negative. */
md_status md_infer__check_shape(const md_ints *dims, md_error *err);

md_status md_infer__moved_dims(const md_infer *c, const char *name,
                               int64_t since, uint32_t i, md_dims *out,
                               md_error *err);

/* Input i as a shape: at most MD_RANK_MAX dimensions, none negative. */
md_status md_infer__shape_input(const md_infer *c, uint32_t i, md_ints *out,
                                md_error *err);
md_status md_infer__shape_dims(const md_infer *c, uint32_t i, md_dims *out,
                               md_error *err);

/* Output 0 of t's element type with these dimensions, as far as known. */
md_status md_infer__give_shape(const md_infer *c, md_type *t,
                               const md_ints *dims, md_error *err);
md_status md_infer__give_dims(const md_infer *c, md_type *t,
                              const md_dims *dims, md_error *err);

/* Axes normalised to [0, rank) and free of duplicates. */
md_status md_infer__axes(md_ints *axes, int rank, md_error *err);

/* --- dimensions -------------------------------------------------------- */

/* out = d * mul + add; MD_TOO_LARGE on overflow, MD_INVALID when a constant
 * comes out negative. */
md_status md_dim__affine(md_dim *out, md_dim d, int64_t mul, int64_t add,
                         md_error *err);

/* md_dim_derive; in an execution, where nothing is derived, fresh. */
md_status md_dim__derive(const md_infer *c, md_dim *out, md_expr_kind kind,
                         md_dim a, md_dim b, md_error *err);

/* out = a * b. */
md_status md_dim__mul(const md_infer *c, md_dim *out, md_dim a, md_dim b,
                      md_error *err);

/* out = a + b. */
md_status md_dim__add(const md_infer *c, md_dim *out, md_dim a, md_dim b,
                      md_error *err);

/* Product of dims [from, to) of t. */
md_status md_dim__span(const md_infer *c, md_dim *out, const md_type *t,
                       int from, int to, md_error *err);

/* --- execution --------------------------------------------------------- */

typedef md_status md_infer_fn(const md_infer *c, md_error *err);

/* Run `infer` on the tensors of x and allocate the node's first n_out
 * outputs; out[i] is NULL where the node has no such output. */
md_status md_exec__outputs(md_exec *x, md_infer_fn *infer, md_tensor **out,
                           uint32_t n_out, md_error *err);

/* The same for any number of outputs, in an array from the arena. */
md_status md_exec__all_outputs(md_exec *x, md_infer_fn *infer, md_tensor ***out,
                               md_arena *ar, md_error *err);

/* What inference sees when everything is known. */
md_status md_exec__infer_view(const md_exec *x, md_infer *out, md_arena *ar,
                              md_error *err);

/* For operators of one output: allocate it and, unless it is absent or empty,
 * call compute with an arena for scratch. */
typedef md_status md_compute_fn(md_exec *x, md_tensor *out, md_arena *ar,
                                md_error *err);
md_status md_exec__single(md_exec *x, md_infer_fn *infer,
                          md_compute_fn *compute, md_error *err);

/* The same for the node's first n_out outputs (at most MD_OUTPUTS_MAX), any of
 * which may be absent (NULL), or empty. */
enum {
    MD_OUTPUTS_MAX = 8
};
typedef md_status md_compute_all_fn(md_exec *x, md_tensor *const *out,
                                    md_arena *ar, md_error *err);
md_status md_exec__several(md_exec *x, md_infer_fn *infer, uint32_t n_out,
                           md_compute_all_fn *compute, md_error *err);

/* For operators whose outputs have sizes that only computing tells: infer looks
 * at the inputs, then compute, which gets what infer saw and said, makes the
 * outputs too (md_exec_output). */
typedef md_status md_compute_open_fn(md_exec *x, const md_infer *c,
                                     md_arena *ar, md_error *err);
md_status md_exec__open(md_exec *x, md_infer_fn *infer,
                        md_compute_open_fn *compute, md_error *err);

/*
 * Call fn(ctx, from, to) for parts that cover [0, n), on the threads of the
 * execution; fn may write what belongs to its part and nothing else.  `cost`
 * is what one index takes, about in nanoseconds: short work stays on this
 * thread, long work is cut into parts of tens of microseconds.  Where parts
 * begin depends on n and cost alone, so results are the same for any number of
 * threads even where a part sums up.
 */
typedef void md_part_fn(void *ctx, int64_t from, int64_t to);
void md_exec__share(const md_exec *x, int64_t n, double cost, md_part_fn *fn,
                    void *ctx);

/* Set all bytes of t to 0. */
void md_exec__zero(md_tensor *t);

/* n * size bytes of scratch, zeroed; n may be 0.  MD_NOMEM. */
md_status md_exec__scratch(void *out, md_arena *ar, int64_t n, size_t size,
                           md_error *err);

/* n elements from `from` on, converted; the types allowed are those of
 * md_tensor_get_f64 and md_tensor_get_i64. */
void md_load_f64(double *out, const md_tensor *t, int64_t from, int64_t n);
void md_load_f32(float *out, const md_tensor *t, int64_t from, int64_t n);
void md_load_i64(int64_t *out, const md_tensor *t, int64_t from, int64_t n);
void md_load_i32(int32_t *out, const md_tensor *t, int64_t from, int64_t n);
void md_store_f64(md_tensor *t, int64_t to, const double *v, int64_t n);
void md_store_f32(md_tensor *t, int64_t to, const float *v, int64_t n);
void md_store_i64(md_tensor *t, int64_t to, const int64_t *v, int64_t n);

/* The whole tensor as float32: its own data, or a copy in the arena. */
md_status md_exec__as_f32(const float **out, const md_tensor *t, md_arena *ar,
                          md_error *err);

/* Memory in which to compute t as float32, zeroed: its own data, or scratch
 * that md_exec__from_f32 stores. */
md_status md_exec__f32_of(float **out, md_tensor *t, md_arena *ar,
                          md_error *err);
void md_exec__from_f32(md_tensor *t, const float *v);

/* Input i as a scalar, or `otherwise` when absent. */
double md_exec__scalar(const md_exec *x, uint32_t i, double otherwise);

/* The same elements, the same type (shapes may differ). */
void md_move_all(md_tensor *to, const md_tensor *from);

/* The same on the threads of the execution. */
void md_exec__move_all(const md_exec *x, md_tensor *to, const md_tensor *from);

/* Copy dims->dim[...] elements between strided places of one type; offsets
 * and strides in elements, types below 8 bits too. */
typedef struct md_place {
    md_tensor *t;
    int64_t at;
    int64_t stride[MD_RANK_MAX];
} md_place;
void md_move(const md_place *to, const md_place *from, const md_shape *dims);

/* The same on the threads of the execution. */
void md_exec__move(const md_exec *x, const md_place *to, const md_place *from,
                   const md_shape *dims);

/* a * b of counts, INT64_MAX when that overflows: for md_op.macs. */
static inline int64_t md_macs__times(int64_t a, int64_t b)
{
    int64_t r;

    return md_mul_i64(&r, a, b) ? r : INT64_MAX;
}

/* Step a row-major counter of `rank` digits below dim; false after the last. */
static inline bool md_step_index(int64_t *index, const int64_t *dim, int rank)
{
    for (int d = rank; d-- > 0;) {
        if (++index[d] < dim[d])
            return true;
        index[d] = 0;
    }
    return false;
}

#endif
