#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/making.h"
#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "formats/onnx.h"
#include "optimize/prune.h"
#include "train/distill.h"

#define HELD 0.1 /* share of the samples that decide */

typedef struct result {
    md_distill_report report;
    long long size_teacher, size_after; /* bytes of the files */
    int64_t n_tested;
    double accuracy_teacher, accuracy_before, accuracy_after;
} result;

/* The width of "derive:0.25"; NaN for the name of a file. */
static double width_of(const char *text)
{
    char *end;
    double w;

    if (strncmp(text, "derive:", 7) != 0)
        return NAN;
    w = strtod(text + 7, &end);
    return end == text + 7 || *end ? -1.0 : w;
}

static md_status check(const md_args *a, md_error *err)
{
    const double w = width_of(a->pos[0]);

    if (!isnan(w) && !(w > 0.0 && w < 1.0))
        return md_fail(err, MD_INVALID,
                       "'%s' given, derive:W with W between 0 and 1 expected",
                       a->pos[0]);
    return MD_OK;
}

/* The teacher with a share of its channels. */
static md_status derive(md_model **out, double width, const md_args *a,
                        md_pool *pool, md_error *err)
{
    const char *path = md_args_text(a, "teacher", "");
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_prune_opts o = MD_PRUNE_OPTS_INIT;
    md_prune_report r;
    md_model *teacher;
    md_dataset data;
    md_status s;

    MD_TRY(md_cli_model_load(&teacher, path, MD_LOAD_TO_READ, a, err));
    s = md_dataset_open(&data, md_args_text(a, "data", ""), teacher, &how, err);
    if (s == MD_OK) {
        o.amount = 1.0 - width;
        o.data = &data;
        o.seed = (uint64_t)md_args_int(a, "seed", (int64_t)o.seed);
        o.pool = pool;
        s = md_prune(out, teacher, &o, &r, err);
        if (s == MD_OK)
            md_prune_report_release(&r);
        md_dataset_release(&data);
    }
    md_model_free(teacher);
    return s;
}

/* On --test; nothing without. */
static md_status judge_teacher(result *r, const md_args *a, md_pool *pool,
                               md_error *err)
{
    const char *path = md_args_text(a, "teacher", "");
    md_model *m;
    md_status s;

    r->size_teacher = md_cli_file_size(path);
    if (!md_args_has(a, "test"))
        return MD_OK;
    MD_TRY(md_cli_model_load(&m, path, MD_LOAD_TO_READ, a, err));
    s = md_cli_accuracy(&r->accuracy_teacher, &r->n_tested, m, a, pool, err);
    md_model_free(m);
    return s;
}

/* What is told before each training. */
static void begin(void *ctx, bool with_teacher)
{
    const md_cli_watcher *w = ctx;

    if (!w->quiet)
        md_cli_printf(w->f, "training %s the teacher\n",
                      with_teacher ? "with" : "without");
}

static md_status distill(result *r, md_model *student, const md_args *a,
                         md_pool *pool, md_error *err)
{
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_cli_watcher w;
    md_distill_opts o = { .train = md_cli_train_opts(a, pool, &w),
                          .held = HELD,
                          .begin = begin,
                          .ctx = &w };
    md_teacher teacher;
    md_dataset data;
    md_status s;

    MD_TRY(
        md_cli_teacher(&teacher, md_args_text(a, "teacher", ""), a, pool, err));
    o.train.teacher = &teacher;
    o.train.temperature = md_args_real(a, "temperature", o.train.temperature);
    o.train.alpha = md_args_real(a, "alpha", o.train.alpha);
    o.train.from_random = md_args_has(a, "from-random");
    o.train.continues = !isnan(width_of(a->pos[0]));
    s = md_dataset_open(&data, md_args_text(a, "data", ""), student, &how, err);
    if (s == MD_OK) {
        s = md_distill(student, &data, &o, &r->report, err);
        md_dataset_release(&data);
    }
    md_teacher_release(&teacher);
    return s;
}

/* The student: a file's, or a narrow copy of the teacher. */
static md_status open_student(md_model **out, const md_args *a, md_pool *pool,
                              md_error *err)
{
    const double width = width_of(a->pos[0]);

    return isnan(width)
               ? md_cli_model_load(out, a->pos[0], MD_LOAD_TO_READ, a, err)
               : derive(out, width, a, pool, err);
}

static md_status make(void *to, md_model *student, const md_args *a,
                      md_pool *pool, md_error *err)
{
    result *r = to;

    MD_TRY(judge_teacher(r, a, pool, err));
    MD_TRY(md_cli_accuracy(&r->accuracy_before, &r->n_tested, student, a, pool,
                           err));
    MD_TRY(distill(r, student, a, pool, err));
    MD_TRY(md_cli_accuracy(&r->accuracy_after, &r->n_tested, student, a, pool,
                           err));
    MD_TRY(md_onnx_save(student, md_args_text(a, "output", ""), NULL, err));
    r->size_after = md_cli_file_size(md_args_text(a, "output", ""));
    return MD_OK;
}

static void put_text(const void *from, const char *dst, const md_args *a)
{
    const result *r = from;
    FILE *f = a->cli->out;
    const md_distill_report *p = &r->report;

    md_cli_printf(f,
                  "%s: %lld parameters trained; file: %lld bytes, the "
                  "teacher's %lld\n",
                  dst, (long long)p->training.n_params, r->size_after,
                  r->size_teacher);
    if (p->n_held)
        md_cli_printf(f,
                      "accuracy on %lld samples held back: %.4f with the "
                      "teacher, %.4f without; kept: %s\n",
                      (long long)p->n_held, p->accuracy_taught,
                      p->accuracy_alone, p->taught ? "with" : "without");
    if (r->n_tested)
        md_cli_printf(f,
                      "accuracy on %lld samples of the test data: %.4f, before "
                      "%.4f, the teacher's %.4f\n",
                      (long long)r->n_tested, r->accuracy_after,
                      r->accuracy_before, r->accuracy_teacher);
}

static void put_json(const void *from, const md_args *a, md_json_writer *w)
{
    const result *r = from;
    const md_distill_report *p = &r->report;

    (void)a;
    md_cli_json_int(w, "parameters", p->training.n_params);
    md_cli_json_int(w, "size_teacher", r->size_teacher);
    md_cli_json_int(w, "size_after", r->size_after);
    md_cli_json_int(w, "samples", p->training.n_samples);
    md_cli_json_int(w, "steps", p->training.steps);
    md_cli_json_int(w, "held", p->n_held);
    md_cli_json_bool(w, "kept_with_teacher", p->taught);
    if (p->n_held) {
        md_cli_json_real(w, "held_accuracy_with_teacher", p->accuracy_taught);
        md_cli_json_real(w, "held_accuracy_without", p->accuracy_alone);
    }
    if (r->n_tested) {
        md_cli_json_real(w, "accuracy_teacher", r->accuracy_teacher);
        md_cli_json_real(w, "accuracy_before", r->accuracy_before);
        md_cli_json_real(w, "accuracy_after", r->accuracy_after);
    }
}

static const md_cli_making making = { .open = open_student,
                                      .make = make,
                                      .put_text = put_text,
                                      .put_json = put_json };

static md_status run(const md_args *a, md_error *err)
{
    result r = { .n_tested = 0 };

    return md_cli_make(&r, &making, a, err);
}

static const md_flag flags[] = {
    MD_FLAG_OUTPUT,
    { .name = "teacher",
      .type = MD_OPT_TEXT,
      .arg = "MODEL",
      .required = true,
      .help = "the model whose scores are learned" },
    MD_FLAG_DATA,
    MD_FLAG_LABEL,
    MD_FLAG_TEST,
    MD_FLAG_TEMPERATURE,
    MD_FLAG_ALPHA,
    MD_FLAGS_TRAINING,
    { .name = "from-random",
      .type = MD_OPT_BOOL,
      .help = "draw the student's weights first" },
    MD_FLAG_SEED,
    MD_FLAG_THREADS,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_distill = {
    .usage = "STUDENT|derive:W -o DST.onnx --teacher MODEL --data DATA "
             "[--epochs N]",
    .text = "Trains a small model on what a large one says of each sample "
            "beside its label; derive:0.25 is\nthe teacher with a quarter of "
            "its channels. Without labels there is only the teacher; with\n"
            "them the same training is done without it, and a tenth of the "
            "samples decides which is kept.",
    .example = "modeld distill derive:0.25 -o small.onnx --teacher net.onnx "
               "--data train.npz --epochs 5",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .check = check,
    .run = run,
};
