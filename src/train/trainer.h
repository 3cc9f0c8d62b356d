/*
 * Training a model on labelled data: the loop around the step (step.h) and the
 * optimizer (optimizer.h).
 *
 * What comes out depends on the model, the data and the options, seed included,
 * and on nothing else: not on the number of threads, nor on where a training
 * was cut off and resumed.  (CPUs of another level may round otherwise.)
 */
#ifndef MD_TRAIN_TRAINER_H
#define MD_TRAIN_TRAINER_H

#include "data/subset.h"
#include "train/optimizer.h"
#include "train/step.h"
#include "train/teacher.h"

/* What is told after each step. */
typedef struct md_train_state {
    int64_t epoch, epochs; /* epoch counts from 1 */
    int64_t step, steps;   /* done, of all */
    bool epoch_ends;
    double loss;     /* mean over this epoch so far */
    double accuracy; /* the same, of the scores that the step saw; NaN for
                      * numbers */
    double rate;     /* of the last step */
    double samples_per_s;
    double left_s; /* estimated */
} md_train_state;

/* A failure stops the training. */
typedef md_status md_train_watch_fn(void *ctx, const md_train_state *s,
                                    md_error *err);

typedef struct md_train_opts {
    md_loss loss;
    int64_t epochs;
    int64_t batch;
    const md_subset *which; /* of the samples; NULL: all */
    /* What a teacher says of the samples, of rows of scores: the loss is then
     * md_step_opts'.  Without labels there is only this.  NULL: none. */
    const md_teacher *teacher;
    double temperature, alpha;
    double smoothing; /* of labels: this share goes to all classes alike */
    md_optimizer_opts optimizer; /* `total` and `warmup` are set from: */
    double warmup;               /* epochs */
    bool from_random;            /* else from the model's weights */
    bool keep_zeros;             /* elements of kernels that are 0 stay so */
    bool continues; /* the model was just made and is no file: what is written
                     * of its lineage goes on */
    uint64_t seed;
    const char *checkpoint;   /* file to resume from, and to keep the state in;
                               * NULL: none */
    int64_t checkpoint_every; /* steps; 0: at the end of each epoch */
    md_pool *pool;
    md_train_watch_fn *watch; /* may be NULL */
    void *ctx;
} md_train_opts;

#define MD_TRAIN_OPTS_INIT                                                     \
    {                                                                          \
        .epochs = 1, .batch = 64, .optimizer = MD_OPTIMIZER_OPTS_INIT,         \
        .warmup = 0.5, .seed = 1, .temperature = 2.0, .alpha = 0.5             \
    }

typedef struct md_train_report {
    int64_t n_samples;
    int64_t n_params; /* numbers that were learned */
    int64_t steps;
    int64_t resumed_at;           /* step; 0: from the beginning */
    double first_loss, last_loss; /* mean of the first and the last epoch that
                                   * were run here */
    double last_accuracy;
    double samples_per_s;
    md_loss loss;
} md_train_report;

/*
 * Train `model` on all samples of `data`, which was opened for it, and put the
 * result into its initializers.  A failure leaves the model as it was, and a
 * checkpoint as far as training came: MD_INVALID for what does not fit and for
 * a loss or weights that are not finite any more, saying at which step.
 *
 * An epoch is all samples once, in an order of its own; those that do not fill
 * a batch at its end are left out.
 */
md_status md_train(md_model *model, const md_dataset *data,
                   const md_train_opts *opts, md_train_report *report,
                   md_error *err);

const char *md_loss_name(md_loss loss);

#endif
