#include <string.h>

#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "train/report.h"

enum {
    REPORT_MAX = 1 << 20, /* bytes: some figures and names */
    TOP_MAX = 1 << 20
};

/* A model with its data. */
typedef struct subject {
    md_eval_side side;
    md_dataset data;
} subject;

static void release(subject *s)
{
    md_session_free(s->side.session);
    if (s->data.alloc)
        md_dataset_release(&s->data);
    *s = (subject){ .data = { .alloc = NULL } };
}

/* The session takes the model over. */
static md_status open_with(subject *s, md_model *m, const char *path,
                           md_pool *pool, const md_args *a, md_error *err)
{
    const md_data_opts opts = { NULL, md_args_text(a, "label", NULL) };
    md_status st;

    MD_TRY(
        md_dataset_open(&s->data, md_args_text(a, "data", ""), m, &opts, err));
    s->side.data = &s->data;
    st = md_cli_session_new(&s->side.session, m, pool, a, err);
    return st == MD_OK ? st : md_wrap(err, st, "model '%s': ", path);
}

static md_status open_subject(subject *s, const char *path, md_pool *pool,
                              const md_args *a, md_error *err)
{
    md_model *m;
    md_status st;

    MD_TRY(md_cli_model_load(&m, path, MD_LOAD_TO_READ, a, err));
    st = open_with(s, m, path, pool, a, err);
    if (!s->side.session)
        md_model_free(m);
    return st;
}

static md_status to_json(const md_evaluation *e, const md_report_subject *of,
                         md_buf *out, md_error *err)
{
    md_json_writer w;

    md_json_writer_init(&w, out);
    w.indent = 2;
    md_json_put_object(&w);
    md_evaluation_json(e, of, &w);
    md_json_put_end(&w);
    MD_TRY(md_json_finish(&w, err));
    return md_buf_putc(out, '\n', err);
}

static md_status put(const md_evaluation *e, const md_report_subject *of,
                     bool json, const char *path, FILE *f, md_error *err)
{
    md_buf b;
    md_status s;

    md_buf_init(&b, md_alloc_default(), REPORT_MAX);
    s = json ? to_json(e, of, &b, err) : md_evaluation_text(e, of, &b, err);
    if (s == MD_OK && path)
        s = md_file_write_atomic(path, b.data, b.size, err);
    if (s == MD_OK && !path)
        md_cli_print(&b, f);
    else
        md_buf_release(&b);
    return s;
}

static bool is_json_name(const char *path)
{
    size_t n = strlen(path);

    return n >= 5 && strcmp(path + n - 5, ".json") == 0;
}

static md_status evaluate(md_evaluation *e, subject *model, subject *original,
                          md_pool *pool, const md_args *a, md_error *err)
{
    md_eval_opts opts = MD_EVAL_OPTS_INIT;
    const char *other = md_args_text(a, "against", NULL);
    md_progress p;
    md_status s;

    opts.task = (md_task)md_args_choice(a, "task", MD_TASK_AUTO);
    opts.top_k = md_args_int(a, "top", opts.top_k);
    opts.seed = (uint64_t)md_args_int(a, "seed", (int64_t)opts.seed);
    opts.pool = pool;
    MD_TRY(open_subject(model, a->pos[0], pool, a, err));
    if (other)
        MD_TRY(open_subject(original, other, pool, a, err));
    md_progress_begin(&p, a->cli->err, "evaluating");
    s = md_evaluate(e, &model->side, other ? &original->side : NULL, &opts,
                    err);
    md_progress_end(&p);
    return s;
}

static md_status report(const md_evaluation *e, const subject *model,
                        const md_args *a, md_error *err)
{
    const md_report_subject of = { a->pos[0], md_args_text(a, "against", NULL),
                                   md_args_text(a, "data", ""), &model->data };
    const char *path = md_args_text(a, "report", NULL);

    if (path)
        MD_TRY(put(e, &of, is_json_name(path), path, NULL, err));
    return put(e, &of, md_args_has(a, "json"), NULL, a->cli->out, err);
}

static md_status run(const md_args *a, md_error *err)
{
    subject model = { .data = { .alloc = NULL } }, original = model;
    md_evaluation e;
    md_pool *pool;
    md_status s;

    MD_TRY(md_pool_new(&pool, (int)md_args_option_int(a, "threads"),
                       md_alloc_default(), err));
    s = evaluate(&e, &model, &original, pool, a, err);
    if (s == MD_OK)
        s = report(&e, &model, a, err);
    release(&original);
    release(&model);
    md_pool_free(pool);
    return s;
}

static const md_flag flags[] = {
    MD_FLAG_DATA,
    { .name = "against",
      .type = MD_OPT_TEXT,
      .arg = "MODEL",
      .help = "another model to compare with, on the same samples" },
    MD_FLAG_LABEL,
    { .name = "task",
      .type = MD_OPT_CHOICE,
      .arg = "T",
      .choices = "auto|classes|numbers",
      .help = "what labels are: auto (default), classes or numbers" },
    { .name = "top",
      .type = MD_OPT_INT,
      .arg = "K",
      .min = 1,
      .max = TOP_MAX,
      .help = "also the share among the K highest scores (5)" },
    { .name = "report",
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .help = "write what is found to FILE, as JSON when it ends in .json" },
    MD_FLAG_SEED,
    MD_FLAG_THREADS,
    MD_FLAG_PRECISION,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_evaluate = {
    .usage = "MODEL --data DATA [--against MODEL] [--report FILE] [--json]",
    .text = "Runs a model over labelled data: accuracy, F1, AUC, or the error "
            "of numbers,\nwith intervals of 95 %. With another model, paired "
            "tests, agreement and\ndivergence; for these two no labels are "
            "needed.",
    .example = "modeld evaluate net.int8.onnx --data test.npz --against "
               "net.onnx",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
