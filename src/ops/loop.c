/*
 * Loop: a subgraph run while a condition holds, at most so many times, over
 * values that it carries along; what else it gives is stacked, a slice a trip
 * (ONNX operators, "Loop", versions 1 to 25).
 *
 * Body: (trip, condition, carried...) to (condition, carried..., slices...).
 */
#include "ops/common/body.h"

enum {
    ARGS = 2 /* trip count and condition, in front of the carried values */
};

/* Numbers of things, from the node. */
typedef struct counts {
    uint32_t n_carried, n_scan;
    const md_graph *body;
} counts;

static md_status count(counts *k, const md_node *n, md_error *err)
{
    uint32_t n_args = md_body__n_args(n);

    if (n_args < ARGS)
        return md_fail(err, MD_INVALID, "%u inputs given, at least 2 expected",
                       n_args);
    k->n_carried = n_args - ARGS;
    if (n->n_out < k->n_carried)
        return md_fail(err, MD_INVALID,
                       "%u outputs given, at least %u carried values expected",
                       n->n_out, k->n_carried);
    k->n_scan = n->n_out - k->n_carried;
    return md_body__find(&k->body, n, "body", n_args, 1 + n->n_out, err);
}

static bool is_known(const md_infer *c, uint32_t i)
{
    return md_infer_has(c, i) && c->cin[i] && c->cin[i]->data &&
           md_tensor_n(c->cin[i]) == 1;
}

/* How often the body certainly runs; false when that is not known: a body may
 * end the loop unless it only hands a condition on that is not false. */
static bool trips_known(const md_infer *c, const counts *k, int64_t *trips)
{
    md_value_id given = k->body->inputs[1], back = k->body->outputs[0];
    const md_tensor *cond = k->body->values[back].cdata;
    bool goes_on = back == given ||
                   (cond && cond->data && md_tensor_get_i64(cond, 0) != 0);

    if (!is_known(c, 0) || !goes_on)
        return false;
    if (md_infer_has(c, 1) &&
        (!is_known(c, 1) || md_tensor_get_i64(c->cin[1], 0) == 0))
        return false;
    *trips = md_tensor_get_i64(c->cin[0], 0);
    return *trips > 0;
}

static md_status check_ends(const md_infer *c, md_error *err)
{
    MD_TRY(md_body__check_one(c, 0, MD_T(I64), "the trip count", err));
    MD_TRY(md_body__check_one(c, 1, MD_T(BOOL), "the condition", err));
    return MD_OK;
}

/* A slice's type with the trips in front. */
static md_status give_stack(const md_infer *c, const counts *k, uint32_t o,
                            const md_type *slice, md_error *err)
{
    md_type t = *slice;
    int64_t trips;

    if (slice->kind != MD_KIND_TENSOR || (t.has_rank && t.rank == MD_RANK_MAX))
        return md_fail(err, MD_UNSUPPORTED,
                       "scan output %u: tensors of rank below %d expected", o,
                       MD_RANK_MAX);
    if (t.has_rank) {
        for (int d = t.rank++; d > 0; d--)
            t.dim[d] = t.dim[d - 1];
        if (trips_known(c, k, &trips))
            t.dim[0] = MD_DIM(trips);
        else
            MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    }
    md_infer__give(c, o, &t);
    return MD_OK;
}

static md_status infer_with(const md_infer *c, const counts *k, md_arena *ar,
                            md_error *err)
{
    md_shape scalar = { 0, { 0 } };
    md_type *in, *out;

    MD_TRY(md_exec__scratch(&in, ar, ARGS + k->n_carried, sizeof(*in), err));
    MD_TRY(md_exec__scratch(&out, ar, 1 + c->node->n_out, sizeof(*out), err));
    in[0] = md_type_of_tensor(MD_DTYPE_I64, &scalar);
    in[1] = md_type_of_tensor(MD_DTYPE_BOOL, &scalar);
    for (uint32_t i = 0; i < k->n_carried; i++) {
        if (!md_infer_has(c, ARGS + i))
            return md_fail(err, MD_INVALID, "carried value %u is missing", i);
        in[ARGS + i] = *c->in[ARGS + i];
    }
    MD_TRY(md_body__settle(c, k->body, in, out, ARGS, 1, k->n_carried, err));
    if (out[0].kind != MD_KIND_TENSOR ||
        (out[0].dtype != MD_DTYPE_BOOL && out[0].dtype != MD_DTYPE_NONE))
        return md_fail(err, MD_INVALID, "the body's condition is no bool");
    for (uint32_t i = 0; i < k->n_carried; i++) {
        bool wrapped = in[ARGS + i].kind != out[1 + i].kind &&
                       out[1 + i].dtype != MD_DTYPE_NONE;

        md_infer__give(c, i, wrapped ? &out[1 + i] : &in[ARGS + i]);
    }
    for (uint32_t i = 0; i < k->n_scan; i++)
        MD_TRY(give_stack(c, k, k->n_carried + i, &out[1 + k->n_carried + i],
                          err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    counts k;
    md_arena ar;
    md_status s;

    MD_TRY(count(&k, c->node, err));
    MD_TRY(check_ends(c, err));
    if (!c->body)
        return MD_OK;
    md_arena_init(&ar, md_alloc_default(), 0);
    s = infer_with(c, &k, &ar, err);
    md_arena_release(&ar);
    return s;
}

/* A loop under way. */
typedef struct loop {
    md_exec *x;
    counts k;
    int64_t trips; /* at most; INT64_MAX: any number */
    int64_t trip;
    uint8_t go_on;
    const md_tensor **in; /* of the body */
    md_tensor *carried;   /* after the first trip */
    md_tensor *out;       /* of the body */
    md_tensor *wrapped;   /* by carried value: see wrap */
    md_stack *stack;      /* n_scan */
} loop;

static md_status begin(loop *l, md_arena *ar, md_error *err)
{
    md_exec *x = l->x;
    uint32_t n_carried = l->k.n_carried;

    for (uint32_t i = 0; i < ARGS; i++) {
        if (md_exec_has(x, i) && md_tensor_n(x->in[i]) != 1)
            return md_fail(err, MD_INVALID, "input %u is not one element", i);
    }
    l->trips = md_exec_has(x, 0) ? md_tensor_get_i64(x->in[0], 0) : INT64_MAX;
    l->go_on = !md_exec_has(x, 1) || md_tensor_get_i64(x->in[1], 0) != 0;
    MD_TRY(md_body__pointers(&l->in, ar, ARGS + n_carried, err));
    MD_TRY(md_body__tensors(&l->carried, ar, n_carried, err));
    MD_TRY(md_body__tensors(&l->wrapped, ar, n_carried, err));
    MD_TRY(md_body__tensors(&l->out, ar, 1 + x->node->n_out, err));
    MD_TRY(
        md_exec__scratch(&l->stack, ar, l->k.n_scan, sizeof(*l->stack), err));
    for (uint32_t i = 0; i < l->k.n_scan; i++)
        l->stack[i].alloc = x->alloc;
    for (uint32_t i = 0; i < n_carried; i++) {
        if (!md_exec_has(x, ARGS + i))
            return md_fail(err, MD_INVALID, "carried value %u is missing", i);
        l->in[ARGS + i] = x->in[ARGS + i];
    }
    return MD_OK;
}

/* A body that takes an optional may give what is in one. */
static md_status wrap(loop *l, uint32_t i, md_error *err)
{
    const md_graph *body = l->k.body;
    const md_type *want = &body->values[body->inputs[ARGS + i]].type;
    const md_tensor *v = l->in[ARGS + i];
    md_tensor *o = &l->wrapped[i], item;
    const md_tensor like = { .kind = MD_KIND_OPTIONAL,
                             .of = v->kind,
                             .dtype = v->dtype };
    md_status s;

    md_tensor_release(o);
    if (want->kind != MD_KIND_OPTIONAL || v->kind != want->of)
        return MD_OK;
    MD_TRY(md_container_alloc(o, &like, 1, l->x->alloc, err));
    if (v->kind == MD_KIND_TENSOR)
        MD_TRY(md_tensor_copy(&item, v, l->x->alloc, err));
    else
        MD_TRY(md_container_clone(&item, v, l->x->alloc, err));
    s = md_container_give(o, 0, &item, err);
    md_tensor_release(&item);
    l->in[ARGS + i] = o;
    return s;
}

static md_status do_trip(loop *l, md_error *err)
{
    md_tensor trip = { .dtype = MD_DTYPE_I64, .data = &l->trip };
    md_tensor cond = { .dtype = MD_DTYPE_BOOL, .data = &l->go_on };
    uint32_t n_carried = l->k.n_carried;

    l->in[0] = &trip;
    l->in[1] = &cond;
    for (uint32_t i = 0; i < n_carried; i++)
        MD_TRY(wrap(l, i, err));
    MD_TRY(l->x->body(l->x, l->k.body, l->in, l->out, err));
    if (l->out[0].dtype != MD_DTYPE_BOOL || md_tensor_n(&l->out[0]) != 1)
        return md_fail(err, MD_INVALID, "the body's condition is not one bool");
    l->go_on = md_tensor_get_i64(&l->out[0], 0) != 0;
    for (uint32_t i = 0; i < n_carried; i++) {
        md_tensor_release(&l->carried[i]);
        l->carried[i] = l->out[1 + i];
        l->out[1 + i] = (md_tensor)MD_TENSOR_INIT;
        l->in[ARGS + i] = &l->carried[i];
    }
    for (uint32_t i = 0; i < l->k.n_scan; i++)
        MD_TRY(md_stack_push(&l->stack[i], &l->out[1 + n_carried + i], l->trips,
                             err));
    md_body__release(l->out, 1 + l->x->node->n_out);
    return MD_OK;
}

static md_status give_all(loop *l, md_error *err)
{
    md_exec *x = l->x;
    const md_graph *body = l->k.body;

    for (uint32_t i = 0; i < l->k.n_carried; i++) {
        if (l->trip == 0)
            MD_TRY(
                md_tensor_copy(&l->carried[i], x->in[ARGS + i], x->alloc, err));
        MD_TRY(md_exec_give(x, i, &l->carried[i], err));
    }
    for (uint32_t i = 0; i < l->k.n_scan; i++) {
        uint32_t o = l->k.n_carried + i;
        const md_type slice = md_body__output_type(body, 1 + o);
        md_tensor t = MD_TENSOR_INIT;

        if (l->trip == 0)
            MD_TRY(md_body__no_slices(&t, &slice, 0, x->alloc, err));
        else
            MD_TRY(md_stack_take(&t, &l->stack[i], 0, false, err));
        MD_TRY(md_exec_give(x, o, &t, err));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    loop l = { .x = x };
    md_arena ar;
    md_status s;

    MD_TRY(count(&l.k, x->node, err));
    if (!x->body)
        return md_fail(err, MD_UNSUPPORTED, "subgraphs are not run here");
    md_arena_init(&ar, x->alloc, 0);
    MD_GOTO(begin(&l, &ar, err));
    for (; l.trip < l.trips && l.go_on; l.trip++)
        MD_GOTO(do_trip(&l, err));
    s = give_all(&l, err);
out:
    md_body__release(l.carried, l.k.n_carried);
    md_body__release(l.wrapped, l.k.n_carried);
    md_body__release(l.out, 1 + x->node->n_out);
    for (uint32_t i = 0; i < l.k.n_scan && l.stack; i++)
        md_stack_release(&l.stack[i]);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_loop = {
    .domain = "",
    .name = "Loop",
    .since = 1,
    .in_min = 0, /* two, which may be absent */
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
