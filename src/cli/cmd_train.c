#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/making.h"
#include "cli/print.h"
#include "cli/training.h"
#include "formats/onnx.h"

static md_train_opts options(const md_args *a, md_pool *pool, md_cli_watcher *w)
{
    md_train_opts o = md_cli_train_opts(a, pool, w);

    o.loss = (md_loss)md_args_choice(a, "loss", MD_LOSS_AUTO);
    o.from_random = md_args_has(a, "from-random");
    o.checkpoint = md_args_text(a, "checkpoint", NULL);
    o.checkpoint_every = md_args_int(a, "checkpoint-every", 0);
    return o;
}

/* What training did, and how good the result is on --test. */
typedef struct result {
    md_train_report report;
    int64_t n_tested; /* samples */
    double accuracy;
} result;

static md_status make(void *to, md_model *m, const md_args *a, md_pool *pool,
                      md_error *err)
{
    result *r = to;
    md_cli_watcher w;
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    const md_train_opts opts = options(a, pool, &w);
    md_dataset data;
    md_status s;

    MD_TRY(md_dataset_open(&data, md_args_text(a, "data", ""), m, &how, err));
    s = md_train(m, &data, &opts, &r->report, err);
    md_dataset_release(&data);
    MD_TRY(s);
    MD_TRY(md_cli_accuracy(&r->accuracy, &r->n_tested, m, a, pool, err));
    MD_TRY(md_onnx_save(m, md_args_text(a, "output", ""), NULL, err));
    if (opts.checkpoint)
        (void)unlink(opts.checkpoint); /* its work is done */
    return MD_OK;
}

static void put_text(const void *from, const char *dst, const md_args *a)
{
    const result *r = from;
    FILE *f = a->cli->out;
    const md_train_report *p = &r->report;

    md_cli_printf(
        f, "%s: %lld parameters trained on %lld samples, %lld steps\n", dst,
        (long long)p->n_params, (long long)p->n_samples, (long long)p->steps);
    if (p->resumed_at > 0)
        md_cli_printf(f, "resumed at step %lld\n", (long long)p->resumed_at);
    if (!isnan(p->last_loss))
        md_cli_printf(f,
                      "loss (%s): %.4f in the first epoch, %.4f in the last\n",
                      md_loss_name(p->loss), p->first_loss, p->last_loss);
    if (r->n_tested)
        md_cli_printf(f, "accuracy on the test data: %.4f\n", r->accuracy);
}

static void put_json(const void *from, const md_args *a, md_json_writer *w)
{
    const result *r = from;
    const md_train_report *p = &r->report;

    (void)a;
    md_cli_json_int(w, "parameters", p->n_params);
    md_cli_json_int(w, "samples", p->n_samples);
    md_cli_json_int(w, "steps", p->steps);
    md_cli_json_int(w, "resumed_at", p->resumed_at);
    md_cli_json_str(w, "loss", md_loss_name(p->loss));
    md_cli_json_real(w, "first_loss", p->first_loss);
    md_cli_json_real(w, "last_loss", p->last_loss);
    if (!isnan(p->last_accuracy))
        md_cli_json_real(w, "last_accuracy", p->last_accuracy);
    md_cli_json_real(w, "samples_per_s", p->samples_per_s);
    if (r->n_tested)
        md_cli_json_real(w, "test_accuracy", r->accuracy);
}

static const md_cli_making making = { .make = make,
                                      .put_text = put_text,
                                      .put_json = put_json };

static md_status run(const md_args *a, md_error *err)
{
    result r = { .n_tested = 0 };

    return md_cli_make(&r, &making, a, err);
}

static const md_flag flags[] = {
    MD_FLAG_OUTPUT,
    MD_FLAG_DATA,
    MD_FLAG_LABEL,
    MD_FLAG_TEST,
    MD_FLAGS_TRAINING,
    { .name = "from-random",
      .type = MD_OPT_BOOL,
      .help = "draw weights first, in place of the model's" },
    { .name = "loss",
      .type = MD_OPT_CHOICE,
      .arg = "L",
      .choices = "auto|cross-entropy|binary|mse",
      .help = "auto (default, by labels), cross-entropy, binary, mse" },
    { .name = "checkpoint",
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .help = "go on from FILE if it is there, and keep the state in it" },
    { .name = "checkpoint-every",
      .type = MD_OPT_INT,
      .arg = "N",
      .min = 1,
      .max = INT64_MAX,
      .help = "steps between checkpoints (those of an epoch)" },
    MD_FLAG_SEED,
    MD_FLAG_THREADS,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_train = {
    .usage = "MODEL --data DATA -o DST.onnx [--epochs N] [--from-random] "
             "[--json]",
    .text = "Trains a float model on labelled data, from its weights or from "
            "random ones. Equal\narguments give equal files, byte for byte, "
            "with any number of threads.",
    .example = "modeld train net.onnx --data train.npz --test test.npz "
               "--epochs 6 -o better.onnx",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
