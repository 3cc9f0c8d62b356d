#include <string.h>

#include "cli/making.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "formats/onnx.h"
#include "optimize/weight_only.h"

/* What quantizing did, and what it cost. */
typedef struct result {
    md_quantize_report report;
    long long size_before, size_after; /* bytes of the files */
    int64_t n_tested;
    double accuracy_float, accuracy_after;
    md_sensitivity *layer; /* of --sensitivity */
    uint32_t n_layers;
    md_arena arena;
} result;

/* The modes of weights alone. */
static const struct {
    const char *name;
    md_weight_mode mode;
} modes[] = {
    { "int8w", MD_WEIGHTS_INT8 },
    { "int4w", MD_WEIGHTS_INT4 },
    { "fp16", MD_WEIGHTS_FP16 },
    { "bf16", MD_WEIGHTS_BF16 },
};

static const char *mode_of(const md_args *a)
{
    return md_args_text(a, "mode", "static");
}

static bool is_static(const md_args *a)
{
    return strcmp(mode_of(a), "static") == 0;
}

static md_status check(const md_args *a, md_error *err)
{
    static const char *const of_static[] = { "keep", "bias-correction",
                                             "sensitivity", "equalize",
                                             "smooth" };

    if (is_static(a) && !md_args_has(a, "data"))
        return md_fail(err, MD_INVALID, "--mode static needs --data");
    for (size_t i = 0; i < MD_COUNT(of_static); i++) {
        if (!is_static(a) && md_args_has(a, of_static[i]))
            return md_fail(err, MD_INVALID, "--%s is for --mode static",
                           of_static[i]);
    }
    return MD_OK;
}

/* The names of --keep. */
static md_status read_keep(md_quantize_opts *o, const md_args *a, md_error *err)
{
    const char **keep;
    int i = 0;

    while (md_args_next(a, "keep", &i))
        o->n_keep++;
    keep = md_arena_calloc(a->arena, o->n_keep + 1u, sizeof(*keep));
    if (!keep)
        return md_fail_nomem(err, o->n_keep * sizeof(*keep));
    i = 0;
    for (uint32_t k = 0; k < o->n_keep; k++)
        keep[k] = md_args_next(a, "keep", &i);
    o->keep = keep;
    return MD_OK;
}

static md_status calibrate(result *r, md_model *m, const md_args *a,
                           md_pool *pool, md_error *err)
{
    md_quantize_opts opts = { .method = (md_calib_method)md_args_choice(
                                  a, "method", MD_CALIB_PERCENTILE),
                              .pool = pool,
                              .correct_bias = md_args_has(a, "bias-correction"),
                              .equalize = md_args_has(a, "equalize"),
                              .smooth = md_args_real(a, "smooth", 0.0) };
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_dataset data;
    md_progress p;
    md_status s = MD_OK;

    MD_TRY(read_keep(&opts, a, err));
    MD_TRY(md_dataset_open(&data, md_args_text(a, "data", ""), m, &how, err));
    md_progress_begin(&p, a->cli->err, "calibrating");
    if (md_args_has(a, "sensitivity"))
        s = md_quantize_sensitivity(&r->layer, &r->n_layers, m, &data, &opts,
                                    &r->arena, err);
    if (s == MD_OK)
        s = md_quantize(m, &data, &opts, &r->report, err);
    md_progress_end(&p);
    md_dataset_release(&data);
    return s;
}

/* Weights alone: --data is for the integers, and need not be there. */
static md_status store(result *r, md_model *m, md_weight_mode mode,
                       const md_args *a, md_pool *pool, md_error *err)
{
    const char *path = md_args_text(a, "data", NULL);
    const md_data_opts how = { NULL, md_args_text(a, "label", NULL) };
    md_weights_opts o = { .mode = mode,
                          .block = md_args_int(a, "block", MD_WEIGHTS_BLOCK),
                          .pool = pool };
    md_dataset data;
    md_status s;

    if (!path)
        return md_quantize_weights(m, &o, &r->report, err);
    MD_TRY(md_dataset_open(&data, path, m, &how, err));
    o.data = &data;
    s = md_quantize_weights(m, &o, &r->report, err);
    md_dataset_release(&data);
    return s;
}

static md_status quantize(result *r, md_model *m, const md_args *a,
                          md_pool *pool, md_error *err)
{
    if (is_static(a))
        return calibrate(r, m, a, pool, err);
    for (size_t i = 0; i < MD_COUNT(modes); i++) {
        if (strcmp(mode_of(a), modes[i].name) == 0)
            return store(r, m, modes[i].mode, a, pool, err);
    }
    return md_quantize_dynamic(m, &r->report, err);
}

static md_status make(void *to, md_model *m, const md_args *a, md_pool *pool,
                      md_error *err)
{
    result *r = to;
    const char *dst = md_args_text(a, "output", "");

    MD_TRY(md_cli_accuracy(&r->accuracy_float, &r->n_tested, m, a, pool, err));
    MD_TRY(quantize(r, m, a, pool, err));
    MD_TRY(md_cli_accuracy(&r->accuracy_after, &r->n_tested, m, a, pool, err));
    MD_TRY(md_onnx_save(m, dst, NULL, err));
    r->size_before = md_cli_file_size(a->pos[0]);
    r->size_after = md_cli_file_size(dst);
    return MD_OK;
}

static void put_text(const void *from, const char *dst, const md_args *a)
{
    const result *r = from;
    const md_quantize_report *p = &r->report;
    const bool is_half = mode_of(a)[1] == 'p' || mode_of(a)[1] == 'f';
    FILE *f = a->cli->out;

    md_cli_printf(f, "%s: %u %s in %s, %u left in float\n", dst, p->n_nodes,
                  is_half ? "constants" : "operators",
                  is_static(a) ? "int8" : mode_of(a), p->n_left);
    if (is_static(a))
        md_cli_printf(f, "calibrated on %lld samples, %u ranges\n",
                      (long long)p->n_samples, p->n_activations);
    if (p->n_equalized)
        md_cli_printf(f, "channels equalized in %u places\n", p->n_equalized);
    if (p->n_corrected && is_static(a))
        md_cli_printf(f, "biases corrected: %u\n", p->n_corrected);
    else if (p->n_corrected)
        md_cli_printf(f,
                      "rounded one after the other, by %lld samples: %u "
                      "products\n",
                      (long long)p->n_samples, p->n_corrected);
    for (uint32_t i = 0; i < r->n_layers; i++)
        md_cli_printf(f, "  %-40s alone in int8: %6.1f dB\n", r->layer[i].name,
                      r->layer[i].snr);
    md_cli_printf(f, "weights: %llu to %llu bytes; file: %lld to %lld bytes\n",
                  (unsigned long long)p->weights_float,
                  (unsigned long long)p->weights_int, r->size_before,
                  r->size_after);
    if (r->n_tested)
        md_cli_printf(f, "accuracy on %lld samples: float %.4f, %s %.4f\n",
                      (long long)r->n_tested, r->accuracy_float,
                      is_static(a) ? "int8" : mode_of(a), r->accuracy_after);
}

static void layers_json(const result *r, md_json_writer *w)
{
    md_json_put_name(w, "sensitivity");
    md_json_put_array(w);
    for (uint32_t i = 0; i < r->n_layers; i++) {
        md_json_put_object(w);
        md_cli_json_str(w, "name", r->layer[i].name);
        md_cli_json_measured(w, "snr_db", r->layer[i].snr);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void put_json(const void *from, const md_args *a, md_json_writer *w)
{
    const result *r = from;
    const md_quantize_report *p = &r->report;

    md_cli_json_str(w, "mode", mode_of(a));
    /* Operators; of the floats of 16 bits constants. */
    md_cli_json_int(w, is_static(a) ? "operators_int8" : "changed", p->n_nodes);
    md_cli_json_int(w, is_static(a) ? "operators_float" : "left", p->n_left);
    md_cli_json_int(w, "samples", p->n_samples);
    md_cli_json_int(w, "size_before", r->size_before);
    md_cli_json_int(w, "size_after", r->size_after);
    md_cli_json_int(w, "corrected", p->n_corrected);
    md_cli_json_int(w, "equalized", p->n_equalized);
    if (r->n_layers)
        layers_json(r, w);
    if (r->n_tested) {
        md_cli_json_real(w, "accuracy_float", r->accuracy_float);
        md_cli_json_real(w, is_static(a) ? "accuracy_int8" : "accuracy_after",
                         r->accuracy_after);
    }
}

static const md_cli_making making = { .make = make,
                                      .put_text = put_text,
                                      .put_json = put_json };

static md_status run(const md_args *a, md_error *err)
{
    result r = { .n_tested = 0 };
    md_status s;

    md_arena_init(&r.arena, md_alloc_default(), 0);
    s = md_cli_make(&r, &making, a, err);
    md_arena_release(&r.arena);
    return s;
}

static const md_flag flags[] = {
    MD_FLAG_OUTPUT,
    { .name = "mode",
      .type = MD_OPT_CHOICE,
      .arg = "M",
      .choices = "static|dynamic|int8w|int4w|fp16|bf16",
      .help = "static (default): int8 by --data; without: dynamic (int8, "
              "inputs while running), int8w and int4w (weights alone, better "
              "with --data), fp16 and bf16 (constants)" },
    { .name = "keep",
      .type = MD_OPT_TEXT,
      .arg = "NAME",
      .help = "static: leave the product of this name in float; may be given "
              "again" },
    { .name = "bias-correction",
      .type = MD_OPT_BOOL,
      .help = "static: bring the mean of what each layer gives back by its "
              "bias" },
    { .name = "equalize",
      .type = MD_OPT_BOOL,
      .help = "static: let each channel have as large weights before as behind "
              "it" },
    { .name = "smooth",
      .type = MD_OPT_REAL,
      .arg = "S",
      .max = 1,
      .help = "static: leave this share of what channels differ by on the data "
              "to the weights that read them, where outliers are (0.5 is "
              "usual)" },
    { .name = "sensitivity",
      .type = MD_OPT_BOOL,
      .help = "static: tell how much of the output's signal is left with each "
              "layer alone in int8" },
    { .name = "block",
      .type = MD_OPT_INT,
      .arg = "N",
      .min = 16,
      .max = 256,
      .help = "weights that share a scale in int8w and int4w (32)" },
    { .name = "data",
      .type = MD_OPT_TEXT,
      .arg = "DATA",
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
      .choices = "minmax|percentile|mse|entropy",
      .help = "how ranges are taken: percentile (default), minmax, mse, "
              "entropy" },
    MD_FLAG_THREADS,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_quantize = {
    .usage = "MODEL -o DST.onnx --data DATA | --mode M [--test DATA] [--json]",
    .text = "Makes an int8 model (ONNX QDQ form): weights per channel, "
            "activations by the ranges\nthat they take on the calibration "
            "data. Other modes need none: --mode.",
    .example = "modeld quantize net.onnx -o net.int8.onnx --data calib.npz",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .check = check,
    .run = run,
};
