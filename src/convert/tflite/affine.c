/*
 * Convolutions take what multiplies each of their channels and is added to it:
 * batch normalization as Keras spells it in graphs, and biases that are added
 * behind.  The form that the self-check compares with is left as it is.
 */
#include <string.h>

#include "convert/tflite/build.h"

typedef struct fold {
    md_tfl_build *b;
    md_graph *g;
    uint32_t n;         /* values when it began */
    uint32_t *uses;     /* by value; those that bodies read count as many */
    md_value_id *alias; /* by value: what stands for it now */
} fold;

static bool begin(fold *f, md_tfl_build *b)
{
    *f = (fold){ .b = b, .g = b->e.s->g, .n = b->e.s->g->n_values };
    f->uses = md_emit_alloc(&b->e, f->n, sizeof(*f->uses));
    f->alias = md_emit_alloc(&b->e, f->n, sizeof(*f->alias));
    if (!f->uses || !f->alias)
        return false;
    for (uint32_t i = 0; i < f->n; i++)
        f->alias[i] = i;
    for (uint32_t i = 0; i < f->g->n_outputs; i++)
        f->uses[f->g->outputs[i]] += 2;
    for (uint32_t i = 0; i < b->e.s->n_captured; i++)
        f->uses[b->e.s->captured[i]] += 2;
    for (uint32_t i = 0; i < f->g->n_nodes; i++) {
        const md_node *n = f->g->nodes[i];

        for (uint32_t k = 0; !n->dead && k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                f->uses[n->in[k]]++;
        }
    }
    return b->e.status == MD_OK;
}

/* The convolution that makes x, for this use alone, of constants. */
static md_node *conv_of(const fold *f, md_value_id x)
{
    md_node *n = md_graph_value(f->g, x)->def;
    const md_tensor *w;

    if (!n || n->dead || f->uses[x] != 1 || strcmp(n->op, "Conv") != 0)
        return NULL;
    w = md_graph_value(f->g, n->in[1])->cdata;
    if (!w || w->dtype != MD_DTYPE_F32 ||
        (n->n_in > 2 && n->in[2] != MD_VALUE_NONE &&
         !md_graph_value(f->g, n->in[2])->cdata))
        return NULL;
    return n;
}

/* Is k one number, or one for each of c channels beside [n, c, ...]? */
static bool is_per_channel(const fold *f, md_value_id k, int64_t c, int rank)
{
    const md_tensor *t = md_graph_value(f->g, k)->cdata;
    int channel;

    if (!t || t->dtype != MD_DTYPE_F32 || t->shape.rank > rank)
        return false;
    channel = 1 - (rank - t->shape.rank);
    for (int i = 0; i < t->shape.rank; i++) {
        if (t->shape.dim[i] != 1 && (i != channel || t->shape.dim[i] != c))
            return false;
    }
    return true;
}

/* k as [c]. */
static md_value_id as_vector(fold *f, md_value_id k, int64_t c)
{
    md_value_id flat = md_emit_reshape(&f->b->e, k, (const int64_t[]){ -1 }, 1);

    return md_emit_op2(&f->b->e, "Expand", flat, md_emit_ints(&f->b->e, &c, 1));
}

static void scale_weights(fold *f, md_node *conv, md_value_id k, int64_t c)
{
    const md_tensor *w = md_graph_value(f->g, conv->in[1])->cdata;
    int64_t dim[MD_RANK_MAX];
    md_value_id before = conv->in[1];
    md_value_id after;

    for (int i = 0; i < w->shape.rank; i++)
        dim[i] = i == 0 ? c : 1;
    after = md_emit_op2(&f->b->e, "Mul", before,
                        md_emit_reshape(&f->b->e, k, dim, w->shape.rank));
    if (f->b->e.status != MD_OK)
        return;
    md_emit_ok(&f->b->e, md_node_set_input(f->g, conv, 1, after, f->b->e.err));
    if (before < f->n && --f->uses[before] == 0) {
        md_graph_forget_const(f->g, before);
        md_graph_value(f->g, before)->cdata = NULL;
    }
}

/* Multiply or add k to what conv gives. */
static void take(fold *f, md_node *conv, bool multiplies, md_value_id k,
                 int64_t c)
{
    md_value_id bias = conv->n_in > 2 ? conv->in[2] : MD_VALUE_NONE;

    k = as_vector(f, k, c);
    if (multiplies)
        scale_weights(f, conv, k, c);
    if (bias == MD_VALUE_NONE && multiplies)
        return;
    if (bias != MD_VALUE_NONE)
        k = md_emit_op2(&f->b->e, multiplies ? "Mul" : "Add", bias, k);
    if (f->b->e.status == MD_OK)
        md_emit_ok(&f->b->e, md_node_set_input(f->g, conv, 2, k, f->b->e.err));
}

static void visit(fold *f, md_node *n)
{
    bool multiplies = strcmp(n->op, "Mul") == 0;

    if (n->dead || (!multiplies && strcmp(n->op, "Add") != 0) ||
        md_graph_value(f->g, n->out[0])->is_output)
        return;
    for (uint32_t i = 0; i < 2; i++) {
        const md_type *t = &md_graph_value(f->g, n->in[i])->type;
        md_node *conv = conv_of(f, n->in[i]);

        if (!conv || !t->has_rank || t->rank < 3 ||
            !md_dim_is_const(t->dim[1]) ||
            !is_per_channel(f, n->in[1 - i], t->dim[1].k, t->rank))
            continue;
        take(f, conv, multiplies, n->in[1 - i], t->dim[1].k);
        f->alias[n->out[0]] = n->in[i];
        f->uses[n->in[i]] = f->uses[n->out[0]];
        n->dead = true;
        return;
    }
}

void md_tfl_fold_affine(md_tfl_build *b)
{
    uint32_t n_nodes = b->e.s->g->n_nodes;
    fold f;

    if (b->plain || b->e.status != MD_OK || !begin(&f, b))
        return;
    md_tfl_at(b, NULL);
    /* What is made on the way is constant at once, and comes behind. */
    for (uint32_t i = 0; i < n_nodes && b->e.status == MD_OK; i++) {
        md_node *n = f.g->nodes[i];

        for (uint32_t k = 0; !n->dead && k < n->n_in; k++) {
            if (n->in[k] < f.n)
                n->in[k] = f.alias[n->in[k]];
        }
        visit(&f, n);
    }
}
