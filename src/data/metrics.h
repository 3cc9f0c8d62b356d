/*
 * Measures of what a model says about samples.
 *
 * What it said is brought into a few numbers for each sample, which is enough
 * for every measure and for drawing the samples anew (interval.h): `weight`
 * says how often each counts, NULL: once.
 */
#ifndef MD_DATA_METRICS_H
#define MD_DATA_METRICS_H

#include <stdbool.h>

#include "base/alloc.h"

/* Arrays of n, NULL where the task has none of it. */
typedef struct md_outcomes {
    int64_t n, n_classes;
    int32_t *truth;     /* class of each sample */
    int32_t *predicted; /* class with the highest score, the first of equals */
    int32_t *place;     /* of the true class among the scores: 0 is right */
    float *score;       /* of class 1, where there are two classes */
    int64_t *order;     /* samples by rising score, see md_outcomes_sort */
    double *squared, *absolute; /* mean error over the numbers of a sample */
    int64_t *count;             /* scratch, 3 * n_classes */
    const md_alloc *alloc;
} md_outcomes;

/* Arrays for classes (n_classes >= 2, with `score` and `order` where it is 2)
 * or, n_classes 0, for numbers.  To be released also after a failure. */
md_status md_outcomes_init(md_outcomes *o, int64_t n, int64_t n_classes,
                           const md_alloc *alloc, md_error *err);
void md_outcomes_release(md_outcomes *o);

/* Note the scores of sample i, one for each class. */
void md_outcomes_take(md_outcomes *o, int64_t i, int32_t truth,
                      const float *scores);

/* Put `order` into order; before md_metric_auc. */
md_status md_outcomes_sort(md_outcomes *o, md_error *err);

/* Share of samples whose class is among the k highest scores. */
double md_metric_top(const md_outcomes *o, int64_t k, const uint32_t *weight);

/* Mean over the classes that occur of 2 tp / (2 tp + fp + fn). */
double md_metric_f1(const md_outcomes *o, const uint32_t *weight);

/* Chance that a sample of class 1 has a higher score than one of class 0,
 * equal ones counting half (the area under the ROC curve); NaN when one of
 * the classes is missing. */
double md_metric_auc(const md_outcomes *o, const uint32_t *weight);

/* Mean of n values. */
double md_metric_mean(const double *v, int64_t n, const uint32_t *weight);

/* The class with the smallest share of right samples, and its figures. */
typedef struct md_class_share {
    int64_t label; /* -1: there is none */
    int64_t right, n;
} md_class_share;

md_class_share md_metric_worst(const md_outcomes *o);

/* Bring `n` scores to probabilities in p: as they are, or by softmax. */
void md_probabilities(double *p, const float *scores, int64_t n, bool are);

/* Are these rows probabilities: none below 0, sums of 1? */
bool md_are_probabilities(const float *scores, int64_t rows, int64_t n);

/* Sum of p log(p / q), of n: how far q is from p, in nats. */
double md_divergence(const double *p, const double *q, int64_t n);

#endif
