#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "formats/onnx.h"
#include "optimize/quantize.h"

/* What quantizing did, and what it cost. */
typedef struct result {
    md_quantize_report report;
    long long size_before, size_after; /* bytes of the files */
    bool tested;
    int64_t n_tested;
    double accuracy_float, accuracy_int8;
} result;

static md_calib_method method_of(const md_args *a)
{
    const char *name = md_args_text(a, "method", "percentile");

    return name[0] == 'p'   ? MD_CALIB_PERCENTILE
           : name[1] == 's' ? MD_CALIB_MSE
                            : MD_CALIB_MINMAX;
}

static md_status quantize(result *r, md_model *m, const md_args *a,
                          md_pool *pool, md_error *err)
{
    const md_quantize_opts opts = { method_of(a), pool };
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_dataset data;
    md_progress p;
    md_status s;

    MD_TRY(md_cli_accuracy(&r->accuracy_float, &r->n_tested, m, a, pool, err));
    MD_TRY(md_dataset_open(&data, md_args_text(a, "data", ""), m, &how, err));
    md_progress_begin(&p, a->cli->err, "calibrating");
    s = md_quantize(m, &data, &opts, &r->report, err);
    md_progress_end(&p);
    md_dataset_release(&data);
    MD_TRY(s);
    MD_TRY(md_cli_accuracy(&r->accuracy_int8, &r->n_tested, m, a, pool, err));
    r->tested = md_args_has(a, "test");
    MD_TRY(md_onnx_save(m, md_args_text(a, "output", ""), NULL, err));
    r->size_before = md_cli_file_size(a->pos[0]);
    r->size_after = md_cli_file_size(md_args_text(a, "output", ""));
    return MD_OK;
}

static void put_text(const result *r, const char *dst, FILE *f)
{
    const md_quantize_report *p = &r->report;

    md_cli_printf(f, "%s: %u operators in int8, %u left in float\n", dst,
                  p->n_nodes, p->n_left);
    md_cli_printf(f, "calibrated on %lld samples, %u ranges\n",
                  (long long)p->n_samples, p->n_activations);
    md_cli_printf(f, "weights: %llu to %llu bytes; file: %lld to %lld bytes\n",
                  (unsigned long long)p->weights_float,
                  (unsigned long long)p->weights_int, r->size_before,
                  r->size_after);
    if (r->tested)
        md_cli_printf(f, "accuracy on %lld samples: float %.4f, int8 %.4f\n",
                      (long long)r->n_tested, r->accuracy_float,
                      r->accuracy_int8);
}

static md_status put_json(const result *r, const char *dst, FILE *f,
                          md_error *err)
{
    const md_quantize_report *p = &r->report;
    md_json_writer w;
    md_buf b;

    md_cli_json_begin(&w, &b);
    md_cli_json_str(&w, "model", dst);
    md_cli_json_int(&w, "operators_int8", p->n_nodes);
    md_cli_json_int(&w, "operators_float", p->n_left);
    md_cli_json_int(&w, "samples", p->n_samples);
    md_cli_json_int(&w, "size_before", r->size_before);
    md_cli_json_int(&w, "size_after", r->size_after);
    if (r->tested) {
        md_cli_json_real(&w, "accuracy_float", r->accuracy_float);
        md_cli_json_real(&w, "accuracy_int8", r->accuracy_int8);
    }
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
    s = md_pool_new(&pool, (int)md_args_int(a, "threads", 0),
                    md_alloc_default(), err);
    if (s == MD_OK)
        s = quantize(&r, m, a, pool, err);
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
    { .name = "data",
      .type = MD_OPT_TEXT,
      .arg = "DATA",
      .required = true,
      .help = "calibration data: a .npz or a folder of .npy, arrays named "
              "after the inputs or x" },
    { .name = "test",
      .type = MD_OPT_TEXT,
      .arg = "DATA",
      .help = "measure accuracy before and after on this, with labels y" },
    MD_FLAG_LABEL,
    { .name = "method",
      .type = MD_OPT_CHOICE,
      .arg = "M",
      .choices = "percentile|minmax|mse",
      .help = "how ranges are taken: percentile (default), minmax, mse" },
    MD_FLAG_THREADS,
    MD_FLAG_SIGNATURE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_quantize = {
    .usage = "MODEL -o DST.onnx --data DATA [--test DATA] [--json]",
    .text = "Makes an int8 model (ONNX QDQ form): weights per channel, "
            "activations by the ranges\nthat they take on the calibration "
            "data.",
    .example = "modeld quantize net.onnx -o net.int8.onnx --data calib.npz",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
