#include "cli/training.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "train/evaluate.h"

enum {
    LINE_MS = 200 /* between lines on a terminal */
};

static void put_line(const md_cli_watcher *w, const md_train_state *s)
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
    md_cli_watcher *w = ctx;
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

md_train_opts md_cli_train_opts(const md_args *a, md_pool *pool,
                                md_cli_watcher *w)
{
    md_train_opts o = MD_TRAIN_OPTS_INIT;
    const int fd = fileno(a->cli->err);

    *w = (md_cli_watcher){ .f = a->cli->err,
                           .is_terminal = fd >= 0 && isatty(fd),
                           .quiet = md_args_has(a, "quiet") };
    set_optimizer(&o.optimizer, a);
    o.epochs = md_args_int(a, "epochs", 1);
    o.batch = md_args_int(a, "batch", o.batch);
    o.smoothing = md_args_real(a, "smoothing", 0.0);
    o.warmup = md_args_real(a, "warmup", o.warmup);
    o.seed = (uint64_t)md_args_int(a, "seed", (int64_t)o.seed);
    o.pool = pool;
    o.watch = watch;
    o.ctx = w;
    return o;
}

md_status md_cli_accuracy(double *out, int64_t *n, const md_model *m,
                          const md_args *a, md_pool *pool, md_error *err)
{
    const char *path = md_args_text(a, "test", NULL);
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_dataset data;
    md_progress p;
    md_status s;

    *n = 0;
    if (!path)
        return MD_OK;
    MD_TRY(md_dataset_open(&data, path, m, &how, err));
    md_progress_begin(&p, a->cli->err, "measuring accuracy");
    s = md_accuracy(out, m, &data, pool, err);
    md_progress_end(&p);
    *n = data.n;
    md_dataset_release(&data);
    return s;
}

static md_status ask(md_teacher *out, const md_model *m, const md_args *a,
                     md_pool *pool, md_error *err)
{
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_dataset data;
    md_progress p;
    md_status s;

    MD_TRY(md_dataset_open(&data, md_args_text(a, "data", ""), m, &how, err));
    md_progress_begin(&p, a->cli->err, "asking the teacher");
    s = md_teacher_make(out, m, &data, pool, err);
    md_progress_end(&p);
    md_dataset_release(&data);
    return s;
}

md_status md_cli_teacher(md_teacher *out, const char *path, const md_args *a,
                         md_pool *pool, md_error *err)
{
    md_model *m;
    md_status s;

    MD_TRY(md_cli_model_load(&m, path, MD_LOAD_TO_READ, a, err));
    s = ask(out, m, a, pool, err);
    md_model_free(m);
    return s == MD_OK ? s : md_wrap(err, s, "teacher '%s': ", path);
}

long long md_cli_file_size(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (long long)st.st_size : 0;
}
