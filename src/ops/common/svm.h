/* Support vector machines: kernels, and the probabilities of pairs of
 * classes. */
#ifndef MD_OPS_COMMON_SVM_H
#define MD_OPS_COMMON_SVM_H

#include "ops/common/ml.h"

typedef enum md_svm_kernel {
    MD_SVM_LINEAR,
    MD_SVM_POLY,
    MD_SVM_RBF,
    MD_SVM_SIGMOID,
} md_svm_kernel;

typedef struct md_svm {
    md_svm_kernel kernel;
    double gamma, coef0, degree;
    int64_t n_vectors; /* 0: coefficients are those of a linear function */
    int64_t n_features;
    const float *vectors; /* [n_vectors, n_features] */
    md_tensor coefficients, rho;
} md_svm;

/* The attributes that both operators have; n_sets: linear functions when
 * there are no vectors. */
md_status md_svm__of(md_svm *out, const md_node *n, int64_t n_vectors,
                     int64_t n_sets, md_error *err);

/* The kernel of row x with each vector, in out[n_vectors]. */
void md_svm__kernels(const md_svm *m, const float *x, double *out);

/*
 * Probabilities p[k] of k classes from r[i * k + j], that of class i where it
 * is i or j: T.-F. Wu, C.-J. Lin, R. C. Weng, "Probability estimates for
 * multi-class classification by pairwise coupling" (2004), algorithm 2.
 * q has room for k * k + k numbers.
 */
void md_svm__couple(int64_t k, const double *r, double *p, double *q);

#endif
