#include "engine/session.h"

#include <string.h>

#include "base/cpu.h"
#include "engine/packs.h"
#include "engine/profile.h"
#include "engine/program.h"

static md_status fill_io(md_session *s, md_io **out, const md_value_id *ids,
                         uint32_t n, md_error *err)
{
    md_io *io = md_arena_calloc(&s->arena, n + 1u, sizeof(*io));

    if (!io)
        return md_fail_nomem(err, n * sizeof(*io));
    for (uint32_t i = 0; i < n; i++) {
        const md_value *v = &s->graph->values[ids[i]];

        io[i] = (md_io){ v->name, v->type };
    }
    *out = io;
    return MD_OK;
}

static md_status check_inputs(const md_session *s, md_error *err)
{
    for (uint32_t i = 0; i < s->graph->n_inputs; i++) {
        const md_io *io = &s->inputs[i];

        if (io->type.dtype == MD_DTYPE_NONE ||
            (io->type.kind == MD_KIND_TENSOR && !io->type.has_rank))
            return md_fail(err, MD_UNSUPPORTED,
                           "input '%s' has no type or rank", io->name);
    }
    return MD_OK;
}

md_status md_session_new(md_session **out, md_model *model,
                         const md_session_opts *opts, md_error *err)
{
    static const md_session_opts defaults = MD_SESSION_OPTS_INIT;
    const md_session_opts *o = opts ? opts : &defaults;
    const md_alloc *alloc =
        o->alloc ? o->alloc : md_alloc_tagged(MD_MEM_weights);
    md_session *s = md_calloc(alloc, 1, sizeof(*s));
    md_status st;

    if (!s)
        return md_fail_nomem(err, sizeof(*s));
    *s = (md_session){ .alloc = alloc,
                       .run_alloc =
                           o->alloc ? o->alloc : md_alloc_tagged(MD_MEM_arena),
                       .model = model,
                       .graph = model->graph,
                       .pool = o->pool,
                       .precision = o->precision,
                       .choice = { .asked = o->precision },
                       .cpu = md_cpu_flags(),
                       .reference = o->reference,
                       .weight_cache = o->weight_cache,
                       .idle_max = o->runs_kept ? o->runs_kept : 8 };
    md_arena_init(&s->arena, alloc, 0);
    pthread_mutex_init(&s->lock, NULL);
    st = fill_io(s, &s->inputs, s->graph->inputs, s->graph->n_inputs, err);
    if (st == MD_OK)
        st = check_inputs(s, err);
    if (st == MD_OK)
        st = md_session__compile(s, err);
    if (st == MD_OK)
        st = fill_io(s, &s->outputs, s->graph->outputs, s->graph->n_outputs,
                     err);
    if (st == MD_OK)
        st = md_session__choose(s, err);
    if (st != MD_OK) {
        s->model = NULL; /* stays the caller's */
        md_session_free(s);
        return st;
    }
    s->weight_cache = NULL; /* the caller's */
    *out = s;
    return MD_OK;
}

md_status md_session__describe(md_session *s, md_error *err)
{
    MD_TRY(fill_io(s, &s->inputs, s->graph->inputs, s->graph->n_inputs, err));
    return fill_io(s, &s->outputs, s->graph->outputs, s->graph->n_outputs, err);
}

md_status md_session__new_body(md_session *root, md_graph *body, md_error *err)
{
    md_session *s = md_calloc(root->alloc, 1, sizeof(*s));

    if (!s)
        return md_fail_nomem(err, sizeof(*s));
    *s = (md_session){ .alloc = root->alloc,
                       .run_alloc = root->run_alloc,
                       .model = root->model,
                       .graph = body,
                       .pool = root->pool,
                       .cpu = root->cpu,
                       .reference = root->reference,
                       .idle_max = root->idle_max,
                       .next_body = root->bodies };
    md_arena_init(&s->arena, root->alloc, 0);
    pthread_mutex_init(&s->lock, NULL);
    root->bodies = s;
    body->impl = s;
    return MD_OK;
}

static void free_bodies(md_session *root)
{
    /* Their nodes may not have come so far.  A body lets go of those within it:
     * all of them have to be there still. */
    for (md_session *s = root->bodies; s; s = s->next_body) {
        md_session__drop_runs(s);
        md_session__unlower(s);
    }
    while (root->bodies) {
        md_session *s = root->bodies;

        root->bodies = s->next_body;
        md_arena_release(&s->arena);
        pthread_mutex_destroy(&s->lock);
        md_free(s->alloc, s);
    }
}

void md_session__drop_runs(md_session *s)
{
    while (s->idle) {
        md_run *r = s->idle;

        s->idle = *md_run__next(r);
        md_run__free(r);
    }
    s->n_idle = 0;
}

void md_session_free(md_session *s)
{
    if (!s)
        return;
    md_packs_wait(s->packs);
    md_session__drop_runs(s);
    md_session__unlower(s);
    free_bodies(s);
    md_packs_free(s->packs);
    md_model_free(s->model);
    md_arena_release(&s->arena);
    pthread_mutex_destroy(&s->lock);
    md_free(s->alloc, s);
}

const md_model *md_session_model(const md_session *s)
{
    return s->model;
}

const md_precision_choice *md_session_precision(const md_session *s)
{
    return &s->choice;
}

md_packed md_session_packed(const md_session *s)
{
    md_packed p = { .size = 0 };

    if (s->packs)
        md_packs_describe(s->packs, &p);
    return p;
}

const md_alloc *md_session__packing(const md_session *s)
{
    return s->packs ? md_packs_alloc(s->packs) : s->alloc;
}

uint32_t md_session_n_inputs(const md_session *s)
{
    return s->graph->n_inputs;
}

uint32_t md_session_n_outputs(const md_session *s)
{
    return s->graph->n_outputs;
}

const md_io *md_session_input(const md_session *s, uint32_t i)
{
    return &s->inputs[i];
}

const md_io *md_session_output(const md_session *s, uint32_t i)
{
    return &s->outputs[i];
}

int md_session_find_input(const md_session *s, const char *name)
{
    for (uint32_t i = 0; i < s->graph->n_inputs; i++) {
        if (strcmp(s->inputs[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* Does the shape fit the input's type, symbols being free? */
static md_status check_shape(const md_session *s, uint32_t i,
                             const md_shape *given, md_error *err)
{
    const md_io *io = &s->inputs[i];
    bool fits = given->rank == io->type.rank;
    char want[MD_SHAPE_TEXT * 2], got[MD_SHAPE_TEXT];
    int64_t n;

    if (io->type.kind != MD_KIND_TENSOR)
        return MD_OK;
    for (int d = 0; fits && d < given->rank; d++) {
        md_dim dim = io->type.dim[d];

        fits = given->dim[d] >= 0 && (dim.sym != 0 || dim.k == given->dim[d]);
    }
    if (!fits)
        return md_fail(err, MD_INVALID,
                       "input '%s': shape %s given, %s expected", io->name,
                       md_shape_format(got, sizeof(got), given),
                       md_type_format(want, sizeof(want), s->model, &io->type));
    return md_shape_count(&n, given, err);
}

/* Take an idle run out of the list: a fitting one, else, when `any` and no
 * more are to be kept, the least recently used, to be planned again. */
static md_run *take_idle(md_session *s, const md_shape *shapes,
                         const md_tensor *const *contents, bool any, bool *fits)
{
    md_run **at, **last = NULL;
    md_run *found = NULL;

    pthread_mutex_lock(&s->lock);
    for (at = &s->idle; *at && !md_run__fits(*at, shapes, contents);
         at = md_run__next(*at))
        last = at;
    *fits = *at != NULL;
    if (!*at && any && last && s->n_idle >= s->idle_max)
        at = last;
    if (*at) {
        found = *at;
        *at = *md_run__next(found);
        s->n_idle--;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* Put an unused run back where the least recently used ones are. */
static void put_last(md_session *s, md_run *r)
{
    md_run **at;

    pthread_mutex_lock(&s->lock);
    for (at = &s->idle; *at; at = md_run__next(*at))
        ;
    *md_run__next(r) = NULL;
    *at = r;
    s->n_idle++;
    pthread_mutex_unlock(&s->lock);
}

static md_status check_shapes(const md_session *s, const md_shape *shapes,
                              md_error *err)
{
    for (uint32_t i = 0; i < s->graph->n_inputs; i++)
        MD_TRY(check_shape(s, i, &shapes[i], err));
    return MD_OK;
}

md_status md_run_acquire(md_run **out, md_session *s, const md_shape *shapes,
                         md_error *err)
{
    bool fits;
    md_run *r = take_idle(s, shapes, NULL, true, &fits);
    md_status st;

    if (r && fits) {
        *out = r;
        return MD_OK;
    }
    st = check_shapes(s, shapes, err);
    if (st != MD_OK) {
        if (r)
            put_last(s, r);
        return st;
    }
    if (!r)
        return md_run__new(out, s, shapes, NULL, err);
    MD_TRY(md_run__again(r, shapes, err));
    *out = r;
    return MD_OK;
}

md_status md_run__acquire(md_run **out, md_session *s, const md_shape *shapes,
                          const md_tensor *const *contents, md_error *err)
{
    bool fits;

    *out = take_idle(s, shapes, contents, false, &fits);
    return *out ? MD_OK : md_run__new(out, s, shapes, contents, err);
}

void md_run_release(md_run *r)
{
    md_session *s = md_run__session(r);
    md_run *drop = NULL;

    for (uint32_t i = 0; i < s->graph->n_inputs; i++)
        md_run_bind_input(r, i, NULL);
    for (uint32_t i = 0; i < s->graph->n_outputs; i++)
        (void)md_run_bind_output(r, i, NULL);
    md_run_set_watch(r, NULL);
    pthread_mutex_lock(&s->lock);
    *md_run__next(r) = s->idle;
    s->idle = r;
    s->n_idle++;
    if (s->n_idle > s->idle_max) { /* the least recently used goes */
        md_run **at = &s->idle;

        while (*md_run__next(*at))
            at = md_run__next(*at);
        drop = *at;
        *at = NULL;
        s->n_idle--;
    }
    pthread_mutex_unlock(&s->lock);
    if (drop)
        md_run__free(drop);
}

static md_status check_kind(const md_session *s, const md_io *io,
                            const char *what, md_error *err)
{
    char type[MD_SHAPE_TEXT * 2];

    if (io->type.kind == MD_KIND_TENSOR)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "%s '%s' has type %s, a tensor expected", what, io->name,
                   md_type_format(type, sizeof(type), s->model, &io->type));
}

md_status md_session_check_tensors(const md_session *s, md_error *err)
{
    for (uint32_t i = 0; i < s->graph->n_inputs; i++)
        MD_TRY(check_kind(s, &s->inputs[i], "input", err));
    for (uint32_t i = 0; i < s->graph->n_outputs; i++)
        MD_TRY(check_kind(s, &s->outputs[i], "output", err));
    return MD_OK;
}

static md_status bind_container(md_run *r, const md_session *s, uint32_t i,
                                const md_tensor *c, md_error *err)
{
    const md_io *io = &s->inputs[i];
    md_type type = md_type_of_value(c);
    char want[MD_SHAPE_TEXT * 2], got[MD_SHAPE_TEXT * 2];

    if (!md_type_fits(&type, &io->type))
        return md_fail(err, MD_INVALID, "input '%s': %s given, %s expected",
                       io->name,
                       md_type_format(got, sizeof(got), s->model, &type),
                       md_type_format(want, sizeof(want), s->model, &io->type));
    md_run_bind_container(r, i, c);
    return MD_OK;
}

/* Read inputs where they are, or from a copy where kernels could not. */
static md_status bind_inputs(md_run *r, const md_session *s,
                             const md_tensor *inputs, md_error *err)
{
    for (uint32_t i = 0; i < s->graph->n_inputs; i++) {
        md_tensor *t = md_run_input(r, i);
        size_t size = md_tensor_size(t);

        if (s->inputs[i].type.kind != MD_KIND_TENSOR) {
            MD_TRY(bind_container(r, s, i, &inputs[i], err));
            continue;
        }
        if (inputs[i].kind != MD_KIND_TENSOR)
            return md_fail(err, MD_INVALID, "input '%s': %s given, %s expected",
                           s->inputs[i].name, md_kind_name(inputs[i].kind),
                           md_dtype_name(t->dtype));
        if (inputs[i].dtype != t->dtype)
            return md_fail(err, MD_INVALID, "input '%s': %s given, %s expected",
                           s->inputs[i].name, md_dtype_name(inputs[i].dtype),
                           md_dtype_name(t->dtype));
        if (md_tensor_is_aligned(&inputs[i]))
            md_run_bind_input(r, i, inputs[i].data);
        else if (size)
            memcpy(t->data, inputs[i].data, size);
    }
    return MD_OK;
}

/* Memory for the outputs that can be written where the caller gets them. */
static md_status bind_outputs(md_run *r, const md_session *s,
                              md_tensor *outputs, const md_alloc *alloc,
                              md_error *err)
{
    for (uint32_t i = 0; i < s->graph->n_outputs; i++) {
        const md_tensor *t = md_run_output(r, i);

        if (!md_run_bind_output(r, i, NULL))
            continue;
        MD_TRY(md_tensor_alloc_unset(&outputs[i], t->dtype, &t->shape, alloc,
                                     err));
        (void)md_run_bind_output(r, i, outputs[i].data);
    }
    return MD_OK;
}

static md_status run_bound(md_run *r, const md_session *s,
                           const md_tensor *inputs, md_tensor *outputs,
                           const md_alloc *alloc, md_error *err)
{
    MD_TRY(bind_inputs(r, s, inputs, err));
    MD_TRY(bind_outputs(r, s, outputs, alloc, err));
    md_run__give_from(r, alloc);
    MD_TRY(md_run_execute(r, 0, err));
    for (uint32_t i = 0; i < s->graph->n_outputs; i++) {
        if (!outputs[i].owner && !md_run__steal_output(r, i, &outputs[i]))
            MD_TRY(
                md_tensor_copy(&outputs[i], md_run_output(r, i), alloc, err));
    }
    return MD_OK;
}

md_status md_session_run(md_session *s, const md_tensor *inputs,
                         md_tensor *outputs, const md_alloc *alloc,
                         md_error *err)
{
    uint32_t n_in = s->graph->n_inputs, n_out = s->graph->n_outputs;
    md_shape *shapes = md_calloc(alloc, n_in + 1u, sizeof(*shapes));
    md_run *r = NULL;
    md_status st;

    if (!shapes)
        return md_fail_nomem(err, n_in * sizeof(*shapes));
    for (uint32_t i = 0; i < n_in; i++)
        shapes[i] = inputs[i].shape;
    for (uint32_t i = 0; i < n_out; i++)
        outputs[i] = (md_tensor)MD_TENSOR_INIT;
    st = md_run_acquire(&r, s, shapes, err);
    md_free(alloc, shapes);
    if (st == MD_OK)
        st = run_bound(r, s, inputs, outputs, alloc, err);
    for (uint32_t i = 0; i < n_out && st != MD_OK; i++)
        md_tensor_release(&outputs[i]);
    if (r) {
        md_run__give_from(r, NULL);
        md_run_release(r);
    }
    return st;
}
