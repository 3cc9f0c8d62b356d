/*
 * Choosing kernels and layouts, in program order.  A node is offered its
 * inputs in the layouts in which they exist; where it wants another, a reorder
 * is inserted once per value.  Convolution nets so stay blocked from the first
 * convolution to the last.
 */
#include <string.h>

#include "engine/body.h"
#include "engine/packs.h"
#include "engine/pass.h"
#include "engine/program.h"

static md_status new_inst(md_inst **out, md_session *s, uint32_t n_in,
                          uint32_t n_out, md_error *err)
{
    md_inst *i;

    if (s->n_insts == s->cap_insts) {
        uint32_t cap = s->cap_insts ? s->cap_insts * 2 : 64;
        md_inst *grown = md_arena_calloc(&s->arena, cap, sizeof(*grown));

        if (!grown)
            return md_fail_nomem(err, cap * sizeof(*grown));
        if (s->n_insts)
            memcpy(grown, s->insts, s->n_insts * sizeof(*grown));
        s->insts = grown;
        s->cap_insts = cap;
    }
    i = &s->insts[s->n_insts];
    *i = (md_inst){ .n_in = n_in, .n_out = n_out };
    i->in = md_arena_calloc(&s->arena, n_in + 1u, sizeof(*i->in));
    i->out = md_arena_calloc(&s->arena, n_out + 1u, sizeof(*i->out));
    if (!i->in || !i->out)
        return md_fail_nomem(err, n_in * sizeof(*i->in));
    *out = i; /* counted by the caller once it is complete */
    return MD_OK;
}

/* The slot of a value in a layout, made when it is new. */
static md_status slot_of(uint32_t *out, md_session *s, md_value_id id,
                         md_layout layout, md_error *err)
{
    uint32_t *known = &s->slot_of[layout][id];

    if (*known == MD_SLOT_NONE) {
        if (s->n_slots == s->cap_slots) {
            uint32_t cap = s->cap_slots ? s->cap_slots * 2 : 128;
            md_slot *grown = md_arena_calloc(&s->arena, cap, sizeof(*grown));

            if (!grown)
                return md_fail_nomem(err, cap * sizeof(*grown));
            if (s->n_slots)
                memcpy(grown, s->slots, s->n_slots * sizeof(*grown));
            s->slots = grown;
            s->cap_slots = cap;
        }
        s->slots[s->n_slots] = (md_slot){ id, layout };
        *known = s->n_slots++;
    }
    *out = *known;
    return MD_OK;
}

/* Make sure that value id exists in `layout`. */
static md_status ensure(uint32_t *out, md_session *s, md_value_id id,
                        md_layout layout, md_error *err)
{
    md_layout other = layout == MD_LAYOUT_ROW ? MD_LAYOUT_NC16 : MD_LAYOUT_ROW;
    md_inst *r;

    if (s->slot_of[layout][id] != MD_SLOT_NONE ||
        s->slot_of[other][id] == MD_SLOT_NONE)
        return slot_of(out, s, id, layout, err);
    MD_TRY(new_inst(&r, s, 1, 1, err));
    r->kind = MD_INST_REORDER;
    r->kernel = "reorder";
    r->in[0] = s->slot_of[other][id];
    MD_TRY(slot_of(&r->out[0], s, id, layout, err));
    s->n_insts++;
    *out = r->out[0];
    return MD_OK;
}

/* Arrays that a lowering reads and writes, sized for one node. */
typedef struct frame {
    const md_type **in, **out;
    const md_tensor **cin;
    md_layout *have, *want, *give;
    bool *packed;
} frame;

static md_status make_frame(frame *f, md_arena *ar, md_session *s,
                            const md_node *n, md_error *err)
{
    const md_graph *g = s->graph;
    size_t n_in = n->n_in + 1u, n_out = n->n_out + 1u;

    f->in = md_arena_calloc(ar, n_in, sizeof(*f->in));
    f->cin = md_arena_calloc(ar, n_in, sizeof(*f->cin));
    f->have = md_arena_calloc(ar, n_in, sizeof(*f->have));
    f->want = md_arena_calloc(ar, n_in, sizeof(*f->want));
    f->packed = md_arena_calloc(ar, n_in, sizeof(*f->packed));
    f->out = md_arena_calloc(ar, n_out, sizeof(*f->out));
    f->give = md_arena_calloc(ar, n_out, sizeof(*f->give));
    if (!f->in || !f->cin || !f->have || !f->want || !f->packed || !f->out ||
        !f->give)
        return md_fail_nomem(err, n_in * sizeof(*f->in));
    for (uint32_t i = 0; i < n->n_in; i++) {
        md_value_id id = n->in[i];

        if (id == MD_VALUE_NONE)
            continue;
        f->in[i] = &g->values[id].type;
        f->cin[i] = g->values[id].cdata;
        if (s->slot_of[MD_LAYOUT_NC16][id] != MD_SLOT_NONE)
            f->have[i] = MD_LAYOUT_NC16;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE)
            f->out[i] = &g->values[n->out[i]].type;
    }
    return MD_OK;
}

/* Free what `lower` made. */
static void release_state(const md_inst *inst, const md_alloc *alloc)
{
    if (inst->kind == MD_INST_FAST && inst->fast->release)
        inst->fast->release(inst->state, alloc);
}

/* Offer the node to its operator's fast side.  MD_OK with inst->kind set, or
 * the failure of an allocation. */
static md_status offer(md_session *s, md_node *n, md_inst *inst, frame *f,
                       md_error *err)
{
    const md_op *op = n->impl;
    md_error why = MD_ERROR_INIT;
    const md_keeper keeper = { md_packs_take, s->packs };
    md_lower lo = { .model = s->model,
                    .node = n,
                    .fused = n->fused,
                    .opset = md_node_opset(s->model, n),
                    .cpu = s->cpu,
                    .precision = s->precision,
                    .why_fp32 = s->choice.why,
                    .in = f->in,
                    .out = f->out,
                    .cin = f->cin,
                    .have = f->have,
                    .pool = s->pool,
                    .alloc = md_session__packing(s),
                    .keeper = s->packs ? &keeper : NULL,
                    .arena = &s->arena,
                    .want = f->want,
                    .give = f->give,
                    .packed = f->packed,
                    .fast = op->fast };
    md_status st;

    inst->kind = MD_INST_REF;
    inst->kernel = "reference";
    if (s->reference || !op->fast) {
        inst->why = s->reference ? "reference mode" : "no kernel yet";
        return MD_OK;
    }
    st = op->fast->lower(&lo, &why);
    if (st != MD_OK) {
        memset(f->want, 0, n->n_in * sizeof(*f->want));
        memset(f->give, 0, n->n_out * sizeof(*f->give));
        memset(f->packed, 0, n->n_in * sizeof(*f->packed));
    }
    if (st == MD_UNSUPPORTED) {
        inst->why = md_arena_strdup(&s->arena, why.msg);
        return inst->why ? MD_OK : md_fail_nomem(err, sizeof(why.msg));
    }
    if (st != MD_OK) {
        if (err)
            *err = why;
        return md_wrap(err, st, "node '%s' (%s): ", n->name, n->op);
    }
    inst->kind = MD_INST_FAST;
    inst->fast = lo.fast;
    inst->state = lo.state;
    inst->kernel = lo.kernel;
    inst->why = lo.why;
    return MD_OK;
}

/* Offer the node with blocks that an earlier load packed for it.  False where
 * there are none, or not those that it wants: it is to be offered again. */
static bool offer_kept(md_status *out, md_session *s, md_node *n, md_inst *inst,
                       frame *f, md_error *err)
{
    *out = MD_OK;
    if (!s->packs || !md_packs_begin(s->packs, s->graph, n))
        return false;
    *out = offer(s, n, inst, f, err);
    if (*out != MD_OK || f->packed[1])
        return !md_packs_gave_up(s->packs);
    *out = md_session__align_inputs(s, n, err);
    if (*out != MD_OK)
        release_state(inst, md_session__packing(s));
    return true;
}

/* Offer the node, with what its inputs need until they are packed. */
static md_status offer_staged(md_session *s, md_node *n, md_inst *inst,
                              frame *f, md_error *err)
{
    const md_op *op = n->impl;
    const md_tensor *staged = NULL;
    md_status st;

    if (offer_kept(&st, s, n, inst, f, err))
        return st;
    if (op->flags & MD_OP_WEIGHTS)
        MD_TRY(md_session__stage(s, n, &staged, err));
    else if (!(op->flags & MD_OP_GATHERS))
        MD_TRY(md_session__align_inputs(s, n, err));
    if (!staged)
        return offer(s, n, inst, f, err);
    f->cin[1] = staged;
    MD_TRY(offer(s, n, inst, f, err));
    st = md_session__unstage(s, n, f->packed[1], err);
    if (st != MD_OK)
        release_state(inst, md_session__packing(s));
    return st;
}

static bool is_view(const md_graph *g, const md_node *n)
{
    const md_op *op = n->impl;

    return (md_op_flags(op, g, n) & MD_OP_VIEW) && !g->values[n->in[0]].cdata &&
           (n->n_out < 2 || n->out[1] == MD_VALUE_NONE);
}

/* Constants that live on in packed form only are freed at once, so that
 * loading needs the memory of one packed tensor on top of the model. */
static void forget_packed(md_session *s, const md_node *n, const frame *f)
{
    for (uint32_t i = 0; i < n->n_in && !s->keeps_constants; i++) {
        if (f->packed[i] && --s->reads[n->in[i]] == 0)
            md_graph_forget_const(s->graph, n->in[i]);
    }
}

/* Slots of the inputs, in the layouts that are wanted, and of the outputs. */
static md_status bind_slots(md_session *s, md_inst *inst, const frame *f,
                            md_error *err)
{
    const md_node *n = inst->node;

    for (uint32_t i = 0; i < n->n_in; i++) {
        inst->in[i] = MD_SLOT_NONE;
        if (n->in[i] != MD_VALUE_NONE)
            MD_TRY(slot_of(&inst->in[i], s, n->in[i],
                           s->graph->values[n->in[i]].cdata ? MD_LAYOUT_ROW
                                                            : f->want[i],
                           err));
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        inst->out[i] = MD_SLOT_NONE;
        if (n->out[i] != MD_VALUE_NONE)
            MD_TRY(slot_of(&inst->out[i], s, n->out[i], f->give[i], err));
    }
    return MD_OK;
}

/* Append the instruction behind the reorders that it needs.  Only then does
 * the session own the draft's state. */
static md_status append(md_session *s, md_node *n, const md_inst *draft,
                        const frame *f, md_error *err)
{
    md_inst *inst;

    for (uint32_t i = 0; i < n->n_in; i++) {
        uint32_t slot;

        if (n->in[i] != MD_VALUE_NONE && !s->graph->values[n->in[i]].cdata)
            MD_TRY(ensure(&slot, s, n->in[i], f->want[i], err));
    }
    MD_TRY(new_inst(&inst, s, n->n_in, n->n_out, err));
    inst->kind = draft->kind;
    inst->fast = draft->fast;
    inst->state = draft->state;
    inst->kernel = draft->kernel;
    inst->why = draft->why;
    inst->node = n;
    inst->op = n->impl;
    MD_TRY(bind_slots(s, inst, f, err));
    s->n_insts++; /* unlower finds its state from here on */
    return MD_OK;
}

static md_status lower_node(md_session *s, md_node *n, md_arena *ar,
                            md_error *err)
{
    md_inst draft = { 0 };
    md_status st;
    frame f;

    MD_TRY(make_frame(&f, ar, s, n, err));
    if (md_pass__has_subgraph(n)) {
        MD_TRY(md_body__lower(s, n, err));
        draft.kind = MD_INST_REF;
        draft.kernel = "subgraph";
    } else if (is_view(s->graph, n) && !s->reference) {
        draft.kind = MD_INST_VIEW;
        draft.kernel = "view";
    } else {
        MD_TRY(offer_staged(s, n, &draft, &f, err));
    }
    forget_packed(s, n, &f);
    st = append(s, n, &draft, &f, err);
    if (st != MD_OK)
        release_state(&draft, md_session__packing(s));
    return st;
}

/* Uses of every value; what passes left behind unused is freed. */
static md_status count_reads(md_session *s, md_error *err)
{
    md_graph *g = s->graph;

    MD_TRY(md_pass__uses(&s->reads, g, err));
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (s->reads[i] == 0 && g->values[i].cdata)
            md_graph_forget_const(g, i);
    }
    return MD_OK;
}

static md_status lower_all(md_session *s, md_error *err)
{
    md_graph *g = s->graph;
    uint32_t slot;
    md_arena ar;
    md_status st = MD_OK;

    for (int l = 0; l < 2; l++) {
        s->slot_of[l] =
            md_arena_alloc(&s->arena, (g->n_values + 1u) * sizeof(uint32_t));
        if (!s->slot_of[l])
            return md_fail_nomem(err, g->n_values * sizeof(uint32_t));
        memset(s->slot_of[l], 0xff, g->n_values * sizeof(uint32_t));
    }
    MD_TRY(count_reads(s, err));
    for (uint32_t i = 0; i < g->n_inputs; i++)
        MD_TRY(slot_of(&slot, s, g->inputs[i], MD_LAYOUT_ROW, err));
    md_arena_init(&ar, s->alloc, 0);
    for (uint32_t i = 0; i < g->n_nodes && st == MD_OK; i++) {
        st = lower_node(s, g->nodes[i], &ar, err);
        md_arena_reset(&ar);
    }
    md_arena_release(&ar);
    for (uint32_t i = 0; i < g->n_outputs && st == MD_OK; i++)
        st = ensure(&slot, s, g->outputs[i], MD_LAYOUT_ROW, err);
    return st;
}

md_status md_session__lower(md_session *s, md_error *err)
{
    md_status st = lower_all(s, err);

    if (st == MD_OK)
        st = md_session__follow(s, err);
    md_free(s->model->alloc, s->reads);
    s->reads = NULL;
    md_free(s->alloc, s->staging);
    s->staging = NULL;
    s->staging_size = 0;
    return st;
}

void md_session__unlower(md_session *s)
{
    for (uint32_t i = 0; i < s->n_insts; i++) {
        if (s->insts[i].node)
            md_body__unlower(s->insts[i].node);
        release_state(&s->insts[i], md_session__packing(s));
    }
    s->n_insts = 0;
    s->n_slots = 0;
    s->form = NULL;
}
