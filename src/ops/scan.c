/*
 * Scan: a subgraph run over slices of its inputs, with values that it carries
 * along; what else it gives is stacked (ONNX operators, "Scan", version 8,
 * which scans each entry of a batch, and versions 9 to 25).
 *
 * Body: (carried..., slices...) to (carried..., slices...).
 */
#include <string.h>

#include "ops/common/body.h"

/* What the node says.  Input i of the scanned ones is input first + i of the
 * node. */
typedef struct setup {
    const md_graph *body;
    bool batched; /* version 8 */
    uint32_t at;  /* of the carried values in the node's inputs */
    uint32_t n_carried, n_in, n_out;
    md_ints in_axes, in_back, out_axes, out_back;
} setup;

/* A list attribute of one integer for each of n things; 0 without it. */
static md_status read_list(md_ints *out, const md_node *n, const char *name,
                           uint32_t n_list, bool flags, md_error *err)
{
    MD_TRY(md_infer__attr_ints(n, name, out, err));
    if (!out->given)
        return MD_OK;
    if ((uint32_t)out->n != n_list)
        return md_fail(err, MD_INVALID, "'%s' has %d values, %u expected", name,
                       out->n, n_list);
    for (int i = 0; i < out->n && flags; i++) {
        if (out->v[i] != 0 && out->v[i] != 1)
            return md_fail(err, MD_INVALID, "'%s' has %lld, 0 or 1 expected",
                           name, (long long)out->v[i]);
    }
    return MD_OK;
}

static int64_t listed(const md_ints *list, uint32_t i)
{
    return list->given ? list->v[i] : 0;
}

static md_status read_setup(setup *k, const md_node *n, int64_t opset,
                            md_error *err)
{
    int64_t n_scanned = md_node_attr_i(n, "num_scan_inputs", 0);
    uint32_t n_args = md_body__n_args(n);

    *k = (setup){ .batched = opset < 9, .at = opset < 9 };
    if (n_args < k->at || n_scanned < 1 || n_scanned > n_args - k->at)
        return md_fail(err, MD_INVALID,
                       "num_scan_inputs is %lld, 1 to %lld expected",
                       (long long)n_scanned, (long long)n_args - k->at);
    k->n_in = (uint32_t)n_scanned;
    k->n_carried = n_args - k->at - k->n_in;
    if (n->n_out < k->n_carried)
        return md_fail(err, MD_INVALID,
                       "%u outputs given, at least %u carried values expected",
                       n->n_out, k->n_carried);
    k->n_out = n->n_out - k->n_carried;
    if (k->n_in > MD_INTS_MAX || k->n_out > MD_INTS_MAX)
        return md_fail(
            err, MD_UNSUPPORTED,
            "%u inputs scanned into %u outputs, at most %d supported", k->n_in,
            k->n_out, MD_INTS_MAX);
    MD_TRY(read_list(&k->in_back, n,
                     k->batched ? "directions" : "scan_input_directions",
                     k->n_in, true, err));
    if (!k->batched) {
        MD_TRY(
            read_list(&k->in_axes, n, "scan_input_axes", k->n_in, false, err));
        MD_TRY(read_list(&k->out_axes, n, "scan_output_axes", k->n_out, false,
                         err));
        MD_TRY(read_list(&k->out_back, n, "scan_output_directions", k->n_out,
                         true, err));
    }
    return md_body__find(&k->body, n, "body", k->n_carried + k->n_in, n->n_out,
                         err);
}

/* ---- inference ---- */

/* Take dim `axis` out of t, or put one there. */
static void drop_dim(md_type *t, int axis)
{
    t->rank--;
    for (int d = axis; d < t->rank; d++)
        t->dim[d] = t->dim[d + 1];
}

static md_status put_dim(md_type *t, int axis, md_dim dim, md_error *err)
{
    if (t->rank == MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED,
                       "output of rank %d, at most %d "
                       "supported",
                       MD_RANK_MAX + 1, MD_RANK_MAX);
    for (int d = t->rank++; d > axis; d--)
        t->dim[d] = t->dim[d - 1];
    t->dim[axis] = dim;
    return MD_OK;
}

/* The type of one slice of scanned input i; the length into *length, a batch
 * into *batch. */
static md_status slice_type(md_type *t, const setup *k, uint32_t i,
                            md_dim *batch, md_dim *length, md_error *err)
{
    int axis = 0;

    if (!t->has_rank)
        return MD_OK;
    if (k->batched) {
        if (t->rank < 2)
            return md_fail(err, MD_INVALID,
                           "scanned input %u has rank %d, at least 2 expected",
                           i, t->rank);
        *batch = t->dim[0];
        drop_dim(t, 0);
    }
    if (t->rank < 1)
        return md_fail(err, MD_INVALID, "scanned input %u is a scalar", i);
    MD_TRY(md_axis_normalize(&axis, listed(&k->in_axes, i), t->rank, err));
    MD_TRY(md_infer__same_dim(t->dim[axis], *length,
                              "the length of a scanned "
                              "input",
                              err));
    if (md_dim_is_const(t->dim[axis]) || length->sym)
        *length = t->dim[axis];
    drop_dim(t, axis);
    return MD_OK;
}

static md_status carried_type(md_type *t, const setup *k, uint32_t i,
                              md_dim *batch, md_error *err)
{
    if (!k->batched || !t->has_rank)
        return MD_OK;
    if (t->rank < 1)
        return md_fail(err, MD_INVALID, "carried value %u has no batch dim", i);
    *batch = t->dim[0];
    drop_dim(t, 0);
    return MD_OK;
}

static md_status give_output(const md_infer *c, const setup *k, uint32_t o,
                             md_type t, md_dim batch, md_dim length,
                             md_error *err)
{
    if (t.has_rank && o >= k->n_carried) {
        int axis;

        if (md_dim_is_const(length) && length.k == 0)
            MD_TRY(md_infer__fresh(c, &length, err)); /* see no_slices */
        MD_TRY(md_axis_normalize(&axis, listed(&k->out_axes, o - k->n_carried),
                                 t.rank + 1, err));
        MD_TRY(put_dim(&t, axis, length, err));
    }
    if (t.has_rank && k->batched) {
        if (md_dim_is_const(batch) && batch.k == 0)
            MD_TRY(md_infer__fresh(c, &batch, err));
        MD_TRY(put_dim(&t, 0, batch, err));
    }
    md_infer__give(c, o, &t);
    return MD_OK;
}

static md_status infer_with(const md_infer *c, const setup *k, md_arena *ar,
                            md_error *err)
{
    uint32_t n = k->n_carried + k->n_in;
    md_dim batch, length;
    md_type *in, *out;

    MD_TRY(md_exec__scratch(&in, ar, n, sizeof(*in), err));
    MD_TRY(md_exec__scratch(&out, ar, c->node->n_out, sizeof(*out), err));
    MD_TRY(md_infer__fresh(c, &batch, err));
    MD_TRY(md_infer__fresh(c, &length, err));
    for (uint32_t i = 0; i < n; i++) {
        if (!md_infer_has(c, k->at + i))
            return md_fail(err, MD_INVALID, "input %u is missing", k->at + i);
        in[i] = *c->in[k->at + i];
        if (i < k->n_carried)
            MD_TRY(carried_type(&in[i], k, i, &batch, err));
        else
            MD_TRY(
                slice_type(&in[i], k, i - k->n_carried, &batch, &length, err));
    }
    MD_TRY(md_body__settle(c, k->body, in, out, 0, 0, k->n_carried, err));
    for (uint32_t o = 0; o < c->node->n_out; o++)
        MD_TRY(give_output(c, k, o, o < k->n_carried ? in[o] : out[o], batch,
                           length, err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_arena ar;
    md_status s;
    setup k;

    MD_TRY(read_setup(&k, c->node, c->opset, err));
    if (!c->body)
        return MD_OK;
    md_arena_init(&ar, md_alloc_default(), 0);
    s = infer_with(c, &k, &ar, err);
    md_arena_release(&ar);
    return s;
}

/* ---- execution ---- */

/* One scan under way. */
typedef struct scan {
    md_exec *x;
    const setup *k;
    int64_t length;
    int axis[MD_INTS_MAX];
    const md_tensor **from; /* carried values, then what is scanned */
    const md_tensor **in;   /* of the body */
    md_tensor *slice;       /* n_in */
    md_tensor *carried;     /* after the first trip */
    md_tensor *out;         /* of the body */
    md_stack *stack;        /* n_out */
} scan;

static md_status make_room(scan *s, md_arena *ar, md_error *err)
{
    const setup *k = s->k;
    uint32_t n = k->n_carried + k->n_in;

    MD_TRY(md_body__pointers(&s->from, ar, n, err));
    MD_TRY(md_body__pointers(&s->in, ar, n, err));
    MD_TRY(md_body__tensors(&s->slice, ar, k->n_in, err));
    MD_TRY(md_body__tensors(&s->carried, ar, k->n_carried, err));
    MD_TRY(md_body__tensors(&s->out, ar, s->x->node->n_out, err));
    return md_exec__scratch(&s->stack, ar, k->n_out, sizeof(*s->stack), err);
}

static void release(scan *s)
{
    md_body__release(s->slice, s->k->n_in);
    md_body__release(s->carried, s->k->n_carried);
    md_body__release(s->out, s->x->node->n_out);
    for (uint32_t i = 0; i < s->k->n_out && s->stack; i++)
        md_stack_release(&s->stack[i]);
}

/* Axes, and the length that all scanned inputs agree on. */
static md_status measure(scan *s, md_error *err)
{
    const setup *k = s->k;

    for (uint32_t i = 0; i < k->n_in; i++) {
        const md_tensor *t = s->from[k->n_carried + i];

        if (t->kind != MD_KIND_TENSOR || t->shape.rank < 1)
            return md_fail(err, MD_INVALID,
                           "scanned input %u is no tensor of rank 1 or more",
                           i);
        MD_TRY(md_axis_normalize(&s->axis[i], listed(&k->in_axes, i),
                                 t->shape.rank, err));
        if (i == 0)
            s->length = t->shape.dim[s->axis[0]];
        if (t->shape.dim[s->axis[i]] != s->length)
            return md_fail(err, MD_INVALID,
                           "scanned input %u has length %lld, %lld expected", i,
                           (long long)t->shape.dim[s->axis[i]],
                           (long long)s->length);
    }
    return MD_OK;
}

static md_status do_trip(scan *s, int64_t trip, md_error *err)
{
    const setup *k = s->k;
    uint32_t n_carried = k->n_carried;

    for (uint32_t i = 0; i < k->n_in; i++) {
        int64_t at = listed(&k->in_back, i) ? s->length - 1 - trip : trip;

        MD_TRY(md_body__slice(&s->slice[i], s->from[n_carried + i], s->axis[i],
                              at, s->x->alloc, err));
        s->in[n_carried + i] = &s->slice[i];
    }
    MD_TRY(s->x->body(s->x, k->body, s->in, s->out, err));
    for (uint32_t i = 0; i < n_carried; i++) {
        md_tensor_release(&s->carried[i]);
        s->carried[i] = s->out[i];
        s->out[i] = (md_tensor)MD_TENSOR_INIT;
        s->in[i] = &s->carried[i];
    }
    for (uint32_t i = 0; i < k->n_out; i++)
        MD_TRY(md_stack_push(&s->stack[i], &s->out[n_carried + i], s->length,
                             err));
    md_body__release(s->out, s->x->node->n_out);
    return MD_OK;
}

/* Scan s->from, `length` slices of it; results are in carried and stack. */
static md_status do_trips(scan *s, int64_t length, md_error *err)
{
    for (uint32_t i = 0; i < s->k->n_carried; i++)
        s->in[i] = s->from[i];
    for (uint32_t i = 0; i < s->k->n_out; i++)
        s->stack[i] = (md_stack){ .alloc = s->x->alloc };
    for (int64_t trip = 0; trip < length; trip++)
        MD_TRY(do_trip(s, trip, err));
    for (uint32_t i = 0; i < s->k->n_carried && length == 0; i++)
        MD_TRY(md_tensor_copy(&s->carried[i], s->from[i], s->x->alloc, err));
    return MD_OK;
}

/* Output i of those that are stacked. */
static md_status take_stack(md_tensor *t, scan *s, uint32_t i, md_error *err)
{
    const setup *k = s->k;
    const md_type slice = md_body__output_type(k->body, k->n_carried + i);
    int rank = s->stack[i].begun ? s->stack[i].slice.rank
               : slice.has_rank  ? slice.rank
                                 : 0;
    int axis;

    MD_TRY(md_axis_normalize(&axis, listed(&k->out_axes, i), rank + 1, err));
    if (!s->stack[i].begun)
        return md_body__no_slices(t, &slice, axis, s->x->alloc, err);
    return md_stack_take(t, &s->stack[i], axis, listed(&k->out_back, i) != 0,
                         err);
}

static md_status run_plain(scan *s, md_error *err)
{
    md_exec *x = s->x;
    const setup *k = s->k;

    for (uint32_t i = 0; i < k->n_carried + k->n_in; i++) {
        if (!md_exec_has(x, i))
            return md_fail(err, MD_INVALID, "input %u is missing", i);
        s->from[i] = x->in[i];
    }
    MD_TRY(measure(s, err));
    MD_TRY(do_trips(s, s->length, err));
    for (uint32_t i = 0; i < k->n_carried; i++)
        MD_TRY(md_exec_give(x, i, &s->carried[i], err));
    for (uint32_t i = 0; i < k->n_out; i++) {
        md_tensor t = MD_TENSOR_INIT;

        MD_TRY(take_stack(&t, s, i, err));
        MD_TRY(md_exec_give(x, k->n_carried + i, &t, err));
    }
    return MD_OK;
}

/* ---- version 8: a scan for each entry of a batch ---- */

/* t, [n, ...], as [length, ...], more of it 0. */
static md_status pad(md_tensor *t, int64_t length, const md_alloc *alloc,
                     md_error *err)
{
    md_shape shape = t->shape;
    md_tensor padded;

    if (shape.dim[0] == length)
        return MD_OK;
    shape.dim[0] = length;
    MD_TRY(md_tensor_alloc(&padded, t->dtype, &shape, alloc, err));
    if (md_tensor_size(t) > 0)
        memcpy(padded.data, t->data, md_tensor_size(t));
    if (t->dtype == MD_DTYPE_STRING) {
        md_status s = md_tensor_own_text(&padded, err);

        if (s != MD_OK) {
            md_tensor_release(&padded);
            return s;
        }
    }
    md_tensor_release(t);
    *t = padded;
    return MD_OK;
}

static md_status batch_length(int64_t *out, const md_exec *x, int64_t batch,
                              int64_t entry, int64_t length, md_error *err)
{
    *out = length;
    if (!md_exec_has(x, 0))
        return MD_OK;
    if (md_tensor_n(x->in[0]) != batch)
        return md_fail(err, MD_INVALID,
                       "sequence_lens has %lld values, %lld expected",
                       (long long)md_tensor_n(x->in[0]), (long long)batch);
    *out = md_tensor_get_i64(x->in[0], entry);
    if (*out < 0 || *out > length)
        return md_fail(err, MD_INVALID,
                       "sequence_lens has %lld, 0 to %lld expected",
                       (long long)*out, (long long)length);
    return MD_OK;
}

static md_status check_batch(const md_exec *x, const setup *k, int64_t *batch,
                             md_error *err)
{
    for (uint32_t i = 0; i < k->n_carried + k->n_in; i++) {
        const md_tensor *t = md_exec_has(x, 1 + i) ? x->in[1 + i] : NULL;

        if (!t || t->shape.rank < 1 + (i >= k->n_carried))
            return md_fail(err, MD_INVALID,
                           "input %u is missing or without a batch dim", 1 + i);
        if (i == 0)
            *batch = t->shape.dim[0];
        if (t->shape.dim[0] != *batch)
            return md_fail(err, MD_INVALID,
                           "input %u has a batch of %lld, %lld expected", 1 + i,
                           (long long)t->shape.dim[0], (long long)*batch);
    }
    return MD_OK;
}

/* Entry `entry` of the batch: its results are pushed to `all`. */
static md_status run_entry(scan *s, md_tensor *part, md_stack *all,
                           int64_t batch, int64_t entry, md_error *err)
{
    md_exec *x = s->x;
    const setup *k = s->k;
    int64_t length;

    for (uint32_t i = 0; i < k->n_carried + k->n_in; i++) {
        MD_TRY(md_body__slice(&part[i], x->in[1 + i], 0, entry, x->alloc, err));
        s->from[i] = &part[i];
    }
    MD_TRY(measure(s, err));
    MD_TRY(batch_length(&length, x, batch, entry, s->length, err));
    MD_TRY(do_trips(s, length, err));
    for (uint32_t i = 0; i < k->n_carried; i++) {
        MD_TRY(md_stack_push(&all[i], &s->carried[i], batch, err));
        md_tensor_release(&s->carried[i]);
    }
    for (uint32_t i = 0; i < k->n_out; i++) {
        md_tensor t = MD_TENSOR_INIT;
        md_status st = take_stack(&t, s, i, err);

        if (st == MD_OK)
            st = pad(&t, s->length, x->alloc, err);
        if (st == MD_OK)
            st = md_stack_push(&all[k->n_carried + i], &t, batch, err);
        md_tensor_release(&t);
        md_stack_release(&s->stack[i]);
        s->stack[i] = (md_stack){ .alloc = x->alloc };
        MD_TRY(st);
    }
    return MD_OK;
}

static md_status run_batch(scan *s, md_arena *ar, md_error *err)
{
    const setup *k = s->k;
    uint32_t n_out = s->x->node->n_out;
    md_stack *all;
    md_tensor *part;
    int64_t batch = 0;
    md_status st;

    MD_TRY(check_batch(s->x, k, &batch, err));
    if (batch == 0)
        return md_fail(err, MD_INVALID, "a batch of 0, 1 or more expected");
    MD_TRY(md_body__tensors(&part, ar, k->n_carried + k->n_in, err));
    MD_TRY(md_exec__scratch(&all, ar, n_out, sizeof(*all), err));
    for (uint32_t i = 0; i < n_out; i++)
        all[i].alloc = s->x->alloc;
    st = MD_OK;
    for (int64_t b = 0; b < batch && st == MD_OK; b++)
        st = run_entry(s, part, all, batch, b, err);
    for (uint32_t i = 0; i < n_out && st == MD_OK; i++) {
        md_tensor t = MD_TENSOR_INIT;

        st = md_stack_take(&t, &all[i], 0, false, err);
        if (st == MD_OK)
            st = md_exec_give(s->x, i, &t, err);
    }
    for (uint32_t i = 0; i < n_out; i++)
        md_stack_release(&all[i]);
    md_body__release(part, k->n_carried + k->n_in);
    return st;
}

static md_status run(md_exec *x, md_error *err)
{
    setup k;
    scan sc = { .x = x, .k = &k };
    md_arena ar;
    md_status s;

    MD_TRY(read_setup(&k, x->node, x->opset, err));
    if (!x->body)
        return md_fail(err, MD_UNSUPPORTED, "subgraphs are not run here");
    md_arena_init(&ar, x->alloc, 0);
    MD_GOTO(make_room(&sc, &ar, err));
    s = k.batched ? run_batch(&sc, &ar, err) : run_plain(&sc, err);
out:
    release(&sc);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_scan = {
    .domain = "",
    .name = "Scan",
    .since = 8,
    .in_min = 0,
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
