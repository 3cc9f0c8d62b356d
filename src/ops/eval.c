#include "ops/eval.h"

#include <string.h>

#include "base/cpu.h"
#include "base/size.h"

/* Where md_node_eval's outputs go. */
typedef struct sink {
    md_tensor *out;
    const md_alloc *alloc;
    const struct run_state *above; /* the run of the node's graph; or NULL */
} sink;

static md_status take_output(md_exec *x, uint32_t i, md_dtype dtype,
                             const md_shape *shape, md_tensor **out,
                             md_error *err)
{
    sink *k = x->ctx;

    *out = NULL;
    if (x->node->out[i] == MD_VALUE_NONE)
        return MD_OK;
    md_tensor_release(&k->out[i]);
    MD_TRY(md_tensor_alloc(&k->out[i], dtype, shape, k->alloc, err));
    *out = &k->out[i];
    return MD_OK;
}

static md_status take_given(md_exec *x, uint32_t i, md_tensor *t, md_error *err)
{
    sink *k = x->ctx;

    (void)err;
    if (i < x->node->n_out && x->node->out[i] != MD_VALUE_NONE) {
        md_tensor_release(&k->out[i]);
        k->out[i] = *t;
        *t = (md_tensor)MD_TENSOR_INIT;
    }
    md_tensor_release(t);
    return MD_OK;
}

static void release_all(md_tensor *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        md_tensor_release(&t[i]);
}

static const char *label(const md_node *n)
{
    return n->name[0] ? n->name : n->op;
}

static md_status run_body(md_exec *x, const md_graph *body,
                          const md_tensor *const *in, md_tensor *out,
                          md_error *err);

static md_status eval_node(md_tensor *out, const md_node *n, int64_t opset,
                           const md_tensor *const *in, const md_alloc *alloc,
                           md_pool *pool, const struct run_state *above,
                           md_error *err)
{
    const md_op *op = md_op_find(n->domain, n->op, opset);
    sink k = { out, alloc, above };
    md_exec x = { .node = n,
                  .opset = opset,
                  .in = in,
                  .alloc = alloc,
                  .pool = pool,
                  .cpu = md_cpu_flags(),
                  .output = take_output,
                  .give = take_given,
                  .body = above ? run_body : NULL,
                  .ctx = &k };
    md_arena text;
    md_status s;

    for (uint32_t i = 0; i < n->n_out; i++)
        out[i] = (md_tensor)MD_TENSOR_INIT;
    if (!op)
        return md_fail(err, MD_UNSUPPORTED,
                       "node '%s': no operator %s%s%s in opset %lld", label(n),
                       n->domain, n->domain[0] ? "." : "", n->op,
                       (long long)opset);
    md_arena_init(&text, alloc, 0);
    x.text = &text;
    s = md_op_run(op, &x, err);
    for (uint32_t i = 0; i < n->n_out && s == MD_OK && text.first; i++)
        s = md_tensor_own_text(&out[i], err);
    md_arena_release(&text);
    if (s == MD_OK)
        return MD_OK;
    release_all(out, n->n_out);
    return md_wrap(err, s, "node '%s' (%s): ", label(n), n->op);
}

md_status md_node_eval(md_tensor *out, const md_node *n, int64_t opset,
                       const md_tensor *const *in, const md_alloc *alloc,
                       md_pool *pool, md_error *err)
{
    return eval_node(out, n, opset, in, alloc, pool, NULL, err);
}

/* One run of a graph. */
typedef struct run_state {
    const struct run_state *above; /* of the graph that it is a subgraph of */
    const md_graph *g;
    const md_alloc *alloc;
    md_pool *pool;
    md_arena arena;
    md_tensor *own;         /* values computed here, by id */
    const md_tensor **have; /* where each value is, by id */
    uint32_t *uses;         /* reads still to come */
} run_state;

static md_status check_input(const md_value *v, const md_tensor *t,
                             const md_model *m, md_error *err)
{
    char want[MD_SHAPE_TEXT], got[MD_SHAPE_TEXT];
    md_type type = md_type_of_value(t);

    if (md_type_fits(&type, &v->type))
        return MD_OK;
    return md_fail(err, MD_INVALID, "input '%s': %s given, %s expected",
                   v->name, md_type_format(got, sizeof(got), m, &type),
                   md_type_format(want, sizeof(want), m, &v->type));
}

/* What the nearest graph above has under this name, or NULL. */
static const md_tensor *captured(const run_state *above, const char *name)
{
    for (; above; above = above->above) {
        md_value_id id = md_graph_find(above->g, name);

        if (id != MD_VALUE_NONE && above->have[id])
            return above->have[id];
    }
    return NULL;
}

/* Subgraphs read by name, so what they may read stays. */
static bool has_subgraphs(const md_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (md_node_graph(g->nodes[i], 0))
            return true;
    }
    return false;
}

static md_status begin(run_state *r, const md_tensor *const *in, md_error *err)
{
    const md_graph *g = r->g;

    r->own =
        md_arena_calloc(&r->arena, (size_t)g->n_values + 1, sizeof(*r->own));
    r->have =
        md_arena_calloc(&r->arena, (size_t)g->n_values + 1, sizeof(*r->have));
    r->uses =
        md_arena_calloc(&r->arena, (size_t)g->n_values + 1, sizeof(*r->uses));
    if (!r->own || !r->have || !r->uses)
        return md_fail_nomem(err, g->n_values * sizeof(*r->own));
    for (uint32_t i = 0; i < g->n_values; i++) {
        const md_value *v = &g->values[i];

        r->have[i] = v->cdata;
        if (!v->cdata && !v->def && !v->is_input)
            r->have[i] = captured(r->above, v->name);
    }
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const md_value *v = &g->values[g->inputs[i]];

        if (in[i]) {
            MD_TRY(check_input(v, in[i], g->model, err));
            r->have[g->inputs[i]] = in[i];
        } else if (!v->cdata) {
            return md_fail(err, MD_INVALID, "input '%s' is not given", v->name);
        }
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++) {
            if (g->nodes[i]->in[k] != MD_VALUE_NONE)
                r->uses[g->nodes[i]->in[k]]++;
        }
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        r->uses[g->outputs[i]]++;
    for (uint32_t i = 0; i < g->n_values && has_subgraphs(g); i++)
        r->uses[i]++;
    return MD_OK;
}

/* Strings may be shared by values, so they stay until the end. */
static void drop_use(run_state *r, md_value_id id)
{
    if (--r->uses[id] == 0 && r->own[id].dtype != MD_DTYPE_STRING)
        md_tensor_release(&r->own[id]);
}

static md_status gather_inputs(run_state *r, const md_node *n,
                               const md_tensor **in, md_error *err)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == MD_VALUE_NONE)
            continue;
        in[i] = r->have[n->in[i]];
        if (!in[i])
            return md_fail(err, MD_UNSUPPORTED,
                           "node '%s': value '%s' is not of this graph",
                           label(n), r->g->values[n->in[i]].name);
    }
    return MD_OK;
}

static md_status step(run_state *r, const md_node *n, md_error *err)
{
    int64_t opset = md_node_opset(r->g->model, n);
    md_arena scratch;
    const md_tensor **in;
    md_tensor *out;
    md_status s;

    md_arena_init(&scratch, r->alloc, 0);
    in = md_arena_calloc(&scratch, (size_t)n->n_in + 1, sizeof(*in));
    out = md_arena_calloc(&scratch, (size_t)n->n_out + 1, sizeof(*out));
    if (!in || !out) {
        s = md_fail_nomem(err, (n->n_in + n->n_out) * sizeof(*out));
        goto out;
    }
    MD_GOTO(gather_inputs(r, n, in, err));
    MD_GOTO(eval_node(out, n, opset, in, r->alloc, r->pool, r, err));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == MD_VALUE_NONE)
            continue;
        r->own[n->out[i]] = out[i];
        r->have[n->out[i]] = &r->own[n->out[i]];
    }
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE)
            drop_use(r, n->in[i]);
    }
out:
    md_arena_release(&scratch);
    return s;
}

/* Hand over what was computed here, copy what belongs to others or is wanted
 * twice. */
static md_status give_output(run_state *r, md_tensor *out, md_value_id id,
                             md_error *err)
{
    if (!r->have[id])
        return md_fail(err, MD_CORRUPT, "output '%s' is not computed",
                       r->g->values[id].name);
    if (r->have[id] != &r->own[id] || r->uses[id] > 1 ||
        r->own[id].dtype == MD_DTYPE_STRING) {
        r->uses[id]--;
        return md_tensor_copy(out, r->have[id], r->alloc, err);
    }
    *out = r->own[id];
    r->own[id] = (md_tensor)MD_TENSOR_INIT;
    return MD_OK;
}

static md_status eval_graph(md_tensor *out, const md_graph *g,
                            const md_tensor *const *in, const md_alloc *alloc,
                            md_pool *pool, const run_state *above,
                            md_error *err)
{
    run_state r = { .above = above, .g = g, .alloc = alloc, .pool = pool };
    md_status s;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        out[i] = (md_tensor)MD_TENSOR_INIT;
    md_arena_init(&r.arena, alloc, 0);
    MD_GOTO(begin(&r, in, err));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i]->dead)
            MD_GOTO(step(&r, g->nodes[i], err));
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        MD_GOTO(give_output(&r, &out[i], g->outputs[i], err));
out:
    if (s != MD_OK)
        release_all(out, g->n_outputs);
    if (r.own)
        release_all(r.own, g->n_values);
    md_arena_release(&r.arena);
    return s;
}

static md_status run_body(md_exec *x, const md_graph *body,
                          const md_tensor *const *in, md_tensor *out,
                          md_error *err)
{
    const sink *k = x->ctx;

    return eval_graph(out, body, in, x->alloc, x->pool, k->above, err);
}

md_status md_graph_eval(md_tensor *out, const md_graph *g,
                        const md_tensor *const *in, const md_alloc *alloc,
                        md_pool *pool, md_error *err)
{
    return eval_graph(out, g, in, alloc, pool, NULL, err);
}
