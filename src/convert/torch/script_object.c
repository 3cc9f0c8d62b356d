/* TorchScript's objects and code: pickles and files of the archive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/torch/program.h"
#include "convert/torch/script.h"
#include "convert/torch/weights.h"

enum {
    MODULES_MAX = 1 << 16,
    DEPTH_MAX = 200,
    PATH_SIZE = 512
};

/* --- code --- */

/* "__torch__.a.b" to "code/__torch__/a/b.py" */
static void member_of(char out[PATH_SIZE], const char *module)
{
    snprintf(out, PATH_SIZE, "code/%.480s.py", module);
    for (char *p = out + 5; *p && p < out + strlen(out) - 3; p++) {
        if (*p == '.')
            *p = '/';
    }
}

static md_script_module *load(md_script *s, const char *name)
{
    md_emit *e = &s->b.e;
    md_script_module *m = md_arena_calloc(s->lasting, 1, sizeof(*m));
    char member[PATH_SIZE];
    md_torch_bytes text;

    member_of(member, name);
    if (!m || !md_torch_file_has(s->file, member))
        return NULL;
    if (s->n_modules >= MODULES_MAX) {
        md_emit_fail(e, MD_TOO_LARGE, "more than %d files of code",
                     MODULES_MAX);
        return NULL;
    }
    if (!md_emit_ok(e, md_torch_file_read(&text, s->file, member, e->err)) ||
        !md_emit_ok(e,
                    md_script_parse(m, md_arena_strdup(s->lasting, name),
                                    text.p, text.size, s->lasting, e->err)) ||
        !md_emit_ok(e,
                    md_arena_grow(s->lasting, &s->modules, &s->cap_modules,
                                  s->n_modules, sizeof(*s->modules), e->err)))
        return NULL;
    s->modules[s->n_modules++] = m;
    return m;
}

/* The file that defines the last part of a qualified name. */
static const md_script_module *module_of(md_script *s, const char *name)
{
    const char *dot = strrchr(name, '.');
    char module[PATH_SIZE];

    if (s->b.e.status != MD_OK || !dot || (size_t)(dot - name) >= PATH_SIZE)
        return NULL;
    snprintf(module, sizeof(module), "%.*s", (int)(dot - name), name);
    for (uint32_t i = 0; i < s->n_modules; i++) {
        if (strcmp(s->modules[i]->name, module) == 0)
            return s->modules[i];
    }
    return load(s, module);
}

const md_script_class *md_script_find_class(md_script *s, const char *name)
{
    const md_script_module *m = module_of(s, name);

    for (uint32_t i = 0; m && i < m->n_classes; i++) {
        if (m->classes[i]->name && strcmp(m->classes[i]->name, name) == 0)
            return m->classes[i];
    }
    return NULL;
}

const md_script_function *md_script_find_function(md_script *s,
                                                  const char *name)
{
    const md_script_module *m = module_of(s, name);

    for (uint32_t i = 0; m && i < m->n_functions; i++) {
        if (strcmp(m->functions[i]->name, strrchr(name, '.') + 1) == 0)
            return m->functions[i];
    }
    return NULL;
}

const md_script_function *md_script_method(const md_script_class *c,
                                           const char *name)
{
    for (uint32_t i = 0; c && i < c->n_methods; i++) {
        if (strcmp(c->methods[i]->name, name) == 0)
            return c->methods[i];
    }
    return NULL;
}

/* --- objects --- */

md_tv md_torch_object_at(const md_torch_object *o, uint32_t slot)
{
    return o->at[slot];
}

void md_torch_object_put(md_torch_object *o, uint32_t slot, md_tv v)
{
    o->at[slot] = v;
    o->is_made[slot] = true;
}

md_torch_object *md_script_new_object(md_script *s, const md_script_class *c,
                                      const char *path)
{
    md_torch_object *o = md_emit_alloc(&s->b.e, 1, sizeof(*o));

    if (o) {
        o->cls = c;
        o->path = path;
    }
    return o;
}

static uint32_t add_attr(md_script *s, md_torch_object *o, const char *name,
                         const md_pickle_node *from)
{
    md_emit *e = &s->b.e;

    if (!md_emit_ok(e, md_arena_grow(e->arena, &o->names, &o->cap_names, o->n,
                                     sizeof(*o->names), e->err)) ||
        !md_emit_ok(e, md_arena_grow(e->arena, &o->at, &o->cap_at, o->n,
                                     sizeof(*o->at), e->err)) ||
        !md_emit_ok(e, md_arena_grow(e->arena, &o->is_made, &o->cap_made, o->n,
                                     sizeof(*o->is_made), e->err)) ||
        !md_emit_ok(e, md_arena_grow(e->arena, &o->from, &o->cap_from, o->n,
                                     sizeof(*o->from), e->err)) ||
        !md_emit_ok(e, md_arena_grow(e->arena, &o->first, &o->cap_first, o->n,
                                     sizeof(*o->first), e->err)))
        return UINT32_MAX;
    o->names[o->n] = name;
    o->at[o->n] = md_tv_none();
    o->is_made[o->n] = false;
    o->from[o->n] = from;
    o->first[o->n] = md_tv_none();
    return o->n++;
}

static uint32_t find_attr(const md_torch_object *o, const char *name)
{
    for (uint32_t i = 0; i < o->n; i++) {
        if (strcmp(o->names[i], name) == 0)
            return i;
    }
    return UINT32_MAX;
}

static const char *below(md_script *s, const char *path, const char *name)
{
    const char *p =
        path[0] ? md_arena_printf(s->b.e.arena, "%s.%s", path, name) : name;

    return p ? p : "";
}

/* An attribute that is an input: by its path. */
static bool is_state(md_script *s, const char *path, md_tv *v)
{
    for (uint32_t i = 0; i < s->n_states && s->state_in; i++) {
        if (strcmp(s->states[i].path, path) == 0) {
            *v = s->state_in[i];
            return true;
        }
    }
    return false;
}

/* Attributes are made when somebody asks for them, in the main graph. */
static void make(md_script *s, md_torch_object *o, uint32_t i)
{
    md_emit_scope *at = s->b.e.s;
    const char *path = below(s, o->path, o->names[i]);

    if (o->is_made[i])
        return;
    while (s->b.e.s->parent)
        s->b.e.s = s->b.e.s->parent;
    if (!is_state(s, path, &o->at[i]))
        o->at[i] = md_script_value(s, s->data, o->from[i], path);
    o->is_made[i] = true;
    o->first[i] = o->at[i];
    s->b.e.s = at;
}

md_tv md_script_attr(md_script *s, md_torch_object *o, const char *name,
                     bool *found)
{
    uint32_t i = find_attr(o, name);

    *found = true;
    if (i != UINT32_MAX) {
        make(s, o, i);
        return o->at[i];
    }
    for (uint32_t k = 0; o->cls && k < o->cls->n_constants; k++) {
        if (strcmp(o->cls->constants[k].name, name) == 0)
            return md_script_eval(s, o->cls->constants[k].value);
    }
    *found = false;
    return md_tv_none();
}

void md_script_set_attr(md_script *s, md_torch_object *o, const char *name,
                        md_tv v)
{
    uint32_t i = find_attr(o, name);

    if (i == UINT32_MAX) {
        i = add_attr(s, o, name, NULL);
        if (i == UINT32_MAX)
            return;
        o->is_made[i] = true;
        o->at[i] = (md_tv){ .kind = MD_TV_LOST, .v.s = "that is not set" };
    }
    make(s, o, i);
    md_torch_note(&s->b, (md_torch_change){ .kind = MD_TORCH_CHANGE_ATTR,
                                            .what = o,
                                            .slot = i,
                                            .old = o->at[i] });
    o->at[i] = v;
}

/* --- values of pickles --- */

static md_tv list_value(md_script *s, const md_pickle *p,
                        const md_pickle_node *n, md_tv_kind kind,
                        const char *path)
{
    md_tv out = md_tv_list(&s->b, kind, n->n);

    for (uint32_t i = 0; out.kind == kind && i < n->n; i++)
        md_tv_append(&s->b, out.v.list,
                     md_script_value(s, p, md_pickle_item(p, n, i), path));
    return out;
}

/* The class' name, as "module.name". */
static const char *class_name(md_script *s, const md_pickle *p,
                              const md_pickle_node *global)
{
    const char *module =
        md_pickle_text(p, md_pickle_item(p, global, 0), s->b.e.arena);
    const char *name =
        md_pickle_text(p, md_pickle_item(p, global, 1), s->b.e.arena);

    return module && name ? md_arena_printf(s->b.e.arena, "%s.%s", module, name)
                          : NULL;
}

static md_tv object_value(md_script *s, const md_pickle *p,
                          const md_pickle_node *n, const char *path)
{
    uint32_t at = (uint32_t)(n - p->nodes);
    const md_pickle_node *global = md_pickle_item(p, n, 0);
    const md_pickle_node *state = n->state >= 0 ? &p->nodes[n->state] : NULL;
    const char *name =
        global->kind == MD_PICKLE_GLOBAL ? class_name(s, p, global) : NULL;
    md_torch_object *o;

    if (p == s->data && s->objects[at])
        return (md_tv){ .kind = MD_TV_OBJECT, .v.object = s->objects[at] };
    o = md_script_new_object(s, name ? md_script_find_class(s, name) : NULL,
                             path);
    if (!o)
        return md_tv_none();
    if (p == s->data)
        s->objects[at] = o;
    for (uint32_t i = 0; state && state->kind == MD_PICKLE_DICT &&
                         i < state->n && s->b.e.status == MD_OK;
         i += 2) {
        const char *key =
            md_pickle_text(p, md_pickle_item(p, state, i), s->b.e.arena);

        if (key)
            (void)add_attr(s, o, key, md_pickle_item(p, state, i + 1));
    }
    return (md_tv){ .kind = MD_TV_OBJECT, .v.object = o };
}

static md_tv call_value(md_script *s, const md_pickle *p,
                        const md_pickle_node *n, const char *path)
{
    md_torch_storages from = { s->file,
                               p == s->constants ? "constants/" : "data/",
                               NULL };
    const md_pickle_node *what = md_pickle_item(p, n, 0);
    const md_pickle_node *args = md_pickle_item(p, n, 1);
    md_torch_view v;
    bool is_tensor;

    if (!md_emit_ok(&s->b.e, md_torch_read_tensor(&v, &is_tensor, p, n, &from,
                                                  path, s->b.e.err)))
        return md_tv_none();
    if (is_tensor)
        return md_torch_constant(&s->b, &v, path);
    if (args->kind == MD_PICKLE_TUPLE && args->n > 0 &&
        (md_pickle_is(p, md_pickle_item(p, what, 0), "torch.jit._pickle"))) {
        if (md_pickle_is(p, md_pickle_item(p, what, 1), "restore_type_tag"))
            return md_script_value(s, p, md_pickle_item(p, args, 0), path);
        args = md_pickle_item(p, args, 0);
        if (args->kind == MD_PICKLE_LIST || args->kind == MD_PICKLE_TUPLE)
            return list_value(s, p, args, MD_TV_LIST, path);
    }
    if (md_pickle_is_global(p, what, "torch", "device"))
        return md_tv_text("cpu");
    return (md_tv){ .kind = MD_TV_LOST,
                    .v.s = "of a kind that files of PyTorch do not have" };
}

md_tv md_script_value(md_script *s, const md_pickle *p, const md_pickle_node *n,
                      const char *path)
{
    md_tv v = md_tv_none();

    if (s->b.e.status != MD_OK || ++s->n_steps > (1u << 26))
        return v;
    switch (n->kind) {
    case MD_PICKLE_BOOL:
        return md_tv_bool(n->v.i != 0);
    case MD_PICKLE_INT:
        return md_tv_int(n->v.i);
    case MD_PICKLE_FLOAT:
        return md_tv_float(n->v.f);
    case MD_PICKLE_TEXT:
        return md_tv_text(md_pickle_text(p, n, s->b.e.arena));
    case MD_PICKLE_LIST:
        return list_value(s, p, n, MD_TV_LIST, path);
    case MD_PICKLE_TUPLE:
        return list_value(s, p, n, MD_TV_TUPLE, path);
    case MD_PICKLE_DICT:
        return list_value(s, p, n, MD_TV_DICT, path);
    case MD_PICKLE_OBJECT:
        return object_value(s, p, n, path);
    case MD_PICKLE_CALL:
        if (md_pickle_item(p, n, 0)->kind == MD_PICKLE_GLOBAL)
            return call_value(s, p, n, path);
        return v;
    default:
        return v;
    }
}

md_torch_object *md_script_root(md_script *s)
{
    md_tv v = md_script_value(s, s->data, &s->data->nodes[s->data->root], "");

    if (s->b.e.status == MD_OK && v.kind != MD_TV_OBJECT)
        md_emit_fail(&s->b.e, MD_UNSUPPORTED,
                     "the archive holds a %s, a module expected",
                     md_tv_kind_text(&v));
    return v.kind == MD_TV_OBJECT ? v.v.object : NULL;
}

md_tv md_script_constant_at(md_script *s, uint32_t i)
{
    const md_pickle *p = s->constants;
    const md_pickle_node *root = p ? &p->nodes[p->root] : NULL;
    md_emit_scope *at = s->b.e.s;
    char name[32];

    if (!root ||
        (root->kind != MD_PICKLE_TUPLE && root->kind != MD_PICKLE_LIST) ||
        i >= root->n) {
        md_emit_fail(&s->b.e, MD_CORRUPT, "no constant %u in the archive", i);
        return md_tv_none();
    }
    if (s->is_constant_made[i])
        return s->constant[i];
    while (s->b.e.s->parent)
        s->b.e.s = s->b.e.s->parent;
    snprintf(name, sizeof(name), "c%u", i);
    s->constant[i] = md_script_value(s, p, md_pickle_item(p, root, i),
                                     md_arena_strdup(s->b.e.arena, name));
    s->is_constant_made[i] = true;
    s->b.e.s = at;
    return s->constant[i];
}
