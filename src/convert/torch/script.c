/*
 * TorchScript files to ONNX.
 *
 * The file says nothing of its inputs but that they are tensors.  Where the
 * user does not either, types and ranks are tried in the order of how common
 * they are until the program runs with them; sizes stay free unless something
 * they are multiplied with tells them.  So a conversion is a number of runs on
 * models that are thrown away, and one on the model that is wanted.
 */
#include "convert/torch/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/torch/input_spec.h"
#include "convert/torch/program.h"
#include "convert/torch/unpickle.h"

enum {
    TENSORS_MAX = 32, /* inputs of a program */
    GUESSED_MAX = 8,  /* those whose type is tried */
    TRIES_MAX = 400,
    STATES_MAX = 64,
    ROUNDS_MAX = 6,
    ARENA_SIZE = 1 << 30
};

/* A type that an input may have. */
typedef struct candidate {
    md_dtype dtype;
    int rank;
} candidate;

static const candidate of_numbers[] = {
    { MD_DTYPE_F32, 2 }, { MD_DTYPE_F32, 4 },  { MD_DTYPE_F32, 3 },
    { MD_DTYPE_I64, 2 }, { MD_DTYPE_F32, 5 },  { MD_DTYPE_I64, 1 },
    { MD_DTYPE_F32, 1 }, { MD_DTYPE_BOOL, 2 }, { MD_DTYPE_F32, 0 },
};
static const candidate of_indices[] = {
    { MD_DTYPE_I64, 2 },  { MD_DTYPE_I64, 1 }, { MD_DTYPE_F32, 2 },
    { MD_DTYPE_BOOL, 2 }, { MD_DTYPE_F32, 3 }, { MD_DTYPE_F32, 4 },
    { MD_DTYPE_F32, 1 },  { MD_DTYPE_I64, 3 }, { MD_DTYPE_F32, 0 },
};

enum {
    CANDIDATES = (int)(sizeof(of_numbers) / sizeof(of_numbers[0]))
};

/* A tensor input as it is in this run. */
typedef struct tensor_input {
    const char *name;
    bool is_guessed;
    int choice;                 /* of the candidates */
    int64_t known[MD_RANK_MAX]; /* what was learnt of free sizes; -1 */
    uint32_t sym[MD_RANK_MAX];  /* in this run's model */
    int rank;
} tensor_input;

typedef struct plan {
    tensor_input in[TENSORS_MAX];
    uint32_t n_in;
    md_script_state states[STATES_MAX];
    uint32_t n_states;
    bool is_guessed; /* something is */
} plan;

/* What all runs share. */
typedef struct file {
    const md_torch_task *t;
    md_torch_file zip;
    md_pickle data, constants;
    bool has_constants;
    md_input_specs specs;
    md_script_module **modules;
    uint32_t n_modules, cap_modules;
    int64_t version;
    const char *method;
} file;

/* --- inputs --- */

static bool looks_like_indices(const char *name)
{
    static const char *const words[] = { "id",    "token", "mask", "index",
                                         "label", "pos",   "item", "ind" };

    for (size_t i = 0; i < MD_COUNT(words); i++) {
        if (strstr(name, words[i]))
            return true;
    }
    return false;
}

static const candidate *candidate_of(const tensor_input *in)
{
    return &(looks_like_indices(in->name) ? of_indices
                                          : of_numbers)[in->choice];
}

static md_dim size_of(md_script *s, tensor_input *in, const md_input_spec *spec,
                      int axis, bool is_first)
{
    md_dim d = { .scale = 1 };
    const char *name = spec ? spec->symbol[axis] : NULL;

    if (in->known[axis] >= 0)
        return MD_DIM(in->known[axis]);
    if (!name && axis == 0 && (is_first || spec))
        name = "batch";
    if (!name)
        name = md_arena_printf(s->b.e.arena, "%.100s_%d", in->name, axis);
    if (name)
        md_emit_ok(&s->b.e,
                   md_model_symbol(&d.sym, s->b.e.model, name, s->b.e.err));
    in->sym[axis] = d.sym;
    return d;
}

static md_tv add_tensor(md_script *s, plan *p, const md_input_specs *specs,
                        const char *name, uint32_t *at)
{
    const md_input_spec *spec = md_input_specs_find(specs, name);
    tensor_input *in;
    md_type t = { .has_rank = true };

    if (*at == TENSORS_MAX) {
        md_emit_fail(&s->b.e, MD_UNSUPPORTED, "more than %d inputs",
                     TENSORS_MAX);
        return md_tv_none();
    }
    in = &p->in[*at];
    if (*at == p->n_in) {
        *in = (tensor_input){ .name = name, .is_guessed = !spec };
        for (int i = 0; i < MD_RANK_MAX; i++)
            in->known[i] = spec && i < spec->rank ? spec->dim[i] : -1;
        p->is_guessed = p->is_guessed || !spec;
        p->n_in++;
    }
    t.dtype = spec ? spec->dtype : candidate_of(in)->dtype;
    t.rank = in->rank = spec ? spec->rank : candidate_of(in)->rank;
    for (int i = 0; i < t.rank; i++)
        t.dim[i] = size_of(s, in, spec, i, *at == 0);
    ++*at;
    return md_tv_tensor(&s->b, md_emit_input(&s->b.e, &t, name));
}

static md_tv add_number(md_script *s, const char *name, md_tv_kind kind)
{
    md_type t = { .dtype = kind == MD_TV_BOOL  ? MD_DTYPE_BOOL
                           : kind == MD_TV_INT ? MD_DTYPE_I64
                                               : MD_DTYPE_F64,
                  .has_rank = true };

    return md_tv_computed(&s->b, kind, md_emit_input(&s->b.e, &t, name));
}

static md_tv fixed_number(const md_input_spec *spec, md_tv_kind kind)
{
    if (kind == MD_TV_FLOAT)
        return md_tv_float(spec->value);
    return kind == MD_TV_BOOL ? md_tv_bool(spec->value != 0)
                              : md_tv_int((int64_t)spec->value);
}

static bool is_type(const md_script_expr *t, const char *name)
{
    return t && t->kind == MD_SCRIPT_PATH && strcmp(t->text, name) == 0;
}

static const md_script_expr *inside(const md_script_expr *t, const char *name)
{
    return t && t->kind == MD_SCRIPT_INDEX && is_type(t->a, name) && t->n > 0
               ? t->args[0]
               : NULL;
}

/* One parameter; a tuple of tensors is as many inputs. */
static md_tv add_param(md_script *s, plan *p, const md_input_specs *specs,
                       const char *name, const md_script_expr *type,
                       uint32_t *at)
{
    static const struct {
        const char *name;
        md_tv_kind kind;
    } numbers[] = { { "int", MD_TV_INT },
                    { "float", MD_TV_FLOAT },
                    { "bool", MD_TV_BOOL },
                    { "number", MD_TV_FLOAT } };
    const md_input_spec *spec = md_input_specs_find(specs, name);
    md_tv out;

    if (!type || is_type(type, "Tensor"))
        return add_tensor(s, p, specs, name, at);
    for (size_t i = 0; i < MD_COUNT(numbers); i++) {
        if (is_type(type, numbers[i].name))
            return spec && spec->is_number
                       ? fixed_number(spec, numbers[i].kind)
                       : add_number(s, name, numbers[i].kind);
    }
    if (inside(type, "Tuple")) {
        out = md_tv_list(&s->b, MD_TV_TUPLE, type->n);
        for (uint32_t i = 0; i < type->n && out.kind == MD_TV_TUPLE; i++)
            md_tv_append(
                &s->b, out.v.list,
                add_param(s, p, specs,
                          md_arena_printf(s->lasting, "%s_%u", name, i),
                          type->args[i], at));
        return out;
    }
    md_emit_fail(&s->b.e, MD_UNSUPPORTED,
                 "input '%.80s' is neither tensor nor number", name);
    return md_tv_none();
}

/* What has a default, or may be None, is an input only when the user says
 * something of it. */
static md_tv argument(md_script *s, plan *p, const md_input_specs *specs,
                      const md_script_param *x, uint32_t *at)
{
    const md_script_expr *optional = inside(x->type, "Optional");

    if (!md_input_specs_find(specs, x->name)) {
        if (x->otherwise)
            return md_script_eval(s, x->otherwise);
        if (optional)
            return md_tv_none();
    }
    return add_param(s, p, specs, x->name, optional ? optional : x->type, at);
}

/* --- state --- */

static void add_states(md_script *s, const plan *p)
{
    s->states = p->states;
    s->n_states = p->n_states;
    s->state_in = md_emit_alloc(&s->b.e, p->n_states, sizeof(*s->state_in));
    for (uint32_t i = 0; s->state_in && i < p->n_states; i++) {
        const md_script_state *x = &p->states[i];
        md_type t = x->type;

        for (int k = 0; k < t.rank; k++) {
            const char *name = x->symbol[k];

            if (md_dim_is_const(t.dim[k]))
                continue;
            if (!name)
                name = md_arena_printf(s->b.e.arena, "%.100s_%d", x->path, k);
            t.dim[k] = (md_dim){ .scale = 1 };
            if (name)
                md_emit_ok(&s->b.e, md_model_symbol(&t.dim[k].sym, s->b.e.model,
                                                    name, s->b.e.err));
        }
        s->state_in[i] =
            md_tv_tensor(&s->b, md_emit_input(&s->b.e, &t, x->path));
    }
}

static bool has_changed(const md_torch_object *o, uint32_t i)
{
    const md_tv *now = &o->at[i], *first = &o->first[i];

    return o->is_made[i] && now->kind == MD_TV_TENSOR &&
           (first->kind != MD_TV_TENSOR || first->v.t != now->v.t ||
            now->v.t->version > 0);
}

static const md_script_state *find_state(const plan *p, const char *path)
{
    for (uint32_t i = 0; i < p->n_states; i++) {
        if (strcmp(p->states[i].path, path) == 0)
            return &p->states[i];
    }
    return NULL;
}

static const char *path_of(md_arena *arena, const md_torch_object *o,
                           uint32_t i)
{
    const char *p = o->path[0]
                        ? md_arena_printf(arena, "%s.%s", o->path, o->names[i])
                        : md_arena_strdup(arena, o->names[i]);

    return p ? p : "";
}

/* Remember the type that it ends with: what it begins with may be empty. */
static void note_state(md_script *s, plan *p, const char *path, const md_tv *v)
{
    md_script_state *x = &p->states[p->n_states];
    const md_model *m = s->b.e.model;
    md_value_id id = md_tv_id(&s->b, v);

    if (s->b.e.status != MD_OK)
        return;
    if (p->n_states == STATES_MAX) {
        md_emit_fail(&s->b.e, MD_UNSUPPORTED, "more than %d tensors of state",
                     STATES_MAX);
        return;
    }
    *x = (md_script_state){ .path = path, .type = *md_emit_type(&s->b.e, id) };
    if (!x->type.has_rank)
        md_emit_fail(&s->b.e, MD_UNSUPPORTED,
                     "state '%.80s' of which not even the rank is known", path);
    for (int k = 0; k < x->type.rank; k++) {
        md_dim d = x->type.dim[k];

        if (d.sym && d.scale == 1 && d.k == 0 && m->symbols[d.sym][0])
            x->symbol[k] = md_arena_strdup(s->lasting, m->symbols[d.sym]);
    }
    p->n_states++;
}

/* Attributes that the program changed: new ones are noted, known ones become
 * outputs.  True when there were new ones. */
static bool finish_states(md_script *s, plan *p)
{
    uint32_t before = p->n_states;

    for (uint32_t n = 0; n < s->data->n_nodes && s->b.e.status == MD_OK; n++) {
        md_torch_object *o = s->objects[n];

        for (uint32_t i = 0; o && i < o->n; i++) {
            const char *path;

            if (!has_changed(o, i))
                continue;
            path = path_of(s->lasting, o, i);
            if (!find_state(p, path))
                note_state(s, p, path, &o->at[i]);
        }
    }
    return p->n_states > before;
}

static void state_outputs(md_script *s, const plan *p)
{
    for (uint32_t k = 0; k < p->n_states; k++) {
        for (uint32_t n = 0; n < s->data->n_nodes; n++) {
            md_torch_object *o = s->objects[n];

            for (uint32_t i = 0; o && i < o->n; i++) {
                if (o->is_made[i] &&
                    strcmp(path_of(s->b.e.arena, o, i), p->states[k].path) == 0)
                    md_torch_output(&s->b, &o->at[i],
                                    md_arena_printf(s->b.e.arena, "%s/out",
                                                    p->states[k].path));
            }
        }
    }
}

/* --- runs --- */

/* Sizes that can only be what was learnt; true when some are new. */
static bool take_learned(const md_script *s, plan *p)
{
    bool any = false;

    for (uint32_t i = 0; i < s->b.n_learned; i++) {
        for (uint32_t k = 0; k < p->n_in; k++) {
            for (int a = 0; a < p->in[k].rank; a++) {
                if (p->in[k].known[a] >= 0 ||
                    p->in[k].sym[a] != s->b.learned[i].sym)
                    continue;
                p->in[k].known[a] = s->b.learned[i].size;
                any = true;
            }
        }
    }
    return any;
}

static void run_method(md_script *s, plan *p, const file *x)
{
    md_torch_object *root = md_script_root(s);
    const md_script_function *f =
        root ? md_script_method(root->cls, x->method) : NULL;
    md_tv *args, out;
    uint32_t at = 0;

    if (!f) {
        md_emit_fail(&s->b.e, MD_NOT_FOUND, "no method '%.80s' in the module",
                     x->method);
        return;
    }
    args = md_emit_alloc(&s->b.e, f->n_params, sizeof(*args));
    if (!args || f->n_params == 0)
        return;
    args[0] = (md_tv){ .kind = MD_TV_OBJECT, .v.object = root };
    for (uint32_t i = 1; i < f->n_params; i++)
        args[i] = argument(s, p, &x->specs, &f->params[i], &at);
    add_states(s, p);
    s->b.wants_batch = p->is_guessed;
    out = md_script_call(s, f, args, f->n_params, NULL, 0);
    if (s->b.e.status == MD_OK && s->has_raised)
        md_emit_fail(&s->b.e, MD_INVALID, "the program ends with '%.200s'",
                     s->raised);
    md_torch_outputs(&s->b, &out, "output");
}

/* One run.  *again: something was found that the next run takes into
 * account. */
static md_status run(file *x, plan *p, md_model *model, bool *again,
                     uint32_t *n_calls, md_error *err)
{
    md_arena arena;
    md_torch_task t = *x->t;
    md_script s = { .lasting = x->t->arena, .file = &x->zip };
    md_status st;
    char version[24];

    md_arena_init(&arena, model->alloc, ARENA_SIZE);
    t.arena = &arena;
    s.modules = x->modules;
    s.n_modules = x->n_modules;
    s.cap_modules = x->cap_modules;
    s.data = &x->data;
    s.constants = x->has_constants ? &x->constants : NULL;
    st = md_torch_begin(&s.b, &t, model, err);
    if (st != MD_OK)
        goto out;
    s.b.old_div = x->version > 0 && x->version < 4;
    s.objects = md_emit_alloc(&s.b.e, x->data.n_nodes, sizeof(*s.objects));
    s.constant =
        md_emit_alloc(&s.b.e, x->constants.n_nodes, sizeof(*s.constant));
    s.is_constant_made = md_emit_alloc(&s.b.e, x->constants.n_nodes, 1);
    if (s.b.e.status == MD_OK)
        run_method(&s, p, x);
    *again = false;
    if (s.b.e.status == MD_OK && s.b.n_refusals == 0) {
        *again = finish_states(&s, p);
        state_outputs(&s, p);
        *again = take_learned(&s, p) || *again;
    }
    snprintf(version, sizeof(version), "%lld", (long long)x->version);
    st = md_torch_end(&s.b, &t, "torchscript", version);
    *n_calls = s.b.n_calls;
    x->modules = s.modules;
    x->n_modules = s.n_modules;
    x->cap_modules = s.cap_modules;
out:
    md_arena_release(&arena);
    return st;
}

/* A run on a model that is thrown away. */
static md_status rehearse(file *x, plan *p, bool *again, uint32_t *n_calls,
                          md_error *err)
{
    md_model *scratch = NULL;
    md_status s;

    MD_TRY(md_model_new(&scratch, x->t->model->alloc, 0, err));
    s = run(x, p, scratch, again, n_calls, err);
    md_model_free(scratch);
    return s;
}

/* The next choice of types, the first input's first; false after the last. */
static bool next_choice(plan *p)
{
    for (uint32_t i = 0; i < p->n_in; i++) {
        if (!p->in[i].is_guessed)
            continue;
        if (++p->in[i].choice < CANDIDATES)
            return true;
        p->in[i].choice = 0;
    }
    return false;
}

static void forget_learned(plan *p, const md_input_specs *specs)
{
    for (uint32_t i = 0; i < p->n_in; i++) {
        const md_input_spec *s = md_input_specs_find(specs, p->in[i].name);

        for (int a = 0; a < MD_RANK_MAX; a++)
            p->in[i].known[a] = s && a < s->rank ? s->dim[a] : -1;
    }
    p->n_states = 0;
}

static bool is_final(md_status s)
{
    return s == MD_NOMEM || s == MD_CORRUPT || s == MD_NOT_FOUND;
}

/* Runs until nothing new is found. */
static md_status settle(file *x, plan *p, uint32_t *n_calls, md_error *err)
{
    bool again = true;

    for (int i = 0; i < ROUNDS_MAX && again; i++)
        MD_TRY(rehearse(x, p, &again, n_calls, err));
    return MD_OK;
}

/* The first choice of types with which the program runs.  Of those with which
 * it does not, that is told with which it came farthest. */
static md_status choose(file *x, plan *p, md_error *err)
{
    md_error first = MD_ERROR_INIT;
    uint32_t farthest = 0;
    md_status s = MD_OK;

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        md_error why = MD_ERROR_INIT;
        uint32_t n_calls = 0;

        s = settle(x, p, &n_calls, &why);
        if (s == MD_OK)
            return MD_OK;
        if (tries == 0 || n_calls > farthest) {
            first = why;
            farthest = n_calls;
        }
        if (is_final(s) || !p->is_guessed || p->n_in > GUESSED_MAX ||
            !next_choice(p))
            break;
        forget_learned(p, &x->specs);
    }
    if (!p->is_guessed || is_final(s))
        return md_fail(err, first.status, "%s", first.msg);
    return md_fail(err, first.status,
                   "%.330s; types of inputs were tried, as the file has none: "
                   "give them (--inputs \"x=float32[?,3,224,224]\")",
                   first.msg);
}

/* --- the file --- */

static md_status read_version(file *x, md_error *err)
{
    const char *name = md_torch_file_has(&x->zip, ".data/version")
                           ? ".data/version"
                           : "version";
    md_torch_bytes b;
    char text[16] = "";

    if (!md_torch_file_has(&x->zip, name))
        return MD_OK;
    MD_TRY(md_torch_file_read(&b, &x->zip, name, err));
    memcpy(text, b.p, b.size < 15 ? b.size : 15);
    x->version = strtol(text, NULL, 10);
    return MD_OK;
}

static md_status read_pickle(md_pickle *out, const file *x, const char *name,
                             md_error *err)
{
    md_torch_bytes b;

    MD_TRY(md_torch_file_read(&b, &x->zip, name, err));
    return md_torch_unpickle(out, b.p, b.size, x->t->arena, err);
}

static md_status read_file(file *x, md_error *err)
{
    MD_TRY(read_version(x, err));
    MD_TRY(read_pickle(&x->data, x, "data.pkl", err));
    x->has_constants = md_torch_file_has(&x->zip, "constants.pkl");
    if (x->has_constants)
        MD_TRY(read_pickle(&x->constants, x, "constants.pkl", err));
    return md_input_specs_read(&x->specs, x->t->src->inputs, x->t->arena, err);
}

md_status md_torch_script(const md_torch_task *t, md_error *err)
{
    file x = { .t = t,
               .method = t->src->signature ? t->src->signature : "forward" };
    plan *p = md_arena_calloc(t->arena, 1, sizeof(*p));
    uint32_t n_calls;
    bool again;
    md_status s;

    if (!p)
        return md_fail_nomem(err, sizeof(*p));
    MD_TRY(
        md_torch_file_open(&x.zip, t->src->bytes, t->src->size, t->arena, err));
    s = read_file(&x, err);
    if (s == MD_OK)
        s = choose(&x, p, err);
    if (s == MD_OK)
        s = run(&x, p, t->model, &again, &n_calls, err);
    if (t->report)
        t->report->open_sizes = true;
    md_torch_file_release(&x.zip);
    return s;
}
