#include <string.h>

#include "cli/making.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "formats/onnx.h"
#include "optimize/prune.h"
#include "optimize/sparsify.h"
#include "train/renorm.h"

/* What pruning did, and what it cost. */
typedef struct result {
    md_prune_report report;
    md_sparsify_report zeros; /* of --sparsity and --nm; else no layers */
    bool trained;
    md_train_report training;
    long long size_before, size_after; /* bytes of the files */
    int64_t n_tested;
    double accuracy_before, accuracy_pruned, accuracy_after;
} result;

static const struct {
    const char *flag;
    md_prune_goal goal;
} goals[] = {
    { "channels", MD_PRUNE_CHANNELS },
    { "macs", MD_PRUNE_MACS },
    { "latency", MD_PRUNE_LATENCY },
};

/* "2:4" */
static bool read_pattern(const char *text, md_sparsify_opts *o)
{
    int used = 0, n, m;

    if (sscanf(text, "%3d:%3d%n", &n, &m, &used) != 2 || text[used])
        return false;
    o->n = n;
    o->m = m;
    return n > 0 && n < m;
}

static md_status check(const md_args *a, md_error *err)
{
    const char *nm = md_args_text(a, "nm", NULL);
    md_sparsify_opts o;
    int n = md_args_has(a, "sparsity") + (nm != NULL);

    for (size_t i = 0; i < MD_COUNT(goals); i++)
        n += md_args_has(a, goals[i].flag);
    if (n != 1)
        return md_fail(err, MD_INVALID,
                       "%d goals given, one of --channels, --macs, --latency, "
                       "--sparsity and --nm expected",
                       n);
    if (nm && !read_pattern(nm, &o))
        return md_fail(err, MD_INVALID,
                       "--nm: '%s' given, N:M with 0 < N < M expected", nm);
    if ((md_args_has(a, "epochs") || md_args_has(a, "teacher")) &&
        !md_args_has(a, "data"))
        return md_fail(err, MD_INVALID, "--epochs and --teacher need --data");
    if (md_args_has(a, "teacher") && !md_args_has(a, "epochs"))
        return md_fail(err, MD_INVALID, "--teacher needs --epochs");
    return MD_OK;
}

static md_prune_opts options(const md_args *a, const md_dataset *data,
                             md_pool *pool)
{
    md_prune_opts o = MD_PRUNE_OPTS_INIT;

    for (size_t i = 0; i < MD_COUNT(goals); i++) {
        if (!md_args_has(a, goals[i].flag))
            continue;
        o.goal = goals[i].goal;
        o.amount = md_args_real(a, goals[i].flag, 0.0);
    }
    o.importance =
        (md_importance)md_args_choice(a, "importance", MD_IMPORTANCE_AUTO);
    o.data = data;
    o.n_samples = md_args_int(a, "samples", o.n_samples);
    o.seed = (uint64_t)md_args_int(a, "seed", (int64_t)o.seed);
    o.pool = pool;
    return o;
}

static md_status fine_tune(result *r, md_model *m, const md_dataset *data,
                           const md_args *a, md_pool *pool, md_error *err)
{
    const char *path = md_args_text(a, "teacher", NULL);
    md_cli_watcher w;
    md_train_opts o = md_cli_train_opts(a, pool, &w);
    md_teacher teacher = { .scores = NULL };
    md_status s = MD_OK;

    o.continues = true;
    o.keep_zeros = r->zeros.n_layers > 0;
    o.temperature = md_args_real(a, "temperature", o.temperature);
    o.alpha = md_args_real(a, "alpha", o.alpha);
    if (path) {
        MD_TRY(md_cli_teacher(&teacher, path, a, pool, err));
        o.teacher = &teacher;
    }
    s = md_train(m, data, &o, &r->training, err);
    r->trained = s == MD_OK;
    md_teacher_release(&teacher);
    return s;
}

/* Running statistics of what zeros were put into. */
static md_status renorm(md_model *m, const md_prune_opts *o, md_error *err)
{
    md_sweep sweep = { .data = o->data, .batch = 64, .pool = o->pool };
    md_subset which;
    uint32_t n;
    md_status s;

    MD_TRY(md_subset_all(&which, o->data, err));
    md_subset_shuffle(&which, o->seed, 0);
    which.n = which.n < o->n_samples ? which.n : o->n_samples;
    sweep.which = &which;
    s = md_renorm(m, &sweep, &n, err);
    md_subset_release(&which);
    return s;
}

static md_status sparsify(result *r, md_model **out, const md_model *m,
                          const md_prune_opts *how, const md_args *a,
                          md_error *err)
{
    md_sparsify_opts o = { .share = md_args_real(a, "sparsity", 0.0) };
    md_status s;

    if (md_args_has(a, "nm"))
        (void)read_pattern(md_args_text(a, "nm", ""), &o);
    MD_TRY(md_model_copy(out, m, err));
    s = md_sparsify(*out, &o, &r->zeros, err);
    if (s == MD_OK && how->data)
        s = renorm(*out, how, err);
    if (s != MD_OK) {
        md_model_free(*out);
        *out = NULL;
    }
    return s;
}

static md_status prune(result *r, md_model **out, const md_model *m,
                       const md_dataset *data, const md_args *a, md_pool *pool,
                       md_error *err)
{
    const md_prune_opts o = options(a, data, pool);
    md_progress p;
    md_status s;

    md_progress_begin(&p, a->cli->err, "pruning");
    s = md_args_has(a, "sparsity") || md_args_has(a, "nm")
            ? sparsify(r, out, m, &o, a, err)
            : md_prune(out, m, &o, &r->report, err);
    md_progress_end(&p);
    MD_TRY(s);
    MD_TRY(
        md_cli_accuracy(&r->accuracy_pruned, &r->n_tested, *out, a, pool, err));
    r->accuracy_after = r->accuracy_pruned;
    if (!md_args_has(a, "epochs"))
        return MD_OK;
    MD_TRY(fine_tune(r, *out, data, a, pool, err));
    return md_cli_accuracy(&r->accuracy_after, &r->n_tested, *out, a, pool,
                           err);
}

static md_status make(void *to, md_model *m, const md_args *a, md_pool *pool,
                      md_error *err)
{
    result *r = to;
    const char *path = md_args_text(a, "data", NULL);
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_onnx_save_opts save = MD_ONNX_SAVE_OPTS_INIT;
    md_model *small = NULL;
    md_dataset data;
    md_status s;

    MD_TRY(md_cli_accuracy(&r->accuracy_before, &r->n_tested, m, a, pool, err));
    if (path)
        MD_TRY(md_dataset_open(&data, path, m, &how, err));
    s = prune(r, &small, m, path ? &data : NULL, a, pool, err);
    if (path)
        md_dataset_release(&data);
    save.sparse = r->zeros.n_layers > 0;
    if (s == MD_OK)
        s = md_onnx_save(small, md_args_text(a, "output", ""), &save, err);
    md_model_free(small);
    MD_TRY(s);
    r->size_before = md_cli_file_size(a->pos[0]);
    r->size_after = md_cli_file_size(md_args_text(a, "output", ""));
    return MD_OK;
}

/* ---- what is told ---- */

static void put_cut(const result *r, const char *dst, FILE *f)
{
    const md_prune_report *p = &r->report;
    char before[24], after[24];

    md_cli_format_count(before, sizeof(before), (double)p->macs_before);
    md_cli_format_count(after, sizeof(after), (double)p->macs_after);
    md_cli_printf(f, "%s: multiply-accumulates %s to %s, %.2f times less\n",
                  dst, before, after,
                  (double)p->macs_before / (double)p->macs_after);
    md_cli_printf(f, "parameters: %lld to %lld; file: %lld to %lld bytes\n",
                  (long long)p->params_before, (long long)p->params_after,
                  r->size_before, r->size_after);
    if (p->time_before > 0.0)
        md_cli_printf(f, "one sample: %.3f to %.3f ms, %.2f times faster\n",
                      1e3 * p->time_before, 1e3 * p->time_after,
                      p->time_before / p->time_after);
    md_cli_printf(f, "chosen by %s, a share of %.3f of:\n",
                  md_importance_name(p->importance), p->share);
    for (uint32_t i = 0; i < p->n_rows; i++)
        md_cli_printf(f, "  %-40s %6u to %u\n", p->row[i].name,
                      p->row[i].before, p->row[i].after);
}

static void put_text(const void *from, const char *dst, const md_args *a)
{
    const result *r = from;
    FILE *f = a->cli->out;
    const md_sparsify_report *z = &r->zeros;

    if (z->n_layers)
        md_cli_printf(f,
                      "%s: %lld of %lld weights in %u layers are 0 (%.3f), the "
                      "shapes stay; file: %lld to %lld bytes\n",
                      dst, (long long)z->zeros, (long long)z->weights,
                      z->n_layers, (double)z->zeros / (double)z->weights,
                      r->size_before, r->size_after);
    else
        put_cut(r, dst, f);
    if (r->n_tested) {
        md_cli_printf(f, "accuracy on %lld samples: %.4f, pruned %.4f",
                      (long long)r->n_tested, r->accuracy_before,
                      r->accuracy_pruned);
        if (r->trained)
            md_cli_printf(f, ", trained %.4f", r->accuracy_after);
        md_cli_printf(f, "\n");
    }
}

static void put_rows(const md_prune_report *p, md_json_writer *w)
{
    md_json_put_name(w, "groups");
    md_json_put_array(w);
    for (uint32_t i = 0; i < p->n_rows; i++) {
        md_json_put_object(w);
        md_cli_json_str(w, "weights", p->row[i].name);
        md_cli_json_int(w, "before", p->row[i].before);
        md_cli_json_int(w, "after", p->row[i].after);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void cut_json(const md_prune_report *p, md_json_writer *w)
{
    md_cli_json_str(w, "importance", md_importance_name(p->importance));
    md_cli_json_int(w, "macs_before", p->macs_before);
    md_cli_json_int(w, "macs_after", p->macs_after);
    md_cli_json_int(w, "parameters_before", p->params_before);
    md_cli_json_int(w, "parameters_after", p->params_after);
    if (p->time_before > 0.0) {
        md_cli_json_measured(w, "ms_before", 1e3 * p->time_before);
        md_cli_json_measured(w, "ms_after", 1e3 * p->time_after);
    }
    md_cli_json_real(w, "share", p->share);
    md_cli_json_int(w, "normalizations", p->n_norms);
    put_rows(p, w);
}

static void put_json(const void *from, const md_args *a, md_json_writer *w)
{
    const result *r = from;

    (void)a;
    md_cli_json_int(w, "size_before", r->size_before);
    md_cli_json_int(w, "size_after", r->size_after);
    if (r->zeros.n_layers) {
        md_cli_json_int(w, "weights", r->zeros.weights);
        md_cli_json_int(w, "zeros", r->zeros.zeros);
    } else {
        cut_json(&r->report, w);
    }
    if (r->n_tested) {
        md_cli_json_int(w, "tested", r->n_tested);
        md_cli_json_real(w, "accuracy_before", r->accuracy_before);
        md_cli_json_real(w, "accuracy_pruned", r->accuracy_pruned);
        md_cli_json_real(w, "accuracy_after", r->accuracy_after);
    }
    if (r->trained) {
        md_cli_json_int(w, "steps", r->training.steps);
        md_cli_json_real(w, "last_loss", r->training.last_loss);
    }
}

static const md_cli_making making = { .make = make,
                                      .put_text = put_text,
                                      .put_json = put_json };

static md_status run(const md_args *a, md_error *err)
{
    result r = { .n_tested = 0 };
    const md_status s = md_cli_make(&r, &making, a, err);

    if (r.report.arena.alloc)
        md_prune_report_release(&r.report);
    return s;
}

static const md_flag flags[] = {
    MD_FLAG_OUTPUT,
    { .name = "channels",
      .type = MD_OPT_REAL,
      .arg = "S",
      .max = 1,
      .help = "cut this share of the channels, hidden numbers and heads" },
    { .name = "macs",
      .type = MD_OPT_REAL,
      .arg = "S",
      .max = 1,
      .help = "leave this share of the multiply-accumulates" },
    { .name = "latency",
      .type = MD_OPT_REAL,
      .arg = "S",
      .max = 1,
      .help = "leave this share of the time of one sample, measured here" },
    { .name = "sparsity",
      .type = MD_OPT_REAL,
      .arg = "S",
      .max = 1,
      .help = "let this share of the weights be 0; shapes and time stay" },
    { .name = "nm",
      .type = MD_OPT_TEXT,
      .arg = "N:M",
      .help = "leave N of each M weights along what is summed over, as 2:4" },
    { .name = "data",
      .type = MD_OPT_TEXT,
      .arg = "DATA",
      .help = "samples to choose by and to make up with: .npz, .npy, .csv, "
              "IDX, a folder" },
    MD_FLAG_LABEL,
    { .name = "importance",
      .type = MD_OPT_CHOICE,
      .arg = "I",
      .choices = "auto|weights|taylor|reconstruction",
      .help = "auto (default: reconstruction with --data, else weights), "
              "weights, taylor (gradients), reconstruction" },
    { .name = "samples",
      .type = MD_OPT_INT,
      .arg = "N",
      .min = 1,
      .max = INT64_MAX,
      .help = "samples of --data to choose by (2000)" },
    MD_FLAG_TEST,
    { .name = "teacher",
      .type = MD_OPT_TEXT,
      .arg = "MODEL",
      .help = "with --epochs: learn from what this model says, too" },
    MD_FLAG_TEMPERATURE,
    MD_FLAG_ALPHA,
    MD_FLAGS_TRAINING,
    MD_FLAG_SEED,
    MD_FLAG_THREADS,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_prune = {
    .usage = "MODEL -o DST.onnx --channels S | --macs S | --latency S | "
             "--sparsity S | --nm N:M [--data DATA] [--epochs N]",
    .text = "Cuts channels, hidden numbers and heads out of a float model, "
            "wherever they go: through sums,\nConcat, Split, depthwise and "
            "grouped convolutions. With data what is left makes up for what "
            "is\ncut, and with --epochs it is trained again.",
    .example = "modeld prune net.onnx -o small.onnx --macs 0.5 --data "
               "train.npz --epochs 4",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .check = check,
    .run = run,
};
