#include "train/param.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* Which input of which operator is what. */
static const struct {
    const char *op;
    uint32_t input;
    md_param_kind kind;
} roles[] = {
    { "Conv", 1, MD_PARAM_KERNEL },
    { "Conv", 2, MD_PARAM_BIAS },
    { "ConvTranspose", 1, MD_PARAM_KERNEL },
    { "ConvTranspose", 2, MD_PARAM_BIAS },
    { "Gemm", 1, MD_PARAM_KERNEL },
    { "Gemm", 2, MD_PARAM_BIAS },
    { "MatMul", 0, MD_PARAM_KERNEL },
    { "MatMul", 1, MD_PARAM_KERNEL },
    { "BatchNormalization", 1, MD_PARAM_SCALE },
    { "BatchNormalization", 2, MD_PARAM_BIAS },
    { "BatchNormalization", 3, MD_PARAM_MEAN },
    { "BatchNormalization", 4, MD_PARAM_VARIANCE },
    { "InstanceNormalization", 1, MD_PARAM_SCALE },
    { "InstanceNormalization", 2, MD_PARAM_BIAS },
    { "GroupNormalization", 1, MD_PARAM_SCALE },
    { "GroupNormalization", 2, MD_PARAM_BIAS },
    { "LayerNormalization", 1, MD_PARAM_SCALE },
    { "LayerNormalization", 2, MD_PARAM_BIAS },
    { "RMSNormalization", 1, MD_PARAM_SCALE },
    { "PRelu", 1, MD_PARAM_SLOPE },
    { "Gather", 0, MD_PARAM_TABLE },
    { "Add", 0, MD_PARAM_BIAS },
    { "Add", 1, MD_PARAM_BIAS },
};

typedef struct finder {
    const md_graph *g;
    md_params *out;
    md_arena *ar;
    bool *learned; /* by value: it depends on a parameter */
    bool *taken;   /* by value: a parameter already */
} finder;

static bool is_ai_onnx(const md_node *n)
{
    return n->domain[0] == '\0' || strcmp(n->domain, "ai.onnx") == 0;
}

/* The constant that value id is, perhaps in another shape. */
static md_value_id origin(const md_graph *g, md_value_id id, bool *turned)
{
    static const char *const views[] = { "Identity", "Reshape", "Squeeze",
                                         "Unsqueeze", "Transpose" };
    *turned = false;
    while (id != MD_VALUE_NONE && !g->values[id].cdata) {
        const md_node *n = g->values[id].def;
        bool is_view = false;

        for (size_t i = 0; n && i < MD_COUNT(views); i++)
            is_view |= is_ai_onnx(n) && strcmp(n->op, views[i]) == 0;
        if (!is_view)
            return MD_VALUE_NONE;
        *turned |= n->op[0] == 'T';
        id = n->in[0];
    }
    return id;
}

static void set_fans(md_param *p, const md_node *n, bool turned)
{
    const md_shape *s = &p->shape;
    const int64_t *d = s->dim;
    bool swapped = turned;

    if (s->rank < 2) {
        p->fan_in = p->fan_out = p->n;
        return;
    }
    if (strcmp(n->op, "Conv") == 0 || strcmp(n->op, "ConvTranspose") == 0) {
        p->fan_in = p->n / d[0];
        p->fan_out = p->n / d[1];
        return;
    }
    if (strcmp(n->op, "Gemm") == 0)
        swapped = turned != (md_node_attr_i(n, "transB", 0) != 0);
    p->fan_in = d[s->rank - (swapped ? 1 : 2)];
    p->fan_out = d[s->rank - (swapped ? 2 : 1)];
}

/* Whether what Add adds is learned: more than one number, to what is. */
static bool adds_bias(const finder *f, const md_node *n, uint32_t i,
                      int64_t count)
{
    return count > 1 && n->n_in == 2 && f->learned[n->in[1 - i]];
}

static md_status take(finder *f, const md_node *n, uint32_t i,
                      md_param_kind kind, md_error *err)
{
    bool turned;
    md_value_id id = origin(f->g, n->in[i], &turned);
    const md_tensor *t = id == MD_VALUE_NONE ? NULL : f->g->values[id].cdata;
    md_param *p;

    if (!t || t->dtype != MD_DTYPE_F32 || md_tensor_n(t) == 0 || f->taken[id])
        return MD_OK;
    if (n->op[0] == 'A' && !adds_bias(f, n, i, md_tensor_n(t)))
        return MD_OK;
    MD_TRY(md_arena_grow(f->ar, &f->out->p, &f->out->cap, f->out->n,
                         sizeof(*f->out->p), err));
    p = &f->out->p[f->out->n++];
    *p = (md_param){ .id = id,
                     .name = f->g->values[id].name,
                     .kind = kind,
                     .shape = t->shape,
                     .n = md_tensor_n(t),
                     .from = t->data };
    set_fans(p, n, turned);
    f->taken[id] = true;
    f->learned[id] = f->learned[n->in[i]] = true;
    return MD_OK;
}

static md_status visit(finder *f, const md_node *n, md_error *err)
{
    bool learned = false;

    for (size_t k = 0; k < MD_COUNT(roles) && is_ai_onnx(n); k++) {
        uint32_t i = roles[k].input;

        if (strcmp(n->op, roles[k].op) == 0 && i < n->n_in &&
            n->in[i] != MD_VALUE_NONE)
            MD_TRY(take(f, n, i, roles[k].kind, err));
    }
    for (uint32_t i = 0; i < n->n_in; i++)
        learned |= n->in[i] != MD_VALUE_NONE && f->learned[n->in[i]];
    for (uint32_t i = 0; i < n->n_out && learned; i++) {
        if (n->out[i] != MD_VALUE_NONE)
            f->learned[n->out[i]] = true;
    }
    return MD_OK;
}

static md_status fail_none(const md_graph *g, md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const char *op = g->nodes[i]->op;

        if (strcmp(op, "DequantizeLinear") == 0 || strstr(op, "Integer") ||
            strncmp(op, "QLinear", 7) == 0)
            return md_fail(err, MD_INVALID,
                           "the model is quantized: it has no float weights to "
                           "train, the float model is expected");
    }
    return md_fail(err, MD_INVALID,
                   "the model has no float32 weights to train");
}

md_status md_params_find(md_params *out, const md_model *m, md_arena *ar,
                         md_error *err)
{
    const md_graph *g = m->graph;
    finder f = { .g = g, .out = out, .ar = ar };

    *out = (md_params){ .p = NULL };
    f.learned = md_arena_calloc(ar, g->n_values + 1u, sizeof(*f.learned));
    f.taken = md_arena_calloc(ar, g->n_values + 1u, sizeof(*f.taken));
    if (!f.learned || !f.taken)
        return md_fail_nomem(err, g->n_values);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        MD_TRY(visit(&f, g->nodes[i], err));
    for (uint32_t i = 0; i < out->n; i++) {
        if (md_param_is_learned(out->p[i].kind))
            return MD_OK;
    }
    return fail_none(g, err);
}

void md_param_draw(float *to, const md_param *p, uint64_t seed, uint64_t index)
{
    md_rng r = md_rng_make(seed, index);
    float fill = p->kind == MD_PARAM_SCALE || p->kind == MD_PARAM_VARIANCE
                     ? 1.0f
                 : p->kind == MD_PARAM_SLOPE ? 0.25f
                                             : 0.0f;
    double bound = 0.05;

    if (p->kind == MD_PARAM_KERNEL)
        bound = p->shape.rank > 2
                    ? sqrt(6.0 / (double)p->fan_in)
                    : sqrt(6.0 / ((double)p->fan_in + (double)p->fan_out));
    for (int64_t i = 0; i < p->n; i++)
        to[i] = p->kind == MD_PARAM_KERNEL || p->kind == MD_PARAM_TABLE
                    ? (float)(bound * (2.0 * md_rng_uniform(&r) - 1.0))
                    : fill;
}
