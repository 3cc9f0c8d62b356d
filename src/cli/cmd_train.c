#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/model.h"
#include "cli/print.h"
#include "cli/training.h"
#include "formats/onnx.h"

static md_loss loss_of(const md_args *a)
{
    const char *name = md_args_text(a, "loss", "auto");
    int i = MD_LOSS_AUTO;

    while (i < MD_LOSS_MSE && strcmp(name, md_loss_name((md_loss)i)) != 0)
        i++;
    return (md_loss)i;
}

static md_train_opts options(const md_args *a, md_pool *pool, md_cli_watcher *w)
{
    md_train_opts o = md_cli_train_opts(a, pool, w);

    o.loss = loss_of(a);
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

static md_status train(result *r, md_model *m, const md_args *a, md_pool *pool,
                       md_error *err)
{
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

static void put_text(const result *r, const char *dst, FILE *f)
{
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

static md_status put_json(const result *r, const char *dst, FILE *f,
                          md_error *err)
{
    const md_train_report *p = &r->report;
    md_json_writer w;
    md_buf b;

    md_cli_json_begin(&w, &b);
    md_cli_json_str(&w, "model", dst);
    md_cli_json_int(&w, "parameters", p->n_params);
    md_cli_json_int(&w, "samples", p->n_samples);
    md_cli_json_int(&w, "steps", p->steps);
    md_cli_json_int(&w, "resumed_at", p->resumed_at);
    md_cli_json_str(&w, "loss", md_loss_name(p->loss));
    md_cli_json_real(&w, "first_loss", p->first_loss);
    md_cli_json_real(&w, "last_loss", p->last_loss);
    if (!isnan(p->last_accuracy))
        md_cli_json_real(&w, "last_accuracy", p->last_accuracy);
    md_cli_json_real(&w, "samples_per_s", p->samples_per_s);
    if (r->n_tested)
        md_cli_json_real(&w, "test_accuracy", r->accuracy);
    return md_cli_json_end(&w, &b, f, err);
}

static md_status run(const md_args *a, md_error *err)
{
    const char *dst = md_args_text(a, "output", "");
    result r = { .n_tested = 0 };
    md_model *m = NULL;
    md_pool *pool = NULL;
    md_status s;

    MD_TRY(md_cli_model_load(&m, a->pos[0], MD_LOAD_TO_READ, a, err));
    s = md_pool_new(&pool, (int)md_args_option_int(a, "threads"),
                    md_alloc_default(), err);
    if (s == MD_OK)
        s = train(&r, m, a, pool, err);
    md_pool_free(pool);
    md_model_free(m);
    MD_TRY(s);
    if (md_args_has(a, "json"))
        return put_json(&r, dst, a->cli->out, err);
    put_text(&r, dst, a->cli->out);
    return MD_OK;
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
