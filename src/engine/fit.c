/*
 * From a form to a plan: steps once, and numbers for each set of sizes.
 *
 * Binding makes the arrays of all steps and lists which pointers and shapes in
 * them change.  Fitting evaluates each shape that there is once and copies it
 * to who reads it, packs the block, writes addresses and has kernels compute
 * their arguments.  It allocates nothing, unless what is needed has grown.
 */
#include <string.h>

#include "base/size.h"
#include "engine/widths.h"

enum {
    ROOM_KEPT = 32 << 20, /* bytes that a plan for smaller shapes may keep */
};

/* Where values without elements are: kernels may add 0 to every pointer. */
unsigned char md_run__nothing[MD_CACHE_LINE];

static const md_slot *slot(const md_run *r, uint32_t i)
{
    return &r->s->slots[i];
}

static md_status slot_bytes(const md_run *r, uint32_t slot_id, size_t *size,
                            md_error *err)
{
    const md_slot *sl = slot(r, slot_id);
    md_shape shape = md_run__shape(r, sl->value);

    return md_layout_bytes(size, sl->layout, md_run__dtype(r, sl->value),
                           &shape, err);
}

/* Is a block of `room` bytes of use for `size`: neither too small nor much too
 * large? */
static bool is_of_use(size_t room, size_t size)
{
    return room >= size && (room / 4 <= size || room <= ROOM_KEPT);
}

/* ---- steps ---- */

/* The address of a slot whose value is known: the constant itself, or a copy
 * in blocks. */
static md_status place_constant(md_run *r, uint32_t slot_id, md_error *err)
{
    const md_tensor *t = r->cdata[slot(r, slot_id)->value];
    const md_alloc *alloc = r->s->alloc;
    md_tensor packed = *t;
    md_nc16_args a;
    md_status s;
    size_t size;

    r->address[slot_id] = md_tensor_n(t) > 0 ? t->data : md_run__nothing;
    if (slot(r, slot_id)->layout == MD_LAYOUT_ROW || !t->data)
        return MD_OK;
    MD_TRY(slot_bytes(r, slot_id, &size, err));
    packed.data = md_malloc_aligned(alloc, size);
    packed.owner = alloc;
    if (!packed.data)
        return md_fail_nomem(err, size);
    a = md_run__blocks(t);
    md_nc16_pack(packed.data, t->data, &a);
    r->address[slot_id] = packed.data;
    s = md_run__own(r, &packed, err);
    if (s != MD_OK)
        md_tensor_release(&packed);
    return s;
}

/* Do sizes change the shape of a value in plans of this form? */
static bool shape_changes(const md_run *r, md_value_id id)
{
    const md_type *t = &r->s->graph->values[id].type;

    for (int i = 0; r->form == r->s->form && i < t->rank; i++) {
        if (!md_dim_is_const(t->dim[i]))
            return true;
    }
    return false;
}

/* Let *to be the shape of what is in a slot; true when it will change. */
static bool tell_shape(md_run *r, md_shape *to, uint32_t slot_id)
{
    md_value_id id = slot(r, slot_id)->value;

    if (!shape_changes(r, id)) {
        *to = md_run__shape(r, id);
        return false;
    }
    r->patches[r->n_patches++] =
        (md_run_patch){ to, &r->shapes[r->form->like[id]] };
    return true;
}

/* Let *to be where a slot is. */
static void tell_place(md_run *r, void **to, uint32_t slot_id)
{
    uint32_t e = r->form->end[slot_id];
    md_run_point *p;

    *to = r->address[slot_id];
    if (*to)
        return; /* a constant of the model */
    p = &r->points[r->n_points++];
    *p = (md_run_point){ .to = to, .slot = slot_id };
    if (e == MD_SLOT_NONE)
        return;
    p->next = r->ends[e].points;
    r->ends[e].points = r->n_points;
}

/* Slot i of the inputs, then of the outputs. */
static uint32_t operand(const md_inst *inst, size_t i)
{
    return i < inst->n_in ? inst->in[i] : inst->out[i - inst->n_in];
}

static md_status bind_header(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;
    size_t n = (size_t)inst->n_in + inst->n_out;

    st->in = md_arena_calloc(&r->arena, n + 1, sizeof(*st->in));
    st->in_p = md_arena_calloc(&r->arena, inst->n_in + 1u, sizeof(*st->in_p));
    if (!st->in || !st->in_p)
        return md_fail_nomem(err, n * sizeof(*st->in));
    st->out = st->in + inst->n_in;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = operand(inst, i);

        if (i < inst->n_in && id != MD_SLOT_NONE)
            st->in_p[i] = &st->in[i];
        if (id == MD_SLOT_NONE || st->dynamic)
            continue; /* looked up when its turn comes */
        st->in[i].dtype = md_run__dtype(r, slot(r, id)->value);
        tell_shape(r, &st->in[i].shape, id);
        tell_place(r, &st->in[i].data, id);
    }
    return MD_OK;
}

md_status md_run__bind_step(md_run_step *st, md_shape **shapes,
                            md_dtype **dtypes, md_arena *arena, md_error *err)
{
    const md_inst *inst = st->inst;
    uint32_t n_in = inst->n_in;
    size_t n = (size_t)n_in + inst->n_out;
    void **data = md_arena_calloc(arena, n + 1, sizeof(*data));

    *shapes = md_arena_alloc(arena, (n + 1) * sizeof(**shapes));
    *dtypes = md_arena_calloc(arena, n + 1, sizeof(**dtypes));
    if (!data || !*shapes || !*dtypes)
        return md_fail_nomem(err, n * sizeof(**shapes));
    for (size_t i = 0; i < n; i++)
        (*shapes)[i].rank = 0;
    st->st = (md_step){ .fast = inst->fast,
                        .state = inst->state,
                        .node = inst->node,
                        .fused = inst->node->fused,
                        .in = data,
                        .out = data + n_in,
                        .in_shape = *shapes,
                        .out_shape = *shapes + n_in,
                        .in_dtype = *dtypes,
                        .out_dtype = *dtypes + n_in,
                        .n_chunks = 1 };
    return MD_OK;
}

static md_status bind_fast(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;
    md_shape *shapes;
    md_dtype *dtypes;

    MD_TRY(md_run__bind_step(st, &shapes, &dtypes, &r->arena, err));
    st->fixed = true;
    for (size_t i = 0; i < (size_t)inst->n_in + inst->n_out; i++) {
        uint32_t id = operand(inst, i);

        if (id == MD_SLOT_NONE)
            continue;
        dtypes[i] = md_run__dtype(r, slot(r, id)->value);
        st->fixed &= !tell_shape(r, &shapes[i], id);
        tell_place(r, &st->st.in[i], id); /* out lies behind */
    }
    return MD_OK;
}

static bool needs_step(const md_run *r, uint32_t i)
{
    return !r->form->skip[i] &&
           (!r->form->shares[i] ||
            md_form__is_dynamic(r->form, r->s, &r->s->insts[i]));
}

static md_status make_lists(md_run *r, md_error *err)
{
    const md_session *s = r->s;
    size_t n = 0, n_ends = 0;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        if (!needs_step(r, i))
            continue;
        n++;
        n_ends += (size_t)s->insts[i].n_in + s->insts[i].n_out;
    }
    r->steps = md_arena_calloc(&r->arena, n + 1, sizeof(*r->steps));
    r->points = md_arena_alloc(&r->arena, (n_ends + 1) * sizeof(*r->points));
    r->patches = md_arena_alloc(&r->arena, (n_ends + 1) * sizeof(*r->patches));
    if (!r->steps || !r->points || !r->patches)
        return md_fail_nomem(err, n_ends * sizeof(*r->points));
    return MD_OK;
}

static md_status make_steps(md_run *r, md_error *err)
{
    md_session *s = r->s;

    MD_TRY(make_lists(r, err));
    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];
        md_run_step *st = &r->steps[r->n_steps];

        if (!needs_step(r, i))
            continue;
        st->inst = inst;
        st->dynamic = md_form__is_dynamic(r->form, s, inst);
        md_arena_init(&st->arena, s->alloc, 0);
        r->n_steps++;
        if (inst->kind == MD_INST_FAST && !st->dynamic)
            MD_TRY(bind_fast(r, st, err));
        else
            MD_TRY(bind_header(r, st, err));
    }
    return MD_OK;
}

/* Headers for what follows from sizes. */
static md_status bind_known(md_run *r, md_error *err)
{
    const md_form *f = r->form;
    size_t n = (size_t)f->n_given + f->n_views;

    r->known = md_arena_calloc(&r->arena, n + 1, sizeof(*r->known));
    if (!r->known)
        return md_fail_nomem(err, n * sizeof(*r->known));
    for (uint32_t i = 0; i < f->n_given; i++)
        r->cdata[f->given[i]] = &r->known[i];
    for (uint32_t i = 0; i < f->n_views; i++)
        r->cdata[f->views[i]->out[0]] = &r->known[f->n_given + i];
    return MD_OK;
}

md_status md_run__bind(md_run *r, md_error *err)
{
    const md_session *s = r->s;
    const md_graph *g = s->graph;
    size_t n_ends = (size_t)g->n_inputs + g->n_outputs + 1;

    r->address = md_arena_calloc(&r->arena, s->n_slots + 1u, sizeof(void *));
    r->ends = md_arena_calloc(&r->arena, n_ends, sizeof(*r->ends));
    r->inputs = md_arena_calloc(&r->arena, n_ends, sizeof(*r->inputs));
    if (!r->address || !r->ends || !r->inputs)
        return md_fail_nomem(err, n_ends * sizeof(*r->inputs));
    r->outputs = r->inputs + g->n_inputs;
    MD_TRY(md_places_init(&r->places, &r->form->packing, &r->arena, err));
    for (uint32_t k = 0; k < s->n_slots; k++) {
        if (r->cdata[slot(r, k)->value])
            MD_TRY(place_constant(r, k, err));
    }
    MD_TRY(bind_known(r, err));
    MD_TRY(make_steps(r, err));
    for (uint32_t k = 0; k < s->n_slots; k++) {
        if (!r->address[k])
            r->address[k] = md_run__nothing;
    }
    return MD_OK;
}

/* ---- numbers ---- */

static md_status find_shapes(md_run *r, md_error *err)
{
    const md_form *f = r->form;

    for (uint32_t i = 0; i < f->n_shapes; i++) {
        md_value_id id = f->shapes[i];
        const md_type *t = &r->s->graph->values[id].type;

        for (int d = 0; d < t->rank; d++) {
            if (!md_dim_value(&r->shapes[id].dim[d], t->dim[d], r->sym))
                return md_fail(err, MD_TOO_LARGE,
                               "a dimension of '%s' overflows",
                               r->s->graph->values[id].name);
        }
        r->shapes[id].rank = t->rank;
    }
    for (uint32_t i = 0; i < r->n_patches; i++) {
        const md_run_patch *p = &r->patches[i];

        *p->to = *p->from;
    }
    return MD_OK;
}

md_status md_run__fill_given(md_run *r, md_tensor *t, md_value_id id,
                             md_error *err)
{
    const md_value *v = &r->s->graph->values[id];
    size_t size;
    int64_t n;

    t->dtype = v->type.dtype;
    t->shape = md_run__shape(r, id);
    MD_TRY(md_tensor_bytes(&size, t->dtype, &t->shape, err));
    n = md_tensor_n(t);
    t->data = md_arena_alloc(&r->fit, size + 1);
    if (!t->data)
        return md_fail_nomem(err, size);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = 0;

        (void)md_dim_value(&k, v->data[i], r->sym);
        if (md_dtype_is_float(t->dtype))
            md_tensor_set_f64(t, i, (double)k);
        else
            md_tensor_set_i64(t, i, k);
    }
    return MD_OK;
}

/* A view of what is known before running is known too. */
static void fill_view(md_run *r, md_tensor *t, const md_node *n)
{
    *t = *r->cdata[n->in[0]];
    t->owner = NULL;
    t->shape = md_run__shape(r, n->out[0]);
}

static void place_known(md_run *r, md_value_id id)
{
    uint32_t at = r->s->slot_of[MD_LAYOUT_ROW][id];

    if (at != MD_SLOT_NONE)
        r->address[at] = r->cdata[id]->data;
}

static md_status fill_known(md_run *r, md_error *err)
{
    const md_form *f = r->form;

    for (uint32_t i = 0; i < f->n_given; i++) {
        MD_TRY(md_run__fill_given(r, &r->known[i], f->given[i], err));
        place_known(r, f->given[i]);
    }
    for (uint32_t i = 0; i < f->n_views; i++) {
        fill_view(r, &r->known[f->n_given + i], f->views[i]);
        place_known(r, f->views[i]->out[0]);
    }
    return MD_OK;
}

/* Memory for the plan: what an earlier one left, if it is of use.  Where that
 * was too small there may be more to come: a loop whose values grow does not
 * ask for memory in each trip. */
static md_status take_memory(md_run *r, md_error *err)
{
    const md_alloc *a = r->s->run_alloc;
    size_t size = r->memory_size;

    if (is_of_use(r->memory_room, size))
        return MD_OK;
    if (r->memory && r->memory_room < size && size < ROOM_KEPT)
        size += size / 2;
    md_free(a, r->memory);
    r->memory = NULL;
    r->memory_room = 0;
    if (size == 0)
        return MD_OK;
    r->memory = md_malloc_aligned(a, size);
    if (!r->memory)
        return md_fail_nomem(err, size);
    r->memory_room = size;
    return MD_OK;
}

static md_status pack_block(md_run *r, md_error *err)
{
    const md_form *f = r->form;

    for (uint32_t k = 0; k < f->packing.n_kinds; k++)
        MD_TRY(slot_bytes(r, f->kind_slot[k], &r->places.size[k], err));
    MD_TRY(md_places_find(&r->places, &f->packing, err));
    r->memory_size = r->places.total;
    MD_TRY(take_memory(r, err));
    for (uint32_t i = 0; i < f->n_placed; i++) {
        uint32_t b = f->buffer_of[f->placed[i]];
        bool empty = r->places.size[f->buffers[b].kind] == 0;

        r->address[f->placed[i]] =
            empty ? md_run__nothing : r->memory + r->places.offset[b];
    }
    return MD_OK;
}

md_run_end *md_run__output_end(const md_run *r, uint32_t i)
{
    return &r->ends[r->s->graph->n_inputs + i];
}

/* Inputs as they are told to callers, and sizes of outputs. */
static md_status find_ends(md_run *r, md_error *err)
{
    const md_graph *g = r->s->graph;

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        uint32_t sl = r->s->slot_of[MD_LAYOUT_ROW][g->inputs[i]];

        r->inputs[i] = md_run__header(r, sl);
        r->inputs[i].kind = r->s->inputs[i].type.kind;
        r->ends[i].own = r->inputs[i].data;
        r->ends[i].moved = true; /* steps look there, not at what is bound */
    }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        uint32_t sl = r->s->slot_of[MD_LAYOUT_ROW][g->outputs[i]];
        md_run_end *e = md_run__output_end(r, i);

        e->size = 0;
        e->moved = r->moved = true; /* it has no memory yet */
        if (r->form->end_root[g->n_inputs + i] != MD_SLOT_NONE)
            MD_TRY(slot_bytes(r, sl, &e->size, err));
    }
    return MD_OK;
}

static void tell_outputs(md_run *r)
{
    const md_graph *g = r->s->graph;

    for (uint32_t i = 0; i < g->n_outputs; i++) {
        md_value_id id = g->outputs[i];

        r->outputs[i] =
            r->cdata[id] ? *r->cdata[id]
                         : md_run__header(r, r->s->slot_of[MD_LAYOUT_ROW][id]);
        r->outputs[i].owner = NULL;
    }
}

/* Tell steps where input or output i is now. */
static void follow_end(md_run *r, uint32_t i)
{
    const md_form *f = r->form;
    md_run_end *e = &r->ends[i];
    void *to = e->bound ? e->bound : e->own;

    e->moved = false;
    if (f->end_root[i] == MD_SLOT_NONE)
        return;
    if (!to)
        to = md_run__nothing;
    for (uint32_t k = f->end_slot[i]; k != MD_SLOT_NONE; k = f->end_next[k])
        r->address[k] = to;
    for (uint32_t p = e->points; p > 0; p = r->points[p - 1].next)
        *r->points[p - 1].to = to;
}

/* Memory for the outputs for which the caller has none. */
static md_status own_output(md_run *r, md_run_end *e, md_error *err)
{
    const md_alloc *a = r->s->run_alloc;

    if (e->size == 0 || e->bound || (e->own && is_of_use(e->own_size, e->size)))
        return MD_OK;
    md_free(a, e->own);
    e->own = md_malloc_aligned(a, e->size);
    e->own_size = e->size;
    return e->own ? MD_OK : md_fail_nomem(err, e->size);
}

md_status md_run__follow_ends(md_run *r, md_error *err)
{
    const md_graph *g = r->s->graph;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        MD_TRY(own_output(r, md_run__output_end(r, i), err));
    for (uint32_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
        if (r->ends[i].moved)
            follow_end(r, i);
    }
    tell_outputs(r);
    r->moved = false;
    return MD_OK;
}

/* Make *p hold `total` bytes.  The old ones stay until then: planned steps
 * count on them. */
static md_status grow(const md_run *r, unsigned char **p, size_t total,
                      md_error *err)
{
    const md_alloc *a = r->s->run_alloc;
    unsigned char *grown = md_malloc_aligned(a, total);

    if (!grown)
        return md_fail_nomem(err, total);
    md_free(a, *p);
    *p = grown;
    return MD_OK;
}

md_status md_run__reserve(md_run *r, size_t size, size_t shared, md_error *err)
{
    size_t total;

    if (size > r->scratch_size) {
        size = md_round_up(size, MD_CACHE_LINE);
        if (!md_mul_size(&total, size, (size_t)md_pool_width(r->s->pool)))
            return md_fail_nomem(err, SIZE_MAX);
        MD_TRY(grow(r, &r->scratch, total, err));
        r->scratch_size = size;
    }
    if (shared > r->shared_size) {
        MD_TRY(grow(r, &r->shared, shared, err));
        r->shared_size = shared;
    }
    return MD_OK;
}

/* A step as it is before a kernel plans it. */
static void clear(md_step *st)
{
    st->args = NULL;
    st->n_chunks = 1;
    st->scratch_size = st->shared_size = 0;
    st->check = NULL;
    for (int i = 0; i < MD_PHASES_MAX - 1; i++)
        st->n_more[i] = 0;
}

/* Arguments of kernels, where shapes have changed. */
static md_status plan_kernels(md_run *r, md_error *err)
{
    const int width = md_pool_width(r->s->pool);
    size_t scratch_size = 0, shared_size = 0;

    for (uint32_t i = 0; i < r->n_steps; i++) {
        md_run_step *st = &r->steps[i];

        if (st->dynamic || st->inst->kind != MD_INST_FAST)
            continue;
        if (!st->fixed || !st->planned) {
            clear(&st->st);
            MD_TRY(st->inst->fast->plan(&st->st, width,
                                        st->fixed ? &r->arena : &r->fit, err));
        }
        st->planned = true;
        if (st->st.scratch_size > scratch_size)
            scratch_size = st->st.scratch_size;
        if (st->st.shared_size > shared_size)
            shared_size = st->st.shared_size;
    }
    return md_run__reserve(r, scratch_size, shared_size, err);
}

md_status md_run__fit(md_run *r, md_error *err)
{
    md_arena_reset(&r->fit);
    r->macs = -1;
    MD_TRY(find_shapes(r, err));
    MD_TRY(fill_known(r, err));
    MD_TRY(pack_block(r, err));
    for (uint32_t i = 0; i < r->n_points; i++)
        *r->points[i].to = r->address[r->points[i].slot];
    MD_TRY(find_ends(r, err));
    tell_outputs(r);
    md_run__forget_widths(r);
    return plan_kernels(r, err);
}
