#include "engine/profile.h"

#include "base/size.h"
#include "engine/run_impl.h"

enum {
    N_OPERANDS = 16 /* of an operator that has MACs */
};

void md_run_set_watch(md_run *r, const md_run_watch *w)
{
    r->watch = w;
}

static const md_shape *shape_in(const md_run_step *st, uint32_t i)
{
    return st->in ? &st->in[i].shape : &st->st.in_shape[i];
}

static const md_shape *shape_out(const md_run_step *st, uint32_t i)
{
    return st->out ? &st->out[i].shape : &st->st.out_shape[i];
}

/* Slot i of the inputs, then of the outputs. */
static uint32_t operand(const md_inst *inst, uint32_t i)
{
    return i < inst->n_in ? inst->in[i] : inst->out[i - inst->n_in];
}

static int64_t macs_of(const md_run_step *st)
{
    const md_inst *inst = st->inst;
    const md_shape *in[N_OPERANDS] = { NULL }, *out[N_OPERANDS] = { NULL };

    if (!inst->op || !inst->op->macs || inst->n_in > N_OPERANDS ||
        inst->n_out > N_OPERANDS)
        return 0;
    for (uint32_t i = 0; i < inst->n_in + inst->n_out; i++) {
        if (st->dynamic && st->in[i].dtype == MD_DTYPE_NONE &&
            operand(inst, i) != MD_SLOT_NONE)
            return 0; /* it has not run */
    }
    for (uint32_t i = 0; i < inst->n_in; i++) {
        if (inst->in[i] != MD_SLOT_NONE)
            in[i] = shape_in(st, i);
    }
    for (uint32_t i = 0; i < inst->n_out; i++)
        out[i] = shape_out(st, i);
    return inst->op->macs(inst->node, in, out);
}

static int64_t count_macs(const md_run *r)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < r->n_steps; i++) {
        int64_t n = r->steps[i].dynamic ? 0 : macs_of(&r->steps[i]);

        if (!md_add_i64(&sum, sum, n))
            return INT64_MAX;
    }
    return sum;
}

int64_t md_run_macs(md_run *r)
{
    int64_t sum;

    if (r->macs < 0)
        r->macs = count_macs(r);
    return md_add_i64(&sum, r->macs, r->body_macs) ? sum : INT64_MAX;
}

/* Bytes of operand i of the inputs, then of the outputs; 0 for containers and
 * what is not there. */
static int64_t operand_bytes(const md_run *r, const md_run_step *st, uint32_t i)
{
    const md_inst *inst = st->inst;
    bool is_in = i < inst->n_in;
    uint32_t k = is_in ? i : i - inst->n_in;
    uint32_t id = operand(inst, i);
    md_dtype dtype;
    size_t size;

    if (id == MD_SLOT_NONE)
        return 0;
    if (st->in) /* results lie behind */
        dtype =
            st->in[i].kind == MD_KIND_TENSOR ? st->in[i].dtype : MD_DTYPE_NONE;
    else
        dtype = is_in ? st->st.in_dtype[k] : st->st.out_dtype[k];
    if (dtype == MD_DTYPE_NONE ||
        md_layout_bytes(&size, r->s->slots[id].layout, dtype,
                        is_in ? shape_in(st, k) : shape_out(st, k),
                        NULL) != MD_OK)
        return 0;
    return (int64_t)size;
}

uint32_t md_run_n_steps(const md_run *r)
{
    return r->n_steps;
}

md_step_facts md_run_step_facts(const md_run *r, uint32_t i)
{
    const md_run_step *st = &r->steps[i];
    const md_inst *inst = st->inst;
    md_step_facts f = { .node = inst->node ? inst->node->name : "",
                        .op = inst->node ? inst->node->op : "Reorder",
                        .kernel = inst->kernel,
                        .macs = macs_of(st) };

    for (uint32_t k = 0; k < inst->n_in + inst->n_out; k++)
        f.bytes += operand_bytes(r, st, k);
    return f;
}
