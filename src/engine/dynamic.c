/*
 * Steps whose shapes depend on data.  Each looks at its inputs when its turn
 * comes, infers its outputs' shapes from them and takes memory that earlier
 * values gave back.  A kernel is planned again only when the shapes have
 * changed since it last ran.
 */
#include <string.h>

#include "engine/body.h"
#include "engine/exec.h"
#include "engine/run_impl.h"
#include "ops/common/util.h"

static md_value_id value_of(const md_run *r, uint32_t slot_id)
{
    return r->s->slots[slot_id].value;
}

static bool slot_is_dynamic(const md_run *r, uint32_t slot_id)
{
    return slot_id != MD_SLOT_NONE && r->form->dynamic[value_of(r, slot_id)];
}

md_status md_run__plan_values(md_run *r, md_error *err)
{
    const md_session *s = r->s;
    bool any = false;

    for (uint32_t i = 0; i < s->n_slots; i++)
        any |= slot_is_dynamic(r, i);
    if (!any)
        return MD_OK;
    r->values = md_arena_calloc(&r->arena, s->n_slots, sizeof(*r->values));
    if (!r->values)
        return md_fail_nomem(err, s->n_slots * sizeof(*r->values));
    for (uint32_t i = 0; i < s->n_insts; i++) {
        for (uint32_t k = 0; k < s->insts[i].n_in && !r->form->skip[i]; k++) {
            if (s->insts[i].in[k] != MD_SLOT_NONE)
                r->values[s->insts[i].in[k]].reads++;
        }
    }
    for (uint32_t i = 0; i < s->graph->n_outputs; i++) {
        md_run_value *v =
            &r->values[s->slot_of[MD_LAYOUT_ROW][s->graph->outputs[i]]];

        v->reads++;
        v->is_output = true;
    }
    return MD_OK;
}

/* Slot `id` needs its contents no longer.  Elements of strings may lie in
 * other values, so these stay until the end. */
static void drop(md_run *r, uint32_t id)
{
    md_run_value *v = &r->values[id];
    md_run_value *holder;

    if (v->holder == MD_SLOT_NONE)
        return;
    holder = &r->values[v->holder];
    if (holder->own.dtype == MD_DTYPE_STRING)
        return;
    v->holder = MD_SLOT_NONE;
    if (--holder->shares == 0)
        md_tensor_release(&holder->own);
}

static void drop_read(md_run *r, uint32_t id)
{
    if (slot_is_dynamic(r, id) && --r->values[id].left == 0)
        drop(r, id);
}

/* Slot `id` holds t from now on, and owns its data. */
static void put_own(md_run *r, uint32_t id, md_tensor t)
{
    md_run_value *v = &r->values[id];

    v->own = v->now = t;
    v->now.owner = NULL;
    v->holder = id;
    v->shares = 1;
    v->left = v->reads;
}

/* Slot `id` holds t, whose data is what slot `from` holds. */
static void put_shared(md_run *r, uint32_t id, md_tensor t, uint32_t from)
{
    md_run_value *v = &r->values[id];

    v->now = t;
    v->holder = MD_SLOT_NONE;
    v->left = v->reads;
    if (!slot_is_dynamic(r, from))
        return;
    v->holder = r->values[from].holder;
    if (v->holder != MD_SLOT_NONE)
        r->values[v->holder].shares++;
}

md_status md_run__take_containers(md_run *r, md_error *err)
{
    const md_session *s = r->s;

    for (uint32_t i = 0; i < s->graph->n_inputs; i++) {
        uint32_t id = s->slot_of[MD_LAYOUT_ROW][s->graph->inputs[i]];

        if (s->inputs[i].type.kind == MD_KIND_TENSOR)
            continue;
        if (!r->ends[i].bound)
            return md_fail(err, MD_INVALID, "input '%s' is not given",
                           s->inputs[i].name);
        put_shared(r, id, r->inputs[i], MD_SLOT_NONE);
    }
    return MD_OK;
}

/* What a slot holds now. */
static md_tensor get(const md_run *r, uint32_t id)
{
    md_tensor t;

    if (!slot_is_dynamic(r, id))
        return md_run__header(r, id);
    t = r->values[id].now;
    t.owner = NULL;
    if (!t.data)
        t.data = md_run__nothing;
    return t;
}

static void get_inputs(const md_run *r, md_run_step *st)
{
    for (uint32_t i = 0; i < st->inst->n_in; i++) {
        if (st->inst->in[i] != MD_SLOT_NONE)
            st->in[i] = get(r, st->inst->in[i]);
    }
}

/* The types of the outputs, from the inputs' shapes and contents. */
static md_status infer(md_run *r, const md_run_step *st, const md_type **out,
                       md_error *err)
{
    const md_node *n = st->inst->node;
    md_exec x = { .node = n,
                  .opset = md_node_opset(r->s->model, n),
                  .in = st->in_p };
    md_infer c;
    md_status s;

    md_arena_reset(&r->step_scratch);
    MD_TRY(md_exec__infer_view(&x, &c, &r->step_scratch, err));
    s = st->inst->op->infer(&c, err);
    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", n->name, n->op);
    *out = c.out;
    return MD_OK;
}

/* Where the memory of a dynamic slot comes from. */
static const md_alloc *alloc_of(const md_run *r, uint32_t id)
{
    return r->values[id].is_output && r->out_alloc ? r->out_alloc
                                                   : &r->heap->alloc;
}

/* Memory for output i of a fast instruction or a reorder. */
static md_status place(md_run *r, md_run_step *st, uint32_t i, md_dtype dtype,
                       const md_shape *shape, md_error *err)
{
    uint32_t id = st->inst->out[i];
    md_tensor *t = &st->out[i];
    size_t size;

    if (id == MD_SLOT_NONE)
        return MD_OK;
    if (!slot_is_dynamic(r, id)) {
        *t = md_run__header(r, id);
        if (md_shape_equal(&t->shape, shape))
            return MD_OK;
        return md_fail(err, MD_INTERNAL, "'%s' is not as planned",
                       r->s->graph->values[value_of(r, id)].name);
    }
    *t =
        (md_tensor){ .dtype = dtype, .shape = *shape, .data = md_run__nothing };
    MD_TRY(md_tensor_bytes(&size, dtype, shape, err));
    MD_TRY(md_layout_bytes(&size, r->s->slots[id].layout, dtype, shape, err));
    if (size > 0) {
        t->owner = alloc_of(r, id);
        t->data = md_malloc_aligned(t->owner, size);
        if (!t->data)
            return md_fail_nomem(err, size);
    }
    put_own(r, id, *t);
    return MD_OK;
}

/* Are the step's inputs and outputs of the shapes that it is planned for? */
static bool still_planned(const md_run_step *st)
{
    for (uint32_t i = 0; i < st->inst->n_in && st->planned; i++) {
        if (!md_shape_equal(&st->st.in_shape[i], &st->in[i].shape))
            return false;
    }
    for (uint32_t i = 0; i < st->inst->n_out && st->planned; i++) {
        if (!md_shape_equal(&st->st.out_shape[i], &st->out[i].shape))
            return false;
    }
    return st->planned;
}

static md_status plan_again(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;
    md_shape *shapes;
    md_dtype *dtypes;
    md_status s;

    st->planned = false;
    md_arena_reset(&st->arena);
    MD_TRY(md_run__bind_step(st, &shapes, &dtypes, &st->arena, err));
    for (size_t i = 0; i < (size_t)inst->n_in + inst->n_out; i++) {
        shapes[i] = st->in[i].shape; /* outputs lie behind */
        dtypes[i] = st->in[i].dtype;
    }
    s = inst->fast->plan(&st->st, md_pool_width(r->s->pool), &st->arena, err);
    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", inst->node->name,
                       inst->node->op);
    MD_TRY(md_run__reserve(r, st->st.scratch_size, st->st.shared_size, err));
    st->planned = true;
    return MD_OK;
}

static md_status run_fast(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;
    const md_type *types;

    MD_TRY(infer(r, st, &types, err));
    for (uint32_t i = 0; i < inst->n_out; i++) {
        md_shape shape;

        if (inst->out[i] == MD_SLOT_NONE)
            continue;
        if (!md_type_static(&types[i], &shape))
            return md_fail(err, MD_INTERNAL, "%s does not tell output %u",
                           inst->node->op, i);
        MD_TRY(place(r, st, i, types[i].dtype, &shape, err));
    }
    if (!still_planned(st))
        MD_TRY(plan_again(r, st, err));
    for (uint32_t i = 0; i < inst->n_in; i++)
        st->st.in[i] = st->in[i].data;
    for (uint32_t i = 0; i < inst->n_out; i++)
        st->st.out[i] = st->out[i].data;
    return md_run__fast(r, st, err);
}

static md_status run_reorder(md_run *r, md_run_step *st, md_error *err)
{
    MD_TRY(place(r, st, 0, st->in[0].dtype, &st->in[0].shape, err));
    if (md_tensor_n(&st->in[0]) > 0)
        md_run__reorder(r, st);
    return MD_OK;
}

static md_status run_view(md_run *r, md_run_step *st, md_error *err)
{
    uint32_t from = st->inst->in[0], to = st->inst->out[0];
    md_tensor t = st->in[0];
    const md_type *types;

    if (t.kind != MD_KIND_TENSOR) {
        put_shared(r, to, t, from);
        return MD_OK;
    }
    MD_TRY(infer(r, st, &types, err));
    if (!md_type_static(&types[0], &t.shape) ||
        md_tensor_n(&t) != md_tensor_n(&st->in[0]))
        return md_fail(err, MD_INTERNAL, "%s changes the number of elements",
                       st->inst->node->op);
    if (slot_is_dynamic(r, to)) {
        put_shared(r, to, t, from);
        return MD_OK;
    }
    MD_TRY(place(r, st, 0, t.dtype, &t.shape, err));
    if (st->out[0].data != t.data)
        md_move_all(&st->out[0], &t);
    return MD_OK;
}

static md_status run_definition(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;
    md_body_call call = { r, st };
    const md_exec_env env = md_body__env(&call);
    md_status s;

    for (uint32_t i = 0; i < inst->n_out; i++) {
        st->out[i] = (md_tensor)MD_TENSOR_INIT;
        if (slot_is_dynamic(r, inst->out[i]))
            st->out[i].owner = alloc_of(r, inst->out[i]);
        else if (inst->out[i] != MD_SLOT_NONE)
            st->out[i] = md_run__header(r, inst->out[i]);
    }
    s = md_exec_node(r->s->graph, inst->node, st->in_p, st->out, &env, err);
    for (uint32_t i = 0; i < inst->n_out; i++) {
        if (s == MD_OK && slot_is_dynamic(r, inst->out[i]))
            put_own(r, inst->out[i], st->out[i]);
        else
            md_tensor_release(&st->out[i]);
    }
    return s;
}

md_status md_run__dynamic(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;

    get_inputs(r, st);
    switch (inst->kind) {
    case MD_INST_FAST:
        MD_TRY(run_fast(r, st, err));
        break;
    case MD_INST_REORDER:
        MD_TRY(run_reorder(r, st, err));
        break;
    case MD_INST_VIEW:
        MD_TRY(run_view(r, st, err));
        break;
    case MD_INST_REF:
        MD_TRY(run_definition(r, st, err));
        break;
    }
    for (uint32_t i = 0; i < inst->n_in; i++)
        drop_read(r, inst->in[i]);
    for (uint32_t i = 0; i < inst->n_out; i++) {
        if (slot_is_dynamic(r, inst->out[i]) &&
            r->values[inst->out[i]].left == 0)
            drop(r, inst->out[i]);
    }
    return MD_OK;
}

void md_run__give_values(md_run *r)
{
    const md_graph *g = r->s->graph;

    for (uint32_t i = 0; i < g->n_outputs && r->values; i++) {
        md_value_id id = g->outputs[i];

        if (r->form->dynamic[id])
            r->outputs[i] = r->values[r->s->slot_of[MD_LAYOUT_ROW][id]].now;
    }
}

bool md_run__steal_output(md_run *r, uint32_t i, md_tensor *t)
{
    md_value_id id = r->s->graph->outputs[i];
    uint32_t sl = r->s->slot_of[MD_LAYOUT_ROW][id];
    md_run_value *v = r->values ? &r->values[sl] : NULL;

    if (!v || !r->form->dynamic[id] || v->holder != sl || v->shares != 1 ||
        v->left != 1 || !v->own.data || v->own.dtype == MD_DTYPE_STRING ||
        (r->out_alloc && v->own.owner != r->out_alloc))
        return false;
    *t = v->own;
    v->own = (md_tensor)MD_TENSOR_INIT;
    v->holder = MD_SLOT_NONE;
    v->shares = 0;
    return true;
}

static void release_values(md_run *r)
{
    for (uint32_t i = 0; i < r->s->n_slots && r->values; i++) {
        md_tensor_release(&r->values[i].own);
        r->values[i].shares = 0;
        r->values[i].holder = MD_SLOT_NONE;
    }
}

void md_run__give_from(md_run *r, const md_alloc *alloc)
{
    if (!alloc)
        release_values(r);
    r->out_alloc = alloc;
}

void md_run__drop_values(md_run *r)
{
    release_values(r);
    if (r->heap == &r->recycle)
        md_recycle_trim(r->heap);
}
