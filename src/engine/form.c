#include "engine/form.h"

#include <string.h>

#include "base/hash.h"
#include "engine/run_impl.h"

/* A form being made. */
typedef struct maker {
    md_form *f;
    const md_session *s;
    const md_run *r;  /* tells shapes; NULL: expressions do */
    md_buffer *lives; /* by slot; from UINT32_MAX: not in planned memory */
} maker;

static md_value_id value_of(const maker *m, uint32_t slot)
{
    return m->s->slots[slot].value;
}

/* The shape of a value, in numbers or expressions; rank 0 where nothing is
 * known of it. */
static md_type type_of(const maker *m, md_value_id id)
{
    md_type t = m->s->graph->values[id].type;
    md_shape shape;

    if (!m->r)
        return t;
    shape = md_run__shape(m->r, id);
    return md_type_of_tensor(md_run__dtype(m->r, id), &shape);
}

static bool is_known(const maker *m, uint32_t slot)
{
    return m->f->known[value_of(m, slot)];
}

static bool is_dynamic(const maker *m, uint32_t slot)
{
    return m->f->dynamic[value_of(m, slot)];
}

/* ---- who shares memory ---- */

/* Is a reorder between the layouts of these slots the identity on memory? */
static bool reorder_is_view(const maker *m, const md_inst *inst)
{
    md_type t = type_of(m, value_of(m, inst->in[0]));

    return t.rank == 4 && md_dim_is_const(t.dim[1]) &&
           t.dim[1].k % MD_BLOCK == 0 && md_dim_equal(t.dim[2], MD_DIM(1)) &&
           md_dim_equal(t.dim[3], MD_DIM(1));
}

/* Is output 0 of inst in the planned memory of its input 0? */
static bool shares_memory(const maker *m, const md_inst *inst)
{
    if (inst->kind != MD_INST_VIEW && inst->kind != MD_INST_REORDER)
        return false;
    return !is_dynamic(m, inst->in[0]) &&
           (inst->kind == MD_INST_VIEW || reorder_is_view(m, inst));
}

/* Is output 0 of inst, known only while running, in the memory of its input,
 * which may be planned memory further up?  That has to last as long. */
static bool looks_on(const maker *m, const md_inst *inst)
{
    return inst->kind == MD_INST_VIEW && is_dynamic(m, inst->in[0]) &&
           is_dynamic(m, inst->out[0]);
}

/* Views share the memory of what they read. */
static void find_roots(const maker *m)
{
    const md_session *s = m->s;
    md_form *f = m->f;

    for (uint32_t i = 0; i < s->n_slots; i++)
        f->root[i] = i;
    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (f->skip[i])
            continue;
        f->shares[i] = shares_memory(m, inst);
        if (f->shares[i] || looks_on(m, inst))
            f->root[inst->out[0]] = f->root[inst->in[0]];
    }
}

/* Extend lifetimes by the touches of every step; inputs and outputs live to
 * the end. */
static void find_lifetimes(const maker *m)
{
    const md_session *s = m->s;
    const md_graph *g = s->graph;
    const uint32_t *root = m->f->root;
    md_buffer *b = m->lives;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (m->f->skip[i])
            continue;
        for (uint32_t k = 0; k < inst->n_in; k++) {
            if (inst->in[k] != MD_SLOT_NONE)
                b[root[inst->in[k]]].to = i + 1;
        }
        for (uint32_t k = 0; k < inst->n_out; k++) {
            md_buffer *o;

            if (inst->out[k] == MD_SLOT_NONE)
                continue;
            o = &b[root[inst->out[k]]];
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

        b[root[sl]].to = s->n_insts + 1;
    }
}

/* ---- results in place of what they are made from ---- */

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

/* While buffers are merged: the slot at the end of the chain. */
static uint32_t root_of(const maker *m, uint32_t slot)
{
    while (m->f->root[slot] != slot)
        slot = m->f->root[slot];
    return slot;
}

/* Does inst read the memory of its input k through another input too?  The
 * residual of a product may be what it multiplies. */
static bool reads_twice(const maker *m, const md_inst *inst, uint32_t k)
{
    for (uint32_t i = 0; i < inst->n_in; i++) {
        if (i != k && inst->in[i] != MD_SLOT_NONE &&
            root_of(m, inst->in[i]) == root_of(m, inst->in[k]))
            return true;
    }
    return false;
}

static bool same_shape(const md_type *a, const md_type *b)
{
    bool same = a->rank == b->rank;

    for (int i = 0; same && i < a->rank; i++)
        same = md_dim_equal(a->dim[i], b->dim[i]);
    return same;
}

/* Do values in these slots take the same number of bytes, for all sizes? */
static bool same_bytes(const maker *m, uint32_t a, uint32_t b)
{
    const md_type ta = type_of(m, value_of(m, a));
    const md_type tb = type_of(m, value_of(m, b));
    const md_layout layout = m->s->slots[a].layout;
    size_t size_a, size_b;
    md_shape sa, sb;

    if (layout != m->s->slots[b].layout)
        return false;
    if (md_type_static(&ta, &sa) && md_type_static(&tb, &sb))
        return md_layout_bytes(&size_a, layout, ta.dtype, &sa, NULL) == MD_OK &&
               md_layout_bytes(&size_b, layout, tb.dtype, &sb, NULL) == MD_OK &&
               size_a == size_b;
    return md_dtype_bits(ta.dtype) == md_dtype_bits(tb.dtype) &&
           same_shape(&ta, &tb);
}

/* May output 0 of instruction i be written over its input k? */
static bool may_overwrite(const maker *m, uint32_t i, int k)
{
    const md_inst *inst = &m->s->insts[i];
    uint32_t from, to;

    if (k < 0 || inst->in[k] == MD_SLOT_NONE || inst->out[0] == MD_SLOT_NONE ||
        is_known(m, inst->in[k]))
        return false;
    from = root_of(m, inst->in[k]);
    to = inst->out[0];
    return !m->s->graph->values[value_of(m, from)].is_input &&
           m->lives[from].to == i + 1 && m->f->root[to] == to &&
           !reads_twice(m, inst, (uint32_t)k) && same_bytes(m, inst->in[k], to);
}

/* Let output 0 take over the memory of a dying input. */
static void merge_inplace(const maker *m)
{
    const md_session *s = m->s;
    uint32_t *root = m->f->root;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];
        uint32_t from, to;
        int k;

        if (m->f->skip[i] || md_form__is_dynamic(m->f, s, inst))
            continue;
        k = overwritable(inst);
        if (!may_overwrite(m, i, k))
            continue;
        from = root_of(m, inst->in[k]);
        to = inst->out[0];
        root[to] = from;
        m->lives[from].to = m->lives[to].to;
        m->lives[to].from = UINT32_MAX;
    }
    for (uint32_t i = 0; i < s->n_slots; i++)
        root[i] = root_of(m, i);
}

/* ---- inputs and outputs ---- */

static void set_end(const maker *m, uint32_t e, uint32_t root)
{
    md_form *f = m->f;

    f->end_root[e] = root;
    f->end_slot[e] = MD_SLOT_NONE;
    for (uint32_t k = 0; k < m->s->n_slots && root != MD_SLOT_NONE; k++) {
        if (f->root[k] != root || is_known(m, k))
            continue;
        f->end[k] = e;
        f->end_next[k] = f->end_slot[e];
        f->end_slot[e] = k;
    }
}

/* May the output in this slot lie wherever the caller wants it?  Not when it
 * is known only after running, a constant, (part of) an input, or another
 * output too. */
static bool has_own_memory(const maker *m, uint32_t slot)
{
    uint32_t root = m->f->root[slot];

    return !is_known(m, slot) && !is_dynamic(m, slot) &&
           type_of(m, value_of(m, slot)).dtype != MD_DTYPE_STRING &&
           m->lives[root].from != UINT32_MAX && m->f->end[root] == MD_SLOT_NONE;
}

/* Find the memory of inputs and outputs; the latter need none in the block. */
static void find_ends(const maker *m)
{
    const md_graph *g = m->s->graph;

    for (uint32_t k = 0; k < m->s->n_slots; k++)
        m->f->end[k] = MD_SLOT_NONE;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        set_end(m, i, m->s->slot_of[MD_LAYOUT_ROW][g->inputs[i]]);
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        uint32_t sl = m->s->slot_of[MD_LAYOUT_ROW][g->outputs[i]];
        uint32_t root = MD_SLOT_NONE;

        if (has_own_memory(m, sl))
            root = m->f->root[sl];
        set_end(m, g->n_inputs + i, root);
        if (root != MD_SLOT_NONE)
            m->lives[root].from = UINT32_MAX;
    }
}

/* ---- the block ---- */

static bool in_block(const maker *m, uint32_t slot)
{
    return m->f->root[slot] == slot && m->lives[slot].from != UINT32_MAX &&
           !is_known(m, slot) && !is_dynamic(m, slot);
}

/* Kinds of buffers, found by a value of that shape. */
typedef struct kinds {
    uint32_t *last; /* by md_form.like: the last kind of that shape, + 1 */
    uint32_t *next; /* by kind: the one before, + 1 */
    uint32_t n;
} kinds;

/* The kind for the size of a slot: one that is there, when `like` tells. */
static uint32_t kind_of(const maker *m, uint32_t slot, kinds *c)
{
    const md_form *f = m->f;
    const md_slot *sl = &m->s->slots[slot];
    const md_value *values = m->s->graph->values;
    const md_value_id like = f->like ? f->like[sl->value] : 0;
    const unsigned bits = md_dtype_bits(values[sl->value].type.dtype);

    for (uint32_t k = f->like ? c->last[like] : 0; k > 0; k = c->next[k - 1]) {
        const md_slot *o = &m->s->slots[f->kind_slot[k - 1]];

        if (o->layout == sl->layout &&
            md_dtype_bits(values[o->value].type.dtype) == bits)
            return k - 1;
    }
    f->kind_slot[c->n] = slot;
    if (f->like) {
        c->next[c->n] = c->last[like];
        c->last[like] = c->n + 1;
    }
    return c->n++;
}

static md_status make_packing(const maker *m, md_arena *ar, md_error *err)
{
    const md_session *s = m->s;
    md_form *f = m->f;
    kinds c = { 0 };
    uint32_t n = 0;

    c.last = md_arena_calloc(ar, s->graph->n_values + 1u, sizeof(*c.last));
    c.next = md_arena_alloc(ar, (s->n_slots + 1u) * sizeof(*c.next));
    if (!c.last || !c.next)
        return md_fail_nomem(err, s->n_slots * sizeof(*c.next));
    for (uint32_t i = 0; i < s->n_slots; i++) {
        f->buffer_of[i] = MD_SLOT_NONE;
        if (!in_block(m, i))
            continue;
        f->buffers[n] = m->lives[i];
        f->buffers[n].kind = kind_of(m, i, &c);
        f->buffer_of[i] = n++;
    }
    for (uint32_t i = 0; i < s->n_slots; i++) {
        if (is_known(m, i) || is_dynamic(m, i))
            continue;
        f->buffer_of[i] = f->buffer_of[f->root[i]];
        if (f->buffer_of[i] != MD_SLOT_NONE)
            f->placed[f->n_placed++] = i;
    }
    return md_packing_init(&f->packing, f->buffers, n, c.n, f->like != NULL, ar,
                           err);
}

md_status md_form__complete(md_form *f, const md_session *s, const md_run *r,
                            md_arena *ar, md_error *err)
{
    maker m = { .f = f, .s = s, .r = r };

    m.lives = md_arena_alloc(ar, (s->n_slots + 1u) * sizeof(*m.lives));
    if (!m.lives)
        return md_fail_nomem(err, s->n_slots * sizeof(*m.lives));
    for (uint32_t i = 0; i < s->n_slots; i++)
        m.lives[i] = (md_buffer){ .from = UINT32_MAX };
    find_roots(&m);
    find_lifetimes(&m);
    merge_inplace(&m);
    find_ends(&m);
    return make_packing(&m, ar, err);
}

md_status md_form__init(md_form *f, const md_session *s, md_arena *ar,
                        md_error *err)
{
    size_t n_values = s->graph->n_values + 1u, n = s->n_slots + 1u;
    size_t n_insts = s->n_insts + 1u;
    size_t n_ends = (size_t)s->graph->n_inputs + s->graph->n_outputs + 1;

    *f = (md_form){ 0 };
    f->skip = md_arena_calloc(ar, n_insts, sizeof(*f->skip));
    f->shares = md_arena_calloc(ar, n_insts, sizeof(*f->shares));
    f->dynamic = md_arena_calloc(ar, n_values, sizeof(*f->dynamic));
    f->known = md_arena_calloc(ar, n_values, sizeof(*f->known));
    f->root = md_arena_alloc(ar, n * sizeof(*f->root));
    f->end = md_arena_alloc(ar, n * sizeof(*f->end));
    f->end_root = md_arena_alloc(ar, n_ends * sizeof(*f->end_root));
    f->end_slot = md_arena_alloc(ar, n_ends * sizeof(*f->end_slot));
    f->end_next = md_arena_alloc(ar, n * sizeof(*f->end_next));
    f->buffers = md_arena_alloc(ar, n * sizeof(*f->buffers));
    f->buffer_of = md_arena_alloc(ar, n * sizeof(*f->buffer_of));
    f->placed = md_arena_alloc(ar, n * sizeof(*f->placed));
    f->kind_slot = md_arena_alloc(ar, n * sizeof(*f->kind_slot));
    if (!f->skip || !f->shares || !f->dynamic || !f->known || !f->root ||
        !f->end || !f->end_root || !f->end_slot || !f->end_next ||
        !f->buffers || !f->buffer_of || !f->placed || !f->kind_slot)
        return md_fail_nomem(err, n * sizeof(*f->buffers));
    return MD_OK;
}

bool md_form__is_dynamic(const md_form *f, const md_session *s,
                         const md_inst *inst)
{
    for (uint32_t i = 0; i < inst->n_in && f->any_dynamic; i++) {
        if (inst->in[i] != MD_SLOT_NONE &&
            f->dynamic[s->slots[inst->in[i]].value])
            return true;
    }
    for (uint32_t i = 0; i < inst->n_out && f->any_dynamic; i++) {
        if (inst->out[i] != MD_SLOT_NONE &&
            f->dynamic[s->slots[inst->out[i]].value])
            return true;
    }
    return false;
}

/* ---- forms of sessions ---- */

/* Is all that plans need known of every instruction that counts? */
static bool all_follow(const md_session *s)
{
    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (inst->node && !inst->idle && !inst->follows && !inst->waits)
            return false;
    }
    return true;
}

/* Values that were seen, by shape. */
typedef struct shapes {
    md_form *f;
    const md_session *s;
    md_value_id *table; /* of `mask` + 1 places, MD_VALUE_NONE: free */
    uint32_t mask;
} shapes;

static bool has_symbols(const md_type *t)
{
    for (int i = 0; i < t->rank; i++) {
        if (!md_dim_is_const(t->dim[i]))
            return true;
    }
    return false;
}

/* The place of a value of t's shape in the table, or for one. */
static uint32_t find_place(const shapes *x, const md_type *t)
{
    uint64_t words[3 * MD_RANK_MAX + 1] = { (uint64_t)t->rank };
    uint32_t at;

    for (int i = 0; i < t->rank; i++) {
        words[3 * i + 1] = (uint64_t)t->dim[i].k;
        words[3 * i + 2] = (uint64_t)t->dim[i].scale;
        words[3 * i + 3] = t->dim[i].sym;
    }
    at = (uint32_t)md_hash(words, sizeof(words)) & x->mask;
    while (x->table[at] != MD_VALUE_NONE &&
           !same_shape(&x->s->graph->values[x->table[at]].type, t))
        at = (at + 1) & x->mask;
    return at;
}

/* Note that somebody will ask for the shape of a value. */
static void add_shape(shapes *x, md_value_id id)
{
    const md_type *t = &x->s->graph->values[id].type;
    uint32_t at;

    if (x->f->like[id] != MD_VALUE_NONE || x->f->dynamic[id])
        return;
    at = find_place(x, t);
    if (x->table[at] == MD_VALUE_NONE) {
        x->table[at] = id;
        if (has_symbols(t))
            x->f->shapes[x->f->n_shapes++] = id;
    }
    x->f->like[id] = x->table[at];
}

static void add_slots(shapes *x, const uint32_t *slots, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (slots[i] != MD_SLOT_NONE)
            add_shape(x, x->s->slots[slots[i]].value);
    }
}

static void find_shapes(shapes *x)
{
    const md_session *s = x->s;
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_inputs; i++)
        add_shape(x, g->inputs[i]);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        add_shape(x, g->outputs[i]);
    for (uint32_t i = 0; i < x->f->n_given; i++)
        add_shape(x, x->f->given[i]);
    for (uint32_t i = 0; i < x->f->n_views; i++)
        add_shape(x, x->f->views[i]->out[0]);
    for (uint32_t i = 0; i < s->n_insts; i++) {
        if (x->f->skip[i])
            continue;
        add_slots(x, s->insts[i].in, s->insts[i].n_in);
        add_slots(x, s->insts[i].out, s->insts[i].n_out);
    }
}

static md_status make_shapes(md_form *f, const md_session *s, md_error *err)
{
    uint32_t n = s->graph->n_values;
    shapes x = { .f = f, .s = s, .mask = 63 };
    size_t size;

    while (x.mask < UINT32_MAX / 4 && x.mask < 2 * n)
        x.mask = 2 * x.mask + 1;
    size = ((size_t)x.mask + 1) * sizeof(*x.table);
    x.table = md_malloc(s->alloc, size);
    if (!x.table)
        return md_fail_nomem(err, size);
    memset(x.table, 0xff, size);
    memset(f->like, 0xff, n * sizeof(*f->like));
    find_shapes(&x);
    md_free(s->alloc, x.table);
    return MD_OK;
}

/* What is known only while running. */
static void find_dynamic(md_form *f, const md_session *s)
{
    for (uint32_t i = 0; i < s->graph->n_values; i++) {
        f->dynamic[i] = s->open[i] && !s->constants[i];
        f->any_dynamic |= f->dynamic[i];
    }
}

/* What instruction i leaves known before running. */
static void find_known(md_form *f, const md_session *s, uint32_t i)
{
    const md_inst *inst = &s->insts[i];
    const md_node *n = inst->node;

    f->skip[i] = inst->idle || inst->given;
    for (uint32_t k = 0; !inst->idle && inst->given && k < n->n_out; k++) {
        md_value_id id = n->out[k];

        if (id == MD_VALUE_NONE || !s->wanted[id])
            continue;
        f->known[id] = true;
        f->given[f->n_given++] = id;
    }
    if (f->skip[i])
        return;
    if (!n) { /* what is known is packed once */
        f->skip[i] = f->known[s->slots[inst->in[0]].value];
    } else if (inst->kind == MD_INST_VIEW && f->known[n->in[0]]) {
        f->skip[i] = f->known[n->out[0]] = true;
        f->views[f->n_views++] = n;
    }
}

/* Are all elements that follow from sizes read as rows?  In blocks they would
 * have to be packed for each plan. */
static bool given_in_rows(const md_form *f, const md_session *s)
{
    for (uint32_t i = 0; i < s->n_slots; i++) {
        md_value_id id = s->slots[i].value;

        if (s->slots[i].layout != MD_LAYOUT_ROW && f->known[id] &&
            !s->constants[id])
            return false;
    }
    return true;
}

static md_status make_form(md_form *f, const md_session *s, md_arena *ar,
                           md_error *err)
{
    size_t n = s->graph->n_values + 1u;

    MD_TRY(md_form__init(f, s, ar, err));
    f->like = md_arena_alloc(ar, n * sizeof(*f->like));
    f->shapes = md_arena_alloc(ar, n * sizeof(*f->shapes));
    f->given = md_arena_alloc(ar, n * sizeof(*f->given));
    f->views = md_arena_alloc(ar, (s->n_insts + 1u) * sizeof(*f->views));
    if (!f->like || !f->shapes || !f->given || !f->views)
        return md_fail_nomem(err, n * sizeof(*f->like));
    for (uint32_t i = 0; i < s->graph->n_values; i++)
        f->known[i] = s->constants[i] != NULL;
    find_dynamic(f, s);
    for (uint32_t i = 0; i < s->n_insts; i++)
        find_known(f, s, i);
    MD_TRY(make_shapes(f, s, err));
    return md_form__complete(f, s, NULL, ar, err);
}

md_status md_session__form(md_session *s, md_error *err)
{
    md_form *f;

    s->form = NULL;
    if (!all_follow(s))
        return MD_OK;
    f = md_arena_alloc(&s->arena, sizeof(*f));
    if (!f)
        return md_fail_nomem(err, sizeof(*f));
    MD_TRY(make_form(f, s, &s->arena, err));
    if (given_in_rows(f, s))
        s->form = f;
    return MD_OK;
}
