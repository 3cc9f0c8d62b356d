/* A served model made from an engine session and the model's metadata. */
#include <string.h>

#include "registry/repository.h"
#include "serve/model.h"

enum {
    LABELS_MAX = 1 << 20
};

/* ---- the engine's five functions ---- */

static md_status acquire(void *ctx, void **run_out, const md_shape *shapes,
                         md_error *err)
{
    md_run *run = NULL;

    MD_TRY(md_run_acquire(&run, ctx, shapes, err));
    *run_out = run;
    return MD_OK;
}

static void bind(void *run, uint32_t i, const void *data)
{
    md_run_bind_input(run, i, data);
}

static md_status execute(void *run, int width, md_error *err)
{
    return md_run_execute(run, width, err);
}

static const md_tensor *output(const void *run, uint32_t i)
{
    return md_run_output(run, i);
}

static void release(void *run)
{
    md_run_release(run);
}

static void free_session(void *ctx)
{
    md_session_free(ctx);
}

static const md_serve_engine SESSION = { .acquire = acquire,
                                         .bind = bind,
                                         .execute = execute,
                                         .output = output,
                                         .release = release,
                                         .free = free_session };

/* ---- what the model says of itself ---- */

static void copy_io(md_serve_io *out, const md_io *io)
{
    *out = (md_serve_io){ .name = io->name,
                          .dtype = io->type.dtype,
                          .has_rank = io->type.has_rank };
    out->shape.rank = io->type.has_rank ? io->type.rank : 0;
    for (int i = 0; i < out->shape.rank; i++)
        out->shape.dim[i] = io->type.dim[i].sym ? -1 : io->type.dim[i].k;
}

static md_status copy_ios(md_serve_model *m, const md_session *s, md_error *err)
{
    md_serve_io *in;
    md_serve_io *out;

    MD_TRY(md_session_check_tensors(s, err));
    m->n_inputs = md_session_n_inputs(s);
    m->n_outputs = md_session_n_outputs(s);
    in = md_arena_calloc(&m->arena, (size_t)m->n_inputs + 1, sizeof(*in));
    out = md_arena_calloc(&m->arena, (size_t)m->n_outputs + 1, sizeof(*out));
    if (!in || !out)
        return md_fail_nomem(err, sizeof(*in));
    for (uint32_t i = 0; i < m->n_inputs; i++)
        copy_io(&in[i], md_session_input(s, i));
    for (uint32_t i = 0; i < m->n_outputs; i++)
        copy_io(&out[i], md_session_output(s, i));
    m->inputs = in;
    m->outputs = out;
    return MD_OK;
}

md_status md_serve_model_set_labels(md_serve_model *m, const char *text,
                                    md_error *err)
{
    const char **labels;
    size_t n = 0;

    if (!text || !*text)
        return MD_OK;
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        n++;
    if (n > LABELS_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "model '%s' has %zu labels, at most %d expected",
                       m->name, n, LABELS_MAX);
    labels = md_arena_calloc(&m->arena, n, sizeof(*labels));
    if (!labels)
        return md_fail_nomem(err, n * sizeof(*labels));
    for (size_t i = 0; i < n; i++) {
        size_t size = strcspn(text, "\n");
        size_t end = size && text[size - 1] == '\r' ? size - 1 : size;

        labels[i] = md_arena_strndup(&m->arena, text, end);
        if (!labels[i])
            return md_fail_nomem(err, end);
        text += size + (text[size] == '\n');
    }
    m->labels = labels;
    m->n_labels = (uint32_t)n;
    return MD_OK;
}

static void take_classes(md_serve_model *m, const md_serve_classes *classes)
{
    const int i = md_serve_model_find_output(
        m, (md_str){ classes->output, strlen(classes->output) });

    if (i < 0)
        return;
    m->labels = classes->labels;
    m->label_numbers = classes->numbers;
    m->n_labels = classes->n;
    m->labelled = (uint32_t)i;
}

static md_status fill(md_serve_model *m, const char *name, const char *labels,
                      const md_serve_classes *classes,
                      const md_session *session, md_error *err)
{
    const md_model *model = md_session_model(session);

    m->name = md_arena_strdup(&m->arena, name);
    if (!m->name)
        return md_fail_nomem(err, strlen(name));
    m->version = "1";
    m->platform = "onnx";
    MD_TRY(copy_ios(m, session, err));
    if (!labels || !*labels)
        labels = md_model_meta(model, "modeld.labels");
    MD_TRY(md_serve_model_set_labels(m, labels, err));
    if (m->n_labels == 0 && classes && classes->output)
        take_classes(m, classes);
    md_serve_image_guess(m);
    return m->image.accepted ? md_picture_read_meta(&m->image, model, err)
                             : MD_OK;
}

md_status md_serve_model_from_session(md_serve_model **out, const char *name,
                                      const char *labels,
                                      const md_serve_classes *classes,
                                      md_session *session,
                                      const md_alloc *alloc, md_error *err)
{
    md_arena arena;
    md_serve_model *m;
    md_status s;

    MD_TRY(md_model_name_check(name, err));
    md_arena_init(&arena, alloc, 0);
    m = md_arena_calloc(&arena, 1, sizeof(*m));
    if (!m)
        return md_fail_nomem(err, sizeof(*m));
    m->arena = arena;
    s = fill(m, name, labels, classes, session, err);
    if (s != MD_OK) {
        md_serve_model_free(m); /* no engine yet: the session stays */
        return s;
    }
    m->engine = &SESSION;
    m->ctx = session;
    *out = m;
    return MD_OK;
}
