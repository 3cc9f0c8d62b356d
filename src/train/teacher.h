/*
 * What a teacher says about each sample, computed once: training a student by
 * it costs no more time than without.
 */
#ifndef MD_TRAIN_TEACHER_H
#define MD_TRAIN_TEACHER_H

#include "data/dataset.h"

typedef struct md_teacher {
    float *scores; /* [n, width], before the model's Softmax */
    int64_t n, width;
    const md_alloc *alloc;
} md_teacher;

/* Run `model` over all samples of `data`, which was opened for it.  MD_INVALID
 * when it has no rows of at least two scores, or they are not finite,
 * MD_TOO_LARGE for more than 4 GiB of them. */
md_status md_teacher_make(md_teacher *out, const md_model *model,
                          const md_dataset *data, md_pool *pool, md_error *err);

/* A zeroed one is allowed. */
void md_teacher_release(md_teacher *t);

/* The distribution of a sample's scores divided by `temperature`. */
void md_teacher_row(const md_teacher *t, int64_t sample, double temperature,
                    float *row);

#endif
