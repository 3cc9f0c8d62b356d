#include <string.h>

#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/tensor_file.h"
#include "formats/npy.h"

enum {
    SHAPE_SIZE = MD_SHAPE_TEXT,
    N_SHOWN = 8 /* elements of an output on a terminal */
};

/* "NAME=FILE" or "FILE".  Names of inputs may hold '=' and '/'; where none is
 * met, a '=' behind a '/' belongs to the file's name. */
static md_status read_input(md_cli_inputs *in, const char *text, md_error *err)
{
    const char *slash = strchr(text, '/');
    const char *equals = strchr(text, '=');
    char *name = md_arena_strdup(in->arena, text);

    if (!name)
        return md_fail_nomem(err, strlen(text) + 1);
    for (const char *e = equals; e; e = strchr(e + 1, '=')) {
        name[e - text] = '\0';
        if (md_session_find_input(in->session, name) >= 0)
            return md_cli_inputs_read(in, name, e + 1, err);
        name[e - text] = '=';
    }
    if (!equals || (slash && slash < equals))
        return md_cli_inputs_read(in, NULL, text, err);
    name[equals - text] = '\0';
    return md_cli_inputs_read(in, name, equals + 1, err);
}

static md_status read_inputs(md_cli_inputs *in, const md_args *a, md_error *err)
{
    const char *text;

    for (int at = 0; (text = md_args_next(a, "input", &at));)
        MD_TRY(read_input(in, text, err));
    return md_cli_inputs_check(in, err);
}

/* One file for each output into *out; NULL without --output.  Two names that
 * differ may make one file's name. */
static md_status name_files(char ***out, const md_args *a, const md_session *s,
                            md_error *err)
{
    const char *dir = md_args_text(a, "output", NULL);
    uint32_t n = md_session_n_outputs(s);
    char **files;

    *out = NULL;
    if (!dir)
        return MD_OK;
    files = md_arena_calloc(a->arena, n + 1u, sizeof(*files));
    if (!files)
        return md_fail_nomem(err, n * sizeof(*files));
    for (uint32_t i = 0; i < n; i++) {
        const char *name = md_session_output(s, i)->name;

        MD_TRY(md_cli_output_path(&files[i], dir, name, a->arena, err));
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(files[k], files[i]) == 0)
                return md_fail(err, MD_UNSUPPORTED,
                               "outputs '%.60s' and '%.60s' would both be "
                               "written to '%s', expected names that differ",
                               md_session_output(s, k)->name, name, files[i]);
        }
    }
    *out = files;
    return MD_OK;
}

static md_status save(char **files, const md_args *a, const md_session *s,
                      const md_tensor *outputs, md_error *err)
{
    if (!files)
        return MD_OK;
    MD_TRY(md_cli_output_folder(md_args_text(a, "output", ""), err));
    for (uint32_t i = 0; i < md_session_n_outputs(s); i++)
        MD_TRY(md_npy_save(&outputs[i], files[i], err));
    return MD_OK;
}

static md_status put_json(const md_args *a, const md_session *s,
                          const md_tensor *outputs, md_error *err)
{
    md_json_writer w;
    md_buf b;

    md_cli_json_begin(&w, &b);
    md_json_put_name(&w, "outputs");
    md_json_put_array(&w);
    for (uint32_t i = 0; i < md_session_n_outputs(s); i++) {
        const md_tensor *t = &outputs[i];

        md_json_put_object(&w);
        md_cli_json_str(&w, "name", md_session_output(s, i)->name);
        md_cli_json_str(&w, "type", md_dtype_name(t->dtype));
        md_json_put_name(&w, "shape");
        md_json_put_array(&w);
        for (int d = 0; d < t->shape.rank; d++)
            md_json_put_i64(&w, t->shape.dim[d]);
        md_json_put_end(&w);
        md_json_put_name(&w, "data");
        md_cli_tensor_json(&w, t);
        md_json_put_end(&w);
    }
    md_json_put_end(&w);
    return md_cli_json_end(&w, &b, a->cli->out, err);
}

static void put_element(FILE *f, const md_tensor *t, int64_t i)
{
    if (t->dtype == MD_DTYPE_STRING) {
        const md_str *s = (const md_str *)t->data + i;

        md_cli_printf(f, " \"%.*s\"", (int)(s->n < 80 ? s->n : 80), s->p);
    } else if (t->dtype == MD_DTYPE_U64) {
        md_cli_printf(f, " %llu", (unsigned long long)md_tensor_get_i64(t, i));
    } else if (md_dtype_is_integer(t->dtype)) {
        md_cli_printf(f, " %lld", (long long)md_tensor_get_i64(t, i));
    } else {
        md_cli_printf(f, " %.7g", md_tensor_get_f64(t, i));
    }
}

static void put_text(FILE *f, const char *name, const md_tensor *t)
{
    char shape[SHAPE_SIZE];
    int64_t n = md_tensor_n(t);

    md_cli_printf(f, "%s %s%s", name, md_dtype_name(t->dtype),
                  md_shape_format(shape, sizeof(shape), &t->shape));
    for (int64_t i = 0; i < n && i < N_SHOWN; i++)
        put_element(f, t, i);
    fputs(n > N_SHOWN ? " ...\n" : "\n", f);
}

/* Line i of the labels that the model carries: its start, *n bytes; NULL when
 * there are none or fewer. */
static const char *find_label(const md_session *s, int64_t i, int *n)
{
    const char *p = md_model_meta(md_session_model(s), "modeld.labels");

    for (; p && i > 0; i--) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    if (!p || *p == '\0')
        return NULL;
    *n = (int)strcspn(p, "\n");
    return p;
}

/* The class of each row of output 0, for a model with labels. */
static void put_classes(FILE *f, const md_session *s, const md_tensor *t)
{
    int64_t n = md_tensor_n(t);
    int64_t width = t->shape.rank ? t->shape.dim[t->shape.rank - 1] : 0;

    for (int64_t at = 0; width > 0 && at < n; at += width) {
        int64_t best = at;
        const char *label;
        int n_label;

        for (int64_t i = at; i < at + width; i++) {
            if (md_tensor_get_f64(t, i) > md_tensor_get_f64(t, best))
                best = i;
        }
        label = find_label(s, best - at, &n_label);
        if (label)
            md_cli_printf(f, "class '%.*s' %.4g\n", n_label, label,
                          md_tensor_get_f64(t, best));
    }
}

static md_status put(const md_args *a, const md_session *s,
                     const md_tensor *outputs, md_error *err)
{
    if (md_args_has(a, "json"))
        return put_json(a, s, outputs, err);
    for (uint32_t i = 0; i < md_session_n_outputs(s); i++)
        put_text(a->cli->out, md_session_output(s, i)->name, &outputs[i]);
    if (md_session_n_outputs(s) > 0)
        put_classes(a->cli->out, s, &outputs[0]);
    return MD_OK;
}

static md_status run_once(const md_args *a, md_session *s,
                          const md_tensor *inputs, md_tensor *outputs,
                          md_error *err)
{
    md_progress p;
    md_status st;

    md_progress_begin(&p, a->cli->err, "running");
    st = md_session_run(s, inputs, outputs, md_alloc_default(), err);
    md_progress_end(&p);
    return st;
}

static md_status predict(const md_args *a, md_cli_session *cli, md_error *err)
{
    md_session *s = cli->session;
    uint32_t n = md_session_n_outputs(s);
    md_tensor *outputs = md_arena_calloc(a->arena, n + 1u, sizeof(*outputs));
    md_cli_inputs in;
    char **files;
    md_status st;

    if (!outputs)
        return md_fail_nomem(err, n * sizeof(*outputs));
    MD_TRY(name_files(&files, a, s, err));
    MD_TRY(md_cli_inputs_init(&in, cli, a->arena, err));
    st = read_inputs(&in, a, err);
    if (st == MD_OK)
        st = run_once(a, s, in.tensors, outputs, err);
    md_cli_inputs_release(&in);
    if (st == MD_OK)
        st = save(files, a, s, outputs, err);
    if (st == MD_OK)
        st = put(a, s, outputs, err);
    for (uint32_t i = 0; i < n; i++)
        md_tensor_release(&outputs[i]);
    return st;
}

static md_status run(const md_args *a, md_error *err)
{
    md_cli_session s;
    md_status st;

    MD_TRY(md_cli_session_open(&s, a->pos[0], a, err));
    st = predict(a, &s, err);
    md_cli_session_close(&s);
    return st;
}

static const md_flag flags[] = {
    { .name = "input",
      .letter = 'i',
      .type = MD_OPT_TEXT,
      .arg = "[NAME=]FILE",
      .help = "an input, or several in an .npz or .json" },
    { .name = "output",
      .letter = 'o',
      .type = MD_OPT_TEXT,
      .arg = "DIR",
      .help = "write each output to DIR/NAME.npy" },
    MD_FLAG_THREADS,
    MD_FLAG_PRECISION,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_predict = {
    .usage = "MODEL [--input [NAME=]FILE]... [--output DIR] [--json]",
    .text =
        "Runs a model once.  Inputs are .npy, .npz (arrays named after "
        "the inputs), .pb\n(TensorProto), .json (nested or flat lists, alone "
        "or by name), .png or .jpg.",
    .example = "modeld predict net.onnx --input x=image.npy --output out",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
