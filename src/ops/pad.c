/* Sizes (`paddings` in opset 1) and the value are attributes before opset 11,
 * then inputs. */
#include <assert.h>
#include <string.h>

#include "ops/common/util.h"
#include "ops/grad.h"

enum pad_mode {
    PAD_CONSTANT,
    PAD_REFLECT,
    PAD_EDGE,
    PAD_WRAP
};

enum {
    VALUE_SIZE = 16 /* bytes of the largest element */
};

typedef struct pads {
    enum pad_mode mode;
    bool known;
    int64_t lo[MD_RANK_MAX], hi[MD_RANK_MAX];
} pads;

static md_status read_mode(pads *p, const md_node *n, int64_t opset,
                           md_error *err)
{
    static const char *const names[] = { "constant", "reflect", "edge",
                                         "wrap" };
    const char *mode = md_node_attr_s(n, "mode", "constant");

    size_t n_names = MD_COUNT(names) - (opset < 19);

    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(mode, names[i]) == 0) {
            p->mode = (enum pad_mode)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "mode is '%s', constant, reflect%s expected", mode,
                   opset < 19 ? " or edge" : ", edge or wrap");
}

static md_status read_pads(pads *p, const md_infer *c, int rank, md_error *err)
{
    md_ints sizes, axes = { .known = true };

    *p = (pads){ .known = true };
    MD_TRY(read_mode(p, c->node, c->opset, err));
    MD_TRY(md_infer__moved_ints(c, c->opset < 2 ? "paddings" : "pads", 11, 1,
                                &sizes, err));
    MD_TRY(md_infer__moved(c, "value", 11, 2, err));
    if (c->opset < 18 && md_infer_has(c, 3))
        return md_fail(err, MD_INVALID, "axes is an input from opset 18 on");
    if (c->opset >= 11)
        MD_TRY(md_infer__input_ints(c, 3, &axes, err));
    if (!sizes.given)
        return md_fail(err, MD_INVALID, "Pad lacks pads");
    if (!axes.given) {
        axes.n = rank;
        for (int i = 0; i < rank; i++)
            axes.v[i] = i;
    }
    p->known = sizes.known && axes.known;
    if (axes.n >= 0 && sizes.n >= 0 && sizes.n != 2 * axes.n)
        return md_fail(err, MD_INVALID, "pads has %d values, %d expected",
                       sizes.n, 2 * axes.n);
    if (!p->known)
        return MD_OK;
    MD_TRY(md_infer__axes(&axes, rank, err));
    for (int i = 0; i < axes.n; i++) {
        int64_t limit = INT64_MAX / 4;

        if (sizes.v[i] < -limit || sizes.v[i] > limit ||
            sizes.v[axes.n + i] < -limit || sizes.v[axes.n + i] > limit)
            return md_fail(err, MD_TOO_LARGE, "pads of axis %d overflow",
                           (int)axes.v[i]);
        p->lo[axes.v[i]] = sizes.v[i];
        p->hi[axes.v[i]] = sizes.v[axes.n + i];
    }
    return MD_OK;
}

/* What is padded from has elements where they are repeated, and what comes out
 * is not negative. */
static md_status must_hold(const md_infer *c, const pads *p, md_dim in,
                           md_dim out, bool grows, md_error *err)
{
    md_dim unused;

    if (p->mode != PAD_CONSTANT && grows && !md_dim_is_const(in))
        MD_TRY(
            md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, in, MD_DIM(1), err));
    return md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, out, MD_DIM(0), err);
}

/* Dimension i where pads depend on sizes: of all axes, in order. */
static md_status symbolic_dim(const md_infer *c, const pads *p, int i,
                              md_dim *d, md_error *err)
{
    int rank = c->in[0]->rank;
    md_dim in = *d;
    md_dims by;

    MD_TRY(md_infer__moved_dims(c, c->opset < 2 ? "paddings" : "pads", 11, 1,
                                &by, err));
    if (!by.known || by.n != 2 * rank || md_infer_has(c, 3) || !c->model)
        return md_infer__fresh(c, d, err);
    MD_TRY(md_dim__derive(c, d, MD_EXPR_ADD, *d, by.v[i], err));
    MD_TRY(md_dim__derive(c, d, MD_EXPR_ADD, *d, by.v[rank + i], err));
    return must_hold(c, p, in, *d, true, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_type t;
    pads p;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    if (md_infer_has(c, 2))
        MD_TRY(md_infer__length(c, c->in[2], MD_DIM(1), "value", err));
    t = *in;
    if (in->has_rank)
        MD_TRY(read_pads(&p, c, in->rank, err));
    for (int i = 0; in->has_rank && i < in->rank; i++) {
        int64_t sum = p.lo[i] + p.hi[i];

        if (!p.known) {
            MD_TRY(symbolic_dim(c, &p, i, &t.dim[i], err));
            continue;
        }
        MD_TRY(md_dim__affine(&t.dim[i], in->dim[i], 1, sum, err));
        if (p.mode != PAD_CONSTANT && md_dim_is_const(in->dim[i]) &&
            in->dim[i].k == 0 && sum > 0)
            return md_fail(err, MD_INVALID, "axis %d has nothing to repeat", i);
        MD_TRY(must_hold(c, &p, in->dim[i], t.dim[i], sum > 0, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Input position of output position o, -1: the constant. */
static int64_t source(const pads *p, int axis, int64_t o, int64_t n)
{
    int64_t i = o - p->lo[axis], period;

    if (i >= 0 && i < n)
        return i;
    switch (p->mode) {
    case PAD_EDGE:
        return i < 0 ? 0 : n - 1;
    case PAD_WRAP:
        return ((i % n) + n) % n;
    case PAD_REFLECT:
        period = n > 1 ? 2 * (n - 1) : 1;
        i = ((i % period) + period) % period;
        return i < n ? i : period - i;
    default:
        return -1;
    }
}

typedef struct job {
    const pads *p;
    md_tensor *out;
    const md_tensor *in;
    int axis;            /* the last */
    int64_t begin, end;  /* of a row of the result: what is in the input */
    const int64_t *edge; /* input positions of the rest, unless constant */
    char value[VALUE_SIZE];
} job;

/* n elements of a constant size: the value or, where there is a row x, those
 * at positions `at` of it. */
#define PUT(constant)                                                          \
    case constant:                                                             \
        for (int64_t i = 0; i < n; i++)                                        \
            memcpy(y + i * (constant), x ? x + at[i] * (constant) : value,     \
                   constant);                                                  \
        break;

static void put(char *y, const char *x, const int64_t *at, const char *value,
                int64_t n, size_t size)
{
    switch (size) {
        PUT(1)
        PUT(2)
        PUT(4)
        PUT(8)
        PUT(16)
    default:
        assert(false); /* no type has elements of another size */
    }
}

/* Row y of the result from row x of the input, NULL where it is outside. */
static void pad_row(const job *j, char *y, const char *x, size_t size)
{
    int64_t n_out = j->out->shape.dim[j->axis];
    int64_t lo = j->p->lo[j->axis], body = j->end - j->begin;
    const char *edge = j->edge ? x : NULL;

    if (!x) {
        put(y, NULL, NULL, j->value, n_out, size);
        return;
    }
    put(y, edge, j->edge, j->value, j->begin, size);
    memcpy(y + (size_t)j->begin * size, x + (j->begin - lo) * (int64_t)size,
           (size_t)body * size);
    put(y + (size_t)j->end * size, edge, j->edge ? j->edge + j->begin : NULL,
        j->value, n_out - j->end, size);
}

/* Where the row of the axes before `end` begins in the input; -1: outside. */
static int64_t place(const job *j, const int64_t *index, const int64_t *stride,
                     int end)
{
    const md_shape *in = &j->in->shape;
    int64_t at = 0;

    for (int d = 0; d < end; d++) {
        int64_t i = source(j->p, d, index[d], in->dim[d]);

        if (i < 0)
            return -1;
        at += i * stride[d];
    }
    return at;
}

/* Rows [from, to) of the result: of those that lie in one place but for the
 * axis before the last, it is found once. */
static void pad_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_shape *in = &j->in->shape, *out = &j->out->shape;
    const int near = j->axis > 0 ? j->axis - 1 : 0;
    const int64_t side = j->axis > 0 ? out->dim[near] : 1;
    size_t size = md_dtype_bits(j->out->dtype) / 8;
    int64_t index[MD_RANK_MAX], stride[MD_RANK_MAX], row = from;

    md_shape_strides(stride, in);
    for (int d = j->axis; d-- > 0; row /= out->dim[d])
        index[d] = row % out->dim[d];
    for (row = from; row < to;) {
        const int64_t base = place(j, index, stride, near);
        int64_t i = j->axis > 0 ? index[near] : 0;

        for (; i < side && row < to; i++, row++) {
            int64_t k = j->axis > 0 ? source(j->p, near, i, in->dim[near]) : 0;
            const char *x = j->in->data;

            x = base < 0 || k < 0 || !x
                    ? NULL
                    : x + (base + k * stride[near]) * (int64_t)size;
            pad_row(j,
                    (char *)j->out->data +
                        (size_t)(row * out->dim[j->axis]) * size,
                    x, size);
        }
        if (j->axis > 0)
            index[near] = 0;
        (void)md_step_index(index, out->dim, near);
    }
}

/* Elements below 8 bits share bytes: one by one. */
static void pad_packed(const job *j)
{
    const md_shape *in = &j->in->shape, *out = &j->out->shape;
    md_tensor value = { .dtype = j->out->dtype, .data = (void *)j->value };
    int64_t index[MD_RANK_MAX] = { 0 }, stride[MD_RANK_MAX];
    md_place to = { .t = j->out };

    md_shape_strides(stride, in);
    do {
        md_place from = { .t = (md_tensor *)j->in };
        bool inside = true;

        for (int d = 0; d < out->rank; d++) {
            int64_t i = source(j->p, d, index[d], in->dim[d]);

            inside = inside && i >= 0;
            from.at += i * stride[d];
        }
        if (!inside)
            from = (md_place){ .t = &value };
        md_move(&to, &from, &(md_shape){ 0 });
        to.at++;
    } while (md_step_index(index, out->dim, out->rank));
}

/* What the constant is: input 2, or the attribute of old. */
static void find_value(job *j, const md_exec *x)
{
    md_tensor to = { .dtype = j->out->dtype, .data = j->value };
    double old = md_node_attr_f(x->node, "value", 0.0f);

    if (md_exec_has(x, 2)) {
        md_place from = { .t = (md_tensor *)x->in[2] };

        md_move(&(md_place){ .t = &to }, &from, &(md_shape){ 0 });
    } else if (old != 0.0) {
        md_tensor_set_f64(&to, 0, old);
    }
}

static md_status find_edges(job *j, md_arena *ar, md_error *err)
{
    int64_t n_in = j->in->shape.dim[j->axis], lo = j->p->lo[j->axis];
    int64_t n_out = j->out->shape.dim[j->axis], k = 0, *edge;

    j->begin = lo < 0 ? 0 : md_min_i64(lo, n_out);
    j->end = md_max_i64(md_min_i64(lo + n_in, n_out), j->begin);
    if (j->p->mode == PAD_CONSTANT)
        return MD_OK;
    MD_TRY(md_exec__scratch(&edge, ar, n_out - (j->end - j->begin),
                            sizeof(*edge), err));
    for (int64_t i = 0; i < n_out; i++) {
        if (i == j->begin)
            i = j->end;
        if (i < n_out)
            edge[k++] = source(j->p, j->axis, i, n_in);
    }
    j->edge = edge;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int rank = out->shape.rank;
    job j = { .out = out, .in = x->in[0], .axis = rank - 1 };
    md_infer c;
    pads p;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_pads(&p, &c, rank, err));
    j.p = &p;
    find_value(&j, x);
    if (rank == 0) {
        md_move_all(out, x->in[0]);
        return MD_OK;
    }
    if (md_dtype_bits(out->dtype) < 8) {
        md_exec__zero(out);
        pad_packed(&j);
        return MD_OK;
    }
    MD_TRY(find_edges(&j, ar, err));
    md_exec__share(x, md_tensor_n(out) / out->shape.dim[j.axis],
                   15.0 + (double)out->shape.dim[j.axis] / 2.0, pad_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* Constants around x: cut off again; what is x's own is added up. */
static void grad(md_grad *g)
{
    const char *mode = md_node_attr_s(g->m.node, "mode", "constant");
    md_part around = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    md_ints list;

    if (strcmp(mode, "constant") != 0) {
        md_grad_moved(g);
        return;
    }
    if (g->m.opset < 11) {
        const char *name = g->m.opset < 2 ? "paddings" : "pads";

        if (md_infer__attr_ints(g->m.node, name, &list, NULL) != MD_OK)
            md_grad_refuse(g, "%s", name);
        around = md_grad_ints(g, list.v, list.n);
    }
    if (md_grad_wants(g, 2))
        md_grad_refuse(g, "the number to pad with is no constant");
    md_grad_give(
        g, 0,
        MD_GRAD_STEP(
            g, .op = "Pad",
            .in = { dy, md_grad_1(g, "Neg", around), MD_PART_NONE,
                    g->m.opset < 18 ? MD_PART_NONE : md_grad_in(g, 3) },
            .n_in = 4));
}

const md_op md_op_pad = {
    .domain = "",
    .name = "Pad",
    .since = 1,
    .in_min = 1,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
