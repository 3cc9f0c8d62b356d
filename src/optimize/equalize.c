#include "optimize/equalize.h"

#include <math.h>
#include <string.h>

#include "optimize/rewrite.h"
#include "train/runner.h"

enum {
    BATCH = 16,        /* samples in one execution */
    SAMPLES_MAX = 256, /* that are looked at, from the first on */
    PARTS_MAX = 16,    /* constants of one place */
    SWEEPS = 20        /* over all places, until they agree */
};

/* A constant that has the channels along an axis. */
typedef struct part {
    md_node *node;
    uint32_t input;
    int axis;
    bool is_kernel; /* not a bias */
} part;

/* A value whose channels can be scaled: what makes it takes 1 / s, what reads
 * it takes s. */
typedef struct place {
    md_value_id value;
    int axis; /* of the channels: 1, or -1 */
    int64_t channels;
    part made[PARTS_MAX], read[PARTS_MAX];
    uint32_t n_made, n_read;
    float *largest; /* by channel, of what it holds over data */
} place;

typedef struct equalizer {
    md_graph *g;
    place *at;
    uint32_t n;
    uint32_t n_given; /* values: constants behind them are of one reader */
    float *s;         /* by channel of the widest */
    md_arena ar;
} equalizer;

/* ---- places ---- */

static bool is_op(const md_node *n, const char *op)
{
    return !n->domain[0] && strcmp(n->op, op) == 0;
}

static const md_tensor *float_const(const md_graph *g, const md_node *n,
                                    uint32_t i)
{
    const md_tensor *t = i < n->n_in && n->in[i] != MD_VALUE_NONE
                             ? g->values[n->in[i]].cdata
                             : NULL;

    return t && t->dtype == MD_DTYPE_F32 && md_tensor_n(t) > 0 ? t : NULL;
}

/* Add input i of n; false when it has no such axis, or there is no room. */
static bool add_part(part *to, uint32_t *n_parts, const place *p,
                     const md_graph *g, part add)
{
    const md_tensor *t = float_const(g, add.node, add.input);

    if (!t || *n_parts == PARTS_MAX || add.axis >= t->shape.rank ||
        t->shape.dim[add.axis] != p->channels)
        return false;
    to[(*n_parts)++] = add;
    return true;
}

/* The same of what is one number for each channel, and nothing else. */
static bool add_vector(place *p, const md_graph *g, md_node *n, uint32_t i,
                       bool is_kernel)
{
    const md_tensor *t = float_const(g, n, i);

    return t && t->shape.rank > 0 && md_tensor_n(t) == p->channels &&
           add_part(p->made, &p->n_made, p, g,
                    (part){ n, i, t->shape.rank - 1, is_kernel });
}

static bool has_input(const md_node *n, uint32_t i)
{
    return i < n->n_in && n->in[i] != MD_VALUE_NONE;
}

static bool reads(place *p, const md_graph *g, md_node *n)
{
    const md_tensor *w = float_const(g, n, 1);
    part add = { n, 1, 1, true };
    bool turned = false;

    if (!w || n->in[0] != p->value || n->in[1] == p->value)
        return false;
    if (is_op(n, "Conv")) {
        const int64_t groups = md_node_attr_i(n, "group", 1);

        if (groups != 1 && (groups != p->channels || w->shape.dim[0] != groups))
            return false;
        add.axis = groups == 1 ? 1 : 0;
    } else {
        if (!md_rewrite__is_product(g, n, &turned))
            return false;
        add.axis = turned ? 1 : 0;
    }
    return add_part(p->read, &p->n_read, p, g, add);
}

/* Do all readers take factors? */
static bool take_readers(place *p, const md_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];
        bool does = false;

        for (uint32_t k = 0; k < n->n_in; k++)
            does |= n->in[k] == p->value;
        if (does && !reads(p, g, n))
            return false;
    }
    return p->n_read > 0 && p->n_read == md_graph_count_uses(g, p->value);
}

static bool passes_factors(const md_node *n)
{
    static const char *const ops[] = { "Relu", "LeakyRelu", "MaxPool",
                                       "AveragePool", "GlobalAveragePool" };

    for (size_t i = 0; i < MD_COUNT(ops); i++) {
        if (is_op(n, ops[i]))
            return n->n_out == 1;
    }
    return false;
}

/* Weights, and a bias where there is one. */
static bool take_product(place *p, const md_graph *g, md_node *n)
{
    bool turned = false;
    part add = { n, 1, 0, true };

    if (is_op(n, "Conv") != (p->axis == 1))
        return false;
    if (p->axis != 1) {
        if (!md_rewrite__is_product(g, n, &turned))
            return false;
        add.axis = turned ? 0 : 1;
    }
    return add_part(p->made, &p->n_made, p, g, add) &&
           (!has_input(n, 2) || add_vector(p, g, n, 2, false));
}

/* Over the last axis only: its scale is one number for each channel. */
static bool take_norm(place *p, const md_graph *g, md_node *n)
{
    return p->axis == -1 && n->n_out == 1 && add_vector(p, g, n, 1, true) &&
           (!has_input(n, 2) || add_vector(p, g, n, 2, false));
}

/* Follow what makes the value up to weights or a scale; false when that cannot
 * take factors. */
static bool take_makers(place *p, const md_graph *g)
{
    md_value_id id = p->value;

    while (!g->values[id].is_output && g->values[id].def &&
           (id == p->value || md_graph_count_uses(g, id) == 1)) {
        md_node *n = g->values[id].def;
        const uint32_t c = float_const(g, n, 0) ? 0 : 1;

        if (is_op(n, "LayerNormalization") || is_op(n, "RMSNormalization"))
            return take_norm(p, g, n);
        if (is_op(n, "Add") && p->axis == -1) {
            if (!add_vector(p, g, n, c, false))
                return false;
            id = n->in[1 - c];
        } else if (is_op(n, "Mul") && p->axis == -1) {
            return add_vector(p, g, n, c, true);
        } else if (passes_factors(n)) {
            id = n->in[0];
        } else {
            return take_product(p, g, n);
        }
    }
    return false;
}

/* The place that n reads, when it is the first to read it. */
static bool find_place(place *p, const md_graph *g, const md_node *n)
{
    const md_tensor *w = float_const(g, n, 1);
    bool turned;

    if (is_op(n, "Conv") && w && w->shape.rank > 2) {
        *p = (place){ .axis = 1, .value = n->in[0] };
        p->channels = w->shape.dim[1] * md_node_attr_i(n, "group", 1);
    } else if (md_rewrite__is_product(g, n, &turned)) {
        *p = (place){ .axis = -1, .value = n->in[0] };
        p->channels = w->shape.dim[turned ? 1 : 0];
    } else {
        return false;
    }
    return !g->values[p->value].cdata && g->values[p->value].name[0] &&
           take_readers(p, g) && p->read[0].node == n && take_makers(p, g);
}

static md_status find_places(equalizer *e, md_error *err)
{
    int64_t widest = 1;

    e->at = md_arena_calloc(&e->ar, e->g->n_nodes + 1u, sizeof(*e->at));
    if (!e->at)
        return md_fail_nomem(err, e->g->n_nodes * sizeof(*e->at));
    for (uint32_t i = 0; i < e->g->n_nodes; i++) {
        if (!find_place(&e->at[e->n], e->g, e->g->nodes[i]))
            continue;
        widest = e->at[e->n].channels > widest ? e->at[e->n].channels : widest;
        e->n++;
    }
    e->s = md_arena_calloc(&e->ar, (size_t)widest, sizeof(*e->s));
    return e->s ? MD_OK : md_fail_nomem(err, (size_t)widest * sizeof(*e->s));
}

/* ---- factors ---- */

/* Elements of a part: [outer, channels, inner]. */
static int64_t inner_of(const md_tensor *t, int axis)
{
    return md_shape_span(&t->shape, axis + 1, t->shape.rank);
}

/* The largest magnitude of channel c in the kernels among the parts. */
static float largest_of(const md_graph *g, const part *parts, uint32_t n,
                        int64_t channels, int64_t c)
{
    float max = 0.0f;

    for (uint32_t i = 0; i < n; i++) {
        const md_tensor *t = g->values[parts[i].node->in[parts[i].input]].cdata;
        const int64_t inner = inner_of(t, parts[i].axis);
        const float *w = (const float *)t->data + c * inner;

        for (int64_t k = 0;
             parts[i].is_kernel && k < md_tensor_n(t) / (channels * inner);
             k++) {
            for (int64_t j = 0; j < inner; j++)
                max = fmaxf(max, fabsf(w[k * channels * inner + j]));
        }
    }
    return max;
}

/* The part's constant is its node's alone: a copy, made once. */
static md_status own(equalizer *e, const part *p, md_error *err)
{
    md_value_id *at = &p->node->in[p->input], id;
    md_tensor t;

    if (*at >= e->n_given)
        return MD_OK;
    MD_TRY(
        md_tensor_copy(&t, e->g->values[*at].cdata, e->g->model->alloc, err));
    MD_TRY(md_rewrite__const(&id, e->g, e->g->values[*at].name, "eq", t, err));
    *at = id;
    return MD_OK;
}

/* Times s, or 1 / s. */
static md_status scale_part(equalizer *e, const part *p, int64_t channels,
                            bool divide, md_error *err)
{
    const md_tensor *t;
    int64_t inner;
    float *w;

    MD_TRY(own(e, p, err));
    t = e->g->values[p->node->in[p->input]].cdata;
    inner = inner_of(t, p->axis);
    w = t->data;
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        const float by = e->s[i / inner % channels];

        w[i] *= divide ? 1.0f / by : by;
    }
    return MD_OK;
}

static md_status scale_place(equalizer *e, const place *p, md_error *err)
{
    for (uint32_t i = 0; i < p->n_made; i++)
        MD_TRY(scale_part(e, &p->made[i], p->channels, true, err));
    for (uint32_t i = 0; i < p->n_read; i++)
        MD_TRY(scale_part(e, &p->read[i], p->channels, false, err));
    return MD_OK;
}

/* A factor that floats bear; channels of nothing stay as they are. */
static float factor(double s)
{
    return s > 0.0 && isfinite(s) ? (float)fmin(fmax(s, 1e-6), 1e6) : 1.0f;
}

static md_status begin(equalizer *e, md_error *err)
{
    md_arena_init(&e->ar, e->g->model->alloc, 0);
    MD_TRY(md_graph_lift_constants(e->g, err));
    e->n_given = e->g->n_values;
    return find_places(e, err);
}

/* ---- by weights ---- */

/* Set the factors of a place; how far they are from 1. */
static double balance(equalizer *e, const place *p)
{
    double most = 0.0;

    for (int64_t c = 0; c < p->channels; c++) {
        const double r1 = largest_of(e->g, p->made, p->n_made, p->channels, c);
        const double r2 = largest_of(e->g, p->read, p->n_read, p->channels, c);

        e->s[c] = r1 > 0.0 && r2 > 0.0 ? factor(sqrt(r1 / r2)) : 1.0f;
        most = fmax(most, fabs(log((double)e->s[c])));
    }
    return most;
}

static md_status by_weights(equalizer *e, md_error *err)
{
    MD_TRY(begin(e, err));
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double most = 0.0;

        for (uint32_t i = 0; i < e->n; i++) {
            const double by = balance(e, &e->at[i]);

            most = fmax(most, by);
            if (by > 0.0)
                MD_TRY(scale_place(e, &e->at[i], err));
        }
        if (most < 1e-3)
            break;
    }
    return md_graph_verify(e->g, err);
}

md_status md_equalize_weights(md_model *model, uint32_t *n, md_error *err)
{
    equalizer e = { .g = model->graph };
    const md_status s = by_weights(&e, err);

    *n = e.n;
    md_arena_release(&e.ar);
    return s;
}

/* ---- by data ---- */

static md_status visit(void *ctx, const md_run *run, int64_t from, int64_t n,
                       md_error *err)
{
    const equalizer *e = ctx;

    (void)from;
    (void)n;
    for (uint32_t i = 0; i < e->n; i++) {
        const place *p = &e->at[i];
        const md_tensor *t = md_run_output(run, i);
        const int axis = p->axis < 0 ? t->shape.rank - 1 : p->axis;
        const int64_t inner = inner_of(t, axis);
        const float *x = t->data;

        if (t->dtype != MD_DTYPE_F32 || t->shape.dim[axis] != p->channels)
            return md_fail(err, MD_INTERNAL, "value '%s' has not %lld channels",
                           e->g->values[p->value].name, (long long)p->channels);
        for (int64_t k = 0; k < md_tensor_n(t); k++) {
            float *max = &p->largest[k / inner % p->channels];

            *max = fmaxf(*max, fabsf(x[k]));
        }
    }
    return MD_OK;
}

static md_status look(equalizer *e, const md_dataset *data, md_pool *pool,
                      md_error *err)
{
    md_sweep sweep = { .data = data, .batch = BATCH, .pool = pool };
    const char **names = md_arena_calloc(&e->ar, e->n, sizeof(*names));
    md_subset some;
    md_session *session;
    md_status s;

    if (!names)
        return md_fail_nomem(err, e->n * sizeof(*names));
    for (uint32_t i = 0; i < e->n; i++) {
        place *p = &e->at[i];

        names[i] = e->g->values[p->value].name;
        p->largest =
            md_arena_calloc(&e->ar, (size_t)p->channels, sizeof(*p->largest));
        if (!p->largest)
            return md_fail_nomem(err, (size_t)p->channels * sizeof(float));
    }
    MD_TRY(md_subset_all(&some, data, err));
    some.n = some.n < SAMPLES_MAX ? some.n : SAMPLES_MAX;
    sweep.which = &some;
    s = md_taps_open(&session, e->g->model, names, e->n, pool, err);
    if (s == MD_OK) {
        s = md_run_over(session, &sweep, visit, e, err);
        md_session_free(session);
    }
    md_subset_release(&some);
    return s;
}

static md_status by_data(equalizer *e, const md_dataset *data, double share,
                         md_pool *pool, md_error *err)
{
    MD_TRY(begin(e, err));
    if (e->n > 0)
        MD_TRY(look(e, data, pool, err));
    for (uint32_t i = 0; i < e->n; i++) {
        const place *p = &e->at[i];

        for (int64_t c = 0; c < p->channels; c++) {
            const double w =
                largest_of(e->g, p->read, p->n_read, p->channels, c);

            e->s[c] =
                factor(pow((double)p->largest[c], share) / pow(w, 1.0 - share));
        }
        MD_TRY(scale_place(e, p, err));
    }
    return md_graph_verify(e->g, err);
}

md_status md_equalize_smooth(md_model *model, const md_dataset *data,
                             double share, md_pool *pool, uint32_t *n,
                             md_error *err)
{
    equalizer e = { .g = model->graph };
    md_status s;

    *n = 0;
    if (!(share > 0.0 && share <= 1.0))
        return md_fail(err, MD_INVALID,
                       "a share of %g given, above 0 and up to 1 expected",
                       share);
    s = by_data(&e, data, share, pool, err);
    *n = e.n;
    md_arena_release(&e.ar);
    return s;
}
