/*
 * Elementwise families.  An operator gives scalar functions or the name of a
 * typed loop; conversion, broadcasting and threads are here.
 *
 * Functions of floats are computed in double and rounded once.  Typed loops
 * (kernels/vbinary.h) compute in the elements' type, those of float16 and
 * bfloat16 in float32, which for + - * / is the same.  Integers wrap.
 */
#ifndef MD_OPS_COMMON_ELEMENTWISE_H
#define MD_OPS_COMMON_ELEMENTWISE_H

#include "kernels/array_f64.h"
#include "kernels/vbinary.h"
#include "ops/common/util.h"

enum {
    MD_UNARY_PARAMS = 2,
    MD_UNARY_WHOLE = 2
};

typedef struct md_unary {
    uint32_t types;                         /* allowed */
    double (*f)(double x, const double *p); /* floats */
    md_map_f64 map; /* the same for float64, of p[0] and p[1]; NONE: by f */
    /* Integers: (x op with) op with; by f where there is none.  Unsigned ones
     * skip what has a negative number. */
    struct {
        md_vbinary op;
        int64_t with;
    } whole[MD_UNARY_WHOLE];
    struct {
        const char *attr; /* float attribute; NULL: no more */
        float otherwise;
    } param[MD_UNARY_PARAMS]; /* p[] of f */
    md_dtype result;          /* MD_DTYPE_NONE: the input's */
} md_unary;

md_status md_unary__infer(const md_infer *c, const md_unary *u, md_error *err);
md_status md_unary__run(md_exec *x, const md_unary *u, md_infer_fn *infer,
                        md_error *err);

/* A unary operator's functions, from its `static const md_unary unary`. */
#define MD_UNARY_FUNCTIONS                                                     \
    static md_status infer(const md_infer *c, md_error *err)                   \
    {                                                                          \
        return md_unary__infer(c, &unary, err);                                \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_unary__run(x, &unary, infer, err);                           \
    }

/* Rows of n elements; rows o, a and b may be the same memory. */
typedef void md_row_f64(double *o, const double *a, const double *b, int64_t n);
typedef void md_row_i64(int64_t *o, const int64_t *a, const int64_t *b,
                        int64_t n);
typedef void md_row_u64(uint64_t *o, const uint64_t *a, const uint64_t *b,
                        int64_t n);

/* A row function `name` over type T (double, int64_t, uint64_t) that computes
 * expr of x and y. */
#define MD_ROW(name, T, expr)                                                  \
    static void name(T *o, const T *a, const T *b, int64_t n)                  \
    {                                                                          \
        for (int64_t i = 0; i < n; i++) {                                      \
            T x = a[i], y = b[i];                                              \
                                                                               \
            o[i] = (T)(expr);                                                  \
        }                                                                      \
    }

typedef struct md_binary {
    uint32_t types;
    md_vbinary op;   /* typed loop; NONE: rows */
    bool swapped;    /* that of b and a */
    md_row_f64 *f;   /* floats */
    md_row_i64 *i;   /* integers; wraps by itself */
    md_row_u64 *u;   /* by a uint64 where it differs from i; NULL: i */
    md_dtype result; /* MD_DTYPE_NONE: the inputs' */
    bool mixed;      /* inputs may differ in type; double if one is a float */
    bool channels;   /* before opset 7 a vector lies along axis 1 */
} md_binary;

/* out = (a op b) op b ..., where everything broadcasts to out's shape and out
 * may be a.  Operands have a's type (where it is float16 or bfloat16: or
 * float32); all but the last op keep it. */
typedef struct md_link {
    const md_binary *op;
    const md_tensor *b;
} md_link;
md_status md_binary__chain(const md_exec *x, md_tensor *out, const md_tensor *a,
                           const md_link *links, uint32_t n, md_error *err);

/* Before opset 7 input 1 spreads over input 0, only if `broadcast` is given,
 * from `axis` on (without it over the last axes). */
md_status md_binary__infer(const md_infer *c, const md_binary *b,
                           md_error *err);
md_status md_binary__run(md_exec *x, const md_binary *b, md_infer_fn *infer,
                         md_error *err);

/* The same for one or more inputs, folded from the left; of one shape before
 * opset 8.  `last`: what becomes of two and more; NULL: nothing. */
md_status md_variadic__infer(const md_infer *c, const md_binary *b,
                             md_error *err);
md_status md_variadic__run(md_exec *x, const md_binary *b, md_infer_fn *infer,
                           const md_link *last, md_error *err);

#define MD_BINARY_FUNCTIONS                                                    \
    static md_status infer(const md_infer *c, md_error *err)                   \
    {                                                                          \
        return md_binary__infer(c, &binary, err);                              \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_binary__run(x, &binary, infer, err);                         \
    }

#define MD_VARIADIC_FUNCTIONS                                                  \
    static md_status infer(const md_infer *c, md_error *err)                   \
    {                                                                          \
        return md_variadic__infer(c, &binary, err);                            \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_variadic__run(x, &binary, infer, NULL, err);                 \
    }

/* Walks the rows (last axis) of a broadcast: out row at row * n, input k's
 * row at `at[k]` with step `step[k]` (0: one element repeated). */
typedef struct md_rows {
    int64_t n; /* elements of a row */
    int64_t n_rows;
    int64_t row;
    bool begun; /* index is that of a row */
    int64_t at[3];
    int64_t step[3];
    int64_t stride[3][MD_RANK_MAX];
    int64_t index[MD_RANK_MAX];
    md_shape shape;
    int n_in;
} md_rows;

void md_rows__begin(md_rows *r, const md_shape *out, int n_in,
                    const md_tensor *const *in);
bool md_rows__next(md_rows *r);

/* Let the next row be this one. */
void md_rows__seek(md_rows *r, int64_t row);

#endif
