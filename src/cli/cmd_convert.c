#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/vectors.h"
#include "convert/convert.h"
#include "formats/onnx.h"

/* What conversion and checking said. */
typedef struct result {
    md_convert_report report;
    md_cli_session session; /* of the file that was written */
    md_vectors vectors;     /* of --check */
    bool checked;
} result;

static md_status convert(result *r, const md_args *a, const char *dst,
                         md_error *err)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_model *m = NULL;
    md_progress p;
    md_status s;

    opts.labels = md_args_text(a, "labels", NULL);
    opts.how = md_cli_source(a);
    opts.no_self_check = md_args_has(a, "no-self-check");
    md_progress_begin(&p, a->cli->err, "converting");
    s = md_convert(&m, a->pos[0], &opts, &r->report,
                   md_alloc_tagged(MD_MEM_graph), err);
    if (s == MD_OK)
        s = md_onnx_save(m, dst, NULL, err);
    md_progress_end(&p);
    md_model_free(m);
    return s;
}

/* The file itself is read again and run. */
static md_status check(result *r, const md_args *a, const char *dst,
                       md_error *err)
{
    const char *dir = md_args_text(a, "check", NULL);
    md_model *m = NULL;
    md_status s;

    if (!dir)
        return MD_OK;
    MD_TRY(md_convert_load(&m, dst, MD_LOAD_TO_RUN, NULL,
                           md_alloc_tagged(MD_MEM_graph), err));
    s = md_cli_session_take(&r->session, m, a, err);
    if (s != MD_OK) {
        md_model_free(m);
        return s;
    }
    MD_TRY(md_vectors_run(&r->vectors, &r->session, dir, 1e-5, 1e-4, a, err));
    r->checked = true;
    return MD_OK;
}

static void put_text(const result *r, const char *dst, FILE *f)
{
    const md_convert_report *p = &r->report;

    md_cli_printf(f, "%s %s: %u layers, %llu parameters\n", p->format,
                  p->version, p->n_layers, (unsigned long long)p->n_parameters);
    md_cli_printf(f, "%s: %u nodes, %u of them to change layouts\n", dst,
                  p->n_nodes, p->n_transposes);
    md_cli_printf(f, "self-check: %s%s\n",
                  p->ran ? "" : "not run: ", p->self_check);
    if (r->checked)
        md_vectors_print(&r->vectors, r->session.session, f);
}

static md_status put_json(const result *r, const char *dst, FILE *f,
                          md_error *err)
{
    const md_convert_report *p = &r->report;
    md_json_writer w;
    md_buf b;

    md_cli_json_begin(&w, &b);
    md_cli_json_str(&w, "model", dst);
    md_cli_json_str(&w, "format", p->format);
    md_cli_json_str(&w, "version", p->version);
    md_cli_json_int(&w, "layers", p->n_layers);
    md_cli_json_int(&w, "nodes", p->n_nodes);
    md_cli_json_int(&w, "transposes", p->n_transposes);
    md_json_put_name(&w, "parameters");
    md_json_put_u64(&w, p->n_parameters);
    md_cli_json_bool(&w, "self_check_ran", p->ran);
    md_cli_json_str(&w, "self_check", p->self_check);
    if (r->checked)
        md_vectors_json(&r->vectors, r->session.session, &w);
    return md_cli_json_end(&w, &b, f, err);
}

static md_status run(const md_args *a, md_error *err)
{
    const char *dst = md_args_text(a, "output", "");
    result r = { .checked = false };
    md_status s;

    MD_TRY(convert(&r, a, dst, err));
    s = check(&r, a, dst, err);
    if (s == MD_OK && md_args_has(a, "json"))
        s = put_json(&r, dst, a->cli->out, err);
    else if (s == MD_OK)
        put_text(&r, dst, a->cli->out);
    if (s == MD_OK && r.checked)
        s = md_vectors_verdict(&r.vectors, err);
    md_vectors_release(&r.vectors);
    md_cli_session_close(&r.session);
    return s;
}

static const md_flag flags[] = {
    { .name = "output",
      .letter = 'o',
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .required = true,
      .help = "the ONNX file to write" },
    { .name = "check",
      .type = MD_OPT_TEXT,
      .arg = "DIR",
      .help = "run the vectors in DIR on what was written" },
    { .name = "labels",
      .type = MD_OPT_TEXT,
      .arg = "FILE",
      .help = "names of the classes, one per line, to store in it" },
    { .name = "no-self-check",
      .type = MD_OPT_BOOL,
      .help = "do not run what came of it on made-up inputs" },
    MD_FLAG_THREADS,
    MD_FLAG_PRECISION,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_convert = {
    .usage = "SRC -o DST.onnx [--check DIR] [--labels FILE] [--signature NAME]",
    .text =
        "Converts a model of another framework (Keras .keras or .h5, "
        "TensorFlow SavedModel\nfolder, frozen .pb, checkpoint .meta, "
        "TensorFlow.js, TensorFlow Lite, PyTorch, XGBoost,\nLightGBM) to ONNX "
        "and runs what came of it: on made-up inputs, and on the vectors of\n"
        "--check.  A file that misses those is kept, to be looked into; the "
        "exit status tells.",
    .example = "modeld convert net.keras -o net.onnx --check net.vectors",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
