/*
 * One step of training as a model: from a batch, its targets and the
 * parameters to the loss and the gradients.
 *
 * The step is a copy of the model in which parameters are inputs, the loss is
 * computed from the first float output, and a Gradient node
 * (ai.onnx.preview.training) asks for the derivatives.  BatchNormalization is
 * in training mode and gives the new running statistics; Dropout, where the
 * model has it, drops by a seed that is an input.  So kernels, plan and threads
 * are those of inference (docs/adr/0029-training-step.md).
 */
#ifndef MD_TRAIN_STEP_H
#define MD_TRAIN_STEP_H

#include "engine/session.h"
#include "train/param.h"

typedef enum md_loss {
    MD_LOSS_AUTO = 0,
    MD_LOSS_CROSS_ENTROPY, /* of rows of scores, targets [N, C] sum to 1 */
    MD_LOSS_BINARY,        /* of one score of class 1, targets [N, 1] */
    MD_LOSS_MSE,           /* of rows of numbers */
} md_loss;

typedef struct md_step_opts {
    md_loss loss; /* not AUTO */
    /* Beside it, of scores: a second target [N, C], the distribution of a
     * teacher's scores divided by `temperature`.  The loss is then alpha *
     * cross-entropy + (1 - alpha) * temperature^2 * KL(target2 ||
     * softmax(scores / temperature)), up to what does not depend on the model
     * (G. Hinton, O. Vinyals, J. Dean, 2015).  0: none. */
    float temperature;
    float alpha;
} md_step_opts;

/* What the inputs and outputs of the step are, by index. */
typedef struct md_step_model {
    md_model *model; /* to be made a session, or freed */
    md_params params;
    uint32_t n_data;       /* inputs 0 .. n_data - 1: the model's own */
    int64_t fixed_batch;   /* of them; 0: any */
    uint32_t target;       /* input: float32 [N, width] */
    uint32_t teacher;      /* input: the second target; UINT32_MAX: none */
    uint32_t seed;         /* input: int64 [1], of Dropout; UINT32_MAX: none */
    uint32_t param_in;     /* input of parameter 0, the others behind it */
    uint32_t loss, scores; /* outputs: float32 [] and [N, width] */
    uint32_t *param_out;   /* output that is the gradient of each, or the new
                            * running statistic */
    int64_t width;         /* of scores and targets; -1: not known */
    md_loss kind;
    md_arena arena;
} md_step_model;

/*
 * Make the step of `model`, which is not changed.  MD_INVALID for a model
 * without float weights or an output that the loss does not fit,
 * MD_UNSUPPORTED names a node that has no gradient.
 */
md_status md_step_model_make(md_step_model *out, const md_model *model,
                             const md_step_opts *opts, md_error *err);

/* The output that is trained, the first of float32, and what inference knows of
 * its type (symbols are those of another copy of the model); *width becomes the
 * numbers of each sample.  MD_INVALID when there is none, or no such number. */
typedef struct md_step_output {
    uint32_t index;
    md_type type;
    int64_t width;
} md_step_output;

md_status md_step_find_output(md_step_output *out, const md_model *model,
                              md_error *err);

/* A copy of `model` whose only output are the scores that a loss reads: its
 * first output of float32, before a Softmax or Sigmoid at the end; *width of
 * them for each sample. */
md_status md_step_scores(md_model **out, int64_t *width, const md_model *model,
                         md_error *err);

/* The session has taken `model` over, if it has been made. */
void md_step_model_release(md_step_model *s);

#endif
