/*
 * Into Conv, Gemm and MatMul by constant weights, and what scales integer
 * products to floats, goes what follows them on the only path: bias,
 * residual, activation.  The node takes over the place
 * of what it swallows in the values, not in the order: a residual must be
 * computed before the node that adds it.
 */
#include <float.h>
#include <string.h>

#include "engine/pass.h"

typedef struct fuser {
    md_graph *g;
    md_pass_links at;
} fuser;

/* The operators that take something up. */
typedef enum kind {
    KIND_NONE,
    KIND_CONV,
    KIND_GEMM,
    KIND_MATMUL
} kind;

static const struct {
    const char *domain, *op;
    kind kind;
    md_dtype weights; /* 8 bits of any kind for U8 */
    uint32_t w;       /* the input that they are */
    uint32_t n_in;    /* its own inputs, which stay where they are */
    uint32_t bias;    /* one of these that must be absent for a bias; 0 */
} hosts[] = {
    { "", "Conv", KIND_CONV, MD_DTYPE_F32, 1, 3, 0 },
    { "", "Gemm", KIND_GEMM, MD_DTYPE_F32, 1, 3, 0 },
    { "", "MatMul", KIND_MATMUL, MD_DTYPE_F32, 1, 2, 0 },
    /* What onnxruntime makes of a MatMul. */
    { "com.microsoft", "FusedMatMul", KIND_MATMUL, MD_DTYPE_F32, 1, 2, 0 },
    { "com.microsoft", "TransposeMatMul", KIND_MATMUL, MD_DTYPE_F32, 1, 2, 0 },
    { "com.microsoft", "MatMulIntegerToFloat", KIND_MATMUL, MD_DTYPE_U8, 1, 7,
      6 },
    { "com.microsoft", "DynamicQuantizeMatMul", KIND_MATMUL, MD_DTYPE_U8, 1, 5,
      4 },
    { "modeld", "ConvIntegerToFloat", KIND_CONV, MD_DTYPE_U8, 1, 6, 0 },
    { "modeld", "QLinearMatMulToFloat", KIND_MATMUL, MD_DTYPE_U8, 3, 8, 0 },
};

/* Which row n is; MD_COUNT(hosts): none. */
static size_t host_of(const md_node *n)
{
    size_t i = 0;

    while (i < MD_COUNT(hosts) && (strcmp(n->op, hosts[i].op) != 0 ||
                                   strcmp(n->domain, hosts[i].domain) != 0))
        i++;
    return i;
}

static bool is_host(const md_graph *g, const md_node *n)
{
    const size_t h = host_of(n);
    const md_tensor *w;

    if (h == MD_COUNT(hosts))
        return false;
    w = g->values[n->in[hosts[h].w]].cdata;
    if (!w || g->values[n->out[0]].type.dtype != MD_DTYPE_F32)
        return false;
    if (hosts[h].weights == MD_DTYPE_U8
            ? w->dtype != MD_DTYPE_U8 && w->dtype != MD_DTYPE_I8
            : w->dtype != hosts[h].weights)
        return false;
    return hosts[h].kind != KIND_MATMUL || w->shape.rank == 2;
}

/* The activation that node n is, with its parameters; false for none. */
static bool activation(const md_graph *g, const md_node *n, md_fused *f)
{
    static const struct {
        const char *op;
        md_act act;
    } plain[] = {
        { "Relu", MD_ACT_RELU },
        { "Sigmoid", MD_ACT_SIGMOID },
        { "Tanh", MD_ACT_TANH },
        { "Swish", MD_ACT_SILU },
        { "HardSwish", MD_ACT_HARD_SWISH },
    };

    if (n->domain[0])
        return false;
    for (size_t i = 0; i < MD_COUNT(plain); i++) {
        if (strcmp(n->op, plain[i].op) != 0)
            continue;
        f->act = plain[i].act;
        return f->act != MD_ACT_SILU ||
               md_node_attr_f(n, "alpha", 1.0f) == 1.0f;
    }
    if (strcmp(n->op, "Gelu") == 0) {
        bool tanh_form =
            strcmp(md_node_attr_s(n, "approximate", "none"), "tanh") == 0;

        f->act = tanh_form ? MD_ACT_GELU_TANH : MD_ACT_GELU_ERF;
    } else if (strcmp(n->op, "LeakyRelu") == 0) {
        f->act = MD_ACT_LEAKY_RELU;
        f->a = md_node_attr_f(n, "alpha", 0.01f);
    } else if (strcmp(n->op, "HardSigmoid") == 0) {
        f->act = MD_ACT_HARD_SIGMOID;
        f->a = md_node_attr_f(n, "alpha", 0.2f);
        f->b = md_node_attr_f(n, "beta", 0.5f);
    } else if (strcmp(n->op, "Clip") == 0) {
        f->act = MD_ACT_CLIP;
        f->a = md_node_attr_f(n, "min", -FLT_MAX);
        f->b = md_node_attr_f(n, "max", FLT_MAX);
        if (n->n_in > 1 && n->in[1] != MD_VALUE_NONE &&
            !md_pass__scalar(g, n->in[1], &f->a))
            return false;
        if (n->n_in > 2 && n->in[2] != MD_VALUE_NONE &&
            !md_pass__scalar(g, n->in[2], &f->b))
            return false;
    } else {
        return false;
    }
    return true;
}

/* The axis of the channels of a convolution of codes, which takes a bias that
 * way only: float ones have an input for it; else the last axis. */
static int bias_axis(const md_node *host, int rank)
{
    return hosts[host_of(host)].kind == KIND_CONV ? 1 : rank - 1;
}

/* A constant that adds one number per column (channel) of `host`'s output. */
static const float *column_bias(const md_graph *g, md_value_id id,
                                const md_node *host, int64_t *n)
{
    const md_tensor *t = g->values[id].cdata;
    const md_type *y = &g->values[host->out[0]].type;
    const uint32_t own = hosts[host_of(host)].bias;
    int axis, at;

    if (!t || t->dtype != MD_DTYPE_F32 || strcmp(host->op, "Conv") == 0 ||
        !y->has_rank || y->rank < 1 || t->shape.rank < 1 ||
        t->shape.rank > y->rank ||
        (own > 0 && own < host->n_in && host->in[own] != MD_VALUE_NONE))
        return NULL;
    axis = bias_axis(host, y->rank);
    at = axis - (y->rank - t->shape.rank);
    if (at < 0)
        return NULL;
    *n = t->shape.dim[at];
    if (md_tensor_n(t) != *n || !md_dim_equal(y->dim[axis], MD_DIM(*n)))
        return NULL;
    return t->data;
}

/* Take up Add n behind host; true when done. */
static md_status take_add(fuser *fu, md_node *host, const md_node *n,
                          md_fused *f, bool *taken, md_error *err)
{
    md_graph *g = fu->g;
    md_value_id y = host->out[0];
    md_value_id other = n->in[0] == y ? n->in[1] : n->in[0];
    int64_t n_bias = 0;
    const float *bias;
    uint32_t own;

    *taken = false;
    if (other == y || md_node_attr(n, "axis")) /* as before opset 7 */
        return MD_OK;
    bias = column_bias(g, other, host, &n_bias);
    if (bias && !f->bias && f->residual == MD_VALUE_NONE) {
        size_t size = (size_t)n_bias * sizeof(*bias);
        float *copy = md_arena_alloc(&g->model->arena, size + 1);

        if (!copy)
            return md_fail_nomem(err, size);
        memcpy(copy, bias, size); /* the constant itself may be forgotten */
        f->bias = copy;
        f->n_bias = n_bias;
        *taken = true;
        return MD_OK;
    }
    if (f->residual != MD_VALUE_NONE || g->values[other].cdata ||
        !md_pass__same_type(&g->values[other].type, &g->values[y].type) ||
        fu->at.position[other] >= fu->at.position[y])
        return MD_OK;
    f->residual = other;
    *taken = true;
    own = hosts[host_of(host)].n_in;
    if (host->n_in < own)
        MD_TRY(md_node_set_input(g, host, own - 1, MD_VALUE_NONE, err));
    return md_node_set_input(g, host, host->n_in, other, err);
}

/* Swallow followers of host one after the other. */
static md_status fuse_host(fuser *fu, md_node *host, md_error *err)
{
    md_graph *g = fu->g;
    md_fused *f = md_arena_calloc(&g->model->arena, 1, sizeof(*f));
    bool any = false;

    if (!f)
        return md_fail_nomem(err, sizeof(*f));
    f->residual = MD_VALUE_NONE;
    for (;;) {
        md_value_id y = host->out[0];
        md_node *n = md_pass__only_user(g, &fu->at, y);
        bool taken = false;

        if (!n || n->dead || n->n_out != 1 || f->act != MD_ACT_NONE)
            break;
        if (!n->domain[0] && strcmp(n->op, "Add") == 0) {
            MD_TRY(take_add(fu, host, n, f, &taken, err));
        } else {
            md_fused act = *f;

            taken = n->in[0] == y && activation(g, n, &act);
            if (taken)
                *f = act;
        }
        if (!taken)
            break;
        any = true;
        md_pass__take_over(g, &fu->at, host, n);
    }
    if (any)
        host->fused = f;
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    fuser fu = { .g = g };
    md_status s = md_pass_links_init(&fu.at, g, err);

    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes && s == MD_OK; i++) {
        if (!g->nodes[i]->dead && is_host(g, g->nodes[i]))
            s = fuse_host(&fu, g->nodes[i], err);
    }
    md_pass_links_release(&fu.at, g);
    return s;
}

const md_pass md_pass_epilogue = {
    "epilogue", "bias, residual and activation into Conv, Gemm, MatMul", run
};
