/*
 * How good a model is on a data set, how sure that is, and how it compares
 * with another model on the same samples.
 */
#ifndef MD_TRAIN_EVALUATE_H
#define MD_TRAIN_EVALUATE_H

#include "data/interval.h"
#include "data/metrics.h"
#include "train/runner.h"

/* What a model's first output of floats is compared with. */
typedef enum md_task {
    MD_TASK_AUTO = 0, /* as the labels say: classes, numbers, or none */
    MD_TASK_CLASSES,  /* rows of scores, one for each class; or one score, of
                       * the second of two classes */
    MD_TASK_NUMBERS,  /* rows of numbers */
    MD_TASK_NONE,     /* no labels: only with another model */
} md_task;

/* A model and what it is given.  Sessions run on their own threads. */
typedef struct md_eval_side {
    md_session *session;
    const md_dataset *data; /* opened for this model */
} md_eval_side;

typedef struct md_eval_opts {
    md_task task;
    const md_subset *which; /* of the samples; NULL: all */
    int64_t top_k;          /* also the share among so many; 0: none */
    uint64_t seed;          /* of the intervals */
    md_pool *pool;          /* for reading; may be NULL */
    bool intervals;         /* else only figures */
} md_eval_opts;

#define MD_EVAL_OPTS_INIT                                                      \
    {                                                                          \
        .task = MD_TASK_AUTO, .top_k = 5, .seed = 1, .intervals = true         \
    }

enum {
    MD_FIGURES_MAX = 4
};

/* A measure, with intervals of 95 %; NaN where it is not defined. */
typedef struct md_figure {
    const char *name; /* "accuracy" */
    double value;
    md_interval interval;
    double original; /* the other model's, and this one's minus that */
    double difference;
    md_interval difference_interval;
} md_figure;

typedef struct md_evaluation {
    md_task task; /* not AUTO */
    int64_t n;
    int64_t n_classes; /* of classes; numbers of a sample otherwise */
    int64_t top_k;
    md_figure figure[MD_FIGURES_MAX];
    int n_figures;
    md_class_share worst; /* of classes */
    int64_t rounds;       /* of the bootstrap; 0: no intervals */
    uint64_t seed;
    /* Beside another model: */
    bool compared;
    int64_t only_this, only_original; /* of classes: samples on which just one
                                       * model is right */
    double p_exact, p_mid;            /* McNemar's test of these */
    int64_t n_same;    /* samples with one prediction; of classes and none */
    double divergence; /* mean of KL(original || this), in nats; NaN for
                        * numbers */
    double distance;   /* mean |this - original| over the outputs */
} md_evaluation;

/*
 * Run the model (and `original`, unless NULL) over the samples.  MD_INVALID
 * names labels or outputs that do not fit the task, MD_UNSUPPORTED a model
 * without an output of rows of numbers.
 */
md_status md_evaluate(md_evaluation *out, const md_eval_side *model,
                      const md_eval_side *original, const md_eval_opts *opts,
                      md_error *err);

/* Share of samples whose largest output is the label.  MD_INVALID without
 * labels, and for labels that are no class. */
md_status md_accuracy(double *out, const md_model *model,
                      const md_dataset *data, md_pool *pool, md_error *err);

const char *md_task_name(md_task t);

#endif
