#include <string.h>

#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/tensor_file.h"
#include "cli/value.h"

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

/* May files of output i, a container's parts too, and of output k be one? */
static bool files_meet(const md_session *s, char **files, uint32_t i,
                       uint32_t k)
{
    size_t n = strlen(files[i]) - strlen(".npy");

    return strcmp(files[k], files[i]) == 0 ||
           (md_session_output(s, i)->type.kind != MD_KIND_TENSOR &&
            strncmp(files[k], files[i], n) == 0 && files[k][n] == '_');
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
            if (files_meet(s, files, i, k) || files_meet(s, files, k, i))
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
        MD_TRY(md_cli_value_save(&outputs[i], files[i], a->arena, err));
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
        md_json_put_object(&w);
        md_cli_json_str(&w, "name", md_session_output(s, i)->name);
        md_cli_value_json(&w, &outputs[i]);
        md_json_put_end(&w);
    }
    md_json_put_end(&w);
    return md_cli_json_end(&w, &b, a->cli->out, err);
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
        md_cli_value_text(a->cli->out, md_session_output(s, i)->name,
                          &outputs[i], a->arena);
    if (md_session_n_outputs(s) > 0 && outputs[0].kind == MD_KIND_TENSOR)
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
      .help = "write each output to DIR/NAME.npy, those of a sequence to "
              "NAME_0.npy ..." },
    MD_FLAG_THREADS,
    MD_FLAG_PRECISION,
    MD_FLAG_WEIGHT_CACHE,
    MD_FLAGS_SOURCE,
    MD_FLAG_JSON,
};

const md_cmd md_cmd_predict = {
    .usage = "MODEL [--input [NAME=]FILE]... [--output DIR] [--json]",
    .text =
        "Runs a model once.  Inputs are .npy, .npz (arrays named after "
        "the inputs), .pb\n(TensorProto, or what else the input is), .json "
        "(nested or flat lists, alone or by\nname), or pictures: .png, .jpg, "
        ".webp, .bmp, .ppm.",
    .example = "modeld predict net.onnx --input x=image.npy --output out",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .run = run,
};
