/*
 * torch.export archives (.pt2): a program as JSON, weights beside it.
 *
 * Read are archives of PyTorch 2.8 and later (models/NAME.json) and those
 * before (serialized_exported_program.json, state dicts as archives in the
 * archive); schema version 8.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "convert/torch/program.h"
#include "convert/torch/pt2.h"

enum {
    JSON_MAX = 256 << 20, /* bytes of a program */
    NAME_SIZE = 256
};

/* --- weights --- */

static md_dtype dtype_of(const json_t *meta)
{
    return md_torch_dtype(md_pt2__scalar_type(
        json_integer_value(json_object_get(meta, "dtype"))));
}

/* A size that must be a number. */
static bool known_size(int64_t *out, const json_t *v)
{
    const json_t *i = json_object_get(v, "as_int");

    *out = json_integer_value(i);
    return json_is_integer(i);
}

static bool read_meta(md_pt2 *p, md_torch_view *v, const json_t *meta,
                      const char *name)
{
    const json_t *sizes = json_object_get(meta, "sizes");
    const json_t *strides = json_object_get(meta, "strides");
    size_t rank = json_array_size(sizes);
    bool ok = rank <= MD_RANK_MAX && json_array_size(strides) == rank;

    v->dtype = dtype_of(meta);
    v->shape.rank = ok ? (int)rank : 0;
    for (size_t i = 0; ok && i < rank; i++)
        ok = known_size(&v->shape.dim[i], json_array_get(sizes, i)) &&
             known_size(&v->stride[i], json_array_get(strides, i));
    ok = ok && known_size(&v->offset, json_object_get(meta, "storage_offset"));
    if (!ok || v->dtype == MD_DTYPE_NONE)
        md_emit_fail(&p->b.e, ok ? MD_UNSUPPORTED : MD_CORRUPT,
                     "tensor '%.80s': %s", name,
                     ok ? "a type that is not read" : "malformed record");
    return p->b.e.status == MD_OK;
}

static md_tv weight_in(md_pt2 *p, const json_t *config, const char *folder,
                       const char *name)
{
    const json_t *c = json_object_get(config, name);
    const char *path = md_pt2__text(c, "path_name");
    md_torch_view v = { 0 };
    char member[NAME_SIZE];

    if (!path[0] || strpbrk(path, "/\\") || strcmp(path, "..") == 0) {
        md_emit_fail(&p->b.e, MD_CORRUPT,
                     "tensor '%.80s': member '%.80s' of the archive, a plain "
                     "name expected",
                     name, path);
        return md_tv_none();
    }
    if (json_is_true(json_object_get(c, "use_pickle"))) {
        md_emit_fail(&p->b.e, MD_UNSUPPORTED,
                     "tensor '%.80s' is pickled by itself", name);
        return md_tv_none();
    }
    snprintf(member, sizeof(member), "%s%.200s", folder, path);
    if (!read_meta(p, &v, json_object_get(c, "tensor_meta"), name) ||
        !md_emit_ok(&p->b.e, md_torch_file_read(&v.storage, &p->file, member,
                                                p->b.e.err)) ||
        !md_emit_ok(&p->b.e, md_torch_view_check(&v, name, p->b.e.err)))
        return md_tv_none();
    return md_torch_constant(&p->b, &v, name);
}

static md_tv weight(md_pt2 *p, const char *name)
{
    for (int i = 0; i < 2; i++) {
        const md_torch_weight *w =
            p->has_old[i] ? md_torch_weights_find(&p->old[i], name) : NULL;

        if (w) {
            md_torch_view v = w->view;

            v.storage.in_file = false;
            return md_torch_constant(&p->b, &v, name);
        }
    }
    if (json_object_get(p->weights, name))
        return weight_in(p, p->weights, "data/weights/", name);
    if (json_object_get(p->constants, name))
        return weight_in(p, p->constants, "data/constants/", name);
    md_emit_fail(&p->b.e, MD_CORRUPT, "no tensor '%.80s' in the archive", name);
    return md_tv_none();
}

/* --- inputs --- */

/* Sizes that are the same expression are one; a plain symbol is named after
 * where it is first. */
static md_dim free_size(md_pt2 *p, const json_t *v, const char *input, int axis)
{
    const char *expr = md_pt2__text(json_object_get(v, "as_expr"), "expr_str");
    const json_t *at = json_object_get(p->symbols, expr);
    md_dim d;

    if (at)
        return p->sizes[json_integer_value(at)];
    d = md_torch_free_size(&p->b, input, axis);
    for (uint32_t i = 0; i < p->n_sizes; i++) {
        if (md_dim_equal(p->sizes[i], d)) { /* "batch" is another one */
            const char *name =
                md_arena_printf(p->b.e.arena, "%.100s_%d", input, axis);

            d = (md_dim){ .scale = 1 };
            if (name)
                md_emit_ok(&p->b.e, md_model_symbol(&d.sym, p->b.e.model, name,
                                                    p->b.e.err));
            break;
        }
    }
    if (md_emit_ok(&p->b.e,
                   md_arena_grow(p->b.e.arena, &p->sizes, &p->cap_sizes,
                                 p->n_sizes, sizeof(*p->sizes), p->b.e.err))) {
        (void)json_object_set_new(p->symbols, expr, json_integer(p->n_sizes));
        p->sizes[p->n_sizes++] = d;
    }
    return d;
}

static void add_input(md_pt2 *p, const json_t *graph, const char *name)
{
    const json_t *meta =
        json_object_get(json_object_get(graph, "tensor_values"), name);
    const json_t *sizes = json_object_get(meta, "sizes");
    size_t rank = json_array_size(sizes);
    md_type t = { .dtype = dtype_of(meta), .has_rank = true };

    if (!meta || rank > MD_RANK_MAX || t.dtype == MD_DTYPE_NONE) {
        md_emit_fail(&p->b.e, meta ? MD_UNSUPPORTED : MD_CORRUPT,
                     "input '%.80s': %s", name,
                     !meta                ? "nothing is said of it"
                     : rank > MD_RANK_MAX ? "more than 8 axes"
                                          : "a type that is not read");
        return;
    }
    t.rank = (int)rank;
    for (int i = 0; i < t.rank; i++) {
        const json_t *v = json_array_get(sizes, (size_t)i);
        int64_t size;

        if (known_size(&size, v) && size >= 0)
            t.dim[i] = MD_DIM(size);
        else
            t.dim[i] = free_size(p, v, name, i);
    }
    md_pt2__define(p, name,
                   md_tv_tensor(&p->b, md_emit_input(&p->b.e, &t, name)));
}

static void add_number(md_pt2 *p, const char *name, const json_t *arg)
{
    bool is_bool = json_object_get(arg, "as_sym_bool") != NULL;
    bool is_float = json_object_get(arg, "as_sym_float") != NULL;
    md_type t = { .dtype = is_bool    ? MD_DTYPE_BOOL
                           : is_float ? MD_DTYPE_F64
                                      : MD_DTYPE_I64,
                  .has_rank = true };

    md_pt2__define(p, name,
                   md_tv_computed(&p->b,
                                  is_bool    ? MD_TV_BOOL
                                  : is_float ? MD_TV_FLOAT
                                             : MD_TV_INT,
                                  md_emit_input(&p->b.e, &t, name)));
}

/* An input that the program writes back is state. */
static bool is_mutated(const json_t *signature, const char *buffer)
{
    const json_t *specs = json_object_get(signature, "output_specs");

    for (size_t i = 0; i < json_array_size(specs); i++) {
        const json_t *m =
            json_object_get(json_array_get(specs, i), "buffer_mutation");

        if (m && strcmp(md_pt2__text(m, "buffer_name"), buffer) == 0)
            return true;
    }
    return false;
}

static void add_spec(md_pt2 *p, const json_t *graph, const json_t *signature,
                     const json_t *spec)
{
    static const char *const kinds[][2] = {
        { "parameter", "parameter_name" },
        { "buffer", "buffer_name" },
        { "tensor_constant", "tensor_constant_name" },
    };
    const json_t *user = json_object_get(spec, "user_input");
    const json_t *constant = json_object_get(spec, "constant_input");

    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        const json_t *s = json_object_get(spec, kinds[i][0]);
        const char *name = md_pt2__text(json_object_get(s, "arg"), "name");

        if (s && is_mutated(signature, md_pt2__text(s, kinds[i][1]))) {
            add_input(p, graph, name);
            return;
        }
        if (s) {
            md_pt2__define(p, name, weight(p, md_pt2__text(s, kinds[i][1])));
            return;
        }
    }
    if (user) {
        const json_t *arg = json_object_get(user, "arg");
        const json_t *t = json_object_get(arg, "as_tensor");
        void *it = json_object_iter((json_t *)(uintptr_t)arg);
        const json_t *v = it ? json_object_iter_value(it) : NULL;

        if (t)
            add_input(p, graph, md_pt2__text(t, "name"));
        else if (json_is_object(v) && json_object_get(v, "as_name"))
            add_number(p, md_pt2__text(v, "as_name"), arg);
        return; /* a number that was fixed when it was exported */
    }
    if (constant) {
        md_pt2__define(p, md_pt2__text(constant, "name"),
                       md_pt2__argument(p, json_object_get(constant, "value")));
        return;
    }
    if (json_object_get(spec, "token") == NULL)
        md_emit_fail(&p->b.e, MD_UNSUPPORTED,
                     "program: an input that is no tensor");
}

/* --- outputs --- */

static void add_outputs(md_pt2 *p, const json_t *graph, const json_t *signature)
{
    const json_t *outputs = json_object_get(graph, "outputs");
    const json_t *specs = json_object_get(signature, "output_specs");
    uint32_t n = 0, users = 0;

    for (size_t i = 0; i < json_array_size(specs); i++)
        users +=
            json_object_get(json_array_get(specs, i), "user_output") != NULL;
    for (size_t i = 0; i < json_array_size(outputs) && p->b.e.status == MD_OK;
         i++) {
        const json_t *spec = json_array_get(specs, i);
        const json_t *state = json_object_get(spec, "buffer_mutation");
        md_tv v = md_pt2__argument(p, json_array_get(outputs, i));
        char name[NAME_SIZE];

        if (v.kind == MD_TV_NONE || json_object_get(spec, "token") ||
            json_object_get(spec, "user_input_mutation"))
            continue;
        if (state)
            snprintf(name, sizeof(name), "%.200s/out",
                     md_pt2__text(state, "buffer_name"));
        else if (users == 1)
            snprintf(name, sizeof(name), "output");
        else
            snprintf(name, sizeof(name), "output_%u", n++);
        md_torch_output(&p->b, &v, md_arena_strdup(p->b.e.arena, name));
    }
}

static void emit_program(md_pt2 *p)
{
    const json_t *module = json_object_get(p->program, "graph_module");
    const json_t *graph = json_object_get(module, "graph");
    const json_t *signature = json_object_get(module, "signature");
    const json_t *specs = json_object_get(signature, "input_specs");
    md_pt2_env e;

    if (!json_is_object(graph) || !json_is_object(signature)) {
        md_pt2__corrupt(p, "no", "graph_module");
        return;
    }
    if (md_pt2__open(p, &e)) {
        for (size_t i = 0; i < json_array_size(specs) && p->b.e.status == MD_OK;
             i++)
            add_spec(p, graph, signature, json_array_get(specs, i));
        md_pt2__emit_nodes(p, graph);
        add_outputs(p, graph, signature);
    }
    md_pt2__close(p, &e);
}

/* --- the archive --- */

static md_status read_json(json_t **out, const md_pt2 *p, const char *name,
                           md_error *err)
{
    md_torch_bytes b;
    json_error_t e;

    MD_TRY(md_torch_file_read(&b, &p->file, name, err));
    if (b.size > JSON_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "torch: '%.80s' of %zu bytes, at most %d expected", name,
                       b.size, JSON_MAX);
    *out = json_loadb((const char *)b.p, b.size, JSON_REJECT_DUPLICATES, &e);
    if (!*out)
        return md_fail(err, MD_CORRUPT, "torch: '%.80s': line %d: %s", name,
                       e.line, e.text);
    return MD_OK;
}

/* The program's member, and its name without folder and ending. */
static const char *find_program(const md_pt2 *p, char name[NAME_SIZE])
{
    size_t root = strlen(p->file.root);
    const char *found = NULL;

    for (uint32_t i = 0; i < p->file.zip.n_entries; i++) {
        const char *e = p->file.zip.entries[i].name + root;
        size_t n = strlen(e);

        if (strncmp(e, "models/", 7) != 0 || n < 13 ||
            strcmp(e + n - 5, ".json") != 0)
            continue;
        if (found && strcmp(e, "models/model.json") != 0)
            continue;
        found = e;
        snprintf(name, NAME_SIZE, "%.*s", (int)(n - 12), e + 7);
    }
    return found;
}

static md_status read_config(json_t **out, md_pt2 *p, const char *what,
                             const char *name, md_error *err)
{
    char member[2 * NAME_SIZE];
    json_t *all = NULL;

    snprintf(member, sizeof(member), "data/%s/%.200s_%s_config.json", what,
             name, what);
    if (!md_torch_file_has(&p->file, member))
        return MD_OK;
    MD_TRY(read_json(&all, p, member, err));
    *out = json_incref(json_object_get(all, "config"));
    json_decref(all);
    if (!json_is_object(*out))
        return md_fail(err, MD_CORRUPT, "torch: '%.80s' has no 'config'",
                       member);
    return MD_OK;
}

static md_status read_old(md_pt2 *p, const char *name, int i, md_arena *arena,
                          md_error *err)
{
    md_torch_bytes b;

    if (!md_torch_file_has(&p->file, name))
        return MD_OK;
    MD_TRY(md_torch_file_read(&b, &p->file, name, err));
    if (md_torch_weights_read(&p->old[i], b.p, b.size, arena, err) != MD_OK) {
        /* A model without constants has an empty one. */
        return i == 1 ? MD_OK : md_wrap(err, MD_CORRUPT, "'%s': ", name);
    }
    p->has_old[i] = true;
    return MD_OK;
}

static md_status read_archive(md_pt2 *p, md_arena *arena, md_error *err)
{
    char name[NAME_SIZE] = "model";
    const char *program = find_program(p, name);

    if (program) {
        MD_TRY(read_json(&p->program, p, program, err));
        MD_TRY(read_config(&p->weights, p, "weights", name, err));
        return read_config(&p->constants, p, "constants", name, err);
    }
    MD_TRY(read_json(&p->program, p, "serialized_exported_program.json", err));
    MD_TRY(read_old(p, "serialized_state_dict.pt", 0, arena, err));
    if (!p->has_old[0])
        MD_TRY(read_old(p, "serialized_state_dict.json", 0, arena, err));
    return read_old(p, "serialized_constants.pt", 1, arena, err);
}

static md_status check_version(const md_pt2 *p, md_error *err)
{
    const json_t *v = json_object_get(p->program, "schema_version");
    const json_t *major = json_object_get(v, "major");

    if (json_integer_value(major) == 8)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "torch: schema version %lld, 8 expected (PyTorch 2.5 or "
                   "later)",
                   (long long)json_integer_value(major));
}

static void release(md_pt2 *p)
{
    json_decref(p->program);
    json_decref(p->weights);
    json_decref(p->constants);
    json_decref(p->symbols);
    for (int i = 0; i < 2; i++) {
        if (p->has_old[i])
            md_torch_weights_release(&p->old[i]);
    }
    md_torch_file_release(&p->file);
}

md_status md_torch_export(const md_torch_task *t, md_error *err)
{
    md_status s;
    md_pt2 *p = md_arena_calloc(t->arena, 1, sizeof(*p));

    if (!p)
        return md_fail_nomem(err, sizeof(*p));
    MD_TRY(md_torch_file_open(&p->file, t->src->bytes, t->src->size, t->arena,
                              err));
    MD_GOTO(read_archive(p, t->arena, err));
    MD_GOTO(check_version(p, err));
    MD_GOTO(md_torch_begin(&p->b, t, t->model, err));
    p->symbols = json_object();
    emit_program(p);
    s = md_torch_end(&p->b, t, "torch.export",
                     md_pt2__text(p->program, "torch_version"));
out:
    release(p);
    return s;
}
