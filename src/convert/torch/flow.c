#include "convert/torch/flow.h"

#include <string.h>

#include "convert/torch/script.h"

enum {
    DEPTH_MAX = 32, /* branches and loops in each other */
    TRIES_MAX = 16  /* of a loop's body, until its types are found */
};

/* --- what was changed --- */

/* Something that branches change, and what it is after each. */
typedef struct target {
    md_torch_change first; /* its old state */
    md_tv now[2];
    md_torch_list *grown[2]; /* items of a list that were added */
    md_value_id at;          /* in a loop: its value in the body */
} target;

typedef struct targets {
    target *t;
    uint32_t n, cap;
} targets;

static target *find_target(targets *x, const md_torch_change *c)
{
    for (uint32_t i = 0; i < x->n; i++) {
        if (x->t[i].first.what == c->what && x->t[i].first.slot == c->slot &&
            x->t[i].first.kind == c->kind)
            return &x->t[i];
    }
    return NULL;
}

static target *add_target(md_torch *b, targets *x, const md_torch_change *c)
{
    target *t = find_target(x, c);

    if (t || !md_emit_ok(&b->e, md_arena_grow(b->e.arena, &x->t, &x->cap, x->n,
                                              sizeof(*x->t), b->e.err)))
        return t;
    t = &x->t[x->n++];
    *t = (target){ .first = *c };
    t->now[0].kind = t->now[1].kind = MD_TV_LOST;
    return t;
}

static md_tv state_of(const md_torch_change *c)
{
    if (c->kind == MD_TORCH_CHANGE_ATTR)
        return md_torch_object_at(c->what, c->slot);
    return (md_tv){ .kind = MD_TV_TENSOR, .v.t = c->what };
}

static md_tv old_state(md_torch *b, const md_torch_change *c)
{
    md_torch_tensor *t;

    if (c->kind == MD_TORCH_CHANGE_ATTR)
        return c->old;
    t = md_emit_alloc(&b->e, 1, sizeof(*t));
    if (t)
        *t = c->old_tensor;
    return (md_tv){ .kind = MD_TV_TENSOR, .v.t = t };
}

/* What was made in the scope is nobody's outside. */
static bool is_outer(const md_torch_change *c, const md_emit_scope *inner)
{
    return c->kind != MD_TORCH_CHANGE_TENSOR || c->old_tensor.home != inner;
}

/* A copy of a tensor as it is now, whatever is written into it later. */
static md_tv snapshot(md_torch *b, const md_tv *v)
{
    md_torch_tensor *t;

    if (v->kind != MD_TV_TENSOR)
        return *v;
    md_torch_refresh(b, v->v.t);
    t = md_emit_alloc(&b->e, 1, sizeof(*t));
    if (t)
        *t = (md_torch_tensor){ .id = v->v.t->id, .home = v->v.t->home };
    return (md_tv){ .kind = MD_TV_TENSOR, .v.t = t };
}

static void undo(const md_torch_change *c)
{
    if (c->kind == MD_TORCH_CHANGE_TENSOR)
        *(md_torch_tensor *)c->what = c->old_tensor;
    else if (c->kind == MD_TORCH_CHANGE_ATTR)
        md_torch_object_put(c->what, c->slot, c->old);
    else
        ((md_torch_list *)c->what)->n = c->old_n;
}

static md_torch_list *added(md_torch *b, const md_torch_change *c)
{
    const md_torch_list *l = c->what;
    md_tv out = md_tv_list(b, MD_TV_LIST, l->n);

    for (uint32_t i = c->old_n; out.kind == MD_TV_LIST && i < l->n; i++)
        md_tv_append(b, out.v.list, snapshot(b, &l->item[i]));
    return out.kind == MD_TV_LIST ? out.v.list : NULL;
}

/* Take the changes since `from` back, noting what they came to. */
static void collect(md_torch *b, uint32_t from, targets *x, int which)
{
    for (uint32_t i = from; i < b->n_changes && b->e.status == MD_OK; i++) {
        const md_torch_change *c = &b->changes[i];
        target *t = is_outer(c, b->e.s) ? add_target(b, x, c) : NULL;

        if (!t)
            continue;
        if (c->kind == MD_TORCH_CHANGE_LIST && !t->grown[which])
            t->grown[which] = added(b, c);
        else if (c->kind != MD_TORCH_CHANGE_LIST) {
            md_tv now = state_of(c);

            t->now[which] = snapshot(b, &now);
        }
    }
    while (b->n_changes > from)
        undo(&b->changes[--b->n_changes]);
}

/* --- scopes --- */

static md_emit_scope *enter(md_torch *b, const char *what)
{
    md_graph *g = NULL;
    md_emit_scope *s;
    const char *name = md_arena_printf(b->e.arena, "%s_%u", what, b->n_calls++);

    if (++b->depth > DEPTH_MAX)
        md_emit_fail(&b->e, MD_TOO_LARGE, "branches and loops deeper than %d",
                     DEPTH_MAX);
    if (!name || !md_emit_ok(&b->e, md_graph_new(&g, b->e.model, b->e.s->g,
                                                 name, b->e.err)))
        return NULL;
    s = md_emit_scope_new(&b->e, g);
    if (s)
        b->e.s = s;
    return s;
}

static void leave(md_torch *b, md_emit_scope *outer)
{
    b->depth--;
    b->e.s = outer;
}

/* --- one value of two --- */

typedef struct merger {
    md_torch *b;
    md_emit_scope *outer, *s[2];
    md_value_id *id[2]; /* results of the branches */
    md_tv *out;         /* what they stand for, to be given the node's */
    uint32_t n, cap[3];
} merger;

static bool is_same(const md_tv *a, const md_tv *b)
{
    if (a->kind != b->kind || a->computed != b->computed)
        return false;
    if (a->kind == MD_TV_TENSOR || a->computed)
        return a->v.t == b->v.t ||
               (a->v.t->id == b->v.t->id && a->v.t->home == b->v.t->home);
    if (a->kind == MD_TV_TEXT)
        return strcmp(a->v.s, b->v.s) == 0;
    if (a->kind == MD_TV_FLOAT)
        return a->v.f == b->v.f;
    return a->kind == MD_TV_NONE || a->v.i == b->v.i;
}

static bool is_value(const md_tv *v)
{
    return v->kind == MD_TV_TENSOR || md_tv_is_number(v);
}

static md_value_id id_in(merger *m, int which, const md_tv *v)
{
    md_value_id id;

    m->b->e.s = m->s[which];
    id = md_tv_id(m->b, v);
    m->b->e.s = m->outer;
    return id;
}

/* Zeros of the type of what the other branch gives: nobody reads them. */
static md_value_id dummy(merger *m, int which, const md_type *t)
{
    md_emit *e = &m->b->e;
    int64_t dim[MD_RANK_MAX];
    md_value_id id;

    for (int i = 0; i < t->rank; i++)
        dim[i] = md_dim_is_const(t->dim[i]) ? t->dim[i].k : 1;
    e->s = m->s[which];
    id = md_emit_op2(e, "Expand", md_emit_number(e, t->dtype, 0),
                     md_emit_ints(e, dim, t->rank));
    e->s = m->outer;
    return id;
}

static md_dtype dtype_in(merger *m, int which, md_value_id id)
{
    if (m->b->e.status != MD_OK)
        return MD_DTYPE_NONE;
    return md_graph_value(m->s[which]->g, id)->type.dtype;
}

static md_tv lost(const char *why)
{
    return (md_tv){ .kind = MD_TV_LOST, .v.s = why };
}

/* A new result of the node; *v becomes its value when the node is made. */
static md_tv add_result(merger *m, md_value_id a, md_value_id b,
                        md_tv_kind kind)
{
    md_emit *e = &m->b->e;
    md_torch_tensor *t = md_emit_alloc(e, 1, sizeof(*t));

    for (int i = 0; i < 3 && e->status == MD_OK; i++)
        md_emit_ok(e, i < 2 ? md_arena_grow(e->arena, &m->id[i], &m->cap[i],
                                            m->n, sizeof(**m->id), e->err)
                            : md_arena_grow(e->arena, &m->out, &m->cap[2], m->n,
                                            sizeof(*m->out), e->err));
    if (e->status != MD_OK || !t)
        return lost("after a failure");
    m->id[0][m->n] = a;
    m->id[1][m->n] = b;
    m->out[m->n] =
        (md_tv){ .kind = kind, .computed = kind != MD_TV_TENSOR, .v.t = t };
    return m->out[m->n++];
}

static md_tv merge_values(merger *m, const md_tv *a, const md_tv *b)
{
    md_value_id x[2] = { MD_VALUE_NONE, MD_VALUE_NONE };
    const md_tv *v[2] = { a, b };
    md_tv_kind kind = is_value(a) ? a->kind : b->kind;

    if (is_value(a) && is_value(b) && a->kind != b->kind)
        return lost("that is of another kind in the other branch");
    for (int i = 0; i < 2; i++) {
        if (is_value(v[i]))
            x[i] = id_in(m, i, v[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (!is_value(v[i]) && m->b->e.status == MD_OK)
            x[i] = dummy(m, i, &md_graph_value(m->s[1 - i]->g, x[1 - i])->type);
    }
    if (dtype_in(m, 0, x[0]) != dtype_in(m, 1, x[1]))
        return lost("that is of another type in the other branch");
    return add_result(m, x[0], x[1], kind);
}

static md_tv merge(merger *m, const md_tv *a, const md_tv *b)
{
    if (is_same(a, b))
        return *a;
    if (md_tv_is_list(a) && md_tv_is_list(b) && a->v.list->n == b->v.list->n &&
        !a->v.list->stacked && !b->v.list->stacked) {
        md_tv out = md_tv_list(m->b, a->kind, a->v.list->n);

        for (uint32_t i = 0; md_tv_is_list(&out) && i < a->v.list->n; i++)
            md_tv_append(m->b, out.v.list,
                         merge(m, &a->v.list->item[i], &b->v.list->item[i]));
        return out;
    }
    /* What one branch leaves open, as it ends in an error, is the other's. */
    if ((is_value(a) || a->kind == MD_TV_LOST) &&
        (is_value(b) || b->kind == MD_TV_LOST) && (is_value(a) || is_value(b)))
        return merge_values(m, a, b);
    if (a->kind == MD_TV_LOST || b->kind == MD_TV_LOST)
        return a->kind == MD_TV_LOST ? *b : *a;
    return lost("that differs between branches");
}

/* Set what was changed to what it is after the node. */
static void assign(md_torch *b, const md_torch_change *c, const md_tv *v)
{
    md_torch_change note = *c;

    if (c->kind == MD_TORCH_CHANGE_ATTR) {
        note.old = md_torch_object_at(c->what, c->slot);
        md_torch_note(b, note);
        md_torch_object_put(c->what, c->slot, *v);
        return;
    }
    if (v->kind != MD_TV_TENSOR)
        return;
    note.old_tensor = *(md_torch_tensor *)c->what;
    md_torch_note(b, note);
    ((md_torch_tensor *)c->what)->id = v->v.t->id;
    ((md_torch_tensor *)c->what)->home = v->v.t->home;
    ((md_torch_tensor *)c->what)->version++;
}

/* Views of what was written are up to date: both were results. */
static void settle_views(const targets *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        md_torch_tensor *t = x->t[i].first.what;

        if (x->t[i].first.kind == MD_TORCH_CHANGE_TENSOR && t->base)
            t->seen = t->base->version;
    }
}

/* --- If --- */

static void merge_target(merger *m, target *t)
{
    md_torch_list *l = t->first.what;

    if (t->first.kind != MD_TORCH_CHANGE_LIST) {
        for (int i = 0; i < 2; i++) {
            if (t->now[i].kind == MD_TV_LOST && !t->now[i].v.s)
                t->now[i] = old_state(m->b, &t->first);
        }
        t->now[0] = merge(m, &t->now[0], &t->now[1]);
        return;
    }
    if (!t->grown[0] || !t->grown[1] || t->grown[0]->n != t->grown[1]->n) {
        md_emit_fail(&m->b->e, MD_UNSUPPORTED,
                     "a list that grows in one branch alone");
        return;
    }
    for (uint32_t i = 0; i < t->grown[0]->n; i++)
        t->grown[0]->item[i] =
            merge(m, &t->grown[0]->item[i], &t->grown[1]->item[i]);
    (void)l;
}

static void apply_target(md_torch *b, target *t)
{
    if (t->first.kind != MD_TORCH_CHANGE_LIST) {
        assign(b, &t->first, &t->now[0]);
        return;
    }
    for (uint32_t i = 0; t->grown[0] && i < t->grown[0]->n; i++) {
        md_tv args[2] = { { .kind = MD_TV_LIST, .v.list = t->first.what },
                          t->grown[0]->item[i] };

        (void)md_torch_call_op(b, "append", args, 2, NULL, NULL, 0);
    }
}

/* Results in both graphs, then the node. */
static void make_if(merger *m, md_value_id cond)
{
    md_emit *e = &m->b->e;
    md_value_id *out = md_emit_alloc(e, m->n, sizeof(*out));
    md_graph *g[2] = { m->s[0]->g, m->s[1]->g };

    for (int which = 0; which < 2; which++) {
        e->s = m->s[which];
        for (uint32_t i = 0; i < m->n; i++)
            md_emit_add_output(e, m->id[which][i], NULL);
        md_emit_finish(e);
        e->s = m->outer;
    }
    if (!out || e->status != MD_OK)
        return;
    md_emit_op_n(
        e, out, m->n, "If", &cond, 1,
        EMIT_ATTRS(EMIT_G("then_branch", g[0]), EMIT_G("else_branch", g[1])));
    for (uint32_t i = 0; i < m->n && e->status == MD_OK; i++) {
        md_type *t = &md_graph_value(e->s->g, out[i])->type;

        *t = md_graph_value(g[0], g[0]->outputs[i])->type;
        md_emit_join(e, t, &md_graph_value(g[1], g[1]->outputs[i])->type);
        m->out[i].v.t->id = out[i];
        m->out[i].v.t->home = m->outer;
    }
}

void md_torch_if(md_torch *b, const md_tv *cond, md_torch_branch_fn *run,
                 void *ctx, md_tv *out, uint32_t n)
{
    merger m = { .b = b, .outer = b->e.s };
    bool outer_noting = b->noting;
    md_tv *got[2];
    targets x = { 0 };
    md_value_id c = md_tv_id(b, cond);

    for (int i = 0; i < 2; i++) {
        uint32_t mark = b->n_changes;

        got[i] = md_emit_alloc(&b->e, n, sizeof(**got));
        m.s[i] = enter(b, i == 0 ? "then" : "else");
        if (!m.s[i] || !got[i]) {
            leave(b, m.outer);
            return;
        }
        b->noting = true;
        run(b, ctx, i, got[i], n);
        for (uint32_t k = 0; k < n; k++)
            got[i][k] = snapshot(b, &got[i][k]);
        collect(b, mark, &x, i);
        b->noting = outer_noting;
        leave(b, m.outer);
    }
    for (uint32_t k = 0; k < n && b->e.status == MD_OK; k++)
        out[k] = merge(&m, &got[0][k], &got[1][k]);
    for (uint32_t k = 0; k < x.n && b->e.status == MD_OK; k++)
        merge_target(&m, &x.t[k]);
    if (m.n > 0 && b->e.status == MD_OK)
        make_if(&m, c);
    for (uint32_t k = 0; k < x.n && b->e.status == MD_OK; k++)
        apply_target(b, &x.t[k]);
    settle_views(&x);
}

/* --- Loop --- */

/* What goes round: a variable, or something that the body changes. */
typedef struct carried {
    md_tv start;   /* before the loop */
    md_tv in, now; /* in the body: before and after a turn */
    md_type type;
    bool fixed;    /* the body leaves it as it is */
    unsigned open; /* axes whose size changes: a bit each */
    target *t;     /* NULL: a variable */
} carried;

typedef struct loop {
    md_torch *b;
    md_torch_body_fn *run;
    void *ctx;
    uint32_t n_vars;
    carried *c;
    uint32_t n;
    targets x;
    md_emit_scope *outer;
    md_tv go_on; /* after a turn */
    bool has_cond;
} loop;

static md_tv input_like(md_torch *b, const carried *c)
{
    md_value_id id = md_emit_input(&b->e, &c->type, "");
    md_tv v = md_tv_tensor(b, id);

    if (c->start.kind != MD_TV_TENSOR && v.kind == MD_TV_TENSOR) {
        v.kind = c->start.kind;
        v.computed = true;
    }
    return v;
}

/* The body's inputs: variables, and things as they are in it. */
static void begin_turn(loop *l, md_tv *vars)
{
    md_torch *b = l->b;

    for (uint32_t i = 0; l->c && i < l->n && b->e.status == MD_OK; i++) {
        carried *c = &l->c[i];

        c->in = c->fixed ? c->start : input_like(b, c);
        if (!c->t)
            vars[i] = c->in;
        else if (!c->fixed)
            assign(b, &c->t->first, &c->in);
    }
}

/* A turn, in a scope of its own, undone again. */
static md_emit_scope *turn(loop *l)
{
    static const md_type trip = { .dtype = MD_DTYPE_I64, .has_rank = true };
    static const md_type cond = { .dtype = MD_DTYPE_BOOL, .has_rank = true };
    md_torch *b = l->b;
    md_tv *vars = md_emit_alloc(&b->e, l->n_vars, sizeof(*vars));
    uint32_t mark = b->n_changes;
    bool noting = b->noting;
    md_emit_scope *s = enter(b, "loop");
    md_tv i;

    if (!s || !vars)
        return NULL;
    b->noting = true;
    i = md_tv_tensor(b, md_emit_input(&b->e, &trip, "trip"));
    i.kind = MD_TV_INT;
    i.computed = true;
    (void)md_emit_input(&b->e, &cond, "go_on");
    begin_turn(l, vars);
    l->go_on = l->run(b, l->ctx, i, vars, l->n_vars);
    for (uint32_t k = 0; l->c && k < l->n_vars; k++)
        l->c[k].now = snapshot(b, &vars[k]);
    for (uint32_t k = 0; k < l->x.n; k++) {
        l->x.t[k].grown[0] = NULL;
        l->x.t[k].now[0] = (md_tv){ .kind = MD_TV_LOST };
    }
    collect(b, mark, &l->x, 0);
    b->noting = noting;
    return b->e.status == MD_OK ? s : NULL;
}

/* Things that the last turn changed for the first time are carried too. */
static bool add_carried(loop *l)
{
    md_torch *b = l->b;
    uint32_t known = l->n;
    carried *more;

    for (uint32_t i = 0; i < l->x.n; i++)
        known += l->x.t[i].first.kind != MD_TORCH_CHANGE_LIST;
    if (known == l->n + (l->n - l->n_vars))
        return false;
    more = md_emit_alloc(&b->e, l->n_vars + l->x.n, sizeof(*more));
    if (!more)
        return false;
    memcpy(more, l->c, l->n_vars * sizeof(*more));
    l->n = l->n_vars;
    for (uint32_t i = 0; i < l->x.n; i++) {
        carried *c = &more[l->n];

        if (l->x.t[i].first.kind == MD_TORCH_CHANGE_LIST)
            continue;
        *c = (carried){ .t = &l->x.t[i] };
        c->start = old_state(b, &l->x.t[i].first);
        if (!is_value(&c->start))
            md_emit_fail(&b->e, MD_UNSUPPORTED,
                         "a loop changes an attribute that is a %s",
                         md_tv_kind_text(&c->start));
        else
            c->type = *md_emit_type(&b->e, md_tv_id(b, &c->start));
        l->n++;
    }
    l->c = more;
    return true;
}

static md_value_id id_after(loop *l, md_emit_scope *s, const carried *c)
{
    md_tv v = c->t ? c->t->now[0] : c->now;
    md_value_id id;

    l->b->e.s = s;
    id = md_tv_id(l->b, &v);
    l->b->e.s = l->outer;
    return id;
}

/* Has a turn shown that something is fixed, or of a wider type?  Then the
 * body is made anew. */
static bool refine(loop *l, md_emit_scope *s)
{
    md_torch *b = l->b;
    bool again = false;

    for (uint32_t i = 0; i < l->n && b->e.status == MD_OK; i++) {
        carried *c = &l->c[i];
        md_tv now = c->t ? c->t->now[0] : c->now;
        md_type out;

        if (c->fixed) {
            if (!c->t && !is_same(&c->in, &c->now) && c->now.kind != MD_TV_LOST)
                md_emit_fail(&b->e, MD_UNSUPPORTED,
                             "a loop changes a variable that is a %s",
                             md_tv_kind_text(&c->start));
            continue;
        }
        if (is_same(&c->in, &now)) {
            c->fixed = again = true;
            continue;
        }
        if (!is_value(&now) || now.kind != c->start.kind) {
            md_emit_fail(&b->e, MD_UNSUPPORTED,
                         "a loop makes a %s of a variable that is a %s",
                         md_tv_kind_text(&now), md_tv_kind_text(&c->start));
            return false;
        }
        out = md_graph_value(s->g, id_after(l, s, c))->type;
        if (b->e.status != MD_OK)
            return false;
        if (out.dtype != c->type.dtype || !out.has_rank || !c->type.has_rank ||
            out.rank != c->type.rank) {
            md_emit_fail(&b->e, MD_UNSUPPORTED,
                         "a loop's variable whose type or rank changes");
            return false;
        }
        for (int k = 0; k < out.rank; k++) {
            if (c->open & (1u << k))
                out.dim[k] = c->type.dim[k];
            else if (!md_dim_equal(out.dim[k], c->type.dim[k])) {
                c->open |= 1u << k;
                again = true;
            }
        }
        md_emit_join(&b->e, &c->type, &out);
    }
    return again;
}

/* A list that gets one tensor a turn: all of them behind each other. */
static bool is_scan(md_torch *b, const target *t)
{
    if (t->first.kind != MD_TORCH_CHANGE_LIST)
        return false;
    if (t->first.old_n == 0 && t->grown[0] && t->grown[0]->n == 1 &&
        t->grown[0]->item[0].kind == MD_TV_TENSOR)
        return true;
    md_emit_fail(
        &b->e, MD_UNSUPPORTED,
        "a list that a loop fills otherwise than by one tensor a turn");
    return false;
}

static void loop_outputs(loop *l, md_emit_scope *s)
{
    md_torch *b = l->b;
    md_emit *e = &b->e;

    for (uint32_t i = 0; i < l->n; i++)
        (void)(l->c[i].fixed ? MD_VALUE_NONE : id_after(l, s, &l->c[i]));
    e->s = s;
    md_emit_add_output(e,
                       l->go_on.kind == MD_TV_NONE
                           ? md_emit_number(e, MD_DTYPE_BOOL, 1)
                           : md_tv_as(b, &l->go_on, MD_DTYPE_BOOL),
                       NULL);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!l->c[i].fixed)
            md_emit_add_output(
                e, md_tv_id(b, l->c[i].t ? &l->c[i].t->now[0] : &l->c[i].now),
                NULL);
    }
    for (uint32_t i = 0; i < l->x.n && e->status == MD_OK; i++) {
        if (is_scan(b, &l->x.t[i]))
            md_emit_add_output(e, md_tv_id(b, &l->x.t[i].grown[0]->item[0]),
                               NULL);
    }
    md_emit_finish(e);
    e->s = l->outer;
}

static void set_result(loop *l, uint32_t i, md_value_id id, md_tv *vars)
{
    carried *c = &l->c[i];
    md_tv v = md_tv_tensor(l->b, id);

    if (l->b->e.status != MD_OK)
        return;
    md_graph_value(l->outer->g, id)->type = c->type;
    if (c->start.kind != MD_TV_TENSOR) {
        v.kind = c->start.kind;
        v.computed = true;
    }
    if (c->t)
        assign(l->b, &c->t->first, &v);
    else
        vars[i] = v;
}

/* [trips, ...] of what a turn gives. */
static void set_scan(loop *l, const target *t, md_value_id id, md_type type)
{
    md_torch_list *list = t->first.what;
    md_tv v = md_tv_tensor(l->b, id);
    md_type *out;

    if (l->b->e.status != MD_OK || type.rank == MD_RANK_MAX)
        return;
    out = &md_graph_value(l->outer->g, id)->type;
    *out = type;
    out->rank++;
    for (int i = type.rank; i > 0; i--)
        out->dim[i] = type.dim[i - 1];
    out->dim[0] = (md_dim){ .scale = 1 };
    md_emit_ok(&l->b->e, md_model_symbol(&out->dim[0].sym, l->b->e.model, NULL,
                                         l->b->e.err));
    list->stacked = v.v.t;
}

static void make_loop(loop *l, md_emit_scope *s, const md_tv *trips,
                      const md_tv *cond, md_tv *vars)
{
    md_emit *e = &l->b->e;
    uint32_t room = l->n + l->x.n + 2, n_in = 2, n_out = 0;
    md_value_id *in = md_emit_alloc(e, room, sizeof(*in));
    md_value_id *out = md_emit_alloc(e, room, sizeof(*out));
    uint32_t at = 1;

    loop_outputs(l, s);
    if (!in || !out || e->status != MD_OK)
        return;
    in[0] = trips->kind == MD_TV_NONE ? MD_VALUE_NONE
                                      : md_tv_as(l->b, trips, MD_DTYPE_I64);
    in[1] = cond->kind == MD_TV_NONE ? MD_VALUE_NONE
                                     : md_tv_as(l->b, cond, MD_DTYPE_BOOL);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!l->c[i].fixed)
            in[n_in++] = md_tv_id(l->b, &l->c[i].start);
    }
    n_out = s->g->n_outputs - 1;
    if (n_out == 0)
        return;
    md_emit_op_n(e, out, n_out, "Loop", in, n_in,
                 EMIT_ATTRS(EMIT_G("body", s->g)));
    for (uint32_t i = 0; i < l->n; i++) {
        if (!l->c[i].fixed)
            set_result(l, i, out[at++ - 1], vars);
    }
    for (uint32_t i = 0; i < l->x.n && e->status == MD_OK; i++) {
        if (l->x.t[i].first.kind == MD_TORCH_CHANGE_LIST) {
            set_scan(l, &l->x.t[i], out[at - 1],
                     md_graph_value(s->g, s->g->outputs[at])->type);
            at++;
        }
    }
    settle_views(&l->x);
}

void md_torch_loop(md_torch *b, const md_tv *trips, const md_tv *cond,
                   md_torch_body_fn *run, void *ctx, md_tv *vars, uint32_t n)
{
    loop l = {
        .b = b, .run = run, .ctx = ctx, .n_vars = n, .n = n, .outer = b->e.s
    };
    md_emit_scope *s = NULL;

    l.c = md_emit_alloc(&b->e, n, sizeof(*l.c));
    if (!l.c)
        return;
    for (uint32_t i = 0; i < n; i++) {
        l.c[i].start = snapshot(b, &vars[i]);
        l.c[i].fixed = !is_value(&vars[i]);
        if (!l.c[i].fixed)
            l.c[i].type = *md_emit_type(&b->e, md_tv_id(b, &vars[i]));
    }
    for (int tries = 0; b->e.status == MD_OK; tries++) {
        if (tries == TRIES_MAX) {
            md_emit_fail(&b->e, MD_UNSUPPORTED,
                         "a loop whose types do not settle");
            break;
        }
        s = turn(&l);
        leave(b, l.outer);
        if (!s)
            break;
        if (!add_carried(&l) && !refine(&l, s))
            break;
    }
    if (b->e.status == MD_OK && s)
        make_loop(&l, s, trips, cond, vars);
}
