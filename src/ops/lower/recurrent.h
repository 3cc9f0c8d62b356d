/*
 * Fast LSTM, GRU and RNN: what recurrent.c, recurrent_weights.c and
 * recurrent_step.c know of each other.
 *
 * The hidden units are cut into blocks, the work of as many threads.  All gates
 * of a block lie side by side, but for those whose product with R is apart
 * (GRU's hidden gate), which are behind:
 *
 *   gates of a row: [n_blocks][n_together][units of the block], [n_alone][n_hidden]
 *
 * Each block of W and R is a packed matrix of its own.  With one block the
 * gates are in the order of the standard.
 */
#ifndef MD_OPS_LOWER_RECURRENT_H
#define MD_OPS_LOWER_RECURRENT_H

#include "kernels/gemm_f32.h"
#include "kernels/unary_f32.h"
#include "ops/common/recurrent.h"
#include "ops/lower/codes.h"

/* One gate's function, with a kernel or a loop of its own. */
typedef struct md_gate_fn {
    enum {
        MD_GATE_ACT,
        MD_GATE_UNARY,
        MD_GATE_AFFINE,
        MD_GATE_THRESHOLD,
        MD_GATE_TANH
    } kind;
    md_act act;
    md_unary op;
    float a, b;
} md_gate_fn;

/* Weights of a direction, in floats from its begin; of block i, i steps
 * further.  A gate apart has a bias of its own: that of its product with R. */
typedef struct md_recurrent_places {
    size_t w, w_step, r, r_step;
    size_t w_alone, w_alone_step, r_alone, r_alone_step;
    size_t bias, bias_alone, peephole, size;
} md_recurrent_places;

/* A few sequences at one time.  h, c, h_new and c_new are [n][n_hidden]. */
typedef struct md_recurrent_rows {
    int64_t n;
    float *g; /* [n] gates: what the input gives to them */
    const float *h, *c;
    float *h_new, *c_new; /* c: of LSTM */
    float *reset;         /* [n][n_hidden]: GRU's h, reset */
    void *product;        /* memory of products of codes */
} md_recurrent_rows;

typedef struct md_recurrent_fast md_recurrent_fast;

/* Stage `stage` of a time for blocks b0 .. b1 of direction d; of LSTM it needs
 * all of h, of GRU in stage 1 all of `reset`. */
typedef void md_recurrent_step_fn(const md_recurrent_fast *s,
                                  const float *weights, int d,
                                  const md_recurrent_rows *r, int stage,
                                  int64_t b0, int64_t b1);

struct md_recurrent_fast {
    const md_gemm_f32_kernel *gemm;
    const md_unary_f32_kernel *unary;
    const md_recurrent *kind;
    md_recurrent_step_fn *step;
    md_gate_fn fn[2][MD_RECURRENT_ACTS]; /* of both directions */
    bool backward[2];
    int n_dirs, n_stages; /* of a time */
    int64_t n_in, n_hidden;
    int64_t n_gates, n_together, n_alone;
    int64_t n_blocks, n_units; /* units of a block; the last may have fewer */
    float clip;                /* 0: none */
    bool has_cell, variant, has_peephole, batch_first, strict;
    md_recurrent_places at;
    float *weights; /* of all directions; NULL: packed in every run */
    bool quantized; /* W and R are these: */
    md_codes w, r;
};

/* Units of block b, and the first of its columns of n_together gates. */
static inline int64_t md_recurrent_fast__units(const md_recurrent_fast *s,
                                               int64_t b)
{
    return md_min_i64(s->n_units, s->n_hidden - b * s->n_units);
}

static inline int64_t md_recurrent_fast__column(const md_recurrent_fast *s,
                                                int64_t b)
{
    return s->n_together * md_min_i64(b * s->n_units, s->n_hidden);
}

/* Set the gates of a direction. */
void md_recurrent_fast__set_gates(md_recurrent_fast *s, const md_node *n,
                                  int d);

extern md_recurrent_step_fn md_recurrent_fast__lstm, md_recurrent_fast__gru,
    md_recurrent_fast__rnn;

/* Cut into blocks for `width` threads, and find places; false on overflow.
 * Weights that are no constants are packed without memory to turn them in:
 * they are one block. */
bool md_recurrent_fast__cut(md_recurrent_fast *s, int width, bool constant);

/* Pack at load, what is constant; weights stay NULL where something is not. */
md_status md_recurrent_fast__pack(md_recurrent_fast *s, md_lower *lo,
                                  md_error *err);

/* Pack direction d, of one block; in[] are the node's inputs, NULL where
 * absent. */
void md_recurrent_fast__pack_direction(const md_recurrent_fast *s, float *to,
                                       const float *const *in, int d);

/* The inputs to be packed are all constants. */
bool md_recurrent_fast__is_constant(const md_recurrent_fast *s,
                                    const md_lower *lo);

void md_recurrent_fast__release(void *state, const md_alloc *alloc);

#endif
