/*
 * Runs: a session's program for concrete input shapes, with its memory.
 *
 * Making one infers all shapes, computes what depends on shapes alone (so
 * Shape, Gather, Concat in front of a Reshape cost nothing at run time), packs
 * the lifetimes of all slots into one block and resolves every address.
 * Executing is then a walk over steps.
 */
#include <assert.h>
#include <string.h>

#include "base/size.h"
#include "engine/body.h"
#include "engine/exec.h"
#include "engine/memory.h"
#include "engine/run_impl.h"
#include "kernels/reorder.h"

enum {
    ROOM_KEPT = 32 << 20, /* bytes that a plan for smaller shapes may keep */
};

md_run **md_run__next(md_run *r)
{
    return &r->next;
}

md_session *md_run__session(const md_run *r)
{
    return r->s;
}

static bool is_container(const md_session *s, uint32_t i)
{
    return s->inputs[i].type.kind != MD_KIND_TENSOR;
}

/* Are a plan's contents of an input, NULL where it counts on none, these? */
static bool same_contents(const md_tensor *a, const md_tensor *b)
{
    if (!a || !b)
        return a == b;
    return md_tensor_size(a) == 0 ||
           memcmp(a->data, b->data, md_tensor_size(a)) == 0;
}

bool md_run__fits(const md_run *r, const md_shape *shapes,
                  const md_tensor *const *contents)
{
    const md_graph *g = r->s->graph;

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        if (is_container(r->s, i))
            continue;
        if (!md_shape_equal(&r->key[i], &shapes[i]) ||
            !same_contents(r->contents ? r->contents[i] : NULL,
                           contents ? contents[i] : NULL))
            return false;
    }
    return true;
}

/* The type of a value, as far as sizes tell it. */
static md_type solved_type(const md_run *r, md_value_id id)
{
    md_type t = r->s->graph->values[id].type;

    for (int i = 0; i < t.rank && r->sym; i++) {
        int64_t n;

        if (t.dim[i].sym && md_dim_value(&n, t.dim[i], r->sym))
            t.dim[i] = MD_DIM(n);
    }
    return t;
}

/* What sizes say of the shape of a value. */
static bool solved_shape(const md_run *r, md_value_id id, md_shape *out)
{
    const md_type *t = &r->s->graph->values[id].type;

    if (t->kind != MD_KIND_TENSOR || !t->has_rank)
        return false;
    out->rank = t->rank;
    for (int i = 0; i < t->rank; i++) {
        out->dim[i] = t->dim[i].k;
        if (t->dim[i].sym &&
            (!r->sym || !md_dim_value(&out->dim[i], t->dim[i], r->sym)))
            return false;
    }
    return true;
}

/* False when the shape is not known. */
static bool find_shape(const md_run *r, md_value_id id, md_shape *out)
{
    if (r->inferred[id])
        return md_type_static(&r->types[id], out);
    if (!r->solved[id]) {
        if (!solved_shape(r, id, &r->shapes[id]))
            return false;
        r->solved[id] = true;
    }
    *out = r->shapes[id];
    return true;
}

md_shape md_run__shape(const md_run *r, md_value_id id)
{
    md_shape shape;

    if (!find_shape(r, id, &shape))
        shape.rank = 0;
    return shape;
}

md_dtype md_run__dtype(const md_run *r, md_value_id id)
{
    return r->inferred[id] ? r->types[id].dtype
                           : r->s->graph->values[id].type.dtype;
}

static const md_slot *slot(const md_run *r, uint32_t i)
{
    return &r->s->slots[i];
}

/* ---- shapes and shape arithmetic ---- */

/* Put numbers for the symbols. */
static md_status solve(md_run *r, const md_shape *shapes, md_error *err)
{
    md_session *s = r->s;
    uint32_t n = s->model->n_symbols;

    r->sym = md_arena_calloc(&r->arena, n, sizeof(*r->sym));
    if (!r->sym)
        return md_fail_nomem(err, n * sizeof(*r->sym));
    /* What subgraphs are given may change from trip to trip. */
    if (s->graph->parent || !md_session__solve(s, shapes, r->sym))
        r->sym = NULL; /* inference will tell what does not fit */
    return MD_OK;
}

/* Only where something has to be inferred are there types. */
static md_status need_types(md_run *r, md_error *err)
{
    size_t n = r->s->graph->n_values;

    if (r->types)
        return MD_OK;
    r->types = md_arena_alloc(&r->arena, n * sizeof(*r->types));
    return r->types ? MD_OK : md_fail_nomem(err, n * sizeof(*r->types));
}

static md_status start_types(md_run *r, const md_shape *shapes, md_error *err)
{
    const md_graph *g = r->s->graph;
    size_t n = g->n_values + 1u;

    r->key = md_arena_calloc(&r->arena, g->n_inputs + 1u, sizeof(*r->key));
    r->inferred = md_arena_calloc(&r->arena, n, sizeof(*r->inferred));
    r->solved = md_arena_calloc(&r->arena, n, sizeof(*r->solved));
    r->shapes = md_arena_alloc(&r->arena, n * sizeof(*r->shapes));
    r->cdata = md_arena_alloc(&r->arena, n * sizeof(*r->cdata));
    r->skip = md_arena_calloc(&r->arena, r->s->n_insts + 1u, sizeof(*r->skip));
    r->dynamic = md_arena_calloc(&r->arena, n, sizeof(*r->dynamic));
    if (!r->key || !r->inferred || !r->solved || !r->shapes || !r->cdata ||
        !r->skip || !r->dynamic)
        return md_fail_nomem(err, n * sizeof(*r->cdata));
    MD_TRY(solve(r, shapes, err));
    if (!r->sym)
        MD_TRY(need_types(r, err));
    memcpy(r->cdata, r->s->constants, g->n_values * sizeof(*r->cdata));
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_value_id id = g->inputs[i];

        if (g->values[id].type.kind != MD_KIND_TENSOR) {
            r->any_dynamic = r->dynamic[id] =
                true; /* looked at when it is there */
            continue;
        }
        r->key[i] = shapes[i];
        if (r->sym)
            continue;
        r->types[id] = md_type_of_tensor(g->values[id].type.dtype, &shapes[i]);
        r->inferred[id] = true;
    }
    return MD_OK;
}

/* The elements of value id, which follow from sizes, as a constant of this
 * plan. */
static md_status fill_given(md_run *r, md_value_id id, md_error *err)
{
    const md_value *v = &r->s->graph->values[id];
    md_tensor *t = md_arena_calloc(&r->arena, 1, sizeof(*t));
    size_t size;
    int64_t n;

    if (!t)
        return md_fail_nomem(err, sizeof(*t));
    t->dtype = v->type.dtype;
    t->shape = md_run__shape(r, id);
    n = md_tensor_n(t);
    MD_TRY(md_tensor_bytes(&size, t->dtype, &t->shape, err));
    t->data = md_arena_alloc(&r->arena, size + 1);
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
    r->cdata[id] = t;
    return MD_OK;
}

/* What an instruction that follows from sizes needs: nothing, or its results
 * that somebody reads. */
static md_status take_given(md_run *r, const md_inst *inst, md_error *err)
{
    for (uint32_t i = 0; i < inst->node->n_out && inst->given && !inst->idle;
         i++) {
        md_value_id id = inst->node->out[i];

        if (id != MD_VALUE_NONE && r->s->wanted[id])
            MD_TRY(fill_given(r, id, err));
    }
    return MD_OK;
}

/* Types of n's inputs for inference. */
static void load_types(md_run *r, const md_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        md_value_id id = n->in[i];

        if (id == MD_VALUE_NONE || r->inferred[id])
            continue;
        r->types[id] = solved_type(r, id);
        r->inferred[id] = true;
    }
}

/* Free t's data with the run; on failure it stays the caller's. */
static md_status own(md_run *r, const md_tensor *t, md_error *err)
{
    MD_TRY(md_grow(r->s->alloc, (void *)&r->owned, &r->cap_owned, r->n_owned,
                   sizeof(*r->owned), err));
    r->owned[r->n_owned++] = *t;
    return MD_OK;
}

/* Keep a tensor made while planning; its address stays valid. */
static md_status keep(md_run *r, md_value_id id, const md_tensor *t,
                      md_error *err)
{
    md_tensor *header = md_arena_alloc(&r->arena, sizeof(*header));

    if (!header)
        return md_fail_nomem(err, sizeof(*header));
    MD_TRY(own(r, t, err));
    *header = *t;
    r->cdata[id] = header;
    return MD_OK;
}

static md_status compute_now(md_run *r, const md_node *n, md_error *err)
{
    md_tensor out[MD_KNOWN_OUT] = { 0 };
    md_status s;

    s = md_known__compute(r->s->graph, n, r->types, r->cdata, out, r->s->alloc,
                          &r->arena, err);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (s == MD_OK && n->out[i] != MD_VALUE_NONE)
            s = keep(r, n->out[i], &out[i], err);
        if (s != MD_OK)
            md_tensor_release(&out[i]);
    }
    return s;
}

/* What is known of the inputs beforehand. */
static md_status take_contents(md_run *r, const md_tensor *const *contents,
                               md_error *err)
{
    const md_graph *g = r->s->graph;

    if (!contents)
        return MD_OK;
    r->contents =
        md_arena_calloc(&r->arena, g->n_inputs + 1u, sizeof(*r->contents));
    if (!r->contents)
        return md_fail_nomem(err, g->n_inputs * sizeof(*r->contents));
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_tensor copy;
        md_status s;

        if (!contents[i])
            continue;
        MD_TRY(md_tensor_copy(&copy, contents[i], r->s->alloc, err));
        s = keep(r, g->inputs[i], &copy, err);
        if (s != MD_OK) {
            md_tensor_release(&copy);
            return s;
        }
        r->contents[i] = r->cdata[g->inputs[i]];
    }
    return MD_OK;
}

/* Which outputs of n are known only while running; the others have to fit
 * into memory. */
static md_status find_dynamic(md_run *r, const md_node *n, md_error *err)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_shape shape;
        size_t size;

        if (n->out[i] == MD_VALUE_NONE)
            continue;
        if (find_shape(r, n->out[i], &shape))
            MD_TRY(md_tensor_bytes(&size, md_run__dtype(r, n->out[i]), &shape,
                                   err));
        else
            r->any_dynamic = r->dynamic[n->out[i]] = true;
    }
    return MD_OK;
}

static bool is_constant(const md_run *r, uint32_t slot_id)
{
    return r->cdata[slot(r, slot_id)->value] != NULL;
}

/* What was fused into n relies on equal symbols, which callers need not give
 * equal sizes. */
static md_status check_fused(const md_run *r, const md_node *n, md_error *err)
{
    const md_fused *f = n->fused;
    char a[MD_SHAPE_TEXT], b[MD_SHAPE_TEXT];
    md_shape y, x;

    if (!f || f->residual == MD_VALUE_NONE || !find_shape(r, f->residual, &x) ||
        !find_shape(r, n->out[0], &y) || md_shape_equal(&x, &y))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "node '%s' (%s): sizes of one name differ: %s is added to "
                   "%s",
                   n->name, n->op, md_shape_format(a, sizeof(a), &x),
                   md_shape_format(b, sizeof(b), &y));
}

/* Infer n for the sizes at hand, and compute it when that can be done now. */
static md_status infer_now(md_run *r, uint32_t i, md_error *err)
{
    md_session *s = r->s;
    const md_node *n = s->insts[i].node;
    md_facts k = { NULL, r->cdata, NULL };
    md_look look = { MD_LOOK_MAX, false };

    MD_TRY(need_types(r, err));
    k.types = r->types;
    load_types(r, n);
    MD_TRY(md_session__infer_node(s->graph, n, NULL, &k, &look, err));
    for (uint32_t o = 0; o < n->n_out; o++) {
        if (n->out[o] != MD_VALUE_NONE)
            r->inferred[n->out[o]] = true;
    }
    r->n_inferred++;
    MD_TRY(check_fused(r, n, err));
    if (!md_known__now(s->graph, n, r->types, r->cdata))
        return find_dynamic(r, n, err);
    r->skip[i] = true;
    return compute_now(r, n, err);
}

/* A view of what was computed for this plan is known too. */
static md_status view_known(md_run *r, uint32_t i, md_error *err)
{
    const md_node *n = r->s->insts[i].node;
    md_tensor *t = md_arena_alloc(&r->arena, sizeof(*t));

    if (!t)
        return md_fail_nomem(err, sizeof(*t));
    *t = *r->cdata[n->in[0]];
    t->owner = NULL;
    t->shape = md_run__shape(r, n->out[0]);
    r->cdata[n->out[0]] = t;
    r->skip[i] = true;
    return MD_OK;
}

/* Is everything that n reads known, some of it computed for this plan?  Then
 * so is n: what stands behind may take its shape from it. */
static bool goes_on(const md_run *r, const md_node *n)
{
    bool computed = false;

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE &&
            !md_known__has_contents(r->cdata[n->in[i]]))
            return false;
        computed |= n->in[i] != MD_VALUE_NONE && r->inferred[n->in[i]];
    }
    return computed;
}

static md_status infer_all(md_run *r, md_error *err)
{
    md_session *s = r->s;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (r->sym && (inst->idle || (inst->follows && inst->given))) {
            r->skip[i] = true;
            if (inst->given)
                MD_TRY(take_given(r, inst, err));
        } else if (!inst->node) { /* what is known is packed once */
            r->skip[i] = is_constant(r, inst->in[0]);
        } else if (!r->sym || !inst->follows || goes_on(r, inst->node)) {
            MD_TRY(infer_now(r, i, err));
        } else if (inst->kind == MD_INST_VIEW && r->cdata[inst->node->in[0]]) {
            MD_TRY(view_known(r, i, err));
        }
    }
    return MD_OK;
}

/* ---- memory ---- */

/* Is a reorder between the layouts of these slots the identity on memory? */
static bool reorder_is_view(const md_run *r, const md_inst *inst)
{
    md_shape shape = md_run__shape(r, slot(r, inst->in[0])->value);

    return shape.rank == 4 && shape.dim[1] % MD_BLOCK == 0 &&
           shape.dim[2] * shape.dim[3] == 1;
}

/* Is output 0 of inst in the planned memory of its input 0? */
static bool shares_memory(const md_run *r, const md_inst *inst)
{
    if (inst->kind != MD_INST_VIEW && inst->kind != MD_INST_REORDER)
        return false;
    return !r->dynamic[slot(r, inst->in[0])->value] &&
           (inst->kind == MD_INST_VIEW || reorder_is_view(r, inst));
}

/* Is output 0 of inst, known only while running, in the memory of its input,
 * which may be planned memory further up?  That has to last as long. */
static bool looks_on(const md_run *r, const md_inst *inst)
{
    return inst->kind == MD_INST_VIEW &&
           r->dynamic[slot(r, inst->in[0])->value] &&
           r->dynamic[slot(r, inst->out[0])->value];
}

/* Views share the memory of what they read. */
static void find_roots(md_run *r)
{
    md_session *s = r->s;

    for (uint32_t i = 0; i < s->n_slots; i++)
        r->root[i] = i;
    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (!r->skip[i] && (shares_memory(r, inst) || looks_on(r, inst)))
            r->root[inst->out[0]] = r->root[inst->in[0]];
    }
}

static md_status slot_bytes(const md_run *r, uint32_t slot_id, size_t *size,
                            md_error *err)
{
    const md_slot *sl = slot(r, slot_id);
    md_shape shape = md_run__shape(r, sl->value);

    return md_layout_bytes(size, sl->layout, md_run__dtype(r, sl->value),
                           &shape, err);
}

/* Extend lifetimes by the touches of every step; inputs and outputs live to
 * the end. */
static void find_lifetimes(md_run *r, md_buffer *b)
{
    md_session *s = r->s;
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (r->skip[i])
            continue;
        for (uint32_t k = 0; k < inst->n_in; k++) {
            if (inst->in[k] != MD_SLOT_NONE)
                b[r->root[inst->in[k]]].to = i + 1;
        }
        for (uint32_t k = 0; k < inst->n_out; k++) {
            md_buffer *o;

            if (inst->out[k] == MD_SLOT_NONE)
                continue;
            o = &b[r->root[inst->out[k]]];
            if (o->from == UINT32_MAX)
                o->from = i + 1;
            if (o->to < i + 1)
                o->to = i + 1;
        }
    }
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_buffer *in = &b[s->slot_of[MD_LAYOUT_ROW][g->inputs[i]]];

        in->from = 0; /* and to the end: a run may be executed again */
        in->to = s->n_insts + 1;
    }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        uint32_t sl = s->slot_of[MD_LAYOUT_ROW][g->outputs[i]];

        b[r->root[sl]].to = s->n_insts + 1;
    }
}

/* The input that output 0 of inst may overwrite, or -1. */
static int overwritable(const md_inst *inst)
{
    if (inst->kind == MD_INST_FAST)
        return inst->fast->inplace ? inst->fast->inplace(inst->node) : -1;
    if (inst->kind == MD_INST_REF && (inst->op->flags & MD_OP_INPLACE) &&
        !inst->node->fused)
        return 0;
    return -1;
}

static bool is_graph_input(const md_run *r, uint32_t slot_id)
{
    return r->s->graph->values[slot(r, slot_id)->value].is_input;
}

/* While buffers are merged: the slot at the end of the chain. */
static uint32_t root_of(const md_run *r, uint32_t slot_id)
{
    while (r->root[slot_id] != slot_id)
        slot_id = r->root[slot_id];
    return slot_id;
}

/* Does inst read the memory of its input k through another input too?  The
 * residual of a product may be what it multiplies. */
static bool reads_twice(const md_run *r, const md_inst *inst, uint32_t k)
{
    for (uint32_t i = 0; i < inst->n_in; i++) {
        if (i != k && inst->in[i] != MD_SLOT_NONE &&
            root_of(r, inst->in[i]) == root_of(r, inst->in[k]))
            return true;
    }
    return false;
}

/* Let output 0 take over the memory of a dying input. */
static md_status merge_inplace(md_run *r, md_buffer *b, md_error *err)
{
    md_session *s = r->s;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];
        int k =
            r->skip[i] || md_run__is_dynamic(r, inst) ? -1 : overwritable(inst);
        uint32_t from, to;
        size_t size_in, size_out;

        if (k < 0 || inst->in[k] == MD_SLOT_NONE ||
            inst->out[0] == MD_SLOT_NONE || is_constant(r, inst->in[k]))
            continue;
        from = root_of(r, inst->in[k]);
        to = inst->out[0];
        if (is_graph_input(r, from) || b[from].to != i + 1 ||
            r->root[to] != to || reads_twice(r, inst, (uint32_t)k) ||
            slot(r, inst->in[k])->layout != slot(r, to)->layout)
            continue;
        MD_TRY(slot_bytes(r, inst->in[k], &size_in, err));
        MD_TRY(slot_bytes(r, to, &size_out, err));
        if (size_in != size_out)
            continue;
        r->root[to] = from;
        b[from].to = b[to].to;
        b[to].from = UINT32_MAX;
    }
    for (uint32_t i = 0; i < s->n_slots; i++)
        r->root[i] = root_of(r, i);
    return MD_OK;
}

/* How x lies in rows, for reordering to and from blocks. */
static md_nc16_args blocks_of(const md_tensor *x)
{
    const int64_t *d = x->shape.dim;

    return (md_nc16_args){ .n = d[0],
                           .c = d[1],
                           .pixels = d[2] * d[3],
                           .n_stride = d[1] * d[2] * d[3],
                           .c_stride = d[2] * d[3],
                           .pixel_stride = 1,
                           .size = (int)md_dtype_bits(x->dtype) / 8 };
}

/* Where values without elements are: kernels may add 0 to every pointer. */
unsigned char md_run__nothing[MD_CACHE_LINE];

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
    a = blocks_of(t);
    md_nc16_pack(packed.data, t->data, &a);
    r->address[slot_id] = packed.data;
    s = own(r, &packed, err);
    if (s != MD_OK)
        md_tensor_release(&packed);
    return s;
}

static md_run_end *output_end(const md_run *r, uint32_t i)
{
    return &r->ends[r->s->graph->n_inputs + i];
}

static void set_end(md_run *r, uint32_t e, uint32_t root, size_t size)
{
    r->ends[e] = (md_run_end){ .root = root, .size = size };
    for (uint32_t k = 0; k < r->s->n_slots && root != MD_SLOT_NONE; k++) {
        if (r->root[k] == root && !is_constant(r, k))
            r->end[k] = e;
    }
}

/* May output i lie wherever the caller wants it?  Not when it is known only
 * after running, a constant, (part of) an input, or another output too. */
static bool has_own_memory(const md_run *r, uint32_t slot_id,
                           const md_buffer *b)
{
    md_value_id id = slot(r, slot_id)->value;
    uint32_t root = r->root[slot_id];

    return !is_constant(r, slot_id) && !r->dynamic[id] &&
           md_run__dtype(r, id) != MD_DTYPE_STRING &&
           b[root].from != UINT32_MAX && r->end[root] == MD_SLOT_NONE;
}

/* Find the memory of inputs and outputs; the latter need none in the block. */
static md_status find_ends(md_run *r, md_buffer *b, md_error *err)
{
    const md_graph *g = r->s->graph;
    size_t n = (size_t)g->n_inputs + g->n_outputs + 1;

    r->ends = md_arena_calloc(&r->arena, n, sizeof(*r->ends));
    r->end = md_arena_calloc(&r->arena, r->s->n_slots + 1u, sizeof(*r->end));
    if (!r->ends || !r->end)
        return md_fail_nomem(err, n * sizeof(*r->ends));
    for (uint32_t k = 0; k < r->s->n_slots; k++)
        r->end[k] = MD_SLOT_NONE;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        set_end(r, i, r->s->slot_of[MD_LAYOUT_ROW][g->inputs[i]], 0);
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        uint32_t sl = r->s->slot_of[MD_LAYOUT_ROW][g->outputs[i]];
        uint32_t root = MD_SLOT_NONE;
        size_t size = 0, all = 0;

        if (has_own_memory(r, sl, b)) {
            MD_TRY(slot_bytes(r, sl, &size, err));
            MD_TRY(slot_bytes(r, r->root[sl], &all, err));
            if (size > 0 && size == all)
                root = r->root[sl];
        }
        set_end(r, g->n_inputs + i, root, size);
        if (root != MD_SLOT_NONE)
            b[root].from = UINT32_MAX;
    }
    return MD_OK;
}

/* Memory for the plan: what an earlier one left, unless it is too small or
 * much too large. */
static md_status take_memory(md_run *r, md_error *err)
{
    const md_alloc *a = r->s->run_alloc;
    size_t size = r->memory_size;

    if (r->memory_room >= size &&
        (r->memory_room / 4 <= size || r->memory_room <= ROOM_KEPT))
        return MD_OK;
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

static md_status pack_memory(md_run *r, md_error *err)
{
    md_session *s = r->s;
    md_buffer *b = md_arena_calloc(&r->arena, s->n_slots + 1u, sizeof(*b));
    uint32_t n = s->n_slots;

    r->root = md_arena_calloc(&r->arena, n + 1u, sizeof(*r->root));
    r->address = md_arena_calloc(&r->arena, n + 1u, sizeof(*r->address));
    if (!b || !r->root || !r->address)
        return md_fail_nomem(err, n * sizeof(*b));
    find_roots(r);
    for (uint32_t i = 0; i < n; i++)
        b[i] = (md_buffer){ .from = UINT32_MAX };
    find_lifetimes(r, b);
    MD_TRY(merge_inplace(r, b, err));
    MD_TRY(find_ends(r, b, err));
    for (uint32_t i = 0; i < n; i++) {
        if (r->root[i] == i && b[i].from != UINT32_MAX && !is_constant(r, i) &&
            !r->dynamic[slot(r, i)->value])
            MD_TRY(slot_bytes(r, i, &b[i].size, err));
        else
            b[i].from = b[i].to = 0;
    }
    MD_TRY(md_memory_pack(b, n, &r->memory_size, &r->arena, err));
    MD_TRY(take_memory(r, err));
    for (uint32_t i = 0; i < n; i++) {
        if (is_constant(r, i))
            MD_TRY(place_constant(r, i, err));
        else if (b[r->root[i]].size > 0)
            r->address[i] = r->memory + b[r->root[i]].offset;
        else
            r->address[i] = md_run__nothing;
    }
    return MD_OK;
}

/* ---- steps ---- */

md_tensor md_run__header(const md_run *r, uint32_t slot_id)
{
    md_value_id id = slot(r, slot_id)->value;

    return (md_tensor){ .dtype = md_run__dtype(r, id),
                        .shape = md_run__shape(r, id),
                        .data = r->address[slot_id] };
}

static md_status make_headers(md_run *r, md_run_step *st, md_error *err)
{
    const md_inst *inst = st->inst;

    size_t n = (size_t)inst->n_in + inst->n_out;

    st->in = md_arena_calloc(&r->arena, n + 1, sizeof(*st->in));
    st->in_p = md_arena_calloc(&r->arena, inst->n_in + 1u, sizeof(*st->in_p));
    if (!st->in || !st->in_p)
        return md_fail_nomem(err, n * sizeof(*st->in));
    st->out = st->in + inst->n_in;
    for (uint32_t i = 0; i < inst->n_in; i++) {
        if (inst->in[i] == MD_SLOT_NONE)
            continue;
        st->in[i] = md_run__header(r, inst->in[i]);
        st->in_p[i] = &st->in[i];
    }
    for (uint32_t i = 0; i < inst->n_out; i++) {
        if (inst->out[i] != MD_SLOT_NONE)
            st->out[i] = md_run__header(r, inst->out[i]);
    }
    return MD_OK;
}

md_status md_run__bind_step(md_run_step *st, md_arena *arena, md_error *err)
{
    const md_inst *inst = st->inst;
    uint32_t n_in = inst->n_in, n_out = inst->n_out;
    size_t n = (size_t)n_in + n_out;
    md_shape *shapes = md_arena_alloc(arena, (n + 1) * sizeof(*shapes));
    md_dtype *dtypes = md_arena_alloc(arena, (n + 1) * sizeof(*dtypes));
    void **data = md_arena_calloc(arena, n + 1, sizeof(*data));

    if (!shapes || !dtypes || !data)
        return md_fail_nomem(err, n * sizeof(*shapes));
    st->st = (md_step){ .fast = inst->fast,
                        .state = inst->state,
                        .node = inst->node,
                        .fused = inst->node->fused,
                        .in = data,
                        .out = data + n_in,
                        .in_shape = shapes,
                        .out_shape = shapes + n_in,
                        .in_dtype = dtypes,
                        .out_dtype = dtypes + n_in,
                        .n_chunks = 1 };
    for (uint32_t i = 0; i < n_in; i++) {
        shapes[i] = st->in[i].shape;
        dtypes[i] = st->in[i].dtype;
    }
    for (uint32_t i = 0; i < n_out; i++) {
        shapes[n_in + i] = st->out[i].shape;
        dtypes[n_in + i] = st->out[i].dtype;
    }
    return MD_OK;
}

static md_status plan_fast(md_run *r, md_run_step *st, size_t *scratch_size,
                           size_t *shared_size, md_error *err)
{
    MD_TRY(md_run__bind_step(st, &r->arena, err));
    MD_TRY(st->inst->fast->plan(&st->st, md_pool_width(r->s->pool), &r->arena,
                                err));
    if (st->st.scratch_size > *scratch_size)
        *scratch_size = st->st.scratch_size;
    if (st->st.shared_size > *shared_size)
        *shared_size = st->st.shared_size;
    return MD_OK;
}

static int64_t macs_of(const md_run_step *st)
{
    const md_inst *inst = st->inst;
    const md_shape *in[16] = { NULL }, *out[16] = { NULL };

    if (!inst->op || !inst->op->macs || inst->n_in > 16 || inst->n_out > 16)
        return 0;
    for (uint32_t i = 0; i < inst->n_in; i++)
        in[i] = st->in_p[i] ? &st->in[i].shape : NULL;
    for (uint32_t i = 0; i < inst->n_out; i++)
        out[i] = &st->out[i].shape;
    return inst->op->macs(inst->node, in, out);
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

static md_status make_steps(md_run *r, md_error *err)
{
    md_session *s = r->s;
    size_t scratch_size = 0, shared_size = 0, n = 0;

    for (uint32_t i = 0; i < s->n_insts; i++)
        n += !r->skip[i];
    r->steps = md_arena_calloc(&r->arena, n + 1, sizeof(*r->steps));
    if (!r->steps)
        return md_fail_nomem(err, n * sizeof(*r->steps));
    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];
        md_run_step *st = &r->steps[r->n_steps];

        st->dynamic = md_run__is_dynamic(r, inst);
        if (r->skip[i] || (!st->dynamic && shares_memory(r, inst)))
            continue;
        st->inst = inst;
        md_arena_init(&st->arena, s->alloc, 0);
        r->n_steps++;
        MD_TRY(make_headers(r, st, err));
        if (!st->dynamic && inst->kind == MD_INST_FAST)
            MD_TRY(plan_fast(r, st, &scratch_size, &shared_size, err));
    }
    return md_run__reserve(r, scratch_size, shared_size, err);
}

/* Write addresses of slots into steps and headers. */
static void resolve(md_run *r)
{
    const md_graph *g = r->s->graph;

    for (uint32_t k = 0; k < r->s->n_slots; k++) {
        if (r->end[k] != MD_SLOT_NONE) {
            const md_run_end *e = &r->ends[r->end[k]];

            r->address[k] = e->bound ? e->bound : e->own;
        }
    }
    for (uint32_t i = 0; i < r->n_steps; i++) {
        md_run_step *st = &r->steps[i];
        const md_inst *inst = st->inst;

        for (uint32_t k = 0; k < inst->n_in; k++) {
            if (inst->in[k] == MD_SLOT_NONE)
                continue;
            st->in[k].data = r->address[inst->in[k]];
            if (st->st.in)
                st->st.in[k] = st->in[k].data;
        }
        for (uint32_t k = 0; k < inst->n_out; k++) {
            if (inst->out[k] == MD_SLOT_NONE)
                continue;
            st->out[k].data = r->address[inst->out[k]];
            if (st->st.out)
                st->st.out[k] = st->out[k].data;
        }
    }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        md_value_id id = g->outputs[i];

        r->outputs[i] =
            r->cdata[id] ? *r->cdata[id]
                         : md_run__header(r, r->s->slot_of[MD_LAYOUT_ROW][id]);
        r->outputs[i].owner = NULL;
    }
    r->moved = false;
}

static md_status make_ends(md_run *r, md_error *err)
{
    const md_graph *g = r->s->graph;
    size_t n_in = g->n_inputs + 1u, n_out = g->n_outputs + 1u;

    r->inputs = md_arena_calloc(&r->arena, n_in, sizeof(*r->inputs));
    r->outputs = md_arena_calloc(&r->arena, n_out, sizeof(*r->outputs));
    if (!r->inputs || !r->outputs)
        return md_fail_nomem(err, n_in * sizeof(*r->inputs));
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        uint32_t sl = r->s->slot_of[MD_LAYOUT_ROW][g->inputs[i]];

        r->inputs[i] = md_run__header(r, sl);
        r->ends[i].own = r->address[sl];
        r->inputs[i].kind = r->s->inputs[i].type.kind;
    }
    resolve(r);
    r->moved = true; /* outputs have no memory yet */
    return MD_OK;
}

static md_status plan(md_run *r, const md_shape *shapes,
                      const md_tensor *const *contents, md_error *err)
{
    MD_TRY(start_types(r, shapes, err));
    MD_TRY(take_contents(r, contents, err));
    MD_TRY(infer_all(r, err));
    MD_TRY(pack_memory(r, err));
    MD_TRY(make_steps(r, err));
    MD_TRY(make_ends(r, err));
    MD_TRY(md_run__plan_values(r, err));
    return md_body__prepare(r, err);
}

md_status md_run__new(md_run **out, md_session *session, const md_shape *shapes,
                      const md_tensor *const *contents, md_error *err)
{
    md_run *r = md_calloc(session->alloc, 1, sizeof(*r));
    md_status s;

    if (!r)
        return md_fail_nomem(err, sizeof(*r));
    r->s = session;
    md_arena_init(&r->arena, session->alloc, 0);
    md_arena_init(&r->step_scratch, session->alloc, 0);
    md_arena_init(&r->text, session->run_alloc, 0);
    md_recycle_init(&r->recycle, session->run_alloc);
    r->heap = &r->recycle;
    s = plan(r, shapes, contents, err);
    if (s == MD_OK)
        *out = r;
    else
        md_run__free(r);
    return s;
}

/* Give back what belongs to the plan alone. */
static void drop_plan(md_run *r)
{
    md_run__drop_values(r);
    md_body__release_runs(r);
    for (uint32_t i = 0; i < r->n_steps; i++)
        md_arena_release(&r->steps[i].arena);
    for (uint32_t i = 0; i < r->n_owned; i++)
        md_tensor_release(&r->owned[i]);
    for (uint32_t i = 0; i < r->s->graph->n_outputs && r->ends; i++)
        md_free(r->s->run_alloc, output_end(r, i)->own);
}

md_status md_run__again(md_run *r, const md_shape *shapes, md_error *err)
{
    md_run old;
    md_status s;

    drop_plan(r);
    md_arena_reset(&r->arena);
    md_arena_reset(&r->text);
    old = *r;
    *r = (md_run){ .s = old.s,
                   .arena = old.arena,
                   .step_scratch = old.step_scratch,
                   .text = old.text,
                   .recycle = old.recycle,
                   .owned = old.owned,
                   .cap_owned = old.cap_owned,
                   .memory = old.memory,
                   .memory_room = old.memory_room,
                   .scratch = old.scratch,
                   .scratch_size = old.scratch_size,
                   .shared = old.shared,
                   .shared_size = old.shared_size };
    r->heap = &r->recycle;
    s = plan(r, shapes, NULL, err);
    if (s != MD_OK)
        md_run__free(r);
    return s;
}

void md_run__free(md_run *r)
{
    drop_plan(r);
    md_recycle_release(&r->recycle);
    md_free(r->s->alloc, r->owned);
    md_free(r->s->run_alloc, r->memory);
    md_free(r->s->run_alloc, r->scratch);
    md_free(r->s->run_alloc, r->shared);
    md_arena_release(&r->step_scratch);
    md_arena_release(&r->text);
    md_arena_release(&r->arena);
    md_free(r->s->alloc, r);
}

/* ---- execution ---- */

md_tensor *md_run_input(md_run *r, uint32_t i)
{
    return &r->inputs[i];
}

static void bind(md_run *r, md_run_end *e, void *data)
{
    if (e->bound == data)
        return;
    e->bound = data;
    r->moved = true;
}

void md_run_bind_container(md_run *r, uint32_t i, const md_tensor *c)
{
    r->inputs[i] = *c;
    r->inputs[i].owner = NULL;
    r->ends[i].bound = &r->inputs[i];
}

void md_run_bind_input(md_run *r, uint32_t i, const void *data)
{
    void *p;

    if (is_container(r->s, i)) { /* bound otherwise */
        r->ends[i].bound = NULL;
        return;
    }
    memcpy(&p, &data, sizeof(p)); /* never written to */
    bind(r, &r->ends[i], p);
}

bool md_run_bind_output(md_run *r, uint32_t i, void *data)
{
    md_run_end *e = output_end(r, i);

    if (e->root == MD_SLOT_NONE)
        return false;
    bind(r, e, data);
    return true;
}

/* Memory for the outputs for which the caller has none. */
static md_status own_outputs(md_run *r, md_error *err)
{
    for (uint32_t i = 0; i < r->s->graph->n_outputs; i++) {
        md_run_end *e = output_end(r, i);

        if (e->root == MD_SLOT_NONE || e->bound || e->own)
            continue;
        e->own = md_malloc_aligned(r->s->run_alloc, e->size);
        if (!e->own)
            return md_fail_nomem(err, e->size);
    }
    return MD_OK;
}

typedef struct job {
    const md_run *r;
    const md_step *st;
} job;

static void run_chunk(void *ctx, int64_t chunk, int worker)
{
    const job *j = ctx;

    j->st->fast->run(j->st, chunk,
                     j->r->scratch
                         ? j->r->scratch + (size_t)worker * j->r->scratch_size
                         : NULL);
}

typedef struct reorder_job {
    md_nc16_args a;
    void *to;
    const void *from;
    bool packs;
    int64_t step; /* parts of a chunk */
} reorder_job;

static void reorder_parts(void *ctx, int64_t chunk, int worker)
{
    const reorder_job *j = ctx;
    const int64_t from = chunk * j->step;
    const int64_t to = md_min_i64(from + j->step, md_nc16_n_parts(&j->a));

    (void)worker;
    for (int64_t i = from; i < to; i++) {
        if (j->packs)
            md_nc16_pack_part(j->to, j->from, &j->a, i);
        else
            md_nc16_unpack_part(j->to, j->from, &j->a, i);
    }
}

void md_run__reorder(const md_run *r, const md_run_step *st)
{
    enum {
        WORTH = 1 << 14 /* elements: a chunk of fewer is not handed over */
    };
    const md_tensor *x = &st->in[0];
    reorder_job j = { .a = blocks_of(x),
                      .to = st->out[0].data,
                      .from = x->data };

    j.packs = slot(r, st->inst->in[0])->layout == MD_LAYOUT_ROW;
    j.step = md_max_i64(1, WORTH / md_max_i64(1, j.a.pixels * MD_BLOCK));
    md_pool_run(r->s->pool, r->width, md_div_up(md_nc16_n_parts(&j.a), j.step),
                reorder_parts, &j);
}

static md_status run_ref(md_run *r, md_run_step *st, md_error *err)
{
    md_body_call call = { r, st };
    const md_exec_env env = md_body__env(&call);

    return md_exec_node(r->s->graph, st->inst->node, st->in_p, st->out, &env,
                        err);
}

md_status md_run__fast(const md_run *r, const md_run_step *st, md_error *err)
{
    md_step now = st->st;
    job j = { r, &now };
    md_status s = now.check ? now.check(&now, err) : MD_OK;

    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", now.node->name,
                       now.node->op);
    now.shared = r->shared;
    md_pool_run(r->s->pool, r->width, now.n_chunks, run_chunk, &j);
    while (now.phase < MD_PHASES_MAX - 1 && now.n_more[now.phase] > 0) {
        int64_t n = now.n_more[now.phase++];

        md_pool_run(r->s->pool, r->width, n, run_chunk, &j);
    }
    return MD_OK;
}

static md_status run_step(md_run *r, md_run_step *st, md_error *err)
{
    if (st->dynamic)
        return md_run__dynamic(r, st, err);
    switch (st->inst->kind) {
    case MD_INST_FAST:
        return md_run__fast(r, st, err);
    case MD_INST_REORDER:
        md_run__reorder(r, st);
        return MD_OK;
    default:
        return run_ref(r, st, err);
    }
}

md_status md_run_execute(md_run *r, int width, md_error *err)
{
    int all = md_pool_width(r->s->pool);

    r->width = width <= 0 || width > all ? all : width;
    if (r->moved) {
        MD_TRY(own_outputs(r, err));
        resolve(r);
    }
    md_run__drop_values(r);
    md_arena_reset(&r->text);
    r->body_macs = 0;
    r->trips = 0;
    MD_TRY(md_run__take_containers(r, err));
    for (uint32_t i = 0; i < r->n_steps; i++)
        MD_TRY(run_step(r, &r->steps[i], err));
    md_run__give_values(r);
    return MD_OK;
}

const md_tensor *md_run_output(const md_run *r, uint32_t i)
{
    return &r->outputs[i];
}

size_t md_run_memory(const md_run *r)
{
    size_t size = md_body__memory(r) + r->memory_size + r->recycle.used_size +
                  r->recycle.kept_size + r->shared_size +
                  r->scratch_size * (size_t)md_pool_width(r->s->pool);

    for (uint32_t i = 0; i < r->s->graph->n_outputs; i++)
        size += output_end(r, i)->own ? output_end(r, i)->size : 0;
    return size;
}

int64_t md_run_macs(const md_run *r)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < r->n_steps; i++) {
        int64_t n = r->steps[i].dynamic ? 0 : macs_of(&r->steps[i]);

        if (!md_add_i64(&sum, sum, n))
            return INT64_MAX;
    }
    return sum + r->body_macs;
}
