#include "optimize/cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/size.h"
#include "ops/op.h"
#include "train/runner.h"

/* ---- what is known ---- */

/* An own copy in which every value has a name. */
static md_status own_copy(md_model **out, const md_model *model, md_error *err)
{
    md_model *m;
    md_status s;

    MD_TRY(md_model_copy(&m, model, err));
    s = md_model_inline(m, err);
    if (s == MD_OK)
        s = md_graph_lift_constants(m->graph, err);
    if (s == MD_OK)
        s = md_model_copy(out, m, err);
    md_model_free(m);
    return s;
}

static md_status open_typed(md_session **out, const md_model *model,
                            md_error *err)
{
    const md_session_opts o = { .alloc = model->alloc, .reference = true };
    md_model *m;
    md_status s;

    MD_TRY(md_model_copy(&m, model, err));
    s = md_session_new(out, m, &o, err);
    if (s != MD_OK)
        md_model_free(m);
    return s;
}

static md_status make_axes(md_cut *c, md_error *err)
{
    const md_graph *g = c->model->graph;
    const md_graph *typed = md_session_model(c->typed)->graph;
    md_axes_fact *facts =
        md_arena_calloc(&c->arena, (size_t)g->n_values + 1, sizeof(*facts));

    if (!facts)
        return md_fail_nomem(err, g->n_values * sizeof(*facts));
    for (uint32_t i = 0; i < g->n_values; i++) {
        const md_value_id id = md_graph_find(typed, g->values[i].name);

        facts[i] = (md_axes_fact){ .type = g->values[i].type,
                                   .known = g->values[i].cdata };
        if (id == MD_VALUE_NONE)
            continue;
        facts[i].type = typed->values[id].type;
        facts[i].data = typed->values[id].data;
        if (!facts[i].known)
            facts[i].known = typed->values[id].cdata;
    }
    return md_axes_make(&c->axes, g, facts, &c->arena, err);
}

/* ---- units ---- */

/* What a class lies on. */
typedef struct member {
    uint64_t key; /* of its axes, how often on each */
    uint32_t root;
    uint32_t most; /* places on one axis that a product makes */
    md_value_id weights;
} member;

/* Mark the classes that products make: members[class].most > 0. */
static void find_made(const md_cut *c, member *members)
{
    const md_graph *g = c->model->graph;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_axes_product p;
        md_value_id w;
        uint32_t first;

        if (!md_axes_is_product(&p, &c->axes, g->nodes[i]))
            continue;
        w = g->nodes[i]->in[1];
        first = md_axes_first(&c->axes, w, p.w_out);
        for (int64_t k = 0; k < g->values[w].cdata->shape.dim[p.w_out]; k++) {
            member *m = &members[md_axes_class(&c->axes, first + (uint32_t)k)];

            m->weights = m->most == 0 ? w : m->weights;
            m->most += m->weights == w;
        }
    }
}

static void find_keys(const md_cut *c, member *members)
{
    for (uint32_t v = 0; v < c->model->graph->n_values; v++) {
        for (int d = 0; d < MD_RANK_MAX; d++) {
            const uint32_t first = md_axes_first(&c->axes, v, d);
            const md_type *t = &c->axes.fact[v].type;

            if (first == MD_AXES_NONE)
                continue;
            for (int64_t i = 0; i < t->dim[d].k; i++)
                members[md_axes_class(&c->axes, first + (uint32_t)i)].key +=
                    md_rng_mix(((uint64_t)v + 1) * MD_RANK_MAX + (uint64_t)d);
        }
    }
}

static int by_group(const void *x, const void *y)
{
    const member *a = x, *b = y;

    /* Groups in the order of their first places comes after. */
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->root < b->root ? -1 : a->root > b->root;
}

static int by_first_place(const void *x, const void *y)
{
    const member *a = *(const member *const *)x, *b = *(const member *const *)y;

    return a->root < b->root ? -1 : a->root > b->root;
}

/* Members [0, n) sorted by group become groups and units. */
static md_status make_groups(md_cut *c, const member *m, uint32_t n,
                             md_error *err)
{
    const member **head = md_arena_calloc(&c->arena, n + 1u, sizeof(member *));
    uint32_t n_heads = 0;

    c->unit = md_arena_calloc(&c->arena, n + 1u, sizeof(*c->unit));
    c->group = md_arena_calloc(&c->arena, n + 1u, sizeof(*c->group));
    if (!head || !c->unit || !c->group)
        return md_fail_nomem(err, n * sizeof(*c->group));
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || m[i].key != m[i - 1].key)
            head[n_heads++] = &m[i];
    }
    qsort(head, n_heads, sizeof(const member *), by_first_place);
    for (uint32_t k = 0; k < n_heads; k++) {
        md_cut_group *g = &c->group[c->n_groups];

        *g = (md_cut_group){ .name =
                                 c->model->graph->values[head[k]->weights].name,
                             .first = c->n_units,
                             .is_channels = head[k]->most == 1 };
        for (const member *u = head[k]; u < m + n && u->key == head[k]->key;
             u++) {
            c->unit_of[u->root] = c->n_units;
            c->unit[c->n_units++].group = c->n_groups;
        }
        g->n = c->n_units - g->first;
        c->n_groups++;
    }
    return MD_OK;
}

static md_status make_units(md_cut *c, md_error *err)
{
    const md_alloc *alloc = c->model->alloc;
    const uint32_t n = c->axes.n;
    member *members = md_calloc(alloc, (size_t)n + 1, sizeof(*members));
    uint32_t n_made = 0;
    md_status s;

    c->unit_of = md_arena_calloc(&c->arena, (size_t)n + 1, sizeof(uint32_t));
    if (!members || !c->unit_of) {
        md_free(alloc, members);
        return md_fail_nomem(err, n * sizeof(*members));
    }
    find_made(c, members);
    find_keys(c, members);
    for (uint32_t p = 0; p < n; p++) {
        c->unit_of[p] = MD_UNIT_NONE;
        if (members[p].most == 0 || c->axes.fixed[p])
            continue;
        members[p].root = p;
        members[n_made++] = members[p];
    }
    qsort(members, n_made, sizeof(*members), by_group);
    s = make_groups(c, members, n_made, err);
    md_free(alloc, members);
    return s;
}

md_status md_cut_open(md_cut *out, const md_model *model, md_error *err)
{
    md_status s;

    *out = (md_cut){ .model = NULL };
    md_arena_init(&out->arena, model->alloc, 0);
    s = own_copy(&out->model, model, err);
    if (s == MD_OK)
        s = open_typed(&out->typed, out->model, err);
    if (s == MD_OK)
        s = make_axes(out, err);
    if (s == MD_OK)
        s = make_units(out, err);
    if (s != MD_OK)
        md_cut_release(out);
    return s;
}

void md_cut_release(md_cut *c)
{
    if (!c->arena.alloc)
        return;
    md_session_free(c->typed);
    md_model_free(c->model);
    md_arena_release(&c->arena);
    *c = (md_cut){ .model = NULL };
}

/* ---- what is left ---- */

uint32_t md_cut_unit_at(const md_cut *c, uint32_t place)
{
    return c->unit_of[md_axes_class(&c->axes, place)];
}

bool md_cut_is_out(const md_cut *c, uint32_t place)
{
    const uint32_t u = md_cut_unit_at(c, place);

    return u != MD_UNIT_NONE && c->unit[u].out;
}

int64_t md_cut_left(const md_cut *c, md_value_id id, int axis)
{
    const uint32_t first = md_axes_first(&c->axes, id, axis);
    int64_t n = 0;

    if (first == MD_AXES_NONE)
        return -1;
    for (int64_t i = 0; i < c->axes.fact[id].type.dim[axis].k; i++)
        n += !md_cut_is_out(c, first + (uint32_t)i);
    return n;
}

static bool left_shape(md_shape *out, const md_cut *c, md_value_id id)
{
    const md_type *t = &c->axes.fact[id].type;

    if (t->kind != MD_KIND_TENSOR || !t->has_rank)
        return false;
    out->rank = t->rank;
    for (int d = 0; d < t->rank; d++) {
        const int64_t left = md_cut_left(c, id, d);

        out->dim[d] = left >= 0 ? left : t->dim[d].sym ? 1 : t->dim[d].k;
    }
    return true;
}

enum {
    IO_MAX = 16 /* of nodes that have a cost */
};

static int64_t node_macs(const md_cut *c, const md_node *n)
{
    const md_op *op = md_op_find(n->domain, n->op, md_node_opset(c->model, n));
    md_shape in[IO_MAX], out[IO_MAX];
    const md_shape *pin[IO_MAX] = { NULL }, *pout[IO_MAX] = { NULL };

    if (!op || !op->macs || n->n_in > IO_MAX || n->n_out > IO_MAX)
        return 0;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE && left_shape(&in[i], c, n->in[i]))
            pin[i] = &in[i];
        else if (n->in[i] != MD_VALUE_NONE)
            return 0;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE && left_shape(&out[i], c, n->out[i]))
            pout[i] = &out[i];
        else if (n->out[i] != MD_VALUE_NONE)
            return 0;
    }
    return op->macs(n, pin, pout);
}

int64_t md_cut_macs(const md_cut *c)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < c->model->graph->n_nodes; i++)
        sum += node_macs(c, c->model->graph->nodes[i]);
    return sum;
}
