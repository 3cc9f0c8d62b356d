#include "cli/value.h"

#include <string.h>

#include "cli/print.h"
#include "cli/tensor_file.h"
#include "formats/npy.h"

enum {
    N_SHOWN = 8 /* elements of a tensor, and items, on a terminal */
};

/* ---- files ---- */

/* "DIR/NAME_part.npy" of "DIR/NAME.npy". */
static char *part_path(md_arena *arena, const char *path, const char *part)
{
    int n = (int)(strlen(path) - strlen(".npy"));

    return md_arena_printf(arena, "%.*s_%s.npy", n, path, part);
}

static md_status save_part(const md_tensor *v, const char *path,
                           const char *part, md_arena *arena, md_error *err)
{
    const char *name = part_path(arena, path, part);

    if (!name)
        return md_fail_nomem(err, strlen(path) + strlen(part));
    return md_cli_value_save(v, name, arena, err);
}

md_status md_cli_value_save(const md_tensor *v, const char *path,
                            md_arena *arena, md_error *err)
{
    switch (v->kind) {
    case MD_KIND_TENSOR:
        return md_npy_save(v, path, err);
    case MD_KIND_OPTIONAL:
        if (md_tensor_n(v) == 0)
            return MD_OK;
        return md_cli_value_save(md_container_item(v, 0), path, arena, err);
    case MD_KIND_MAP:
        MD_TRY(save_part(md_container_item(v, 0), path, "keys", arena, err));
        return save_part(md_container_item(v, 1), path, "values", arena, err);
    case MD_KIND_SEQUENCE:
        break;
    }
    for (int64_t i = 0; i < md_tensor_n(v); i++) {
        char part[24];

        snprintf(part, sizeof(part), "%lld", (long long)i);
        MD_TRY(save_part(md_container_item(v, i), path, part, arena, err));
    }
    return MD_OK;
}

/* ---- JSON ---- */

static void put_tensor(md_json_writer *w, const md_tensor *t)
{
    md_cli_json_str(w, "type", md_dtype_name(t->dtype));
    md_json_put_name(w, "shape");
    md_json_put_array(w);
    for (int d = 0; d < t->shape.rank; d++)
        md_json_put_i64(w, t->shape.dim[d]);
    md_json_put_end(w);
    md_json_put_name(w, "data");
    md_cli_tensor_json(w, t);
}

static void put_object(md_json_writer *w, const md_tensor *v)
{
    md_json_put_object(w);
    md_cli_value_json(w, v);
    md_json_put_end(w);
}

void md_cli_value_json(md_json_writer *w, const md_tensor *v)
{
    if (v->kind == MD_KIND_TENSOR) {
        put_tensor(w, v);
        return;
    }
    md_cli_json_str(w, "type", md_kind_name(v->kind));
    if (v->kind == MD_KIND_MAP) {
        md_json_put_name(w, "keys");
        md_cli_tensor_json(w, md_container_item(v, 0));
        md_json_put_name(w, "values");
        md_cli_tensor_json(w, md_container_item(v, 1));
    } else if (v->kind == MD_KIND_OPTIONAL) {
        md_json_put_name(w, "value");
        if (md_tensor_n(v) == 0)
            md_json_put_null(w);
        else
            put_object(w, md_container_item(v, 0));
    } else {
        md_json_put_name(w, "items");
        md_json_put_array(w);
        for (int64_t i = 0; i < md_tensor_n(v); i++)
            put_object(w, md_container_item(v, i));
        md_json_put_end(w);
    }
}

/* ---- text ---- */

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

static void put_line(FILE *f, const char *name, const md_tensor *t)
{
    char shape[MD_SHAPE_TEXT];
    int64_t n = md_tensor_n(t);

    md_cli_printf(f, "%s %s%s", name, md_dtype_name(t->dtype),
                  md_shape_format(shape, sizeof(shape), &t->shape));
    for (int64_t i = 0; i < n && i < N_SHOWN; i++)
        put_element(f, t, i);
    fputs(n > N_SHOWN ? " ...\n" : "\n", f);
}

void md_cli_value_text(FILE *f, const char *name, const md_tensor *v,
                       md_arena *arena)
{
    int64_t n = md_tensor_n(v);

    if (v->kind == MD_KIND_TENSOR) {
        put_line(f, name, v);
        return;
    }
    if (v->kind != MD_KIND_MAP)
        md_cli_printf(f, "%s %s of %lld\n", name, md_kind_name(v->kind),
                      (long long)n);
    for (int64_t i = 0; i < n && i < N_SHOWN; i++) {
        const char *part =
            v->kind == MD_KIND_MAP
                ? md_arena_printf(arena, "%s.%s", name, i ? "values" : "keys")
                : md_arena_printf(arena, "%s[%lld]", name, (long long)i);

        md_cli_value_text(f, part ? part : name, md_container_item(v, i),
                          arena);
    }
    if (n > N_SHOWN)
        md_cli_printf(f, "%s ...\n", name);
}
