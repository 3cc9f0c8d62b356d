/*
 * Variables and tables of a SavedModel.
 *
 * A variable is known by the node that makes it; what a checkpoint calls it is
 * told by the part of the graph that restores it: RestoreV2 with a list of
 * names, whose results are assigned.  Where nothing restores it, its own name
 * is tried, which is what TensorFlow 1 used.  What is in a table is told by
 * the part that imports it.
 */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "convert/tf/lower.h"
#include "formats/confine.h"

enum {
    HOPS_MAX = 1000,           /* nodes that only pass something on */
    TABLE_SIZE_MAX = 256 << 20 /* bytes of a file with a table's words */
};

static bool is_op(const md_tf_node *n, const char *op)
{
    return strcmp(n->op, op) == 0;
}

/* A scope of names: a function's body as it is called, or the main graph. */
typedef struct place {
    md_tf_frame f;          /* nodes and function only */
    const md_tf_node *call; /* in the main graph */
} place;

static bool passes_on(const md_tf_node *n)
{
    return is_op(n, "Identity") || is_op(n, "NoOp") || is_op(n, "Cast") ||
           is_op(n, "DisableCopyOnRead");
}

/* The node that an input comes from, through those that pass it on and out of
 * the function; *output of it.  NULL when it is lost. */
static const md_tf_node *origin(uint32_t *output, const md_tf_lower *w,
                                const place *p, const char *input)
{
    md_tf_frame main = { .nodes = &w->graph->main };
    md_tf_lower quiet = *w; /* what leads nowhere is no failure */
    const md_tf_frame *f = &p->f;
    const md_tf_node *n;

    quiet.err = NULL;
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        if (md_tf_resolve(&n, output, &quiet, f, input) != MD_OK)
            return NULL;
        if (!n) {
            if (!p->call || *output >= md_tf_n_inputs(p->call))
                return NULL;
            input = p->call->inputs[*output];
            f = &main;
            continue;
        }
        if (!passes_on(n) || md_tf_n_inputs(n) < 1)
            return n;
        input = n->inputs[0];
    }
    return NULL;
}

static const md_tf_node *input_origin(uint32_t *output, md_tf_lower *w,
                                      const place *p, const md_tf_node *n,
                                      uint32_t i)
{
    return i < md_tf_n_inputs(n) ? origin(output, w, p, n->inputs[i]) : NULL;
}

/* --- variables --- */

/* String i of a constant of strings. */
static md_status string_at(const char **out, md_tf_lower *w,
                           const md_tf_tensor *t, uint32_t i)
{
    int32_t n;
    int32_t from;
    int32_t to;

    *out = NULL;
    if (t->dtype != MD_DTYPE_STRING || t->size < 4)
        return MD_OK;
    memcpy(&n, t->data, 4);
    if (i >= (uint32_t)n)
        return MD_OK;
    memcpy(&from, t->data + 4 + (size_t)i * 4, 4);
    memcpy(&to, t->data + 8 + (size_t)i * 4, 4);
    *out = md_arena_strndup(w->arena, (const char *)t->data + from,
                            (size_t)(to - from));
    return *out ? MD_OK : md_fail_nomem(w->err, 1);
}

/* Where a node of the main graph is; -1 for others. */
static int64_t place_in_main(const md_tf_lower *w, const md_tf_node *n)
{
    const md_tf_nodes *main = &w->graph->main;

    if (n && md_tf_find_node(main, n->name, strlen(n->name)) == n)
        return n - main->nodes;
    return -1;
}

/* AssignVariableOp(variable, RestoreV2(file, names, slices):i) */
static md_status look_at_assign(md_tf_lower *w, const place *p,
                                const md_tf_node *assign)
{
    uint32_t unused;
    uint32_t i = 0;
    const md_tf_node *variable = input_origin(&unused, w, p, assign, 0);
    const md_tf_node *restore = input_origin(&i, w, p, assign, 1);
    const md_tf_node *names;
    const char *key;
    md_tf_tensor t;
    int64_t at;

    if (!variable || !restore || !is_op(restore, "RestoreV2"))
        return MD_OK;
    names = input_origin(&unused, w, p, restore, 1);
    if (!names || !is_op(names, "Const"))
        return MD_OK;
    MD_TRY(md_tf_attr_tensor(&t, names, "value", w->arena, w->err));
    MD_TRY(string_at(&key, w, &t, i));
    at = place_in_main(w, variable);
    if (key && at >= 0 && !w->keys[at])
        w->keys[at] = key;
    return MD_OK;
}

/* --- tables --- */

const md_tf_table *md_tf_find_table(const md_tf_lower *w,
                                    const md_tf_node *node)
{
    int64_t at = place_in_main(w, node);

    return at >= 0 ? w->tables[at] : NULL;
}

/* The first that is put into a table counts. */
static md_status note_table(md_tf_lower *w, const md_tf_node *node,
                            const md_tf_table *t)
{
    int64_t at = place_in_main(w, node);

    if (at < 0 || w->tables[at])
        return MD_OK;
    w->tables[at] = md_arena_alloc(w->arena, sizeof(*t));
    if (!w->tables[at])
        return md_fail_nomem(w->err, sizeof(*t));
    *w->tables[at] = *t;
    return MD_OK;
}

/* The constant that input i of n is; *found is false for anything else. */
static md_status const_input(md_tf_tensor *out, bool *found, md_tf_lower *w,
                             const place *p, const md_tf_node *n, uint32_t i)
{
    uint32_t unused;
    const md_tf_node *c = input_origin(&unused, w, p, n, i);

    *found = c && is_op(c, "Const");
    return *found ? md_tf_attr_tensor(out, c, "value", w->arena, w->err)
                  : MD_OK;
}

/* LookupTableImportV2(table, keys, values) */
static md_status look_at_import(md_tf_lower *w, const place *p,
                                const md_tf_node *n)
{
    uint32_t unused;
    const md_tf_node *node = input_origin(&unused, w, p, n, 0);
    md_tf_table t = { .is_known = false };
    bool found[2];

    MD_TRY(const_input(&t.keys, &found[0], w, p, n, 1));
    MD_TRY(const_input(&t.values, &found[1], w, p, n, 2));
    t.is_known = found[0] && found[1];
    return note_table(w, node, &t);
}

/* The file of an asset, mapped for as long as the model. */
static md_status map_asset(md_map *out, md_tf_lower *w, const char *file)
{
    char *path = md_arena_printf(w->arena, "assets/%.400s", file);
    md_status s;
    md_map map;
    int fd;

    if (!path)
        return md_fail_nomem(w->err, 1);
    if (!w->folder)
        return md_tf_fail(w, MD_DENIED,
                          "'%s' lies in the model's folder, "
                          "which is not known",
                          path);
    MD_TRY(md_confined_open(&fd, w->folder, path, w->err));
    s = md_map_fd(&map, fd, path, w->err);
    close(fd);
    MD_TRY(s);
    *out = map;
    s = md_model_keep_map(w->model, &map, w->err);
    if (s != MD_OK)
        md_map_release(&map);
    return s;
}

/* The lines of a text as keys, their numbers as values. */
static md_status read_lines(md_tf_table *t, md_tf_lower *w, const md_map *map)
{
    const unsigned char *p = map->data;
    const unsigned char *end = p + map->size;
    uint32_t n = 0;
    int64_t *numbers;
    int32_t *at;
    size_t to;

    if (map->size > TABLE_SIZE_MAX)
        return md_tf_fail(w, MD_TOO_LARGE, "a table of %zu bytes", map->size);
    for (const unsigned char *q = p; q < end; q++)
        n += *q == '\n';
    n += map->size > 0 && end[-1] != '\n';
    numbers = md_arena_calloc(w->arena, (size_t)n + 1, sizeof(*numbers));
    to = ((size_t)n + 2) * 4;
    at = md_arena_calloc(w->arena, to + map->size + 1, 1);
    if (!numbers || !at)
        return md_fail_nomem(w->err, map->size);
    at[0] = (int32_t)n;
    at[1] = (int32_t)to;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *q = memchr(p, '\n', (size_t)(end - p));
        size_t size = q ? (size_t)(q - p) : (size_t)(end - p);

        memcpy((char *)at + to, p, size);
        to += size;
        at[i + 2] = (int32_t)to;
        numbers[i] = i;
        p += size + 1;
    }
    t->keys = (md_tf_tensor){ .dtype = MD_DTYPE_STRING,
                              .shape = { 1, { n } },
                              .data = (const unsigned char *)at,
                              .size = to };
    t->values = (md_tf_tensor){ .dtype = MD_DTYPE_I64,
                                .shape = { 1, { n } },
                                .data = (const unsigned char *)numbers,
                                .size = n * sizeof(*numbers) };
    t->is_known = true;
    return MD_OK;
}

static const char *asset_file(const md_tf_lower *w, const md_tf_node *n)
{
    size_t size = strlen(n->name);

    for (uint32_t i = 0; i < w->n_assets; i++) {
        const char *tensor = w->assets[i].tensor;

        if (strncmp(tensor, n->name, size) == 0 &&
            (tensor[size] == '\0' || tensor[size] == ':'))
            return w->assets[i].file;
    }
    return NULL;
}

/* What the main graph assigns to the variable that `read` reads. */
static const md_tf_node *assigned_to(md_tf_lower *w, const md_tf_node *read)
{
    const md_tf_nodes *main = &w->graph->main;
    place p = { .f = { .nodes = main } };
    uint32_t unused;
    const md_tf_node *variable = input_origin(&unused, w, &p, read, 0);

    for (uint32_t i = 0; i < main->n && variable; i++) {
        const md_tf_node *n = &main->nodes[i];

        if (is_op(n, "AssignVariableOp") &&
            input_origin(&unused, w, &p, n, 0) == variable)
            return input_origin(&unused, w, &p, n, 1);
    }
    return NULL;
}

/* InitializeTableFromTextFileV2(table, file): key_index -2 is the whole line,
 * value_index -1 its number; other columns are not read. */
static md_status look_at_text(md_tf_lower *w, const place *p,
                              const md_tf_node *n)
{
    uint32_t unused;
    const md_tf_node *node = input_origin(&unused, w, p, n, 0);
    md_tf_table t = { .is_known = false };
    const md_tf_node *file = input_origin(&unused, w, p, n, 1);
    const char *name = NULL;
    int64_t key;
    int64_t value;
    int64_t offset;
    md_map map = { .size = 0 };

    MD_TRY(md_tf_attr_int(&key, n, "key_index", -2, w->err));
    MD_TRY(md_tf_attr_int(&value, n, "value_index", -1, w->err));
    MD_TRY(md_tf_attr_int(&offset, n, "offset", 0, w->err));
    if (file && is_op(file, "ReadVariableOp"))
        file = assigned_to(w, file);
    if (file)
        name = asset_file(w, file);
    if (name && key == -2 && value == -1 && offset == 0) {
        w->node = n;
        MD_TRY(map_asset(&map, w, name));
        MD_TRY(read_lines(&t, w, &map));
        w->node = NULL;
    }
    return note_table(w, node, &t);
}

/* --- all of them --- */

/* Keras keeps a second variable for each, which is restored and begins as the
 * first one: that is restored likewise. */
static void share_keys(md_tf_lower *w)
{
    const md_tf_nodes *main = &w->graph->main;
    place p = { .f = { .nodes = main } };

    for (uint32_t i = 0; i < main->n; i++) {
        const md_tf_node *n = &main->nodes[i];
        const md_tf_node *start;
        int64_t to;
        int64_t from;
        uint32_t unused;

        if (!is_op(n, "AssignVariableOp"))
            continue;
        to = place_in_main(w, input_origin(&unused, w, &p, n, 0));
        start = input_origin(&unused, w, &p, n, 1);
        if (to < 0 || !w->keys[to] || !start || !is_op(start, "ReadVariableOp"))
            continue;
        from = place_in_main(w, input_origin(&unused, w, &p, start, 0));
        if (from >= 0 && !w->keys[from])
            w->keys[from] = w->keys[to];
    }
}

static md_status look_at(md_tf_lower *w, const place *p)
{
    for (uint32_t i = 0; i < p->f.nodes->n; i++) {
        const md_tf_node *n = &p->f.nodes->nodes[i];

        if (is_op(n, "AssignVariableOp") || is_op(n, "Assign"))
            MD_TRY(look_at_assign(w, p, n));
        else if (is_op(n, "LookupTableImportV2") ||
                 is_op(n, "InitializeTableV2"))
            MD_TRY(look_at_import(w, p, n));
        else if (is_op(n, "InitializeTableFromTextFileV2"))
            MD_TRY(look_at_text(w, p, n));
    }
    return MD_OK;
}

md_status md_tf_find_state(md_tf_lower *w)
{
    place p = { .f = { .nodes = &w->graph->main } };
    size_t n = (size_t)w->graph->main.n + 1;

    w->keys = md_arena_calloc(w->arena, n, sizeof(*w->keys));
    w->tables = md_arena_calloc(w->arena, n, sizeof(*w->tables));
    w->read = md_arena_calloc(w->arena, n, sizeof(*w->read));
    w->changed = md_arena_calloc(w->arena, n, sizeof(*w->changed));
    if (!w->keys || !w->tables || !w->read || !w->changed)
        return md_fail_nomem(w->err, n);
    MD_TRY(look_at(w, &p));
    for (uint32_t i = 0; i < w->graph->main.n; i++) {
        const char *name;

        p.call = &w->graph->main.nodes[i];
        if (!is_op(p.call, "StatefulPartitionedCall") &&
            !is_op(p.call, "PartitionedCall"))
            continue;
        MD_TRY(md_tf_attr_function(&name, p.call, "f", w->arena, w->err));
        p.f.function = name ? md_tf_find_function(w->graph, name) : NULL;
        if (!p.f.function)
            continue;
        p.f.nodes = &p.f.function->body;
        MD_TRY(look_at(w, &p));
    }
    share_keys(w);
    return MD_OK;
}

static bool is_change(const md_tf_node *n)
{
    static const char *const ops[] = {
        "AssignVariableOp",       "AssignAddVariableOp", "AssignSubVariableOp",
        "ResourceScatterUpdate",  "ResourceScatterAdd",  "ResourceScatterNdAdd",
        "ResourceScatterNdUpdate"
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (is_op(n, ops[i]))
            return true;
    }
    return false;
}

md_status md_tf_note_changes(md_tf_lower *w, md_tf_frame *f)
{
    for (uint32_t i = 0; i < f->nodes->n; i++) {
        const md_tf_node *n = &f->nodes->nodes[i];
        md_tf_ref ref;
        int64_t at;

        if (!is_change(n) || md_tf_n_inputs(n) < 1)
            continue;
        MD_TRY(md_tf_eval(&ref, w, f, n->inputs[0]));
        at = ref.kind == MD_TF_REF_RESOURCE ? place_in_main(w, ref.resource)
                                            : -1;
        if (at >= 0)
            w->changed[at] = true;
    }
    return MD_OK;
}

md_status md_tf_refuse_changes(md_tf_lower *w)
{
    for (uint32_t i = 0; i < w->graph->main.n; i++) {
        if (!w->read[i] || !w->changed[i])
            continue;
        w->node = &w->graph->main.nodes[i];
        MD_TRY(md_tf_refuse(w, "a variable that the model changes"));
    }
    w->node = NULL;
    return MD_OK;
}

static const char *key_of(md_tf_lower *w, const md_tf_node *variable)
{
    int64_t at = place_in_main(w, variable);
    const char *name = NULL;

    if (at >= 0 && w->keys[at])
        return w->keys[at];
    if (md_tf_attr_text(&name, variable, "shared_name", "", w->arena, NULL) !=
            MD_OK ||
        !name[0] || !md_bundle_has(w->bundle, name))
        name = variable->name;
    return name;
}

/* A variable that nothing restores, but that starts as something constant. */
static md_status read_start(md_tf_tensor *t, bool *found, md_tf_lower *w,
                            const md_tf_node *variable)
{
    place p = { .f = { .nodes = &w->graph->main } };

    *found = false;
    for (uint32_t i = 0; i < w->graph->main.n && !*found; i++) {
        const md_tf_node *n = &w->graph->main.nodes[i];
        uint32_t unused;

        if ((is_op(n, "AssignVariableOp") || is_op(n, "Assign")) &&
            input_origin(&unused, w, &p, n, 0) == variable)
            MD_TRY(const_input(t, found, w, &p, n, 1));
    }
    return MD_OK;
}

/* What the variable holds. */
static md_status read_value(md_tf_tensor *t, md_tf_lower *w,
                            const md_tf_node *variable)
{
    const char *key = w->bundle ? key_of(w, variable) : NULL;
    bool found;

    if (key && md_bundle_has(w->bundle, key))
        return md_bundle_get(t, w->bundle, key, w->err);
    MD_TRY(read_start(t, &found, w, variable));
    if (found)
        return MD_OK;
    if (!key)
        return md_tf_fail(w, MD_NOT_FOUND,
                          "variable '%.80s' has no value: no checkpoint lies "
                          "beside the file",
                          variable->name);
    return md_tf_fail(w, MD_NOT_FOUND,
                      "variable '%.80s' is not in the checkpoint (as '%.80s')",
                      variable->name, key);
}

md_status md_tf_read_variable(md_tf_ref *out, md_tf_lower *w,
                              const md_tf_node *variable)
{
    int64_t at = place_in_main(w, variable);
    md_tf_made *made = w->made;
    md_tf_tensor t;

    *out = (md_tf_ref){ .kind = MD_TF_REF_TENSOR, .condition = -1 };
    if (at < 0)
        return md_tf_fail(w, MD_UNSUPPORTED, "a variable inside of a function");
    w->read[at] = true;
    if (!made->variables)
        made->variables = md_arena_calloc(
            w->arena, (size_t)w->graph->main.n + 1, sizeof(*made->variables));
    if (!made->variables)
        return md_fail_nomem(w->err, w->graph->main.n);
    if (made->variables[at] > 0) {
        out->tensor = made->variables[at] - 1;
        return MD_OK;
    }
    MD_TRY(read_value(&t, w, variable));
    MD_TRY(md_tf_add_const(&out->tensor, w, variable->name, &t));
    made->variables[at] = out->tensor + 1;
    return MD_OK;
}
