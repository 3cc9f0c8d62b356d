#include "ops/compose.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "ops/common/util.h"

/* --- parts ------------------------------------------------------------- */

md_status md_compose_begin(md_compose *m, const md_node *n, int64_t opset,
                           size_t n_parts, md_error *err)
{
    size_t cap = n->n_in + n_parts;

    if (cap > INT_MAX)
        return md_fail(err, MD_TOO_LARGE, "%s has %u inputs", n->op, n->n_in);
    m->node = n;
    m->opset = opset;
    m->open = false;
    m->final = false;
    m->n_parts = 0;
    m->cap_parts = (int)cap;
    m->part = md_arena_calloc(m->arena, cap + 1, sizeof(*m->part));
    m->in = md_arena_calloc(m->arena, n->n_in + 1u, sizeof(*m->in));
    if (!m->part || !m->in)
        return md_fail_nomem(err, cap * sizeof(*m->part));
    for (uint32_t i = 0; i < n->n_in; i++)
        m->in[i] = MD_PART_NONE;
    for (int i = 0; i < MD_COMPOSE_OUTPUTS; i++)
        m->out[i] = MD_PART_NONE;
    return MD_OK;
}

/* Recipes are short and written by us; what a file chooses has no say in the
 * number of their parts. */
static md_part new_part(md_compose *m)
{
    assert(m->n_parts < m->cap_parts);
    m->part[m->n_parts] = (md_compose_value){ .id = MD_VALUE_NONE };
    return m->n_parts++;
}

md_part md_compose_add(md_compose *m, const md_type *type,
                       const md_tensor *data)
{
    md_part p = new_part(m);

    m->part[p].type = *type;
    m->part[p].data = data;
    return p;
}

md_part md_compose_in(const md_compose *m, uint32_t i)
{
    return i < m->node->n_in ? m->in[i] : MD_PART_NONE;
}

bool md_compose_wants(const md_compose *m, uint32_t i)
{
    return i < m->node->n_out && m->node->out[i] != MD_VALUE_NONE;
}

void md_compose_give(md_compose *m, uint32_t i, md_part p)
{
    m->out[i] = p;
}

md_status md_compose_rank(md_compose *m, md_part p, int *rank, md_error *err)
{
    if (!m->part[p].type.has_rank) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "a rank is not known");
    }
    *rank = m->part[p].type.rank;
    return MD_OK;
}

md_status md_compose_check(const md_compose *m, uint32_t i, uint32_t types,
                           int lo, int hi, md_error *err)
{
    md_part p = md_compose_in(m, i);
    const md_type *t;

    if (p == MD_PART_NONE)
        return MD_OK;
    t = &m->part[p].type;
    if (t->kind != MD_KIND_TENSOR ||
        (t->dtype != MD_DTYPE_NONE && !(types >> t->dtype & 1)))
        return md_fail(err, MD_INVALID,
                       "input %u has element type %s, which %s does not take",
                       (unsigned)i, md_dtype_name(t->dtype), m->node->op);
    if (!t->has_rank || (t->rank >= lo && t->rank <= hi))
        return MD_OK;
    if (lo == hi)
        return md_fail(err, MD_INVALID, "input %u has rank %d, %d expected",
                       (unsigned)i, t->rank, lo);
    return md_fail(err, MD_INVALID, "input %u has rank %d, %d to %d expected",
                   (unsigned)i, t->rank, lo, hi);
}

md_status md_compose_row(const md_compose *m, uint32_t i, uint32_t row,
                         md_error *err)
{
    const md_type *t = &m->part[m->in[i]].type;
    char what[16];

    snprintf(what, sizeof(what), "input %u", (unsigned)row);
    if (m->final &&
        (!t->has_rank || t->rank == 0 || !md_dim_is_const(t->dim[t->rank - 1])))
        return md_fail(err, MD_UNSUPPORTED, "the size of a row is not known");
    if (!t->has_rank || t->rank == 0)
        return MD_OK;
    return md_infer__length(&(md_infer){ .model = m->model },
                            &m->part[m->in[row]].type, t->dim[t->rank - 1],
                            what, err);
}

md_status md_compose_equal(const md_compose *m, md_dim a, md_dim b,
                           const char *what, md_error *err)
{
    return md_infer__must_equal(&(md_infer){ .model = m->model }, a, b, what,
                                err);
}

md_status md_compose_spreads(const md_compose *m, md_dim part, md_dim whole,
                             md_error *err)
{
    return md_infer__spreads(&(md_infer){ .model = m->model }, part, whole,
                             err);
}

md_status md_compose_same_dtype(const md_compose *m, uint32_t i, uint32_t j,
                                md_error *err)
{
    md_part a = md_compose_in(m, i), b = md_compose_in(m, j);

    if (a == MD_PART_NONE || b == MD_PART_NONE)
        return MD_OK;
    return md_infer__one_dtype(i, m->part[a].type.dtype, j,
                               m->part[b].type.dtype, err);
}

md_status md_compose_alike(const md_compose *m, md_part a, md_part b,
                           const char *what, md_error *err)
{
    const md_type *x = &m->part[a].type, *y = &m->part[b].type;
    char dim[64];

    if (!x->has_rank || !y->has_rank)
        return MD_OK;
    if (x->rank != y->rank)
        return md_fail(err, MD_INVALID, "%s has rank %d, %d expected", what,
                       y->rank, x->rank);
    snprintf(dim, sizeof(dim), "a dimension of %s", what);
    for (int d = 0; d < x->rank; d++)
        MD_TRY(md_compose_equal(m, y->dim[d], x->dim[d], dim, err));
    return MD_OK;
}

md_status md_compose_same(const md_compose *m, uint32_t i, uint32_t j,
                          md_error *err)
{
    char what[16];

    snprintf(what, sizeof(what), "input %u", (unsigned)j);
    return md_compose_alike(m, m->in[i], m->in[j], what, err);
}

md_status md_compose_within(const md_compose *m, uint32_t j, uint32_t i,
                            md_error *err)
{
    const md_type *x = &m->part[m->in[i]].type, *y = &m->part[m->in[j]].type;
    char dim[40];

    if (!x->has_rank || !y->has_rank)
        return MD_OK;
    if (y->rank > x->rank)
        return md_fail(err, MD_INVALID,
                       "input %u has rank %d, at most %d expected", (unsigned)j,
                       y->rank, x->rank);
    snprintf(dim, sizeof(dim), "a dimension of input %u", (unsigned)j);
    for (int d = 0; d < y->rank; d++) {
        md_dim a = y->dim[d], b = x->dim[x->rank - y->rank + d];

        if (!md_dim_is_const(a) || a.k != 1)
            MD_TRY(md_infer__same_dim(a, b, dim, err));
        MD_TRY(md_compose_spreads(m, a, b, err));
    }
    return MD_OK;
}

/* --- steps ------------------------------------------------------------- */

/* The types of the step's results, by its operator's inference. */
static md_status infer_step(md_compose *m, const md_node *step, const md_op *op,
                            md_part first, md_error *err)
{
    const md_type *in[MD_COMPOSE_INPUTS];
    const md_tensor *cin[MD_COMPOSE_INPUTS];
    md_type out[MD_COMPOSE_OUTPUTS] = { 0 };
    md_infer c = { .node = step,
                   .model = m->model,
                   .opset = step->opset,
                   .in = in,
                   .cin = cin,
                   .out = out };

    for (uint32_t i = 0; i < step->n_in; i++) {
        bool there = step->in[i] != MD_VALUE_NONE;

        in[i] = there ? &m->part[step->in[i]].type : NULL;
        cin[i] = there ? m->part[step->in[i]].data : NULL;
    }
    MD_TRY(md_op_infer(op, &c, err));
    for (uint32_t k = 0; k < step->n_out; k++)
        m->part[first + (int)k].type = out[k];
    return MD_OK;
}

static const md_op *find_op(const md_compose_step *s)
{
    const char *domain = s->domain ? s->domain : "";
    int64_t opset = s->opset ? s->opset : domain[0] ? 1 : MD_COMPOSE_OPSET;

    return md_op_find(domain, s->op, opset);
}

static void take_attrs(const md_compose *m, const md_compose_step *s,
                       md_node *step, md_attr *attr)
{
    for (uint32_t i = 0; i < s->n_attr; i++)
        attr[step->n_attr++] = s->attr[i];
    for (const char *const *k = s->keep; k && *k; k++) {
        const md_attr *a = md_node_attr(m->node, *k);

        assert(step->n_attr < 2 * MD_COMPOSE_ATTRS);
        if (a)
            attr[step->n_attr++] = *a;
    }
}

md_status md_compose_emit(md_compose *m, const md_compose_step *s, md_part *out,
                          md_error *err)
{
    md_value_id in[MD_COMPOSE_INPUTS], result[MD_COMPOSE_OUTPUTS];
    md_attr attr[2 * MD_COMPOSE_ATTRS];
    const md_op *op = find_op(s);
    md_node step = { .name = "",
                     .op = s->op,
                     .domain = s->domain ? s->domain : "",
                     .overload = "",
                     .in = in,
                     .out = result,
                     .attr = attr,
                     .n_out = s->n_out ? s->n_out : 1,
                     .opset = s->opset    ? s->opset
                              : s->domain ? 1
                                          : MD_COMPOSE_OPSET };
    md_part first = m->n_parts;
    md_status st;

    if (!op)
        return md_fail(err, MD_UNSUPPORTED, "there is no operator %s", s->op);
    for (uint32_t i = 0; i < s->n_in; i++) {
        in[i] = s->in[i] == MD_PART_NONE ? MD_VALUE_NONE : (uint32_t)s->in[i];
        if (in[i] != MD_VALUE_NONE)
            step.n_in = i + 1;
    }
    take_attrs(m, s, &step, attr);
    for (uint32_t k = 0; k < step.n_out; k++) {
        out[k] = new_part(m);
        result[k] = (uint32_t)out[k];
    }
    st = infer_step(m, &step, op, first, err);
    if (st == MD_OK)
        st = m->apply(m, &step, op, first, err);
    return st == MD_OK ? st : md_wrap(err, st, "step %s: ", s->op);
}

md_status md_compose_unary(md_compose *m, const char *op, md_part x,
                           md_part *out, md_error *err)
{
    return md_compose_emit(
        m, &(md_compose_step){ .op = op, .in = { x }, .n_in = 1 }, out, err);
}

md_status md_compose_binary(md_compose *m, const char *op, md_part a, md_part b,
                            md_part *out, md_error *err)
{
    return md_compose_emit(
        m, &(md_compose_step){ .op = op, .in = { a, b }, .n_in = 2 }, out, err);
}

md_status md_compose_transpose(md_compose *m, md_part x, const int64_t *perm,
                               md_part *out, md_error *err)
{
    uint32_t rank = (uint32_t)m->part[x].type.rank;

    return md_compose_emit(
        m,
        &(md_compose_step){ .op = "Transpose",
                            .in = { x },
                            .n_in = 1,
                            .attr = { MD_GIVE_IS("perm", perm, rank) },
                            .n_attr = 1 },
        out, err);
}

md_status md_compose_to_nchw(md_compose *m, md_part x, md_part *out,
                             md_error *err)
{
    int64_t perm[MD_RANK_MAX] = { 0 };
    int rank;

    MD_TRY(md_compose_rank(m, x, &rank, err));
    for (int i = 1; i < rank; i++)
        perm[i] = i == 1 ? rank - 1 : i - 1;
    return md_compose_transpose(m, x, perm, out, err);
}

md_status md_compose_to_nhwc(md_compose *m, md_part x, md_part *out,
                             md_error *err)
{
    int64_t perm[MD_RANK_MAX] = { 0 };
    int rank;

    MD_TRY(md_compose_rank(m, x, &rank, err));
    for (int i = 1; i < rank; i++)
        perm[i] = i == rank - 1 ? 1 : i + 1;
    return md_compose_transpose(m, x, perm, out, err);
}

md_status md_compose_cast(md_compose *m, md_part x, md_dtype dtype,
                          md_part *out, md_error *err)
{
    *out = x;
    if (dtype == MD_DTYPE_NONE) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "an element type is not known");
    }
    if (m->part[x].type.dtype == dtype)
        return MD_OK;
    return md_compose_emit(
        m,
        &(md_compose_step){ .op = "Cast",
                            .in = { x },
                            .n_in = 1,
                            .attr = { MD_GIVE_I("to", dtype) },
                            .n_attr = 1 },
        out, err);
}

md_status md_compose_reshape(md_compose *m, md_part x, const int64_t *dims,
                             int n, md_part *out, md_error *err)
{
    md_part shape;

    MD_TRY(md_compose_ints(m, dims, n, &shape, err));
    return md_compose_binary(m, "Reshape", x, shape, out, err);
}

md_status md_compose_reshape_like(md_compose *m, md_part x, md_part like,
                                  md_part *out, md_error *err)
{
    md_dtype dtype = m->part[x].type.dtype;
    md_part shape;

    MD_TRY(md_compose_unary(m, "Shape", like, &shape, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "Reshape",
                            .in = { x, shape },
                            .n_in = 2,
                            .attr = { MD_GIVE_I("allowzero", 1) },
                            .n_attr = 1 },
        out, err));
    m->part[*out].type = m->part[like].type;
    m->part[*out].type.dtype = dtype;
    return MD_OK;
}

/* --- constants --------------------------------------------------------- */

static md_status new_constant(md_compose *m, md_dtype dtype,
                              const md_shape *shape, md_tensor **out,
                              md_error *err)
{
    md_tensor *t = md_arena_calloc(m->arena, 1, sizeof(*t));
    size_t size;

    MD_TRY(md_tensor_bytes(&size, dtype, shape, err));
    if (!t)
        return md_fail_nomem(err, sizeof(*t));
    *t = (md_tensor){ .dtype = dtype, .shape = *shape };
    t->data = md_arena_alloc_aligned(m->arena, size ? size : 1);
    if (!t->data)
        return md_fail_nomem(err, size);
    *out = t;
    return MD_OK;
}

static md_status take_constant(md_compose *m, const md_tensor *t, md_part *out,
                               md_error *err)
{
    *out = new_part(m);
    m->part[*out].type = md_type_of_tensor(t->dtype, &t->shape);
    m->part[*out].data = t;
    return m->constant ? m->constant(m, *out, err) : MD_OK;
}

md_status md_compose_ints(md_compose *m, const int64_t *v, int n, md_part *out,
                          md_error *err)
{
    md_tensor *t;

    MD_TRY(new_constant(m, MD_DTYPE_I64, &(md_shape){ 1, { n } }, &t, err));
    memcpy(t->data, v, (size_t)n * sizeof(*v));
    return take_constant(m, t, out, err);
}

md_status md_compose_scalar(md_compose *m, md_dtype dtype, double v,
                            md_part *out, md_error *err)
{
    md_tensor *t;

    if (dtype == MD_DTYPE_NONE) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "an element type is not known");
    }
    MD_TRY(new_constant(m, dtype, &(md_shape){ 0, { 0 } }, &t, err));
    md_tensor_set_f64(t, 0, v);
    return take_constant(m, t, out, err);
}

md_status md_compose_activation(md_compose *m, const char *name, float a,
                                float b, md_part x, md_part *out, md_error *err)
{
    static const struct {
        const char *name;
        int n; /* parameters */
        const char *first, *second;
        int64_t opset;
    } rows[] = {
        { "Relu", 0, NULL, NULL, 0 },
        { "Tanh", 0, NULL, NULL, 0 },
        { "Sigmoid", 0, NULL, NULL, 0 },
        { "Softplus", 0, NULL, NULL, 0 },
        { "Softsign", 0, NULL, NULL, 0 },
        { "HardSwish", 0, NULL, NULL, 0 },
        { "LeakyRelu", 1, "alpha", NULL, 0 },
        { "Elu", 1, "alpha", NULL, 0 },
        { "Celu", 1, "alpha", NULL, 0 },
        { "ThresholdedRelu", 1, "alpha", NULL, 0 },
        { "HardSigmoid", 2, "alpha", "beta", 0 },
        { "Selu", 2, "alpha", "gamma", 0 },
        { "Clip", 2, "min", "max", 6 },
    };

    *out = x;
    if (!name[0])
        return MD_OK;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return md_compose_emit(
                m,
                &(md_compose_step){ .op = name,
                                    .opset = rows[i].opset,
                                    .in = { x },
                                    .n_in = 1,
                                    .attr = { MD_GIVE_F(rows[i].first, a),
                                              MD_GIVE_F(rows[i].second, b) },
                                    .n_attr = (uint32_t)rows[i].n },
                out, err);
    }
    return md_fail(err, MD_UNSUPPORTED, "activation is '%s'", name);
}

/* --- inference --------------------------------------------------------- */

static md_status only_types(md_compose *m, md_node *step, const md_op *op,
                            md_part first, md_error *err)
{
    (void)m;
    (void)step;
    (void)op;
    (void)first;
    (void)err;
    return MD_OK;
}

static md_status infer_with(md_compose *m, const md_infer *c, md_recipe *recipe,
                            md_error *err)
{
    md_status s;

    MD_TRY(md_compose_begin(m, c->node, c->opset, MD_COMPOSE_PARTS, err));
    m->model = c->model;
    m->apply = only_types;
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        if (c->in[i])
            m->in[i] = md_compose_add(m, c->in[i], c->cin[i]);
    }
    s = recipe(m, err);
    if (s == MD_UNSUPPORTED && m->open) {
        for (uint32_t i = 0; i < c->node->n_out; i++)
            c->out[i] = (md_type){ .dtype = md_infer__dtype(c, 0) };
        return MD_OK;
    }
    for (uint32_t i = 0; i < c->node->n_out && s == MD_OK; i++) {
        if (i < MD_COMPOSE_OUTPUTS && m->out[i] != MD_PART_NONE)
            c->out[i] = m->part[m->out[i]].type;
    }
    return s;
}

md_status md_compose_infer(const md_infer *c, md_recipe *recipe, md_error *err)
{
    md_compose *m;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, c->model ? c->model->alloc : md_alloc_default(), 0);
    s = md_exec__scratch(&m, &ar, 1, sizeof(*m), err);
    if (s == MD_OK) {
        m->arena = &ar;
        s = infer_with(m, c, recipe, err);
    }
    md_arena_release(&ar);
    return s;
}

/* --- execution --------------------------------------------------------- */

/* Where a step's results go: the arena. */
typedef struct kitchen {
    md_compose *m;
    const md_exec *x;
    md_part first; /* of the step at work */
} kitchen;

static md_status keep_result(md_exec *x, uint32_t i, md_dtype dtype,
                             const md_shape *shape, md_tensor **out,
                             md_error *err)
{
    const kitchen *k = x->ctx;
    md_compose_value *v = &k->m->part[k->first + (int)i];

    MD_TRY(new_constant(k->m, dtype, shape, out, err));
    memset((*out)->data, 0, md_tensor_size(*out));
    v->type = md_type_of_tensor(dtype, shape);
    v->data = *out;
    return MD_OK;
}

static md_status compute_step(md_compose *m, md_node *step, const md_op *op,
                              md_part first, md_error *err)
{
    const md_tensor *in[MD_COMPOSE_INPUTS];
    kitchen *k = m->ctx;
    md_exec x = { .node = step,
                  .opset = step->opset,
                  .in = in,
                  .alloc = k->x->alloc,
                  .text = k->x->text,
                  .pool = k->x->pool,
                  .output = keep_result,
                  .ctx = k };

    k->first = first;
    for (uint32_t i = 0; i < step->n_in; i++)
        in[i] = step->in[i] == MD_VALUE_NONE ? NULL : m->part[step->in[i]].data;
    return op->run(&x, err);
}

static md_status run_with(md_compose *m, md_exec *x, md_recipe *recipe,
                          md_error *err)
{
    kitchen k = { m, x, 0 };

    MD_TRY(md_compose_begin(m, x->node, x->opset, MD_COMPOSE_PARTS, err));
    m->apply = compute_step;
    m->ctx = &k;
    for (uint32_t i = 0; i < x->node->n_in; i++) {
        md_type t;

        if (!x->in[i])
            continue;
        t = md_type_of_tensor(x->in[i]->dtype, &x->in[i]->shape);
        m->in[i] = md_compose_add(m, &t, x->in[i]);
    }
    MD_TRY(recipe(m, err));
    for (uint32_t i = 0; i < MD_COMPOSE_OUTPUTS; i++) {
        const md_tensor *from;
        md_tensor *to;

        if (m->out[i] == MD_PART_NONE || !md_compose_wants(m, i))
            continue;
        from = m->part[m->out[i]].data;
        MD_TRY(md_exec_output(x, i, from->dtype, &from->shape, &to, err));
        if (to)
            md_move_all(to, from);
    }
    return MD_OK;
}

md_status md_compose_run(md_exec *x, md_recipe *recipe, md_error *err)
{
    md_compose *m;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__scratch(&m, &ar, 1, sizeof(*m), err);
    if (s == MD_OK) {
        m->arena = &ar;
        s = run_with(m, x, recipe, err);
    }
    md_arena_release(&ar);
    return s;
}
