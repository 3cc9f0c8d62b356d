#include <stdlib.h>
#include <string.h>

#include "cli/model.h"
#include "cli/print.h"
#include "cli/progress.h"

enum {
    TYPE_SIZE = 256
};

/* How often an operator occurs. */
typedef struct op_count {
    const char *domain, *op;
    int64_t n;
} op_count;

/* What a model has, before it is made ready. */
typedef struct facts {
    op_count *ops;
    uint32_t n_ops, cap_ops;
    int64_t n_nodes;
    int64_t n_parameters;
    uint64_t parameter_bytes;
} facts;

/* What running it takes. */
typedef struct costs {
    int64_t macs;
    size_t memory;
    char why[MD_ERROR_MSG_SIZE]; /* there are none */
    md_precision_choice choice;  /* without its text */
    char chosen[MD_ERROR_MSG_SIZE];
    char weights[512]; /* md_cli_packed_format */
    size_t packed_bytes;
    bool mapped;
} costs;

static md_status count_node(facts *f, const md_node *n, md_error *err)
{
    f->n_nodes++;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        if (strcmp(f->ops[i].op, n->op) == 0 &&
            strcmp(f->ops[i].domain, n->domain) == 0) {
            f->ops[i].n++;
            return MD_OK;
        }
    }
    MD_TRY(md_grow(md_alloc_default(), &f->ops, &f->cap_ops, f->n_ops,
                   sizeof(*f->ops), err));
    f->ops[f->n_ops++] = (op_count){ n->domain, n->op, 1 };
    return MD_OK;
}

static md_status count_graph(facts *f, const md_graph *g, md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_graph *body;

        MD_TRY(count_node(f, g->nodes[i], err));
        for (uint32_t k = 0; (body = md_node_graph(g->nodes[i], k)); k++)
            MD_TRY(count_graph(f, body, err));
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        const md_tensor *c = g->values[i].cdata;

        if (c) {
            f->n_parameters += md_tensor_n(c);
            f->parameter_bytes += md_tensor_size(c);
        }
    }
    return MD_OK;
}

static int by_count(const void *a, const void *b)
{
    const op_count *x = a, *y = b;

    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return strcmp(x->op, y->op);
}

/* Plan one run; why it cannot be done is a fact, too. */
static md_status find_costs(costs *c, const md_cli_session *s, const md_args *a,
                            md_error *err)
{
    uint32_t n = md_session_n_inputs(s->session);
    md_shape *shapes = md_arena_calloc(a->arena, n + 1u, sizeof(*shapes));
    md_error why = MD_ERROR_INIT;
    md_progress p;
    md_status st;
    md_run *r;

    if (!shapes)
        return md_fail_nomem(err, n * sizeof(*shapes));
    c->choice = *md_session_precision(s->session);
    snprintf(c->chosen, sizeof(c->chosen), "%s",
             c->choice.why ? c->choice.why : "");
    c->choice.why = NULL;
    md_cli_packed_format(c->weights, sizeof(c->weights), s->session);
    c->packed_bytes = md_session_packed(s->session).size;
    c->mapped = md_session_packed(s->session).file != NULL;
    MD_TRY(md_cli_shapes(shapes, s, 1, a, err));
    md_progress_begin(&p, a->cli->err, "planning");
    st = md_run_acquire(&r, s->session, shapes, &why);
    md_progress_end(&p);
    if (st == MD_OK) {
        c->macs = md_run_macs(r);
        c->memory = md_run_memory(r);
        md_run_release(r);
    } else {
        memcpy(c->why, why.msg, sizeof(c->why));
    }
    return MD_OK;
}

static void put_ios(FILE *f, const md_model *m, const char *what,
                    const md_value_id *ids, uint32_t n)
{
    char type[TYPE_SIZE];

    for (uint32_t i = 0; i < n; i++) {
        const md_value *v = md_graph_value(m->graph, ids[i]);

        md_cli_printf(f, "%-12s%s %s\n", i ? "" : what, v->name,
                      md_type_format(type, sizeof(type), m, &v->type));
    }
}

static void put_text(FILE *f, const md_model *m, const facts *x)
{
    char size[32], count[32];

    md_cli_printf(f, "%-12sIR %lld", "format", (long long)m->ir_version);
    for (uint32_t i = 0; i < m->n_opsets; i++)
        md_cli_printf(f, ", opset %s%s%lld", m->opsets[i].domain,
                      m->opsets[i].domain[0] ? " " : "",
                      (long long)m->opsets[i].version);
    md_cli_printf(f, "\n%-12s%s %s\n", "producer",
                  m->producer_name ? m->producer_name : "",
                  m->producer_version ? m->producer_version : "");
    put_ios(f, m, "inputs", m->graph->inputs, m->graph->n_inputs);
    put_ios(f, m, "outputs", m->graph->outputs, m->graph->n_outputs);
    md_cli_format_count(count, sizeof(count), (double)x->n_parameters);
    md_cli_format_size(size, sizeof(size), (double)x->parameter_bytes);
    md_cli_printf(f, "%-12s%s (%lld), %s\n", "parameters", count,
                  (long long)x->n_parameters, size);
    md_cli_printf(f, "%-12s%lld\n", "nodes", (long long)x->n_nodes);
    for (uint32_t i = 0; i < x->n_ops; i++)
        md_cli_printf(f, "%12s%6lld %s%s%s\n", "", (long long)x->ops[i].n,
                      x->ops[i].domain, x->ops[i].domain[0] ? "." : "",
                      x->ops[i].op);
}

static void put_costs(FILE *f, const costs *c)
{
    char size[32], count[32];

    if (c->why[0]) {
        md_cli_printf(f, "%-12s%s\n", "cannot run", c->why);
        return;
    }
    md_cli_printf(f, "%-12s%s\n", "precision",
                  c->chosen[0] ? c->chosen : md_precision_name(c->choice.used));
    md_cli_format_count(count, sizeof(count), (double)c->macs);
    md_cli_format_size(size, sizeof(size), (double)c->memory);
    md_cli_printf(f, "%-12s%s (%lld)\n", "MACs", count, (long long)c->macs);
    md_cli_printf(f, "%-12s%s for values between inputs and outputs\n",
                  "memory", size);
    if (c->weights[0])
        md_cli_printf(f, "%-12s%s\n", "weights", c->weights);
}

static void json_ios(md_json_writer *w, const md_model *m, const char *what,
                     const md_value_id *ids, uint32_t n)
{
    md_json_put_name(w, what);
    md_json_put_array(w);
    for (uint32_t i = 0; i < n; i++) {
        const md_value *v = md_graph_value(m->graph, ids[i]);

        md_json_put_object(w);
        md_cli_json_str(w, "name", v->name);
        md_cli_json_str(w, "type", md_dtype_name(v->type.dtype));
        md_json_put_name(w, "shape");
        md_json_put_array(w);
        for (int d = 0; d < v->type.rank; d++)
            md_json_put_i64(
                w, md_dim_is_const(v->type.dim[d]) ? v->type.dim[d].k : -1);
        md_json_put_end(w);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void json_facts(md_json_writer *w, const md_model *m, const facts *x)
{
    md_cli_json_int(w, "ir_version", m->ir_version);
    md_json_put_name(w, "opsets");
    md_json_put_object(w);
    for (uint32_t i = 0; i < m->n_opsets; i++) {
        md_json_put_name(w, m->opsets[i].domain[0] ? m->opsets[i].domain
                                                   : "ai.onnx");
        md_json_put_i64(w, m->opsets[i].version);
    }
    md_json_put_end(w);
    md_cli_json_str(w, "producer", m->producer_name ? m->producer_name : "");
    json_ios(w, m, "inputs", m->graph->inputs, m->graph->n_inputs);
    json_ios(w, m, "outputs", m->graph->outputs, m->graph->n_outputs);
    md_cli_json_int(w, "parameters", x->n_parameters);
    md_json_put_name(w, "parameter_bytes");
    md_json_put_u64(w, x->parameter_bytes);
    md_cli_json_int(w, "nodes", x->n_nodes);
    md_json_put_name(w, "operators");
    md_json_put_object(w);
    for (uint32_t i = 0; i < x->n_ops; i++) {
        char name[TYPE_SIZE];

        snprintf(name, sizeof(name), "%s%s%s", x->ops[i].domain,
                 x->ops[i].domain[0] ? "." : "", x->ops[i].op);
        md_json_put_name(w, name);
        md_json_put_i64(w, x->ops[i].n);
    }
    md_json_put_end(w);
}

static void json_choice(md_json_writer *w, const costs *c)
{
    const md_precision_choice *p = &c->choice;

    md_json_put_name(w, "precision");
    md_json_put_object(w);
    md_cli_json_str(w, "asked", md_precision_name(p->asked));
    md_cli_json_str(w, "used", md_precision_name(p->used));
    if (p->n_samples > 0) {
        md_cli_json_int(w, "samples", p->n_samples);
        md_json_put_name(w, "error");
        md_json_put_f32(w, (float)p->error);
        md_cli_json_int(w, "rows", p->n_top);
        md_cli_json_int(w, "rows_same", p->n_same);
    }
    if (c->chosen[0]) {
        md_cli_json_str(w, "why", c->chosen);
    }
    md_json_put_end(w);
}

static void json_costs(md_json_writer *w, const costs *c)
{
    if (c->why[0]) {
        md_cli_json_str(w, "cannot_run", c->why);
        return;
    }
    json_choice(w, c);
    md_cli_json_int(w, "macs", c->macs);
    md_json_put_name(w, "memory_bytes");
    md_json_put_u64(w, c->memory);
    if (!c->packed_bytes)
        return;
    md_json_put_name(w, "packed_bytes");
    md_json_put_u64(w, c->packed_bytes);
    md_json_put_name(w, "packed_mapped");
    md_json_put_bool(w, c->mapped);
}

/* Making the model ready changes it, so its facts are told before. */
static void put_facts(const md_args *a, md_json_writer *w, const md_model *m,
                      const facts *x)
{
    if (md_args_has(a, "json"))
        json_facts(w, m, x);
    else
        put_text(a->cli->out, m, x);
}

/* Takes m over. */
static md_status put_ready(const md_args *a, md_json_writer *w, md_model *m,
                           md_error *err)
{
    md_cli_session s;
    md_error why = MD_ERROR_INIT;
    md_status st = MD_OK;
    costs c = { 0 };

    if (md_cli_session_take(&s, m, a, &why) == MD_OK) {
        st = find_costs(&c, &s, a, err);
        md_cli_session_close(&s);
    } else {
        memcpy(c.why, why.msg, sizeof(c.why));
        md_model_free(m);
    }
    if (md_args_has(a, "json"))
        json_costs(w, &c);
    else if (st == MD_OK)
        put_costs(a->cli->out, &c);
    return st;
}

static md_status run(const md_args *a, md_error *err)
{
    facts x = { 0 };
    md_json_writer w;
    md_model *m = NULL;
    md_status s;
    md_buf b;

    MD_TRY(md_cli_model_load(&m, a->pos[0], MD_LOAD_TO_READ, a, err));
    s = count_graph(&x, m->graph, err);
    if (s != MD_OK) {
        md_model_free(m);
        return s;
    }
    if (x.n_ops)
        qsort(x.ops, x.n_ops, sizeof(*x.ops), by_count);
    md_cli_json_begin(&w, &b);
    put_facts(a, &w, m, &x);
    md_free(md_alloc_default(), x.ops);
    s = put_ready(a, &w, m, err);
    if (s == MD_OK && md_args_has(a, "json"))
        return md_cli_json_end(&w, &b, a->cli->out, err);
    md_buf_release(&b);
    return s;
}

static const md_flag flags[] = { MD_FLAG_SHAPE,     MD_FLAG_THREADS,
                                 MD_FLAG_PRECISION, MD_FLAG_WEIGHT_CACHE,
                                 MD_FLAGS_SOURCE,   MD_FLAG_JSON };

const md_cmd md_cmd_inspect = {
    .usage = "MODEL [--shape NAME=D,D,...]... [--precision P] [--json]",
    .text = "Shows what goes in and out of a model, what it is made of, and "
            "what one run\ntakes.  Dims that are open count as 1 unless "
            "--shape says otherwise.",
    .example = "modeld inspect net.onnx --shape x=8,3,224,224",
    .flags = flags,
    .n_flags = MD_COUNT(flags),
    .n_min = 1,
    .n_max = 1,
    .check = md_cli_check_shapes,
    .run = run,
};
