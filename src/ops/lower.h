/*
 * Fast executions: how an operator is lowered to kernels.
 *
 * Once per load, `lower` looks at a node, decides whether and with which
 * kernel it can run, in which layouts, and packs its constants into state.
 * Once per set of concrete shapes, `plan` computes arguments and the number
 * of chunks.  `run` does one chunk; chunks of a step may run on several
 * threads at once and in any order, those of a phase after all of the phase
 * before.
 */
#ifndef MD_OPS_LOWER_H
#define MD_OPS_LOWER_H

#include "kernels/epilogue.h"
#include "ops/op.h"

/* How a value's elements lie in memory. */
typedef enum md_layout {
    MD_LAYOUT_ROW = 0, /* row-major */
    /* [n][c/16][h][w][16] of a rank 4 value [n,c,h,w]; channels padded to a
     * multiple of 16, padded lanes are zero bits. */
    MD_LAYOUT_NC16 = 1,
} md_layout;

enum {
    MD_BLOCK = 16
};

typedef enum md_precision {
    MD_PRECISION_FP32 = 0, /* any kernel whose error is at most 3 times that of
                            * plain fp32 sums, see conv_winograd.h */
    MD_PRECISION_STRICT,   /* fp32 multiply-add only, a request alone has the
                            * bits that it has in a batch, and each result of
                            * float16 or bfloat16 is rounded to it */
    MD_PRECISION_BF16,     /* bf16 products, fp32 sums, where the CPU has
                            * instructions for them; fp32's where these are
                            * faster */
    MD_PRECISION_AUTO,     /* bf16 only where a check run allows */
} md_precision;

/* How codes are added to those of a residual: as QLinearAdd of the node's
 * result and the residual, binary_s8.h. */
typedef struct md_code_add {
    int32_t own_zero, res_zero, zero;
    float own_mult, res_mult; /* scales of the operands over the result's */
    int32_t q_min, q_max;     /* of the result */
} md_code_add;

/* What was fused into a node (md_node.fused): applied to output 0 in this
 * order: + bias (per channel or column), + residual, activation.  Of codes the
 * activation comes before the residual. */
typedef struct md_fused {
    const float *bias; /* n_bias constants, or NULL */
    int64_t n_bias;
    md_value_id residual;     /* value of the output's shape, or MD_VALUE_NONE;
                           * stands in the node's input list too: the last */
    const md_code_add *codes; /* the residual is of codes; NULL: of floats */
    md_act act;
    float a, b; /* parameters of the activation */
} md_fused;

struct md_lower;

/* Who keeps what is packed from one load to the next. */
typedef struct md_keeper {
    /* As md_lower__pack (lower/common.h). */
    md_status (*take)(void *ctx, const struct md_lower *lo, void **out,
                      size_t size, bool *ready, md_error *err);
    void *ctx;
} md_keeper;

/*
 * What lowering sees and sets.  in/cin/have/want have n_in entries (absent
 * inputs: NULL), out/give n_out.  Types may hold symbols; ranks and channel
 * counts are known or the node is left to the reference.
 */
typedef struct md_lower {
    const md_model *model;
    const md_node *node;
    const md_fused *fused; /* NULL: nothing */
    int64_t opset;
    uint32_t cpu;           /* enum md_cpu_flags that may be used */
    md_precision precision; /* never AUTO: that is decided before */
    const char *why_fp32;   /* why it is not BF16 though that was allowed */
    const md_type *const *in;
    const md_type *const *out;
    const md_tensor *const *cin;
    const md_layout *have;   /* layout in which each input exists */
    md_pool *pool;           /* to share packing; may be NULL */
    const md_alloc *alloc;   /* for packed constants: freed by fast->release */
    const md_keeper *keeper; /* of packed constants; may be NULL */
    md_arena *arena;         /* small state; lives as long as the session */
    /* Set by lower; preset to MD_LAYOUT_ROW, false and NULL. */
    md_layout *want; /* layout in which it wants each input */
    md_layout *give; /* layout in which it gives each output */
    bool *packed;    /* constants that were copied into state and are no longer
                   * read: freed when that holds for all their uses */
    const struct md_fast *fast; /* preset to the operator's; another one whose
                                 * lower was called takes the node over */
    void *state;                /* for plan and run */
    const char *kernel;         /* name of the kernel chosen, for explain */
    const char *why; /* why no faster one, for explain; may be NULL */
} md_lower;

enum {
    MD_PHASES_MAX = 4
};

/* One step of a plan.  Shapes are logical (NC16 values too: [n,c,h,w]). */
typedef struct md_step {
    const struct md_fast *fast;
    const void *state;
    const md_node *node;
    const md_fused *fused;
    void **in;  /* n_in data pointers, NULL where absent; set before each run */
    void **out; /* n_out */
    const md_shape *in_shape; /* n_in */
    const md_shape *out_shape;
    const md_dtype *in_dtype; /* n_in */
    const md_dtype *out_dtype;
    /* Set by plan. */
    void *args;       /* in the plan's arena; NULL if shapes suffice */
    int64_t n_chunks; /* >= 0; of phase 0 */
    int64_t n_more[MD_PHASES_MAX - 1]; /* of the phases behind it */
    size_t scratch_size;               /* bytes per worker, on a cache line */
    size_t shared_size;                /* bytes that last from phase to phase */
    /* Looks at what the inputs hold, before each run; NULL: any will do. */
    md_status (*check)(const struct md_step *st, md_error *err);
    /* Set before each run. */
    int phase;
    void *shared;
} md_step;

typedef struct md_fast {
    /* MD_UNSUPPORTED: leave the node to the reference; err tells why. */
    md_status (*lower)(md_lower *lo, md_error *err);
    /* `width`: threads that will share the chunks (a hint). */
    md_status (*plan)(md_step *st, int width, md_arena *arena, md_error *err);
    void (*run)(const md_step *st, int64_t chunk, void *scratch);
    void (*release)(void *state, const md_alloc *alloc); /* may be NULL */
    /* Input that output 0 may overwrite, or -1 (optional; NULL: none). */
    int (*inplace)(const md_node *n);
} md_fast;

#define FAST(id) extern const md_fast md_fast_##id;
#include "ops/lower/fast.def"
#undef FAST

/* Bytes of a value of this shape in this layout; MD_TOO_LARGE on overflow. */
md_status md_layout_bytes(size_t *out, md_layout layout, md_dtype dtype,
                          const md_shape *shape, md_error *err);

/* The range of codes that a Relu or Clip fused behind a quantized result
 * leaves: q is clamped to [*lo, *hi].  f may be NULL. */
void md_fused_clamp(const md_fused *f, float scale, int32_t zp, md_dtype dtype,
                    int32_t *lo, int32_t *hi);

const char *md_layout_name(md_layout layout);
const char *md_precision_name(md_precision p);

#endif
