/*
 * Tensors: row-major, contiguous, typed memory with a shape.
 *
 * A tensor either borrows its data (owner NULL) or owns it; release frees
 * only what is owned.  Strings of an owned string tensor lie in the same
 * block as their md_str elements.
 *
 * The same header also stands for a value that holds tensors: a sequence, an
 * optional or a map (container.h).  Whoever may be given one looks at `kind`;
 * copy and release know all of them, what is about elements only tensors.
 */
#ifndef MD_TENSOR_TENSOR_H
#define MD_TENSOR_TENSOR_H

#include "base/alloc.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

typedef enum md_kind {
    MD_KIND_TENSOR = 0,
    MD_KIND_SEQUENCE,
    MD_KIND_OPTIONAL,
    MD_KIND_MAP,
} md_kind;

typedef struct md_tensor {
    md_dtype dtype;
    md_shape shape;
    void *data;            /* NULL only when there are no elements */
    const md_alloc *owner; /* frees data; NULL: borrowed */
    md_kind kind;
    md_kind of;   /* kind of the items of a sequence or an optional */
    md_dtype key; /* map, or sequence of maps: type of the keys */
} md_tensor;

#define MD_TENSOR_INIT                                                         \
    {                                                                          \
        .dtype = MD_DTYPE_NONE                                                 \
    }

/* Bytes of the elements; MD_TOO_LARGE when that overflows. */
md_status md_tensor_bytes(size_t *out, md_dtype dtype, const md_shape *shape,
                          md_error *err);

/* A new tensor, zeroed, on a cache line. */
md_status md_tensor_alloc(md_tensor *out, md_dtype dtype, const md_shape *shape,
                          const md_alloc *alloc, md_error *err);

/* The same, but its elements are not written yet. */
md_status md_tensor_alloc_unset(md_tensor *out, md_dtype dtype,
                                const md_shape *shape, const md_alloc *alloc,
                                md_error *err);

/* A deep copy that owns its data (strings too), of a container its items. */
md_status md_tensor_copy(md_tensor *out, const md_tensor *t,
                         const md_alloc *alloc, md_error *err);

/* Text of string elements that lies elsewhere comes into t's own block; other
 * types, and containers, whose items own theirs, are left alone.  t must own
 * its data. */
md_status md_tensor_own_text(md_tensor *t, md_error *err);

/* Free what is owned; t becomes MD_TENSOR_INIT. */
void md_tensor_release(md_tensor *t);

/* True unless the data lies at an address that its type does not allow. */
bool md_tensor_is_aligned(const md_tensor *t);

/* Number of elements, or of items, and the elements' bytes (the tensor is
 * valid, so both fit). */
int64_t md_tensor_n(const md_tensor *t);
size_t md_tensor_size(const md_tensor *t);

/* Element i of any number type as double / int64.  Floats truncate towards
 * zero and saturate, NaN is 0; uint64 above int64 wraps; complex gives its
 * real part; strings give 0. */
double md_tensor_get_f64(const md_tensor *t, int64_t i);
int64_t md_tensor_get_i64(const md_tensor *t, int64_t i);

/*
 * Store with ONNX Cast's conversion to the tensor's type: floats round once,
 * to nearest even (E8M0: ties up), beyond their range to Inf, float8 and
 * float4 to their largest value; bool is v != 0; complex gets a zero
 * imaginary part; strings stay as they are.
 *
 * Integers wrap: the low bits of v are kept.  What ONNX leaves open: a double
 * is truncated towards zero and saturates at 64 bits first (into uint64 at
 * 2^64 - 1, else at int64's ends), and NaN is 0.
 */
void md_tensor_set_f64(md_tensor *t, int64_t i, double v);
void md_tensor_set_i64(md_tensor *t, int64_t i, int64_t v);

/* The same from element j of another tensor, each bit of which counts. */
void md_tensor_set_from(md_tensor *t, int64_t i, const md_tensor *from,
                        int64_t j);

#endif
