#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/model.h"
#include "cli/print.h"
#include "formats/onnx.h"
#include "train/evaluate.h"
#include "train/trainer.h"

enum {
    EPOCHS_MAX = 1000000,
    BATCH_MAX = 1 << 20,
    LINE_MS = 200 /* between lines on a terminal */
};

/* What is told while it runs. */
typedef struct watcher {
    FILE *f;
    bool is_terminal;
    bool quiet;
    int64_t last_ns;
} watcher;

static void put_line(const watcher *w, const md_train_state *s)
{
    fprintf(w->f, "%sepoch %lld/%lld, step %lld/%lld: loss %.4f",
            w->is_terminal ? "\r\033[K" : "", (long long)s->epoch,
            (long long)s->epochs, (long long)s->step, (long long)s->steps,
            s->loss);
    if (!isnan(s->accuracy))
        fprintf(w->f, ", accuracy %.4f", s->accuracy);
    fprintf(w->f, ", %.0f samples/s, %.0f s left%s", s->samples_per_s,
            s->left_s, w->is_terminal && !s->epoch_ends ? "" : "\n");
    fflush(w->f);
}

/* Each epoch; on a terminal, in between too. */
static md_status watch(void *ctx, const md_train_state *s, md_error *err)
{
    watcher *w = ctx;
    int64_t now = md_clock_ns();

    (void)err;
    if (w->quiet ||
        (!s->epoch_ends &&
         (!w->is_terminal || now - w->last_ns < (int64_t)LINE_MS * 1000000)))
        return MD_OK;
    w->last_ns = now;
    put_line(w, s);
    return MD_OK;
}

static void set_optimizer(md_optimizer_opts *o, const md_args *a)
{
    if (strcmp(md_args_text(a, "optimizer", "adamw"), "sgd") == 0) {
        o->kind = MD_OPTIMIZER_SGD;
        o->rate = 0.05;
        o->decay = 5e-4;
    }
    o->rate = md_args_real(a, "lr", o->rate);
    o->decay = md_args_real(a, "decay", o->decay);
    o->momentum = md_args_real(a, "momentum", o->momentum);
    o->clip = md_args_real(a, "clip", 0.0);
    o->ema = md_args_real(a, "ema", 0.0);
}

static md_loss loss_of(const md_args *a)
{
    const char *name = md_args_text(a, "loss", "auto");
    int i = MD_LOSS_AUTO;

    while (i < MD_LOSS_MSE && strcmp(name, md_loss_name((md_loss)i)) != 0)
        i++;
    return (md_loss)i;
}

static md_train_opts options(const md_args *a, md_pool *pool, watcher *w)
{
    md_train_opts o = MD_TRAIN_OPTS_INIT;

    set_optimizer(&o.optimizer, a);
    o.loss = loss_of(a);
    o.epochs = md_args_int(a, "epochs", 1);
    o.batch = md_args_int(a, "batch", o.batch);
    o.smoothing = md_args_real(a, "smoothing", 0.0);
    o.warmup = md_args_real(a, "warmup", o.warmup);
    o.from_random = md_args_has(a, "from-random");
    o.seed = (uint64_t)md_args_int(a, "seed", (int64_t)o.seed);
    o.checkpoint = md_args_text(a, "checkpoint", NULL);
    o.checkpoint_every = md_args_int(a, "checkpoint-every", 0);
    o.pool = pool;
    o.watch = watch;
    o.ctx = w;
    return o;
}

/* What training did, and how good the result is on --test. */
typedef struct result {
    md_train_report report;
    bool tested;
    double accuracy;
} result;

static md_status measure(result *r, const md_model *m, const md_args *a,
                         md_pool *pool, md_error *err)
{
    const char *path = md_args_text(a, "test", NULL);
    md_data_opts opts = { NULL, md_args_text(a, "label", NULL) };
    md_dataset data;
    md_status s;

    if (!path)
        return MD_OK;
    MD_TRY(md_dataset_open(&data, path, m, &opts, err));
    s = md_accuracy(&r->accuracy, m, &data, pool, err);
    md_dataset_release(&data);
    r->tested = s == MD_OK;
    return s;
}

static md_status train(result *r, md_model *m, const md_args *a, md_pool *pool,
                       md_error *err)
{
    watcher w = { .f = a->cli->err,
                  .is_terminal =
                      fileno(a->cli->err) >= 0 && isatty(fileno(a->cli->err)),
                  .quiet = md_args_has(a, "quiet") };
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    const md_train_opts opts = options(a, pool, &w);
    md_dataset data;
    md_status s;

    MD_TRY(md_dataset_open(&data, md_args_text(a, "data", ""), m, &how, err));
    s = md_train(m, &data, &opts, &r->report, err);
    md_dataset_release(&data);
    MD_TRY(s);
    MD_TRY(measure(r, m, a, pool, err));
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
    if (r->tested)
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
    if (r->tested)
        md_cli_json_real(&w, "test_accuracy", r->accuracy);
    return md_cli_json_end(&w, &b, f, err);
}

static md_status run(const md_args *a, md_error *err)
{
    const char *dst = md_args_text(a, "output", "");
    result r = { .tested = false };
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
    { .name = "output",
      .letter = 'o',
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .required = true,
      .help = "the ONNX file to write" },
    MD_FLAG_DATA,
    MD_FLAG_LABEL,
    { .name = "test",
      .type = MD_OPT_TEXT,
      .arg = "DATA",
      .help = "measure the result's accuracy on this" },
    { .name = "epochs",
      .type = MD_OPT_INT,
      .arg = "N",
      .min = 1,
      .max = EPOCHS_MAX,
      .help = "times through the data (1)" },
    { .name = "batch",
      .type = MD_OPT_INT,
      .arg = "N",
      .min = 1,
      .max = BATCH_MAX,
      .help = "samples of a step (64)" },
    { .name = "lr",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = 1000,
      .help = "highest rate (0.001; sgd 0.05): a rise, then half a cosine" },
    { .name = "optimizer",
      .type = MD_OPT_CHOICE,
      .arg = "O",
      .choices = "adamw|sgd",
      .help = "adamw (default) or sgd, with momentum" },
    { .name = "from-random",
      .type = MD_OPT_BOOL,
      .help = "draw weights first, in place of the model's" },
    { .name = "loss",
      .type = MD_OPT_CHOICE,
      .arg = "L",
      .choices = "auto|cross-entropy|binary|mse",
      .help = "auto (default, by labels), cross-entropy, binary, mse" },
    { .name = "smoothing",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = 1,
      .help = "share of a label that goes to all classes alike (0)" },
    { .name = "decay",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = 10,
      .help = "weight decay (0.01; sgd 0.0005)" },
    { .name = "momentum",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = 1,
      .help = "of sgd (0.9)" },
    { .name = "warmup",
      .type = MD_OPT_REAL,
      .arg = "N",
      .max = EPOCHS_MAX,
      .help = "epochs in which the rate rises (0.5)" },
    { .name = "clip",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = 1000000000,
      .help = "largest norm of a gradient (0: any)" },
    { .name = "ema",
      .type = MD_OPT_REAL,
      .arg = "X",
      .max = 1,
      .help = "average weights, keeping X of them in a step (0: do not)" },
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
    { .name = "quiet", .type = MD_OPT_BOOL, .help = "tell no progress" },
    MD_FLAG_SIGNATURE,
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
