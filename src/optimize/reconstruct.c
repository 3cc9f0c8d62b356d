#include "optimize/reconstruct.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "optimize/moments.h"

enum {
    INPUTS_MAX = 2048 /* of a product: H takes 32 MB then */
};

typedef struct product {
    const md_node *node;
    md_value_id weights, bias; /* constants; bias NONE */
    md_axes_product p;
    int64_t n, rows;      /* inputs; outputs times places of the kernel */
    uint32_t *unit;       /* by input; MD_UNIT_NONE */
    const md_moments *of; /* NULL: H is not known */
    bool constant;        /* something behind takes up a constant */
    double *w;            /* [rows, n + 1] */
    double *inverse;      /* [n + 1, n + 1]; NULL without H */
    double energy;
} product;

struct md_reconstruct {
    md_cut *c;
    const md_alloc *alloc;
    md_moments *m;
    product *p;
    uint32_t n_m, n_p;
    md_arena ar;
};

/* ---- which products ---- */

static uint32_t count_readers(const md_graph *g, md_value_id id)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            n += g->nodes[i]->in[k] == id;
    }
    return n;
}

static bool feeds_norm(const md_graph *g, const md_node *n)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (md_axes_is(g->nodes[i], "BatchNormalization") &&
            g->nodes[i]->in[0] == n->out[0])
            return true;
    }
    return false;
}

/* A row of numbers that belongs to this product alone. */
static md_value_id own_bias(const md_graph *g, const md_node *n, int64_t width)
{
    const md_tensor *b;

    if (n->n_in < 3 || n->in[2] == MD_VALUE_NONE ||
        count_readers(g, n->in[2]) != 1 ||
        md_node_attr_f(n, "beta", 1.0f) != 1.0f)
        return MD_VALUE_NONE;
    b = g->values[n->in[2]].cdata;
    return b && b->dtype == MD_DTYPE_F32 && b->shape.rank == 1 &&
                   md_tensor_n(b) == width
               ? n->in[2]
               : MD_VALUE_NONE;
}

static void find_moments(md_reconstruct *r, product *p)
{
    const char *name = r->c->model->graph->values[p->node->in[0]].name;

    for (uint32_t i = 0; i < r->n_m; i++) {
        if (r->m[i].name == name && r->m[i].axis == p->p.axis)
            p->of = &r->m[i];
    }
    if (p->of)
        return;
    r->m[r->n_m] = (md_moments){ .name = name, .axis = p->p.axis, .n = p->n };
    p->of = &r->m[r->n_m++];
}

/* Node n as a product that reads units, if it does. */
static md_status add_product(md_reconstruct *r, const md_node *n, md_error *err)
{
    const md_graph *g = r->c->model->graph;
    product *p = &r->p[r->n_p];
    const md_tensor *w;
    uint32_t first;
    bool any = false;

    *p = (product){ .node = n, .bias = MD_VALUE_NONE };
    if (!md_axes_is_product(&p->p, &r->c->axes, n))
        return MD_OK;
    p->weights = n->in[1];
    w = g->values[p->weights].cdata;
    p->n = w->shape.dim[p->p.w_axis];
    p->rows = md_tensor_n(w) / p->n;
    p->unit = md_arena_calloc(&r->ar, (size_t)p->n, sizeof(*p->unit));
    if (!p->unit)
        return md_fail_nomem(err, (size_t)p->n * sizeof(*p->unit));
    first = md_axes_first(&r->c->axes, p->weights, p->p.w_axis);
    for (int64_t q = 0; q < p->n; q++) {
        p->unit[q] = md_cut_unit_at(r->c, first + (uint32_t)q);
        any = any || p->unit[q] != MD_UNIT_NONE;
    }
    if (!any)
        return MD_OK;
    p->bias = own_bias(g, n, w->shape.dim[p->p.w_out]);
    p->constant = p->bias != MD_VALUE_NONE || feeds_norm(g, n);
    if (p->p.groups == 1 && p->n <= INPUTS_MAX &&
        count_readers(g, p->weights) == 1)
        find_moments(r, p);
    r->n_p++;
    return MD_OK;
}

static md_status find_products(md_reconstruct *r, md_error *err)
{
    const md_graph *g = r->c->model->graph;

    r->p = md_arena_calloc(&r->ar, g->n_nodes + 1u, sizeof(*r->p));
    r->m = md_arena_calloc(&r->ar, g->n_nodes + 1u, sizeof(*r->m));
    if (!r->p || !r->m)
        return md_fail_nomem(err, g->n_nodes * sizeof(*r->p));
    for (uint32_t i = 0; i < g->n_nodes; i++)
        MD_TRY(add_product(r, g->nodes[i], err));
    return MD_OK;
}

/* ---- weights ---- */

/* Element of the weights for row i of W and input q. */
static int64_t weight_at(const product *p, const md_shape *s, int64_t i,
                         int64_t q)
{
    const int64_t inner = md_shape_span(s, p->p.w_axis + 1, s->rank);

    return (i / inner * p->n + q) * inner + i % inner;
}

/* The output that row i belongs to. */
static int64_t output_of(const product *p, const md_shape *s, int64_t i)
{
    const int64_t inner = md_shape_span(s, p->p.w_out + 1, s->rank);

    return weight_at(p, s, i, 0) / inner % s->dim[p->p.w_out];
}

/* The inverse of H, of which a thousandth of its mean diagonal is added to that
 * so that channels that are never on do not count as free. */
static md_status set_inverse(md_reconstruct *r, product *p, md_error *err)
{
    const md_moments *m = p->of;
    const int64_t n = m->n, width = n + 1;
    const size_t count = (size_t)width * (size_t)width;
    double *out = md_arena_calloc(&r->ar, count, sizeof(*out));
    double *a = md_calloc(r->alloc, count, sizeof(*a));
    double trace = 0.0, damp;

    if (!a || !out) {
        md_free(r->alloc, a);
        return md_fail_nomem(err, count * sizeof(*a));
    }
    for (int64_t i = 0; i < n; i++)
        trace += m->h[i * width + i] / m->count;
    damp = 1e-3 * trace / (double)n + 1e-12;
    for (int64_t i = 0; i < width; i++) {
        for (int64_t k = 0; k <= i; k++)
            a[i * width + k] = m->h[i * width + k] / m->count;
        a[i * width + i] += i < n ? damp : 1e-6;
    }
    if (!p->constant) {
        for (int64_t k = 0; k < n; k++)
            a[n * width + k] = 0.0;
    }
    if (md_moments_invert(out, a, width))
        p->inverse = out;
    md_free(r->alloc, a);
    return MD_OK;
}

static void set_energy(product *p)
{
    const int64_t width = p->n + 1;

    p->energy = 1e-30;
    for (int64_t i = 0; i < p->rows; i++) {
        const double *w = p->w + i * width;

        for (int64_t q = 0; q < p->n; q++) {
            double x = p->of ? p->of->h[q * width + q] / p->of->count : 1.0;

            p->energy += w[q] * w[q] * x;
        }
    }
}

static md_status set_weights(md_reconstruct *r, product *p, md_error *err)
{
    const md_tensor *t = r->c->model->graph->values[p->weights].cdata;
    const float *from = t->data;
    const int64_t width = p->n + 1;

    p->w = md_arena_calloc(&r->ar, (size_t)(p->rows * width), sizeof(double));
    if (!p->w)
        return md_fail_nomem(err, (size_t)(p->rows * width) * sizeof(double));
    for (int64_t i = 0; i < p->rows; i++) {
        for (int64_t q = 0; q < p->n; q++)
            p->w[i * width + q] = from[weight_at(p, &t->shape, i, q)];
    }
    if (p->of)
        MD_TRY(set_inverse(r, p, err));
    set_energy(p);
    return MD_OK;
}

md_status md_reconstruct_open(md_reconstruct **out, md_cut *c,
                              const md_sweep *sweep, md_error *err)
{
    const md_alloc *alloc = c->model->alloc;
    md_reconstruct *r = md_calloc(alloc, 1, sizeof(*r));
    md_status s;

    if (!r)
        return md_fail_nomem(err, sizeof(*r));
    r->c = c;
    r->alloc = alloc;
    md_arena_init(&r->ar, alloc, 0);
    s = find_products(r, err);
    if (s == MD_OK)
        s = md_moments_gather(r->m, r->n_m, c->model, sweep, &r->ar, err);
    for (uint32_t i = 0; i < r->n_p && s == MD_OK; i++)
        s = set_weights(r, &r->p[i], err);
    if (s != MD_OK) {
        md_reconstruct_free(r);
        return s;
    }
    *out = r;
    return MD_OK;
}

void md_reconstruct_free(md_reconstruct *r)
{
    if (!r)
        return;
    md_arena_release(&r->ar);
    md_free(r->alloc, r);
}

/* ---- choosing ---- */

static double column_square(const product *p, int64_t q)
{
    double sum = 0.0;

    for (int64_t i = 0; i < p->rows; i++)
        sum += p->w[i * (p->n + 1) + q] * p->w[i * (p->n + 1) + q];
    return sum;
}

/* Add what each unit of the group costs product p. */
static void add_costs(const product *p, const md_cut_group *g,
                      md_cut_unit *unit)
{
    for (int64_t q = 0; q < p->n; q++) {
        const uint32_t u = p->unit[q];
        double d;

        if (u == MD_UNIT_NONE || u < g->first || u >= g->first + g->n)
            continue;
        d = p->inverse ? p->inverse[q * (p->n + 1) + q] : 1.0;
        if (d > 0.0)
            unit[u].score += column_square(p, q) / d / p->energy;
    }
}

/* Take row and column q out of the inverse. */
static void shrink_inverse(product *p, int64_t q)
{
    const int64_t width = p->n + 1;
    const double *row = p->inverse + q * width;

    for (int64_t i = 0; i < width; i++) {
        double *a = p->inverse + i * width;
        const double by = i == q ? 0.0 : a[q] / row[q];

        for (int64_t k = 0; k < width && by != 0.0; k++)
            a[k] -= by * row[k];
    }
    for (int64_t i = 0; i < width; i++)
        p->inverse[i * width + q] = p->inverse[q * width + i] = 0.0;
}

/* Take input q out of p: the others make up for it, where they are known. */
static void eliminate(product *p, int64_t q)
{
    const int64_t width = p->n + 1;

    if (p->inverse && p->inverse[q * width + q] > 0.0) {
        const double *row = p->inverse + q * width;

        for (int64_t i = 0; i < p->rows; i++) {
            double *w = p->w + i * width;
            const double by = w[q] / row[q];

            for (int64_t k = 0; k < width; k++)
                w[k] -= by * row[k];
        }
        shrink_inverse(p, q);
    }
    for (int64_t i = 0; i < p->rows; i++)
        p->w[i * width + q] = 0.0;
}

void md_reconstruct_take(md_reconstruct *r, uint32_t unit)
{
    r->c->unit[unit].out = true;
    for (uint32_t i = 0; i < r->n_p; i++) {
        for (int64_t q = 0; q < r->p[i].n; q++) {
            if (r->p[i].unit[q] == unit)
                eliminate(&r->p[i], q);
        }
    }
}

static bool reads_group(const product *p, const md_cut_group *g)
{
    for (int64_t q = 0; q < p->n; q++) {
        if (p->unit[q] >= g->first && p->unit[q] < g->first + g->n)
            return true;
    }
    return false;
}

void md_reconstruct_choose(md_reconstruct *r, uint32_t group, uint32_t n)
{
    const md_cut_group *g = &r->c->group[group];
    md_cut_unit *unit = r->c->unit + g->first;

    for (; n > 0; n--) {
        uint32_t best = MD_UNIT_NONE;

        for (uint32_t u = 0; u < g->n; u++)
            unit[u].score = 0.0;
        for (uint32_t i = 0; i < r->n_p; i++) {
            if (reads_group(&r->p[i], g))
                add_costs(&r->p[i], g, r->c->unit);
        }
        for (uint32_t u = 0; u < g->n; u++) {
            if (!unit[u].out &&
                (best == MD_UNIT_NONE || unit[u].score < unit[best].score))
                best = u;
        }
        if (best == MD_UNIT_NONE)
            return;
        md_reconstruct_take(r, g->first + best);
    }
}

/* ---- the result ---- */

static md_status put(const md_reconstruct *r, md_value_id id, md_tensor t,
                     md_error *err)
{
    md_status s = md_graph_set_const(r->c->model->graph, id, t, err);

    if (s != MD_OK)
        md_tensor_release(&t);
    return s;
}

static md_status put_weights(const md_reconstruct *r, const product *p,
                             md_error *err)
{
    const md_graph *g = r->c->model->graph;
    const int64_t width = p->n + 1;
    md_tensor w, b;
    md_shape shape;

    MD_TRY(md_tensor_copy(&w, g->values[p->weights].cdata, r->alloc, err));
    shape = w.shape;
    for (int64_t i = 0; i < p->rows; i++) {
        for (int64_t q = 0; q < p->n; q++)
            ((float *)w.data)[weight_at(p, &shape, i, q)] =
                (float)p->w[i * width + q];
    }
    MD_TRY(put(r, p->weights, w, err));
    if (p->bias == MD_VALUE_NONE)
        return MD_OK;
    MD_TRY(md_tensor_copy(&b, g->values[p->bias].cdata, r->alloc, err));
    for (int64_t i = 0; i < p->rows; i++)
        ((float *)b.data)[output_of(p, &shape, i)] +=
            (float)p->w[i * width + p->n];
    return put(r, p->bias, b, err);
}

md_status md_reconstruct_finish(md_reconstruct *r, md_error *err)
{
    for (uint32_t i = 0; i < r->n_p; i++) {
        if (r->p[i].inverse)
            MD_TRY(put_weights(r, &r->p[i], err));
    }
    return MD_OK;
}
