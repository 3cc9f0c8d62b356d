/*
 * From gradients to new parameters.
 *
 *   sgd    v = momentum * v + g + decay * w;  w -= rate * v
 *   adamw  m = b1 * m + (1 - b1) * g,  v = b2 * v + (1 - b2) * g^2,
 *          w -= rate * (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay *
 *          w)  (I. Loshchilov, F. Hutter, "Decoupled weight decay
 *          regularization", 2019)
 *
 * The rate rises in a line over the warm-up, then falls to 0 as half a cosine
 * (I. Loshchilov, F. Hutter, "SGDR", 2017).  Decay is for kernels and tables
 * only.  Gradients whose norm over all parameters is above `clip` are scaled
 * down to it (R. Pascanu, T. Mikolov, Y. Bengio, 2013).
 *
 * Sums are taken in an order of their own, so that any number of threads gives
 * the same bits.
 */
#ifndef MD_TRAIN_OPTIMIZER_H
#define MD_TRAIN_OPTIMIZER_H

#include "base/pool.h"
#include "train/param.h"

typedef enum md_optimizer_kind {
    MD_OPTIMIZER_SGD = 0,
    MD_OPTIMIZER_ADAMW,
} md_optimizer_kind;

typedef struct md_optimizer_opts {
    md_optimizer_kind kind;
    double rate;                  /* the highest */
    double momentum;              /* of sgd */
    double beta1, beta2, epsilon; /* of adamw */
    double decay;
    double clip; /* 0: none */
    double ema;  /* how much of the averaged parameters stays in a step
                            * (at first less: t / (t + 9)), [0, 1); 0: none */
    int64_t warmup, total; /* steps */
} md_optimizer_opts;

#define MD_OPTIMIZER_OPTS_INIT                                                 \
    {                                                                          \
        .kind = MD_OPTIMIZER_ADAMW, .rate = 1e-3, .momentum = 0.9,             \
        .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 1e-2,          \
        .total = 1                                                             \
    }

/* What is kept of one parameter; arrays of its n elements, NULL where the
 * optimizer needs none. */
typedef struct md_slot {
    float *value;   /* the parameter */
    float *average; /* of its values */
    float *first;   /* velocity, or mean of the gradient */
    float *second;  /* mean of its square */
} md_slot;

/* The rate of step t, from 0 on. */
double md_optimizer_rate(const md_optimizer_opts *o, int64_t t);

/* The norm of all gradients; gradient[i] belongs to params->p[i], those of what
 * is not learned are not looked at. */
double md_gradient_norm(const md_params *params, const float *const *gradient,
                        md_pool *pool);

/* Step t, from 0 on: new values, averages and state.  `norm` is that of the
 * gradients; what is not learned takes gradient[i] as its new value. */
void md_optimizer_step(const md_optimizer_opts *o, const md_params *params,
                       const md_slot *slots, const float *const *gradient,
                       double norm, int64_t t, md_pool *pool);

#endif
