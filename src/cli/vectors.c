#include "cli/vectors.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/print.h"
#include "cli/progress.h"
#include "cli/tensor_file.h"
#include "formats/npy.h"
#include "formats/value_pb.h"

enum {
    PATH_SIZE = 4096
};

typedef struct checker {
    md_vectors *out;
    md_cli_session *cli;
    md_session *session; /* cli's */
    const md_args *args;
    const char *dir; /* of the set */
    uint32_t set;
    double atol, rtol;
} checker;

static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* DIR/KIND_I.pb or .npy, a value of io's kind, into t; *found is false when
 * there is neither. */
static md_status load(md_tensor *t, bool *found, const md_io *io,
                      const char *dir, const char *kind, uint32_t i,
                      md_error *err)
{
    char path[PATH_SIZE];

    *found = true;
    snprintf(path, sizeof(path), "%s/%s_%u.pb", dir, kind, i);
    if (is_there(path))
        return md_value_pb_load(t, &io->type, path, md_alloc_default(), err);
    snprintf(path, sizeof(path), "%s/%s_%u.npy", dir, kind, i);
    if (is_there(path))
        return md_npy_load(t, path, md_alloc_default(), err);
    *found = false;
    return MD_OK;
}

static md_status load_inputs(checker *c, md_cli_inputs *in, md_error *err)
{
    for (uint32_t i = 0; i < md_session_n_inputs(c->session); i++) {
        bool found;

        MD_TRY(load(&in->tensors[i], &found, md_session_input(c->session, i),
                    c->dir, "input", i, err));
        if (!found)
            return md_fail(err, MD_NOT_FOUND,
                           "no input_%u.pb or input_%u.npy in '%s'", i, i,
                           c->dir);
        MD_TRY(md_cli_fit(&in->tensors[i], c->session,
                          md_session_input(c->session, i), false, err));
    }
    return MD_OK;
}

static md_status add_row(checker *c, uint32_t i, const md_tensor *got,
                         const md_tensor *want, md_error *err)
{
    md_vectors *v = c->out;
    md_vector_output row = { .set = c->set, .output = i };
    md_error why = MD_ERROR_INIT;

    MD_TRY(md_grow(md_alloc_default(), &v->rows, &v->cap_rows, v->n_rows,
                   sizeof(*v->rows), err));
    /* The first comparison tells the scale of the second. */
    md_tensor_compare(&row.diff, got, want, c->atol, 0, NULL);
    row.right = md_tensor_compare(&row.diff, got, want,
                                  c->atol + c->rtol * row.diff.want_max, 0,
                                  &why) == MD_OK;
    memcpy(row.why, why.msg, sizeof(row.why));
    v->n_wrong += !row.right;
    v->abs_max = fmax(v->abs_max, row.diff.abs_max);
    v->rows[v->n_rows++] = row;
    return MD_OK;
}

static md_status compare(checker *c, const md_tensor *outputs, md_error *err)
{
    uint32_t n_found = 0;

    for (uint32_t i = 0; i < md_session_n_outputs(c->session); i++) {
        md_tensor want = MD_TENSOR_INIT;
        md_status s;
        bool found;

        MD_TRY(load(&want, &found, md_session_output(c->session, i), c->dir,
                    "output", i, err));
        if (!found)
            continue;
        n_found++;
        s = add_row(c, i, &outputs[i], &want, err);
        md_tensor_release(&want);
        MD_TRY(s);
    }
    return n_found ? MD_OK
                   : md_fail(err, MD_NOT_FOUND,
                             "no output_0.pb or output_0.npy in '%s'", c->dir);
}

static md_status run_set(checker *c, md_error *err)
{
    uint32_t n = md_session_n_outputs(c->session);
    md_tensor *outputs =
        md_arena_calloc(c->args->arena, n + 1u, sizeof(*outputs));
    md_cli_inputs in;
    md_status s;

    if (!outputs)
        return md_fail_nomem(err, n * sizeof(*outputs));
    MD_TRY(md_cli_inputs_init(&in, c->cli, c->args->arena, err));
    s = load_inputs(c, &in, err);
    if (s == MD_OK)
        s = md_session_run(c->session, in.tensors, outputs, md_alloc_default(),
                           err);
    md_cli_inputs_release(&in);
    if (s == MD_OK) {
        s = compare(c, outputs, err);
        for (uint32_t i = 0; i < n; i++)
            md_tensor_release(&outputs[i]);
    }
    return s;
}

static md_status run_sets(checker *c, const char *dir, md_error *err)
{
    char path[PATH_SIZE];
    md_progress p;
    md_status s = MD_OK;

    md_progress_begin(&p, c->args->cli->err, "running vectors");
    for (; s == MD_OK; c->set++) {
        snprintf(path, sizeof(path), "%s/test_data_set_%u", dir, c->set);
        if (!is_there(path))
            break;
        c->dir = path;
        md_progress_step(&p, c->set, 0);
        s = run_set(c, err);
        if (s != MD_OK)
            md_wrap(err, s, "%s: ", path);
    }
    c->dir = NULL;
    md_progress_end(&p);
    return s;
}

md_status md_vectors_run(md_vectors *out, md_cli_session *s, const char *dir,
                         double atol, double rtol, const md_args *a,
                         md_error *err)
{
    checker c = { .out = out,
                  .cli = s,
                  .session = s->session,
                  .args = a,
                  .dir = dir,
                  .atol = atol,
                  .rtol = rtol };
    md_status st;

    memset(out, 0, sizeof(*out));
    if (!is_there(dir))
        return md_fail(err, MD_NOT_FOUND, "no folder '%s'", dir);
    st = run_sets(&c, dir, err);
    if (st == MD_OK && c.set == 0) {
        c.dir = dir;
        st = run_set(&c, err);
        c.set = 1;
    }
    out->n_sets = c.set;
    if (st != MD_OK)
        md_vectors_release(out);
    return st;
}

void md_vectors_release(md_vectors *v)
{
    md_free(md_alloc_default(), v->rows);
    memset(v, 0, sizeof(*v));
}

void md_vectors_print(const md_vectors *v, const md_session *s, FILE *f)
{
    for (uint32_t i = 0; i < v->n_rows; i++) {
        const md_vector_output *r = &v->rows[i];

        md_cli_printf(f, "set %u  %-20s max|d| %-10.3g max|y| %-10.3g %s%s%s\n",
                      r->set, md_session_output(s, r->output)->name,
                      r->diff.abs_max, r->diff.want_max,
                      r->right ? "ok" : "MISS", r->right ? "" : ": ", r->why);
    }
    md_cli_printf(f, "%u sets, %u outputs, %u missed, max|d| %.3g\n", v->n_sets,
                  v->n_rows, v->n_wrong, v->abs_max);
}

void md_vectors_json(const md_vectors *v, const md_session *s,
                     md_json_writer *w)
{
    md_json_put_name(w, "vectors");
    md_json_put_object(w);
    md_cli_json_int(w, "sets", v->n_sets);
    md_cli_json_int(w, "missed", v->n_wrong);
    md_cli_json_real(w, "abs_max", v->abs_max);
    md_json_put_name(w, "outputs");
    md_json_put_array(w);
    for (uint32_t i = 0; i < v->n_rows; i++) {
        const md_vector_output *r = &v->rows[i];

        md_json_put_object(w);
        md_cli_json_int(w, "set", r->set);
        md_cli_json_str(w, "name", md_session_output(s, r->output)->name);
        md_cli_json_bool(w, "right", r->right);
        md_cli_json_real(w, "abs_max", r->diff.abs_max);
        md_cli_json_real(w, "want_max", r->diff.want_max);
        md_json_put_end(w);
    }
    md_json_put_end(w);
    md_json_put_end(w);
}

md_status md_vectors_verdict(const md_vectors *v, md_error *err)
{
    if (v->n_wrong == 0)
        return MD_OK;
    return md_fail(err, MD_MISMATCH,
                   "%u of %u outputs differ from the stored "
                   "ones",
                   v->n_wrong, v->n_rows);
}
