/*
 * One layer of a recurrent net: RNN, GRU and LSTM are a step each.
 *
 * Everything is computed in double; the states are rounded only where they
 * are an output.
 */
#ifndef MD_OPS_COMMON_RECURRENT_H
#define MD_OPS_COMMON_RECURRENT_H

#include "kernels/array_f64.h"
#include "kernels/gemm_f64.h"
#include "ops/common/util.h"

enum {
    MD_RECURRENT_ACTS = 3
};

enum { /* inputs */
    MD_RECURRENT_X,
    MD_RECURRENT_W,
    MD_RECURRENT_R,
    MD_RECURRENT_B,
    MD_RECURRENT_LENGTHS,
    MD_RECURRENT_H,
    MD_RECURRENT_C,
    MD_RECURRENT_PEEPHOLE
};

typedef double md_act_fn(double x, double alpha, double beta);

/* One of the activations that the standard names. */
typedef struct md_recurrent_act {
    const char *name;
    md_act_fn *f;
    double alpha, beta;
} md_recurrent_act;

/* One element of a batch at one time in one direction. */
typedef struct md_recurrent_cell {
    int64_t n_hidden;
    md_recurrent_act act[MD_RECURRENT_ACTS];
    double clip; /* of what goes into an activation; 0: none */
    const md_gemm_f64_kernel *gemm;
    const md_array_f64_kernel *array;
    const double *r; /* of each gate [n_hidden, n_hidden], packed for gemm */
    size_t r_step;   /* from one to the next */
    const double *r_bias;   /* [n_gates, n_hidden] */
    const double *peephole; /* [3, n_hidden], zeros where absent */
    double *x;       /* [n_gates, n_hidden]: W x and its bias; may be changed */
    double *h;       /* [n_hidden]: the state, to be replaced */
    double *c;       /* [n_hidden]: LSTM's cell */
    double *sums;    /* [n_gates, n_hidden]: of products with R */
    double *scratch; /* [n_hidden] */
    bool variant;    /* the attribute of md_recurrent.variant is not 0 */
} md_recurrent_cell;

typedef struct md_recurrent {
    int n_gates;
    int n_acts;
    const char *acts[MD_RECURRENT_ACTS]; /* unless given */
    const char *variant; /* name of an attribute that changes the step */
    void (*step)(const md_recurrent_cell *s);
} md_recurrent;

/* One for each operator. */
extern const md_recurrent md_recurrent_lstm, md_recurrent_gru, md_recurrent_rnn;

md_status md_recurrent__infer(const md_infer *c, const md_recurrent *r,
                              md_error *err);
md_status md_recurrent__run(md_exec *x, const md_recurrent *r,
                            md_infer_fn *infer, md_error *err);

/* The activations of direction d. */
void md_recurrent__acts(md_recurrent_act out[MD_RECURRENT_ACTS],
                        const md_node *n, const md_recurrent *r, int d);

/* 1, or 2 for both directions. */
md_status md_recurrent__directions(const md_node *n, int *out, md_error *err);

/* Does direction d go from the end to the beginning? */
bool md_recurrent__is_backward(const md_node *n, int d);

/* The batch is the first axis, not time. */
bool md_recurrent__is_batch_first(const md_node *n, int64_t opset);

/* Steps of sequence b of a batch; lengths (NULL: all are n_time) holds int32. */
md_status md_recurrent__length(int64_t *out, const int32_t *lengths, int64_t b,
                               int64_t n_time, md_error *err);

/* s->sums of gates g0 .. g1: R times h, with its bias. */
void md_recurrent__multiply(const md_recurrent_cell *s, int g0, int g1,
                            const double *h);

/* Activation i of n values, in place, clipped. */
void md_recurrent__act(const md_recurrent_cell *s, int i, double *v, int64_t n);

/* The step of an LSTM; `h`: the state as the weights see it. */
void md_recurrent__lstm(const md_recurrent_cell *s, const double *h);

#define MD_RECURRENT_FUNCTIONS(recurrent)                                      \
    static md_status infer(const md_infer *c, md_error *err)                   \
    {                                                                          \
        return md_recurrent__infer(c, &recurrent, err);                        \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_recurrent__run(x, &recurrent, infer, err);                   \
    }

#endif
