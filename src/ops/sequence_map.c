/* SequenceMap: a subgraph run for each item of a sequence (ONNX operators,
 * "SequenceMap", version 17). */
#include "ops/common/body.h"

static md_status find(const md_graph **out, const md_node *n, md_error *err)
{
    return md_body__find(out, n, "body", md_body__n_args(n), n->n_out, err);
}

static md_type item_of(const md_type *t)
{
    md_type item = *t;

    if (t->kind != MD_KIND_SEQUENCE)
        return item;
    item.kind = t->of;
    item.of = MD_KIND_TENSOR;
    return item;
}

static md_status infer(const md_infer *c, md_error *err)
{
    uint32_t n = md_body__n_args(c->node);
    const md_graph *body;
    md_arena ar;
    md_type *in;
    md_status s;

    MD_TRY(find(&body, c->node, err));
    if (!md_infer_has(c, 0) || c->in[0]->kind != MD_KIND_SEQUENCE)
        return md_fail(err, MD_INVALID, "input 0 is no sequence");
    if (!c->body)
        return MD_OK;
    md_arena_init(&ar, md_alloc_default(), 0);
    MD_GOTO(md_exec__scratch(&in, &ar, n, sizeof(*in), err));
    for (uint32_t i = 0; i < n; i++) {
        if (!md_infer_has(c, i)) {
            s = md_fail(err, MD_INVALID, "input %u is missing", i);
            goto out;
        }
        in[i] = item_of(c->in[i]);
    }
    MD_GOTO(c->body(c, body, in, c->out, err));
    for (uint32_t i = 0; i < c->node->n_out; i++) {
        if (c->out[i].kind != MD_KIND_TENSOR) {
            s = md_fail(err, MD_INVALID, "output %u of the body is no tensor",
                        i);
            goto out;
        }
        c->out[i].kind = MD_KIND_SEQUENCE;
    }
out:
    md_arena_release(&ar);
    return s;
}

/* A map under way. */
typedef struct map {
    md_exec *x;
    const md_graph *body;
    int64_t n; /* items */
    const md_tensor **in;
    md_tensor *out;  /* of the body */
    md_tensor *list; /* the outputs */
} map;

static md_status begin(map *m, md_arena *ar, md_error *err)
{
    md_exec *x = m->x;
    const md_node *n = x->node;

    MD_TRY(md_body__pointers(&m->in, ar, md_body__n_args(n), err));
    MD_TRY(md_body__tensors(&m->out, ar, n->n_out, err));
    MD_TRY(md_body__tensors(&m->list, ar, n->n_out, err));
    for (uint32_t i = 0; i < md_body__n_args(n); i++) {
        if (!md_exec_has(x, i) ||
            (i == 0 && x->in[0]->kind != MD_KIND_SEQUENCE))
            return md_fail(err, MD_INVALID,
                           "input %u is missing or of "
                           "another kind",
                           i);
        if (i == 0)
            m->n = md_tensor_n(x->in[0]);
        if (x->in[i]->kind == MD_KIND_SEQUENCE && md_tensor_n(x->in[i]) != m->n)
            return md_fail(err, MD_INVALID,
                           "input %u has %lld items, %lld expected", i,
                           (long long)md_tensor_n(x->in[i]), (long long)m->n);
        m->in[i] = x->in[i];
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        const md_type *t = &m->body->values[m->body->outputs[i]].type;
        const md_tensor like = { .kind = MD_KIND_SEQUENCE, .dtype = t->dtype };

        MD_TRY(md_container_alloc(&m->list[i], &like, m->n, x->alloc, err));
    }
    return MD_OK;
}

static md_status do_item(map *m, int64_t at, md_error *err)
{
    md_exec *x = m->x;

    for (uint32_t i = 0; i < md_body__n_args(x->node); i++) {
        if (x->in[i]->kind == MD_KIND_SEQUENCE)
            m->in[i] = md_container_item(x->in[i], at);
    }
    MD_TRY(x->body(x, m->body, m->in, m->out, err));
    for (uint32_t i = 0; i < x->node->n_out; i++) {
        if (m->out[i].kind != MD_KIND_TENSOR ||
            (at > 0 && m->out[i].dtype != m->list[i].dtype))
            return md_fail(err, MD_INVALID,
                           "output %u of the body is not of one type", i);
        m->list[i].dtype = m->out[i].dtype;
        MD_TRY(md_container_give(&m->list[i], at, &m->out[i], err));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    map m = { .x = x };
    md_arena ar;
    md_status s;

    MD_TRY(find(&m.body, x->node, err));
    if (!x->body)
        return md_fail(err, MD_UNSUPPORTED, "subgraphs are not run here");
    md_arena_init(&ar, x->alloc, 0);
    MD_GOTO(begin(&m, &ar, err));
    for (int64_t i = 0; i < m.n; i++)
        MD_GOTO(do_item(&m, i, err));
    for (uint32_t i = 0; i < x->node->n_out; i++)
        MD_GOTO(md_exec_give(x, i, &m.list[i], err));
out:
    md_body__release(m.out, x->node->n_out);
    md_body__release(m.list, x->node->n_out);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_sequence_map = {
    .domain = "",
    .name = "SequenceMap",
    .since = 17,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
