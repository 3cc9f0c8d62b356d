#include "train/step.h"

#include <string.h>

#include "train/runner.h"

enum {
    OPSET = 21,   /* of the nodes that are added */
    BN_OPSET = 15 /* the first with training_mode as it is today */
};

#define NONE UINT32_MAX

/* Nodes are added to g until one fails; that is kept. */
typedef struct builder {
    md_graph *g;
    md_status status;
    md_error *err;
} builder;

/* ---- building ---- */

static void keep(builder *b, md_status s)
{
    if (b->status == MD_OK)
        b->status = s;
}

static md_value_id fresh(builder *b, const char *stem)
{
    md_value_id id = MD_VALUE_NONE;

    if (b->status == MD_OK)
        keep(b, md_graph_add_unique(&id, b->g, stem, b->err));
    return id;
}

/* A node of one output; NULL after a failure. */
static md_node *add(builder *b, const char *op, md_value_id x, md_value_id y,
                    md_value_id *out)
{
    md_value_id in[2] = { x, y };
    md_node *n = NULL;

    *out = fresh(b, op);
    if (b->status != MD_OK)
        return NULL;
    keep(b,
         md_graph_add_node(&n, b->g,
                           &(md_node_spec){ .domain = "",
                                            .op = op,
                                            .in = in,
                                            .n_in = y == MD_VALUE_NONE ? 1 : 2,
                                            .out = out,
                                            .n_out = 1 },
                           b->err));
    if (b->status != MD_OK)
        return NULL;
    n->opset = OPSET;
    return n;
}

static md_value_id two(builder *b, const char *op, md_value_id x, md_value_id y)
{
    md_value_id out;

    (void)add(b, op, x, y, &out);
    return out;
}

static md_value_id one(builder *b, const char *op, md_value_id x)
{
    return two(b, op, x, MD_VALUE_NONE);
}

static md_value_id one_axis(builder *b, const char *op, md_value_id x,
                            int64_t axis)
{
    md_value_id out;
    md_node *n = add(b, op, x, MD_VALUE_NONE, &out);

    if (n)
        keep(b, md_node_set_attr_i(b->g, n, "axis", axis, b->err));
    return out;
}

static md_value_id constant(builder *b, md_dtype dtype, int rank, double v)
{
    md_value_id id = MD_VALUE_NONE;
    md_tensor t;

    if (b->status != MD_OK)
        return id;
    keep(b, md_tensor_alloc(&t, dtype, &(md_shape){ rank, { 1 } },
                            b->g->model->alloc, b->err));
    if (b->status != MD_OK)
        return id;
    md_tensor_set_f64(&t, 0, v);
    keep(b, md_graph_add_const(&id, b->g, "", t, b->err));
    if (b->status != MD_OK)
        md_tensor_release(&t);
    return id;
}

static md_value_id scaled(builder *b, md_value_id x, double by)
{
    return two(b, "Mul", x, constant(b, MD_DTYPE_F32, 0, by));
}

/* Mean over the samples of the sums of rows. */
static md_value_id mean_of_rows(builder *b, md_value_id x)
{
    md_value_id out, axis = constant(b, MD_DTYPE_I64, 1, 1);
    md_node *n = add(b, "ReduceSum", x, axis, &out);

    if (n)
        keep(b, md_node_set_attr_i(b->g, n, "keepdims", 0, b->err));
    n = add(b, "ReduceMean", out, MD_VALUE_NONE, &out);
    if (n)
        keep(b, md_node_set_attr_i(b->g, n, "keepdims", 0, b->err));
    return out;
}

static uint32_t add_input(builder *b, const char *name, const md_type *type)
{
    md_value_id id = fresh(b, name);

    if (b->status != MD_OK)
        return NONE;
    b->g->values[id].type = *type;
    keep(b, md_graph_add_input(b->g, id, b->err));
    return b->g->n_inputs - 1;
}

static uint32_t add_output(builder *b, md_value_id id)
{
    if (b->status == MD_OK)
        keep(b, md_graph_add_output(b->g, id, b->err));
    return b->g->n_outputs - 1;
}

/* ---- the model's end ---- */

static bool is_op(const md_node *n, const char *op)
{
    return n && n->domain[0] == '\0' && strcmp(n->op, op) == 0;
}

/* Numbers of a row; -1: not known. */
static int64_t width_of(const md_type *t)
{
    int64_t n = 1;

    if (!t->has_rank || t->rank < 1)
        return -1;
    for (int i = 1; i < t->rank; i++) {
        if (t->dim[i].sym)
            return -1;
        n *= t->dim[i].k;
    }
    return n;
}

static md_status choose_output(md_step_output *out, const md_session *s,
                               md_error *err)
{
    for (uint32_t i = 0; i < md_session_n_outputs(s); i++) {
        const md_io *io = md_session_output(s, i);

        if (io->type.kind != MD_KIND_TENSOR || io->type.dtype != MD_DTYPE_F32)
            continue;
        *out = (md_step_output){ i, io->type, width_of(&io->type) };
        if (out->width > 0)
            return MD_OK;
        return md_fail(err, MD_INVALID,
                       "output '%s' has no known number of values for each "
                       "sample",
                       io->name);
    }
    return md_fail(err, MD_INVALID,
                   "the model has no output of float32 to train");
}

md_status md_step_find_output(md_step_output *out, const md_model *model,
                              md_error *err)
{
    md_session *session;
    md_model *copy;
    md_status s;

    MD_TRY(md_model_copy(&copy, model, err));
    s = md_session_new(&session, copy, NULL, err);
    if (s != MD_OK) {
        md_model_free(copy);
        return s;
    }
    s = choose_output(out, session, err);
    md_session_free(session);
    return s;
}

/* What a loss of scores reads: what Softmax or Sigmoid at the end was given. */
static md_value_id before_the_end(const md_graph *g, md_value_id y,
                                  const md_type *t, md_loss loss)
{
    const md_node *n = g->values[y].def;

    while (is_op(n, "Identity"))
        n = g->values[n->in[0]].def;
    if (loss == MD_LOSS_CROSS_ENTROPY && t->has_rank && t->rank == 2 &&
        (is_op(n, "Softmax") || is_op(n, "LogSoftmax")))
        return n->in[0];
    if (loss == MD_LOSS_BINARY && is_op(n, "Sigmoid"))
        return n->in[0];
    return y;
}

static md_value_id loss_nodes(builder *b, const md_step_opts *o,
                              md_value_id scores, md_value_id target,
                              md_value_id teacher)
{
    md_value_id x, loss;

    if (o->loss == MD_LOSS_MSE) {
        x = two(b, "Sub", scores, target);
        return mean_of_rows(b, two(b, "Mul", x, x));
    }
    if (o->loss == MD_LOSS_BINARY) {
        x = two(b, "Mul", scores, target);
        return mean_of_rows(b, two(b, "Sub", one(b, "Softplus", scores), x));
    }
    x = one_axis(b, "LogSoftmax", scores, 1);
    loss = one(b, "Neg", mean_of_rows(b, two(b, "Mul", target, x)));
    if (teacher == MD_VALUE_NONE)
        return loss;
    x = one_axis(b, "LogSoftmax", scaled(b, scores, 1.0 / o->temperature), 1);
    x = mean_of_rows(b, two(b, "Mul", teacher, x));
    x = scaled(b, x,
               -(1.0 - o->alpha) * o->temperature * (double)o->temperature);
    return two(b, "Add", scaled(b, loss, o->alpha), x);
}

/* ---- training mode ---- */

/* The running statistics become outputs of their node; without them as
 * parameters it stays as it is at inference. */
static void train_norm(builder *b, md_step_model *s, md_node *n)
{
    md_graph *g = b->g;
    uint32_t found = 0;

    for (uint32_t i = 0; i < s->params.n; i++)
        found += n->n_in == 5 && (s->params.p[i].id == n->in[3] ||
                                  s->params.p[i].id == n->in[4]);
    if (found != 2 || md_node_attr_i(n, "spatial", 1) == 0)
        return;
    keep(b, md_node_set_attr_i(g, n, "training_mode", 1, b->err));
    n->opset = BN_OPSET;
    for (uint32_t k = 1; k <= 2; k++) {
        md_value_id id = fresh(b, k == 1 ? "mean" : "var");

        if (b->status == MD_OK)
            keep(b, md_node_set_output(g, n, k, id, b->err));
    }
}

/* The share that a Dropout drops, when it is known; else -1. */
static double ratio_of(const md_graph *g, const md_node *n)
{
    const md_tensor *t;

    if (md_node_attr(n, "ratio"))
        return md_node_attr_f(n, "ratio", 0.5f);
    if (n->n_in < 2 || n->in[1] == MD_VALUE_NONE)
        return 0.5;
    t = g->values[n->in[1]].cdata;
    return t && md_tensor_n(t) == 1 ? md_tensor_get_f64(t, 0) : -1.0;
}

/* Put a drop by seed in the place of a Dropout whose mask nobody reads. */
static void train_dropout(builder *b, md_step_model *s, md_node *n,
                          int64_t index)
{
    md_type type = { .kind = MD_KIND_TENSOR,
                     .dtype = MD_DTYPE_I64,
                     .has_rank = true,
                     .rank = 1,
                     .dim = { MD_DIM(1) } };
    const double ratio = ratio_of(b->g, n);
    md_value_id in[2], out = n->out[0];
    md_node *drop = NULL;

    if (!(ratio > 0.0 && ratio < 1.0) ||
        (n->n_out > 1 && n->out[1] != MD_VALUE_NONE))
        return;
    if (s->seed == NONE)
        s->seed = add_input(b, "seed", &type);
    if (b->status != MD_OK)
        return;
    in[0] = n->in[0];
    in[1] = b->g->inputs[s->seed];
    n->dead = true;
    b->g->values[out].def = NULL;
    keep(b, md_graph_add_node(&drop, b->g,
                              &(md_node_spec){ .domain = "modeld",
                                               .op = "SeededDropout",
                                               .name = n->name,
                                               .in = in,
                                               .n_in = 2,
                                               .out = &out,
                                               .n_out = 1 },
                              b->err));
    if (b->status != MD_OK)
        return;
    drop->opset = 1;
    keep(b, md_node_set_attr_f(b->g, drop, "ratio", (float)ratio, b->err));
    keep(b, md_node_set_attr_i(b->g, drop, "index", index, b->err));
}

static void set_training(builder *b, md_step_model *s)
{
    const uint32_t n = b->g->n_nodes;

    for (uint32_t i = 0; i < n && b->status == MD_OK; i++) {
        md_node *node = b->g->nodes[i];

        if (is_op(node, "BatchNormalization"))
            train_norm(b, s, node);
        else if (is_op(node, "Dropout"))
            train_dropout(b, s, node, i);
    }
    md_graph_compact(b->g);
}

/* ---- gradients ---- */

static void free_params(builder *b, md_step_model *s)
{
    s->param_in = b->g->n_inputs;
    for (uint32_t i = 0; i < s->params.n && b->status == MD_OK; i++) {
        b->g->values[s->params.p[i].id].cdata = NULL;
        keep(b, md_graph_add_input(b->g, s->params.p[i].id, b->err));
    }
}

static md_status name_list(md_attr *out, const md_graph *g,
                           const md_value_id *ids, uint32_t n, md_error *err)
{
    md_str *names =
        md_arena_calloc(&g->model->arena, (size_t)n + 1, sizeof(*names));

    if (!names)
        return md_fail_nomem(err, n * sizeof(*names));
    for (uint32_t i = 0; i < n; i++) {
        const char *name = g->values[ids[i]].name;

        names[i] = (md_str){ name, strlen(name) };
    }
    *out = (md_attr){
        .name = "xs", .type = MD_ATTR_STRINGS, .n = n, .v.ss = names
    };
    return MD_OK;
}

static void add_gradient(builder *b, md_value_id loss, const md_value_id *xs,
                         const md_value_id *dxs, uint32_t n)
{
    const char *name = b->g->values[loss].name;
    md_attr y = { .name = "y",
                  .type = MD_ATTR_STRING,
                  .v.s = { name, strlen(name) } };
    md_attr list;
    md_node *node = NULL;

    keep(b, name_list(&list, b->g, xs, n, b->err));
    if (b->status != MD_OK)
        return;
    keep(b, md_graph_add_node(
                &node, b->g,
                &(md_node_spec){ .domain = "ai.onnx.preview.training",
                                 .op = "Gradient",
                                 .name = "gradient",
                                 .in = xs,
                                 .n_in = n,
                                 .out = dxs,
                                 .n_out = n },
                b->err));
    if (b->status != MD_OK)
        return;
    node->opset = 1;
    keep(b, md_node_add_attr(b->g, node, &list, b->err));
    keep(b, md_node_add_attr(b->g, node, &y, b->err));
}

/* The new statistic of a node whose input is parameter id. */
static md_value_id statistic(const md_graph *g, md_value_id id)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        if (is_op(n, "BatchNormalization") && n->n_out == 3 && n->n_in == 5 &&
            (n->in[3] == id || n->in[4] == id))
            return n->out[n->in[3] == id ? 1 : 2];
    }
    return id; /* stays as it is */
}

/* Gradients of what is learned, and new statistics, become outputs. */
static void give_results(builder *b, md_step_model *s, md_value_id loss)
{
    const uint32_t n = s->params.n;
    md_arena *ar = &s->arena;
    md_value_id *xs = md_arena_calloc(ar, (size_t)n + 1, sizeof(*xs));
    md_value_id *dxs = md_arena_calloc(ar, (size_t)n + 1, sizeof(*dxs));
    uint32_t n_xs = 0;

    s->param_out = md_arena_calloc(ar, (size_t)n + 1, sizeof(*s->param_out));
    if (!xs || !dxs || !s->param_out) {
        keep(b, md_fail_nomem(b->err, n * sizeof(*xs)));
        return;
    }
    for (uint32_t i = 0; i < n && b->status == MD_OK; i++) {
        const md_param *p = &s->params.p[i];
        md_value_id id;

        if (!md_param_is_learned(p->kind)) {
            s->param_out[i] = add_output(b, statistic(b->g, p->id));
            continue;
        }
        id = fresh(b, "gradient");
        xs[n_xs] = p->id;
        dxs[n_xs++] = id;
        s->param_out[i] = add_output(b, id);
    }
    if (b->status == MD_OK)
        add_gradient(b, loss, xs, dxs, n_xs);
}

/* ---- the step ---- */

static md_status check_inputs(md_step_model *s, const md_graph *g,
                              md_error *err)
{
    s->n_data = g->n_inputs;
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const md_value *v = &g->values[g->inputs[i]];

        if (v->type.kind != MD_KIND_TENSOR || !v->type.has_rank ||
            v->type.rank < 1)
            return md_fail(err, MD_UNSUPPORTED,
                           "input '%s' has no axis of samples", v->name);
        if (!v->type.dim[0].sym)
            s->fixed_batch = v->type.dim[0].k;
    }
    return s->n_data ? MD_OK
                     : md_fail(err, MD_INVALID, "the model has no input");
}

static void clear_outputs(md_graph *g)
{
    for (uint32_t i = 0; i < g->n_outputs; i++)
        g->values[g->outputs[i]].is_output = false;
    g->n_outputs = 0;
}

static md_value_id add_target(builder *b, const md_step_model *s,
                              const char *name, uint32_t *index)
{
    const md_graph *g = b->g;
    md_type type = { .kind = MD_KIND_TENSOR,
                     .dtype = MD_DTYPE_F32,
                     .has_rank = true,
                     .rank = 2 };

    type.dim[0] = g->values[g->inputs[0]].type.dim[0];
    type.dim[1] = MD_DIM(s->width);
    *index = add_input(b, name, &type);
    return b->status == MD_OK ? b->g->inputs[*index] : MD_VALUE_NONE;
}

static md_status build(md_step_model *s, const md_step_output *out,
                       const md_step_opts *opts, md_error *err)
{
    md_graph *g = s->model->graph;
    builder b = { .g = g, .status = MD_OK, .err = err };
    md_value_id scores, target, loss, teacher = MD_VALUE_NONE;

    s->width = out->width;
    scores = before_the_end(g, g->outputs[out->index], &out->type, opts->loss);
    clear_outputs(g);
    free_params(&b, s);
    set_training(&b, s);
    target = add_target(&b, s, "target", &s->target);
    if (opts->temperature > 0.0f)
        teacher = add_target(&b, s, "teacher", &s->teacher);
    scores = one_axis(&b, "Flatten", scores, 1);
    loss = loss_nodes(&b, opts, scores, target, teacher);
    s->loss = add_output(&b, loss);
    s->scores = add_output(&b, scores);
    give_results(&b, s, loss);
    MD_TRY(b.status);
    return md_graph_sort(g, err);
}

md_status md_step_model_make(md_step_model *out, const md_model *model,
                             const md_step_opts *opts, md_error *err)
{
    md_step_output y;
    md_status s;

    *out = (md_step_model){ .seed = NONE, .teacher = NONE, .kind = opts->loss };
    md_arena_init(&out->arena, model->alloc, 0);
    s = md_step_find_output(&y, model, err);
    if (s == MD_OK)
        s = md_model_copy(&out->model, model, err);
    if (s == MD_OK)
        s = md_model_inline(out->model, err);
    if (s == MD_OK)
        s = md_graph_lift_constants(out->model->graph, err);
    if (s == MD_OK)
        s = check_inputs(out, out->model->graph, err);
    if (s == MD_OK)
        s = md_params_find(&out->params, out->model, &out->arena, err);
    if (s == MD_OK)
        s = build(out, &y, opts, err);
    if (s != MD_OK)
        md_step_model_release(out);
    return s;
}

static md_status keep_scores(md_model *m, const md_step_output *y,
                             md_error *err)
{
    md_graph *g = m->graph;
    md_value_id id;

    MD_TRY(md_model_inline(m, err));
    id = g->outputs[y->index];
    id = before_the_end(g, id, &y->type,
                        y->width > 1 ? MD_LOSS_CROSS_ENTROPY : MD_LOSS_BINARY);
    clear_outputs(g);
    return md_graph_add_output(g, id, err);
}

md_status md_step_scores(md_model **out, int64_t *width, const md_model *model,
                         md_error *err)
{
    md_step_output y;
    md_model *m;
    md_status s;

    MD_TRY(md_step_find_output(&y, model, err));
    MD_TRY(md_model_copy(&m, model, err));
    s = keep_scores(m, &y, err);
    if (s != MD_OK) {
        md_model_free(m);
        return s;
    }
    *out = m;
    *width = y.width;
    return MD_OK;
}

void md_step_model_release(md_step_model *s)
{
    md_model_free(s->model);
    md_arena_release(&s->arena);
    *s = (md_step_model){ .seed = NONE };
}
