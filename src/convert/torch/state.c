/* Weights without a program: those of a known architecture, with what the
 * files beside them say of it. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "convert/torch/arch.h"
#include "convert/torch/program.h"

enum {
    CONFIG_MAX = 4 << 20,
    PATH_SIZE = 4096
};

/* A JSON file beside the weights; NULL when there is none.  One that is
 * malformed is a failure. */
static md_status read_beside(json_t **out, const md_torch_task *t,
                             const char *name, md_error *err)
{
    const char *path = t->src->path;
    const char *slash = path ? strrchr(path, '/') : NULL;
    int n = slash ? (int)(slash - path) + 1 : 0;
    char full[PATH_SIZE];
    json_error_t e;
    md_buf b;
    md_status s;

    *out = NULL;
    if (!path)
        return MD_OK;
    snprintf(full, sizeof(full), "%.*s%s", n, path, name);
    md_buf_init(&b, t->arena->alloc, CONFIG_MAX);
    s = md_file_read(&b, full, err);
    if (s == MD_OK) {
        *out = json_loadb((const char *)b.data, b.size, 0, &e);
        if (!*out)
            s = md_fail(err, MD_CORRUPT, "'%.200s': line %d: %s", full, e.line,
                        e.text);
    }
    md_buf_release(&b);
    return s == MD_NOT_FOUND ? MD_OK : s;
}

/* Does modules.json end with a module that normalizes? */
static bool normalizes(const json_t *modules)
{
    size_t n = json_array_size(modules);
    const char *type = json_string_value(
        json_object_get(json_array_get(modules, n > 0 ? n - 1 : 0), "type"));

    return type && strstr(type, "Normalize");
}

static md_status read_config(md_arch *a, const md_torch_task *t, md_error *err)
{
    json_t *modules = NULL;

    MD_TRY(read_beside(&a->config, t, "config.json", err));
    MD_TRY(read_beside(&a->pooling, t, "1_Pooling/config.json", err));
    if (!a->pooling)
        return MD_OK;
    MD_TRY(read_beside(&modules, t, "modules.json", err));
    a->normalizes = normalizes(modules);
    json_decref(modules);
    return MD_OK;
}

/* What a file holds, for who wants to know why it is no model. */
static md_status tell(const md_torch_weights *w, md_error *err)
{
    char text[MD_ERROR_MSG_SIZE] = "";

    for (uint32_t i = 0; i < w->n && strlen(text) < 220; i++) {
        char shape[MD_SHAPE_TEXT];
        size_t n = strlen(text);

        snprintf(text + n, sizeof(text) - n, "%s%.60s %s%.60s", n ? ", " : "",
                 w->w[i].name, md_dtype_name(w->w[i].view.dtype),
                 md_shape_format(shape, sizeof(shape), &w->w[i].view.shape));
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "torch: %u tensors and no program, of no known "
                   "architecture; export the model (torch.export). "
                   "Tensors: %s%s",
                   w->n, text, strlen(text) >= 220 ? ", ..." : "");
}

static md_status emit(md_arch *a, const md_torch_task *t, md_error *err)
{
    md_torch b;
    md_status s = MD_OK;

    a->b = &b;
    MD_GOTO(read_config(a, t, err));
    MD_GOTO(md_torch_begin(&b, t, t->model, err));
    a->row->emit(a);
    t->report->open_sizes = a->open_sizes;
    s = md_torch_end(&b, t, a->row->name,
                     md_arch_text(a, "transformers_version", ""));
out:
    a->b = NULL;
    json_decref(a->config);
    json_decref(a->pooling);
    return s;
}

md_status md_torch_state(const md_torch_task *t, md_error *err)
{
    md_torch_weights w;
    md_arch a = { .w = &w };
    md_status s;

    MD_TRY(
        md_torch_weights_read(&w, t->src->bytes, t->src->size, t->arena, err));
    if (md_arch_find(&a, t->src->arch))
        s = emit(&a, t, err);
    else if (t->src->arch)
        s = md_fail(err, MD_NOT_FOUND, "torch: no architecture '%.40s'",
                    t->src->arch);
    else
        s = tell(&w, err);
    md_torch_weights_release(&w);
    return s;
}
