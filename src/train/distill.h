/*
 * Training a student by a teacher, and never worse for it: the same training
 * without the teacher is done too, and samples that neither saw decide.
 */
#ifndef MD_TRAIN_DISTILL_H
#define MD_TRAIN_DISTILL_H

#include "train/trainer.h"

typedef struct md_distill_opts {
    md_train_opts train; /* with a teacher; `which` is set here */
    double held;         /* share of the samples that decide, by their hash */
    /* Told before each of the trainings; may be NULL. */
    void (*begin)(void *ctx, bool with_teacher);
    void *ctx;
} md_distill_opts;

typedef struct md_distill_report {
    md_train_report training; /* the one that is kept */
    int64_t n_held;           /* 0: without labels nothing is to be decided */
    double accuracy_taught;   /* on them ... */
    double accuracy_alone;    /* ... without the teacher */
    bool taught;              /* the teacher's student is kept */
} md_distill_report;

/*
 * Train `student` on `data`, which was opened for it.  A failure leaves it as
 * it was: those of md_train, and MD_INVALID when no sample is held back or none
 * is left.
 */
md_status md_distill(md_model *student, const md_dataset *data,
                     const md_distill_opts *opts, md_distill_report *report,
                     md_error *err);

#endif
